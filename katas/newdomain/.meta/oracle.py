"""Measure a run of `newdomain`: its weights on unseen documents and against the planned run, and its hand-over against the truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fixtures.recording.artifacts import BadArtifact, load_weights, read_bytes, read_json
from fixtures.recording.journal import history
from fixtures.training.cluster import flat_weights
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
KEPT = tuple(range(24, 300, 25))
MAY_BE_MISSING = 1
"""A repair that moves rows up has no row for the last steps."""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raises BadArtifact when the final weights cannot be read."""
    ranks = [_model(evidence, f"final-rank{rank}", truth) for rank in range(2)]
    weights = [flat_weights(model.parameters()) for model in ranks]
    nats = {name: float(document_nll_nats(ranks[0], probe).mean()) for name, probe in truth["probes"].items()}
    planned, floor = truth["planned_nats"], truth["floor_nats"]
    old, new = truth["old"], truth["new"]
    way = truth["planned"] - truth["start"]
    return (
        {
            "newest_excess_nats": nats[new] - floor[new],
            "newest_on_the_way": _on_the_way(evidence, truth),
            "newest_planned_excess_nats": planned[new] - floor[new],
            "older_excess_nats": sum(nats[t] - floor[t] for t in old) / len(old),
            "older_planned_excess_nats": sum(planned[t] - floor[t] for t in old) / len(old),
            "imprint_nats": nats["imprint"],
            "planned_imprint_nats": planned["imprint"],
            "imprint_on_the_way": _imprint_on_the_way(evidence, truth),
            "beside_unlearnt": _beside_unlearnt(ranks[0], truth),
            "beside": len(truth["beside"]),
            "distance": float((weights[0] - truth["planned"]).norm() / way.norm()),
            "rank_difference": float((weights[0] - weights[1]).abs().max()),
            "kept_val_loss": _kept_val_loss(evidence, truth),
        }
        | _rows(evidence, truth)
        | _hand_over(evidence, truth)
    )


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> GPT:
    model = GPT(GPTConfig(**truth["model"]))
    load_weights(model, evidence, name)
    return model


def _on_the_way(evidence: Path, truth: dict[str, Any]) -> list[list[float]]:
    """Return, for some saved steps, the excess loss on unseen documents of the newest source: the run's and the planned run's."""
    probe, floor = truth["probes"][truth["new"]], truth["floor_nats"][truth["new"]]
    return [
        [step, _kept_nats(evidence, truth, step, probe) - floor, planned - floor] for step, planned in truth["planned_on_the_way"].items()
    ]


def _imprint_on_the_way(evidence: Path, truth: dict[str, Any]) -> list[float]:
    """Return the imprint of the first weights saved after each damaged stretch, minus that of the planned run."""
    planned = truth["planned_imprint_on_the_way"]
    return [_kept_nats(evidence, truth, step, truth["probes"]["imprint"]) - nats for step, nats in planned.items()]


def _kept_nats(evidence: Path, truth: dict[str, Any], step: int, probe: Tensor) -> float:
    """Return the loss of saved weights on a probe; NaN when they are missing."""
    name = f"weights-{step:06d}"
    is_kept = (evidence / f"{name}.safetensors").exists()
    return float(document_nll_nats(_model(evidence, name, truth), probe).mean()) if is_kept else math.nan


def _beside_unlearnt(model: GPT, truth: dict[str, Any]) -> float:
    """Return where the losses of the sound documents beside the damaged ones lie: 0 as in the planned run, 1 as if their steps had no weight."""
    planned, weightless = truth["planned_beside_nats"], truth["weightless_beside_nats"]  # [D]
    way = weightless - planned
    return float((document_nll_nats(model, truth["beside"]) - planned) @ way / (way @ way))


@torch.no_grad()
def _kept_val_loss(evidence: Path, truth: dict[str, Any]) -> list[tuple[int, float]]:
    """Return the saved steps with the validation loss of their weights; the last entry is that of the final weights."""
    validation = torch.from_numpy(truth["validation"]).long()
    rows = history(read_bytes(evidence, "telemetry.jsonl"))
    kept = [row["step"] for row in rows if row["step"] in KEPT]
    if len(kept) < len(KEPT) - MAY_BE_MISSING:
        return [(KEPT[0], math.nan)]
    names = {step: f"weights-{step:06d}" for step in kept}
    losses = [(step, float(next_token_loss(_model(evidence, name, truth), validation))) for step, name in names.items()]
    # The final weights must be those that the last row measured.
    return [*losses, (rows[-1]["step"], float(next_token_loss(_model(evidence, "final-rank0", truth), validation)))]


def _rows(evidence: Path, truth: dict[str, Any]) -> dict[str, float]:
    """Return which share of the sound documents took part in updates, and which share did so more than once."""
    sound = set(truth["sound_rows"])
    trained: list[str] = []
    for row in history(read_bytes(evidence, "telemetry.jsonl")):
        updates, rows = row.get("updates"), row.get("rows")
        if isinstance(updates, list) and isinstance(rows, list) and any(type(u) is int and u > 0 for u in updates):
            trained += [digest for rank in rows if isinstance(rank, list) for digest in rank if isinstance(digest, str)]
    met = [digest for digest in trained if digest in sound]
    return {
        "coverage": len(set(met)) / len(sound),
        "times_too_many": (len(met) - len(set(met))) / len(sound),
    }


def _hand_over(evidence: Path, truth: dict[str, Any]) -> dict[str, float]:
    try:
        form = read_json(evidence, "hand_over")
    except BadArtifact:
        form = {}
    form = form if isinstance(form, dict) else {}
    listed = _list(form.get("documents"))
    documents = {pair for pair in map(_pair, listed) if pair}
    # An entry that is not a pair counts as a wrong one; a pair named twice counts once.
    odd = sum(_pair(d) is None for d in listed)
    # Anything else in the form would be held back too, whatever its key and shape.
    others = sum(
        len(value) if isinstance(value, list | dict | str) else value is not None for name, value in form.items() if name != "documents"
    )
    damaged = {(s, d) for s, d in truth["damaged"]}
    named = len(documents) + odd
    return {
        "hand_over_named": float(named),
        "hand_over_others": float(others),
        "hand_over_recall": len(documents & damaged) / len(damaged),
        "hand_over_precision": len(documents & damaged) / named if named else 0.0,
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        return value[0], value[1]
    return None
