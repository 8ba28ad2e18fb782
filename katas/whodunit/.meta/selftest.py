"""Measure the incidents of this kata: the loss curve alone does not tell the cause, the telemetry does, and no single column tells it all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from incidents_proof import Claim, claims, stored

CALM = 20
DISCRIMINATORS = {
    "loss_per_rank": 0.25,  # hw: without either, a machine that computes wrongly looks like wrong rows
    "loss_swap": 0.25,
    "hash_ok": 0.17,  # data: whether rows are what was written
    "repeat_fraction": 0.15,  # data: rows that were written so
    "lr_applied": 0.20,  # lr: without it, small rates that were applied once look like lost state (8 and 18 of 140 on two sets of seeds)
    "optimizer_checksum": 0.20,  # opt: neither of the two means anything without the other
    "optimizer_manifest": 0.20,
    "update_ratio": 0.08,  # opt: whether the step was unusual; a manifest can be out of date
}


def selftest(inputs: Mapping[int, Path]) -> list[Claim]:
    return claims(stored(inputs), diagnose, DISCRIMINATORS)


def diagnose(t: dict[str, Any]) -> dict[str, Any]:
    """Return the cause by the decision list of the reference fix; without a rule's column, use the effect of the update instead."""
    loss, calm = t.get("loss_per_rank"), slice(0, CALM)
    if loss is not None and "loss_swap" in t and np.nanmax(np.abs(loss - t["loss_swap"])) > 1e-3:
        return {"cause": "hw"}
    if "replica_checksum" in t and np.abs(np.diff(t["replica_checksum"], axis=1)).max() > 1e-4:
        return {"cause": "hw"}
    state, acted = {"optimizer_checksum", "optimizer_manifest"} <= t.keys(), _acted(t)
    if state and ((np.abs(t["optimizer_checksum"] / t["optimizer_manifest"] - 1) > 1e-3) & acted).any():
        return {"cause": "opt"}
    if "lr_applied" in t and (t["lr_applied"] > 1.3 * np.median(t["lr_applied"][:10], axis=0)).any():
        return {"cause": "lr"}
    larger = "update_ratio" in t and t["update_ratio"].max() > 2 * np.median(t["update_ratio"][calm])
    if larger and not (state and "lr_applied" in t):
        return {"cause": "opt" if "lr_applied" in t else "lr"}
    wrong = ~t["hash_ok"] if "hash_ok" in t else np.zeros(t["shard"].shape if "shard" in t else (len(t["val_loss"]), 2), dtype=bool)
    if "repeat_fraction" in t:
        wrong = wrong | (t["repeat_fraction"] > 0.75)
    if loss is not None:
        wrong = wrong & (loss > np.median(loss[calm]) + 0.28)
    return {"cause": "data" if wrong.any() else "benign"}


def _acted(t: dict[str, Any]) -> Any:
    """Return the steps [S] with a larger update than others or, without that column, with a high validation loss after them."""
    if "update_ratio" in t:
        return t["update_ratio"] > 1.3 * np.median(t["update_ratio"][:CALM])
    return t["val_loss"] > np.median(t["val_loss"][:CALM]) + 0.15
