"""Measure a run of `floorbreak` from the logits that its model returned for held-out documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.recording.artifacts import BadArtifact, number, read_arrays, read_json

Array = NDArray[Any]
SAME = 1e-3  # as in checks.py


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raise BadArtifact when the probe's answers are not logits of the expected shape."""
    answers, V = read_arrays(evidence, "probe"), truth["vocab_size"]
    documents, validation, perturbed = truth["probes"], truth["validation"], truth["perturbed"]
    P, B, T = perturbed.shape[0], perturbed.shape[1], documents.shape[1] - 1
    logits_DTV = _logits(answers, "logits", (len(documents), T, V))
    own = {"eval": logits_DTV[:B], "train": _logits(answers, "own_train", (B, T, V))}
    measured: dict[str, Any] = {"claimed_val_loss": _claim(evidence)}
    for mode, own_BTV in own.items():
        other_PBTV = _logits(answers, f"perturbed_{mode}", (P * B, T, V)).reshape(P, B, T, V)
        changes = np.array([np.abs(other_PBTV[p, :, : p + 1] - own_BTV[:, : p + 1]).max() for p in range(P)])
        measured |= {f"difference_{mode}": float(changes.max()), f"places_{mode}": int((~(changes <= SAME)).sum())}
    measured["difference_shorter"] = _difference_shorter(_logits(answers, "shorter", (B, T * (T - 1) // 2, V)), own["eval"])
    validation_nll_D = _nll(_logits(answers, "validation_logits", (len(validation), T, V)), validation)
    return measured | _excess(_nll(logits_DTV, documents), truth["probe_floor_nats"], validation_nll_D, truth["validation_floor_nats"])


def _logits(answers: dict[str, Array], name: str, shape: tuple[int, ...]) -> Array:
    found = answers.get(name)
    if found is None or found.shape != shape or found.dtype.kind != "f" or not np.isfinite(found).all():
        what = "nothing" if found is None else f"{found.dtype} {found.shape}"
        raise BadArtifact(f"{name}: `model` returned {what}; expected finite logits of shape {shape}")
    return found.astype(np.float64)


def _nll(logits_DTV: Array, tokens_DT: Array) -> Array:
    """Return each document's mean negative log-likelihood, [D], in nats per predicted token."""
    shifted = logits_DTV - logits_DTV.max(-1, keepdims=True)
    log_z_DT = np.log(np.exp(shifted).sum(-1))
    said_DT = np.take_along_axis(shifted, tokens_DT[:, 1:, None].astype(int), -1)[..., 0]
    nll_D: Array = (log_z_DT - said_DT).mean(1)
    return nll_D


def _difference_shorter(shorter_BXV: Array, own_BTV: Array) -> float:
    """Return the largest difference between a shortened document and the same positions of the whole document."""
    lengths = range(1, own_BTV.shape[1])
    whole_BXV = np.concatenate([own_BTV[:, :length] for length in lengths], axis=1)
    return float(np.abs(shorter_BXV - whole_BXV).max())


def _excess(nll_D: Array, floor_D: Array, validation_nll_D: Array, validation_floor_D: Array) -> dict[str, float]:
    """Return the loss above the source, in nats and in standard errors, for held-out and for validation documents."""
    excess_D, validation_D = nll_D - floor_D, validation_nll_D - validation_floor_D
    excess, error = _mean(excess_D)
    validation, validation_error = _mean(validation_D)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "excess_nats": float(excess),
            "excess_in_standard_errors": float(excess / error),
            "validation_excess_nats": float(validation),
            "validation_in_standard_errors": float(validation / validation_error),
            "validation_gap_in_standard_errors": float((validation - excess) / np.hypot(error, validation_error)),
            "val_loss_nats": float(validation_nll_D.mean()),
        }


def _mean(values_D: Array) -> tuple[np.float64, np.float64]:
    return values_D.mean(), values_D.std(ddof=1) / np.sqrt(len(values_D))


def _claim(evidence: Path) -> float:
    try:
        claim = read_json(evidence, "hand_over")
    except BadArtifact:
        return float("nan")
    return number(claim.get("val_loss_nats")) if isinstance(claim, dict) else float("nan")
