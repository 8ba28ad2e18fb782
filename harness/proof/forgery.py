"""The best lies that a learner could tell, put together from real runs: the judge must refuse them.

The perfect forged_reports shows what the reference fix reported and hands over what a masking fix really made. The cross_seed hands over
weights that were trained on another seed.
"""

from __future__ import annotations

import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from harness.course.kata import Kata, Proof
from harness.judging.verdict import Judge, Verdict

DIAGNOSIS = "diagnosis.json"


def forged_reports(judge: Judge, kata: Kata, proof: Proof, seed: int, honest: Path, variant: Path) -> Verdict:
    """Judge `variant`'s evidence under `honest`'s reports: files that match proof.toml's `reported` are the honest run's."""
    reported = [p.name for p in [*honest.iterdir(), *variant.iterdir()] if _is_reported(p.name, proof)]
    return _judge_mixture(judge, kata, seed, variant, dict.fromkeys(reported, honest))


def cross_seed(judge: Judge, kata: Kata, proof: Proof, seed: int, honest: Path, elsewhere: Path) -> Verdict:
    """Judge the honest run of a seed with the weights, or, where there are none, the exhibits, of the same fix on another seed."""
    own = [p.name for p in elsewhere.iterdir() if p.is_file() and not _is_reported(p.name, proof) and p.name != DIAGNOSIS]
    weights = [name for name in own if Path(name).suffix in (".safetensors", ".npz")]
    return _judge_mixture(judge, kata, seed, honest, dict.fromkeys(weights or own, elsewhere))


def _is_reported(name: str, proof: Proof) -> bool:
    return any(fnmatch(name, pattern) for pattern in proof.reported)


def _judge_mixture(judge: Judge, kata: Kata, seed: int, base: Path, replaced: dict[str, Path]) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="forged-") as folder:
        forged = Path(folder) / "evidence"
        shutil.copytree(base, forged)
        for name, source in replaced.items():
            (forged / name).unlink(missing_ok=True)
            if (source / name).is_file():
                shutil.copy(source / name, forged / name)
        return judge.judge(seed, forged, judge.look(seed, forged))
