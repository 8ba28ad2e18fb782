"""The world of a seed, as files; and, apart from it, the truth.

Both are functions of the seed alone. A seed redraws the task, so that no constant, table or weight carries over.
"""

import json
import random

NONE = 999.0  # TODO: this kata's fault. Operators for training data and devices are in fixtures/faults


def draw(seed):
    rng = random.Random(seed)
    readings = [round(rng.uniform(1, 5), 2) for _ in range(20)]
    missing = sorted(rng.sample(range(1, 19), 3))
    return readings, missing


def build(seed, world):
    """Write what the run stands in to the folder `world`; the notebook opens it with scene.open(SEED)."""
    readings, missing = draw(seed)
    (world / "readings.json").write_text(json.dumps([NONE if i in missing else r for i, r in enumerate(readings)]))


def truth(seed):
    """Return what only the judge knows. `diagnosis` holds, for each field of the form, the accepted answers."""
    readings, missing = draw(seed)
    return {
        "total": sum(r for i, r in enumerate(readings) if i not in missing),
        "diagnosis": {"cause": ["data"], "first_bad_step": missing[:1]},
    }
