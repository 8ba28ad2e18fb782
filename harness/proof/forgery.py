"""Forged evidence, put together from real runs, which the judge must refuse.

The forged-report test combines what the reference fix reported with what a masking fix produced. The cross-seed test combines a run's
reports with weights that were trained on another seed.
"""

from __future__ import annotations

import shutil
import tempfile
from fnmatch import fnmatch
from pathlib import Path

from harness.course.kata import Proof
from harness.judging.verdict import Judge, Verdict

DIAGNOSIS_FILE = "diagnosis.json"


def forged_reports(judge: Judge, proof: Proof, seed: int, honest: Path, other: Path) -> Verdict:
    """Judge the evidence of another variant, `other`, under `honest`'s reports: files that match proof.toml's `reported` are the honest run's."""
    reported = [p.name for p in [*honest.iterdir(), *other.iterdir()] if _is_reported(p.name, proof)]
    return _judge_mixture(judge, seed, other, dict.fromkeys(reported, honest))


def cross_seed(judge: Judge, proof: Proof, seed: int, honest: Path, other: Path) -> Verdict:
    """Judge the honest run of a seed with what the same fix produced on another seed."""
    return _judge_mixture(judge, seed, honest, dict.fromkeys(produced(proof, other), other))


def produced(proof: Proof, evidence: Path) -> list[str]:
    """Return the files of a run that its verdict is recomputed from: weights or, where there are none, all that are not reports."""
    own = [p.name for p in evidence.iterdir() if p.is_file() and not _is_reported(p.name, proof) and p.name != DIAGNOSIS_FILE]
    return sorted(name for name in own if Path(name).suffix in (".safetensors", ".npz")) or sorted(own)


def _is_reported(name: str, proof: Proof) -> bool:
    return any(fnmatch(name, pattern) for pattern in proof.reported)


def _judge_mixture(judge: Judge, seed: int, base: Path, replaced: dict[str, Path]) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="forged-") as folder:
        forged = Path(folder) / "evidence"
        shutil.copytree(base, forged)
        for name, source in replaced.items():
            (forged / name).unlink(missing_ok=True)
            if (source / name).is_file():
                shutil.copy(source / name, forged / name)
        return judge.judge(seed, forged)
