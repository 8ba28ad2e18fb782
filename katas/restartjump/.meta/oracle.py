"""What the judge measures of a run of `restartjump`: its weights over time, compared with the same run without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fixtures.recording.artifacts import load_weights, read_bytes
from fixtures.recording.journal import history, telemetry_name
from fixtures.training.cluster import flat_weights
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
KEPT = tuple(range(9, 300, 10))
"""Steps after which the run saved its weights."""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raise BadArtifact if the run left no readable weights."""
    final = _model(evidence, "final-rank0", truth)
    kept = {
        step: _model(evidence, f"weights-{step:06d}", truth) for step in KEPT if (evidence / f"weights-{step:06d}.safetensors").exists()
    }
    excess = float(document_nll_nats(final, truth["probes"]).mean()) - truth["floor_nats"]
    return {
        "distance": [[step, _distance(kept.get(step), truth, step)] for step in KEPT],
        "stretch": _stretches(kept, truth),
        "final_distance": _distance(final, truth, truth["updates"] - 1),
        "excess_nats": excess,
        "uninterrupted_excess_nats": truth["uninterrupted_excess_nats"],
        "kept_val_loss": [[step, _val_loss(model, truth)] for step, model in kept.items()],
        "final_val_loss": _val_loss(final, truth),
    } | _rows(evidence, truth)


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> GPT:
    model = GPT(GPTConfig(**truth["model"]))
    load_weights(model, evidence, name)
    return model


def _flat(model: GPT) -> Tensor:
    return flat_weights(model.parameters())


def _distance(model: GPT | None, truth: dict[str, Any], step: int) -> float:
    """Return the distance to the uninterrupted run, as a fraction of that run's distance from its start."""
    if model is None:
        return float("nan")
    there = truth["way"][step]
    return float((_flat(model) - there).norm() / (there - truth["start"]).norm())


def _stretches(kept: dict[int, GPT], truth: dict[str, Any]) -> list[list[float]]:
    """Return [step, deviation] for each interval between saved steps: its change of the weights, relative to the uninterrupted run's."""
    found, was, was_there = [], truth["start"], truth["start"]
    for step in KEPT:
        there = truth["way"][step]
        if step not in kept or was is None:
            found.append([step, float("nan")])
            was = _flat(kept[step]) if step in kept else None
        else:
            now, move = _flat(kept[step]), there - was_there
            found.append([step, float((now - was - move).norm() / move.norm())])
            was = now
        was_there = there
    return found


@torch.no_grad()
def _val_loss(model: GPT, truth: dict[str, Any]) -> float:
    return float(next_token_loss(model, torch.from_numpy(truth["validation"]).long()))


def _rows(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return which rows led to the final weights, and how often, as the telemetry reports."""
    place = {digest: i for i, digest in enumerate(truth["rows"])}
    times = np.zeros(len(place), dtype=int)
    for row in history(read_bytes(evidence, telemetry_name(0))):
        rows = row.get("rows")
        for part in rows if isinstance(rows, list) else []:
            for digest in part if isinstance(part, list) else []:
                if isinstance(digest, str) and digest in place:
                    times[place[digest]] += 1
    return {"coverage": float((times > 0).mean()), "times_too_many": int((times - 1).clip(min=0).sum()) / len(place)}
