"""What the judge measures of a run of `floorbreak`: the logits that its model gave for documents it had not met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.exhibits import BadExhibit, number, read_arrays, read_json

Array = NDArray[Any]


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; BadExhibit when the probe's answers are not logits of the documents that were asked."""
    answers, V = read_arrays(evidence, "probe"), truth["vocab_size"]
    probes_DT, perturbed_DPT = truth["probes"], truth["perturbed"]
    excess_D = _nll(_logits(answers, "logits", (*_inputs(probes_DT), V)), probes_DT) - truth["probe_floor_nats"]
    validation = truth["validation"]
    measured: dict[str, Any] = {
        "excess_nats": float(excess_D.mean()),
        "excess_standard_error": float(excess_D.std(ddof=1) / len(excess_D) ** 0.5),
        "val_loss_nats": float(_nll(_logits(answers, "validation_logits", (*_inputs(validation), V)), validation).mean()),
        "claimed_val_loss": _claim(evidence),
    }
    for mode in ("train", "eval"):
        own_DTV = _logits(answers, f"logits_{mode}", (len(perturbed_DPT), probes_DT.shape[1] - 1, V))
        other_DPTV = _logits(answers, f"perturbed_{mode}", (*_inputs(perturbed_DPT), V))
        by_position = np.stack([_differences(own, others) for own, others in zip(own_DTV, other_DPTV, strict=True)]).max(0)
        measured |= {f"difference_{mode}": float(by_position.max()), f"positions_{mode}": float((by_position > 1e-3).sum())}
    return measured | _layers(answers, perturbed_DPT.shape[1], probes_DT.shape[1] - 1)


def _inputs(tokens: Array) -> tuple[int, ...]:
    # The model reads all tokens but the last.
    return (*tokens.shape[:-1], tokens.shape[-1] - 1)


def _logits(answers: dict[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    found = answers.get(name)
    if found is None or found.shape != shape or found.dtype.kind != "f" or not np.isfinite(found).all():
        what = "nothing" if found is None else f"{found.dtype} {found.shape}"
        raise BadExhibit(f"asked for {name}, `model` gave {what}; expected finite logits of shape {shape}")
    return found


def _nll(logits_DTV: Array, tokens_DT: Array) -> Array:
    """Each document's mean negative log-likelihood, [D] in nats per predicted token."""
    logits = logits_DTV.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    log_z_DT = np.log(np.exp(logits).sum(-1))
    said_DT = np.take_along_axis(logits, tokens_DT[:, 1:, None].astype(int), -1)[..., 0]
    nll_D: Array = (log_z_DT - said_DT).mean(1)
    return nll_D


def _differences(own_TX: Array, others_PTX: Array) -> Array:
    """How much any output at or before position p changes when the tokens after p do, [p]; the last input has nothing after it."""
    T = len(own_TX)
    return np.array([np.abs(others_PTX[p, : p + 1] - own_TX[: p + 1]).max() for p in range(T - 1)])


def _layers(answers: dict[str, Array], P: int, T: int) -> dict[str, float]:
    layers = {name: a for name, a in answers.items() if name.startswith("hidden_")}
    differences = []
    for name, found in layers.items():
        if found.ndim != 3 or found.shape[:2] != (1 + P, T) or found.dtype.kind != "f" or not np.isfinite(found).all():
            raise BadExhibit(
                f"{name.removeprefix('hidden_')} of `model` gave {found.dtype} {found.shape}, expected finite ({1 + P}, {T}, C)"
            )
        differences.append(float(_differences(found[0], found[1:]).max()))
    return {
        "layers": len(differences),
        "layers_that_differ": sum(d > 1e-3 for d in differences),
        "difference_hidden": max(differences, default=0.0),
    }


def _claim(evidence: Path) -> float:
    try:
        claim = read_json(evidence, "hand_over")
    except BadExhibit:
        return float("nan")
    return number(claim.get("val_loss_nats")) if isinstance(claim, dict) else float("nan")
