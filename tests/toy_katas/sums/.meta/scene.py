"""Twenty readings, three of which are the sensor's word for "none"."""

import json
import random

NONE = 999.0


def draw(seed):
    rng = random.Random(seed)
    readings = [round(rng.uniform(1, 5), 2) for _ in range(20)]
    missing = sorted(rng.sample(range(1, 19), 3))
    return readings, missing


def build(seed, world):
    readings, missing = draw(seed)
    (world / "readings.json").write_text(json.dumps([NONE if i in missing else r for i, r in enumerate(readings)]))


def truth(seed):
    readings, missing = draw(seed)
    return {
        "total": sum(r for i, r in enumerate(readings) if i not in missing),
        "diagnosis": {"cause": ["data"], "first_bad_step": missing[:1]},
    }
