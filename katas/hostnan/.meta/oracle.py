"""Measure a run of `hostnan`: its weights against the planned run's, and what `apply_update` did with new gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fixtures.recording.artifacts import BadArtifact, load_weights, read_arrays, read_bytes, read_json
from fixtures.recording.journal import history, telemetry_name
from fixtures.training import devices
from fixtures.training.cluster import flat_weights
from fixtures.training.devices import Device
from fixtures.training.models import GPT, GPTConfig, document_nll_nats, next_token_loss

torch.set_num_threads(1)
KEPT = tuple(range(109, 240, 10))
"""Steps after which the recorder keeps the weights."""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raises BadArtifact when rank 0's weights are missing."""
    read_bytes(evidence, "final-rank0.safetensors")
    finals = [_model(evidence, f"final-rank{rank}", truth) for rank in range(len(truth["hosts"]))]
    kept = {step: _model(evidence, f"weights-{step:06d}", truth) for step in KEPT}
    first = finals[0]
    return (
        {
            "distance": [[step, _distance(model, truth, step)] for step, model in kept.items()],
            "stretch": _stretches(kept, truth),
            "final_distance": [_distance(model, truth, truth["updates"] - 1) for model in finals],
            "excess_nats": float(document_nll_nats(first, truth["probes"]).mean()) - truth["floor_nats"] if first else float("nan"),
            "planned_excess_nats": truth["planned_excess_nats"],
            "kept_val_loss": [[step, _val_loss(model, truth)] for step, model in kept.items()],
            "final_val_loss": _val_loss(first, truth),
            "isolated": _isolated(evidence),
        }
        | _rows(evidence, truth)
        | _guard(evidence, truth)
    )


def _model(evidence: Path, name: str, truth: dict[str, Any]) -> GPT | None:
    """Return a model with a file's weights; None when the file is missing or a weight is not finite."""
    model = GPT(GPTConfig(**truth["model"]))
    try:
        load_weights(model, evidence, name)
    except BadArtifact:
        return None
    devices.on(model, Device(truth["spare_silicon"]))
    return model


def _flat(model: GPT) -> Tensor:
    return flat_weights(model.parameters())


def _distance(model: GPT | None, truth: dict[str, Any], step: int) -> float:
    """Return how far the weights are from the planned run's, as a share of that run's path since the checkpoint."""
    if model is None:
        return float("nan")
    there = truth["way"][step - truth["from_update"]]
    return float((_flat(model) - there).norm() / (there - truth["start"]).norm())


def _stretches(kept: dict[int, GPT | None], truth: dict[str, Any]) -> list[list[float]]:
    """Return, for the updates up to each kept step, how far the change of the weights deviates from the planned one, relative to it."""
    found: list[list[float]] = []
    was: Tensor | None = truth["start"]
    was_there = truth["start"]
    for step, model in kept.items():
        there, now = truth["way"][step - truth["from_update"]], _flat(model) if model else None
        move = there - was_there
        known = now is not None and was is not None
        found.append([step, float((now - was - move).norm() / move.norm()) if known else float("nan")])
        was, was_there = now, there
    return found


@torch.no_grad()
def _val_loss(model: GPT | None, truth: dict[str, Any]) -> float:
    return float(next_token_loss(model, truth["validation"])) if model else float("nan")


def _isolated(evidence: Path) -> str:
    try:
        handed_over = read_json(evidence, "hand_over")
    except BadArtifact:
        return ""
    host = handed_over.get("isolated") if isinstance(handed_over, dict) else None
    # A list with one host is accepted.
    host = host[0] if isinstance(host, list) and len(host) == 1 else host
    return host[:40] if isinstance(host, str) else ""


def _rows(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return which planned rows took part in the updates behind the final weights, according to the telemetry."""
    place = {digest: i for i, digest in enumerate(truth["rows"])}
    times = np.zeros(len(place), dtype=int)
    for row in history(read_bytes(evidence, telemetry_name(0))):
        rows = row.get("rows")
        for part in rows if isinstance(rows, list) else []:
            for digest in part if isinstance(part, list) else []:
                if isinstance(digest, str) and digest in place:
                    times[place[digest]] += 1
    return {"coverage": float((times > 0).mean()), "times_too_many": int((times - 1).clip(min=0).sum()) / len(place)}


def _guard(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return what `apply_update` did with gradients that are not finite, and with finite ones."""
    cases, answers, weights = truth["cases"], read_json(evidence, "probe"), read_arrays(evidence, "probe").get("weights")
    answers = answers.get("answers") if isinstance(answers, dict) else None
    right_shape = weights is not None and weights.shape == (len(cases), len(truth["start"])) and weights.dtype.kind == "f"
    if not isinstance(answers, list) or len(answers) != len(cases) or not all(isinstance(a, dict) for a in answers) or not right_shape:
        raise BadArtifact("the probe's answers do not match the cases that `apply_update` was called with")
    poisoned = [(case, answer) for case, answer in zip(cases, answers, strict=True) if "ranks" in case]
    healthy = [(case, answer, own) for case, answer, own in zip(cases, answers, weights, strict=True) if "ranks" not in case]
    let_through = [case["what"] for case, answer in poisoned if answer.get("halted") is not True]
    touched = [case["what"] for case, answer in poisoned if answer.get("touched") != []]
    misnamed = [case["what"] for case, answer in poisoned if answer.get("halted") is True and answer.get("named") != case["ranks"]]
    refused = [case["what"] for case, answer, _ in healthy if answer.get("halted") is not False or answer.get("raised") != ""]
    start = truth["start"].numpy()
    off = [
        float(np.linalg.norm(own - right) / np.linalg.norm(right - start))
        for (_, _, own), right in zip(healthy, truth["answers"], strict=True)
    ]
    return {
        "poisoned": len(poisoned),
        "healthy": len(healthy),
        "let_through": let_through,
        "touched": touched,
        "misnamed": misnamed,
        "refused": refused,
        "update_off_by": off,
        "healthy_cases": [case["what"] for case, _, _ in healthy],
        "apart": [case["what"] for case, answer, _ in healthy if answer.get("agree") is not True],
    }
