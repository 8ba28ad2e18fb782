"""Measure a run of `twogpus`: the kept weights of both ranks against one process on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fixtures.recording.artifacts import load_weights, read_bytes
from fixtures.recording.journal import history, telemetry_name
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
RANKS = (0, 1)
KEPT = tuple(range(3, 100, 4))
"""The steps after which each rank keeps its weights."""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raise BadArtifact when the weights cannot be read."""
    final = [_model(evidence, f"final-rank{rank}", truth) for rank in RANKS]
    kept = {step: [_model(evidence, _kept_name(step, rank), truth) for rank in RANKS] for step in KEPT}
    excess = [float(document_nll_nats(model, truth["probes"]).mean()) - truth["floor_nats"] for model in final]
    return {
        "distance": [[step, *(_distance(m, truth["start"], truth["way"][step]) for m in models)] for step, models in kept.items()],
        "stretch": _stretches(kept, truth),
        "final_distance": [_distance(model, truth["start"], truth["way"][-1]) for model in final],
        "rank_difference": [[step, _largest_difference(*models)] for step, models in [*kept.items(), (truth["updates"] - 1, final)]],
        "excess_nats": excess,
        "one_process_excess_nats": truth["one_process_excess_nats"],
        "kept_val_loss": [[step, *(_val_loss(m, truth) for m in models)] for step, models in kept.items()],
        "final_val_loss": [_val_loss(model, truth) for model in final],
    } | _rows(evidence, truth)


def _kept_name(step: int, rank: int) -> str:
    return f"weights-{step:06d}" + (f"-rank{rank}" if rank else "")


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> GPT:
    model = GPT(GPTConfig(**truth["model"]))
    load_weights(model, evidence, name)
    return model


def _flat(model: GPT) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def _distance(model: GPT, start: Tensor, there: Tensor) -> float:
    """Return the norm of the difference from the one process's weights, relative to its move since the start."""
    return float((_flat(model) - there).norm() / (there - start).norm())


def _stretches(kept: dict[int, list[GPT]], truth: dict[str, Any]) -> list[list[float]]:
    """Return, for the updates up to each kept step, the difference of each rank's move from one process's, relative to its length."""
    found, was, was_there = [], [truth["start"]] * len(RANKS), truth["start"]
    for step, models in kept.items():
        there = truth["way"][step]
        now, move = [_flat(model) for model in models], there - was_there
        found.append([step, *(float((n - w - move).norm() / move.norm()) for n, w in zip(now, was, strict=True))])
        was, was_there = now, there
    return found


def _largest_difference(a: GPT, b: GPT) -> float:
    return float((_flat(a) - _flat(b)).abs().max())


@torch.no_grad()
def _val_loss(model: GPT, truth: dict[str, Any]) -> float:
    return float(next_token_loss(model, torch.from_numpy(truth["validation"]).long()))


def _rows(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Count how often each rank trained on each row, according to the telemetry."""
    place = {digest: i for i, digest in enumerate(truth["rows"])}
    times = np.zeros((len(RANKS), len(place)), dtype=int)
    for rank in RANKS:
        for digest in _trained(evidence, rank):
            if digest in place:
                times[rank, place[digest]] += 1
    total = int(times.sum())
    return {
        "coverage": float((times.sum(0) > 0).mean()),
        "times_too_many": int((times.sum(0) - 1).clip(min=0).sum()) / len(place),
        "rows_per_rank": times.sum(1),
        "smaller_share": float(times.sum(1).min() / total) if total else 0.0,
    }


def _trained(evidence: Path, rank: int) -> list[str]:
    found: list[str] = []
    for row in history(read_bytes(evidence, telemetry_name(rank))):
        rows = row.get("rows")
        found += [d for part in (rows if isinstance(rows, list) else []) if isinstance(part, list) for d in part if isinstance(d, str)]
    return found
