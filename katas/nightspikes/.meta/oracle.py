"""Measure a run of `nightspikes`: the weights of the run and of the short jobs, against those that sound devices compute from the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fixtures.faults.hardware import sound_silicon, struck
from fixtures.recording.artifacts import load_weights, read_arrays, read_json
from fixtures.training.cluster import flat_weights
from fixtures.training.devices import Device, on
from fixtures.training.models import GPT, GPTConfig, next_token_loss

torch.set_num_threads(1)
RANKS = (0, 1)
THERE = 1e-3
"""A job whose weights are farther off fails for that reason."""
SAME_WEIGHT = 1e-3
"""Tolerance when a sum of squares is matched with a weight; from one update to the next it changes by 0.02."""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raises BadArtifact when weights cannot be read."""
    final = [_model(evidence, f"final-rank{rank}", truth) for rank in RANKS]
    kept = {step: _model(evidence, f"weights-{step:06d}", truth) for step in truth["way"] if step + 1 != truth["updates"]}
    last = truth["updates"] - 1
    return (
        {
            "distance": [[step, _distance(model, step, truth)] for step, model in kept.items()],
            "final_distance": [_distance(model, last, truth) for model in final],
            "rank_difference": float((_flat(final[0]) - _flat(final[1])).abs().max()),
            "kept_val_loss": [[step, _val_loss(model, truth)] for step, model in [*kept.items(), (last, final[0])]],
        }
        | _held_back(evidence, truth)
        | _jobs(evidence, truth)
    )


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> GPT:
    model = GPT(GPTConfig(**truth["model"]))
    load_weights(model, evidence, name)
    return model


def _flat(model: GPT) -> Tensor:
    return flat_weights(model.parameters())


def _distance(model: GPT, step: int, truth: dict[str, Any]) -> float:
    """Return how far the weights are from those of sound devices, as a share of the path from the start."""
    start, there = truth["start"], truth["way"][step]
    return float((_flat(model) - there).norm() / (there - start).norm())


@torch.no_grad()
def _val_loss(model: GPT, truth: dict[str, Any]) -> float:
    evaluator = Device(sound_silicon(np.random.default_rng(0)))
    return float(next_token_loss(on(model, evaluator), torch.from_numpy(truth["validation"]).long()))


def _names(handed: Any, kind: str) -> set[str]:
    names = handed.get(kind) if isinstance(handed, dict) else None
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _held_back(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    handed = read_json(evidence, "hand_over")
    devices, shards = _names(handed, "devices"), _names(handed, "shards")
    return {"device_named": truth["sick"] in devices, "named_wrongly": sorted(devices - {truth["sick"]}) + sorted(shards)}


def _jobs(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    arrays, words = read_arrays(evidence, "probe"), read_json(evidence, "probe")
    handed = words.get("handed") if isinstance(words, dict) else None
    jobs = [
        _job(f"job-{i}", arrays, handed.get(f"job-{i}") if isinstance(handed, dict) else None, job) for i, job in enumerate(truth["jobs"])
    ]
    return {name: [job[name] for job in jobs] for name in jobs[0]} | {
        "job_errors": list(words["errors"].values()) if isinstance(words, dict) and isinstance(words.get("errors"), dict) else [],
    }


def _job(name: str, arrays: dict[str, Any], handed: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Measure one of the probe's jobs; a missing answer is NaN, which no threshold admits."""
    way = job["end"] - job["start"]
    distances = []
    for rank in RANKS:
        weights = _vector(arrays.get(f"{name}.{rank}"), len(way))
        distances.append(float((weights - job["end"]).norm() / way.norm()))
    distance = max(distances, key=lambda d: np.inf if np.isnan(d) else d)
    erred, work = {}, {}
    for device in job["placed"]:
        asked = _asked(arrays.get(f"{name}.{device}"))
        erred[device] = _erred(asked, job["sick"].get(device))
        work[device] = 1.0 if erred[device] else _work(asked, job) if distance <= THERE else _all_work(asked, job)
    devices, shards = _names(handed, "devices"), _names(handed, "shards")
    return {
        "job_distance": distance,
        "job_to_name": sum(erred.values()),
        "job_named": sum(erred[device] for device in devices & erred.keys()),
        "job_named_wrongly": len(devices - job["sick"].keys()) + len(shards),
        "job_work": min(work.values()),
    }


def _asked(array: Any) -> NDArray[np.float64]:
    """Return a device's products, [product, (layout, M, K, N, squares)], see the probe's `noted`; none when the array has another form."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.shape[1:] != (5,) or not np.isfinite(array[:, :4]).all():
        return np.zeros((0, 5))
    return array.astype(float)


def _erred(asked: NDArray[np.float64], silicon: bytes | None) -> bool:
    """Return whether any of a device's products was wrong."""
    if silicon is None:
        return False
    return any(struck(silicon, int(layout), [n], int(N)) for n, (layout, _, _, N) in enumerate(asked[:, :4]))


def _work(asked: NDArray[np.float64], job: dict[str, Any]) -> float:
    """Return the share of its planned multiply-adds that a device did for its job, in the half of the updates with less work.

    A product counts when its second operand is a layer's weight before some update (U) of the judge's run; for each update and layer (L) at
    most one rank's rows count. Tests and large unrelated products are not work.
    """
    squares_UL, planned_L = job["squares"], np.array(job["planned_work"])
    away = np.nan_to_num(np.abs(asked[:, 4:] - squares_UL.reshape(1, -1)), nan=np.inf)
    found = away.min(1) <= SAME_WEIGHT
    done_UL = np.bincount(away[found].argmin(1), asked[found, 1:4].prod(1), squares_UL.size).reshape(squares_UL.shape)
    share_U = np.minimum(done_UL, planned_L).sum(1) / planned_L.sum()
    return float(min(half.mean() for half in np.array_split(share_U, 2)))


def _all_work(asked: NDArray[np.float64], job: dict[str, Any]) -> float:
    """Return the same for a job with unexpected weights: all multiply-adds, as a share of the plan's three products a layer."""
    return float(asked[:, 1:4].prod(1).sum()) / (len(job["squares"]) * 1.5 * sum(job["planned_work"]))


def _vector(array: Any, length: int) -> Tensor:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fi" or array.shape != (length,):
        return torch.full((length,), torch.nan)
    return torch.from_numpy(array.astype(np.float64)).float()
