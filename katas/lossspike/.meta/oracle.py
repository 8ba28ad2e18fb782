"""Measure a run of `lossspike`: its final weights on unseen documents, and its hand-over against the truth."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from fixtures.recording.artifacts import BadArtifact, load_weights, read_bytes, read_json
from fixtures.recording.journal import history
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
KEPT = (49, 99, 149, 199, 249, 299)
MAY_BE_SKIPPED = 2
"""A run that rewinds and skips steps has no row for them."""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raises BadArtifact when the final weights cannot be read."""
    ranks = [_model(evidence, f"final-rank{rank}", truth) for rank in range(2)]
    nats = {name: float(document_nll_nats(ranks[0], torch.from_numpy(probe).long()).mean()) for name, probe in truth["probes"].items()}
    excess = {topic: nats[topic] - floor for topic, floor in truth["floor_nats"].items()}
    return (
        {
            "imprint_nats": nats["imprint"],
            "main_excess_nats": (excess["kitchen"] + excess["harbour"]) / 2,
            "rarest_excess_nats": excess[truth["rarest"]],
            "rank_difference": _largest_difference(*ranks),
            "kept_val_loss": _kept_val_loss(evidence, truth),
        }
        | _rows(evidence, truth)
        | _hand_over(evidence, truth)
    )


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> GPT:
    model = GPT(GPTConfig(vocab_size=truth["vocab_size"], block_size=32, n_layer=1))
    load_weights(model, evidence, name)
    return model


@torch.no_grad()
def _largest_difference(a: torch.nn.Module, b: torch.nn.Module) -> float:
    return max(float((p - q).abs().max()) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@torch.no_grad()
def _kept_val_loss(evidence: Path, truth: dict[str, Any]) -> list[tuple[int, float]]:
    """Return the saved steps with the validation loss of their weights; the last entry is that of the final weights."""
    validation = torch.from_numpy(truth["validation"]).long()
    rows = history(read_bytes(evidence, "telemetry.jsonl"))
    kept = [row["step"] for row in rows if row["step"] in KEPT]
    if len(kept) < len(KEPT) - MAY_BE_SKIPPED:
        return [(KEPT[0], math.nan)]
    names = {step: f"weights-{step:06d}" for step in kept}
    last = rows[-1]["step"]
    losses = [(step, float(next_token_loss(_model(evidence, name, truth), validation))) for step, name in names.items()]
    # The final weights must be those that the last row measured.
    return [*losses, (last, float(next_token_loss(_model(evidence, "final-rank0", truth), validation)))]


def _rows(evidence: Path, truth: dict[str, Any]) -> dict[str, float]:
    """Return which share of the sound documents took part in updates, and how many rows did that must be held back."""
    sound, bad = set(truth["good_rows"]), set(truth["bad_rows"])
    trained: list[str] = []
    for row in history(read_bytes(evidence, "telemetry.jsonl")):
        updates, rows = row.get("updates"), row.get("rows")
        if isinstance(updates, list) and isinstance(rows, list) and any(type(u) is int and u > 0 for u in updates):
            trained += [digest for rank in rows if isinstance(rank, list) for digest in rank if isinstance(digest, str)]
    return {"coverage": len(sound & set(trained)) / len(sound), "exposed_rows": float(sum(digest in bad for digest in trained))}


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
    others = len(_list(form.get("ranks"))) + len(_list(form.get("schedule_changes")))
    bad = set(truth["bad_documents"])
    named = len(documents) + odd + others
    return {
        "hand_over_named": float(named),
        "hand_over_recall": len(documents & bad) / len(bad),
        "hand_over_precision": len(documents & bad) / named if named else 0.0,
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        return value[0], value[1]
    return None
