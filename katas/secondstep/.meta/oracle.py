"""What the judge measures of a run of `secondstep`: saved and final weights, compared with the run that nobody moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fixtures.recording.artifacts import load_weights, read_bytes
from fixtures.recording.journal import history
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raise BadArtifact if the run left no readable weights."""
    final = _model(evidence, "final-rank0", truth)
    kept = {step: _model(evidence, f"weights-{step:06d}", truth) for step in truth["kept"]}
    losses = {step: _val_loss(model, truth) for step, model in kept.items()}
    return {
        "distance": [[step, _distance(model, step, truth)] for step, model in kept.items()],
        "final_distance": _distance(final, truth["updates"] - 1, truth),
        "kept_val_loss": [[step, loss, truth["val_loss"][step]] for step, loss in losses.items()],
        "final_val_loss": _val_loss(final, truth),
        "excess_nats": float(document_nll_nats(final, truth["probes"]).mean()) - truth["floor_nats"],
        "unmoved_excess_nats": truth["unmoved_excess_nats"],
        "coverage": _coverage(evidence, truth),
    }


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> GPT:
    model = GPT(GPTConfig(**truth["model"]))
    load_weights(model, evidence, name)
    return model


def _distance(model: GPT, step: int, truth: dict[str, Any]) -> float:
    """Return the distance to the unmoved run after the same step, as a fraction of that run's distance from the move."""
    start, there = truth["way"][0], truth["way"][step - truth["move"] + 1]
    here: Tensor = torch.cat([p.detach().flatten() for p in model.parameters()])
    return float((here - there).norm() / (there - start).norm())


@torch.no_grad()
def _val_loss(model: GPT, truth: dict[str, Any]) -> float:
    return float(next_token_loss(model, torch.from_numpy(truth["validation"]).long()))


def _coverage(evidence: Path, truth: dict[str, Any]) -> float:
    """Return the share of the rows planned after the move that took part in an update, as the telemetry reports."""
    found: set[str] = set()
    for row in history(read_bytes(evidence, "telemetry.jsonl")):
        rows = row.get("rows")
        found |= {d for part in (rows if isinstance(rows, list) else []) if isinstance(part, list) for d in part if isinstance(d, str)}
    return sum(digest in found for digest in truth["rows"]) / len(truth["rows"])
