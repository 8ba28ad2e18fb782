"""The specification of a repaired run of `floorbreak`.

`recomputed` holds the judge's own measurements: it calls `model` on held-out documents. `reported` holds the run's telemetry.
Thresholds in sd are distances from the mean of 20 healthy runs.
"""

from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import relative_difference, updates_made

UPDATES = 240
SAME = 1e-3
"""Logits are of the order of 10. Right runs differ by less than 1e-5, because kernels may add in a different order."""


def check_logits_depend_only_on_the_prefix(recomputed: Recomputed, band: Bands) -> None:
    """The logits at a position are the same whatever tokens follow it, in training mode and in evaluation mode."""
    train, evaluation, shorter = (recomputed[f"difference_{how}"] for how in ("train", "eval", "shorter"))
    right = band("difference_train", high=SAME).admits(train) & band("difference_eval", high=SAME).admits(evaluation)
    assert right & band("difference_shorter", high=SAME).admits(shorter), (
        f"12 documents were cut at each of 31 positions, and the logits before the cut were compared with those of the whole document. "
        f"With a different ending they differ by up to {train:.2g} in training mode (at {recomputed['places_train']} positions) and "
        f"{evaluation:.2g} in evaluation mode (at {recomputed['places_eval']}); without an ending by up to {shorter:.2g}; threshold {SAME:g}"
    )


def check_loss_is_not_below_the_source(recomputed: Recomputed, band: Bands) -> None:
    """The model's loss is not below the source's own loss, on held-out documents and on validation documents."""
    for what, key in (("396 held-out", "excess"), ("the 24 validation", "validation_excess")):
        value, errors = recomputed[f"{key}_nats"], recomputed[f"{key.removesuffix('_excess')}_in_standard_errors"]
        assert band(f"{key.removesuffix('_excess')}_in_standard_errors", low=-4).admits(errors), (
            f"on {what} documents the model's loss is {-value:.3f} nats/token below the source's own loss: {-errors:.0f} standard errors, threshold 4"
        )


def check_unseen_documents_are_predicted_well(recomputed: Recomputed, band: Bands) -> None:
    """The loss on held-out documents is as low as in a healthy run."""
    value = recomputed["excess_nats"]
    threshold = band("excess_nats", high_sd=7)
    assert threshold.admits(value), (
        f"on 396 held-out documents, in evaluation mode, the model's loss minus the source's own loss is {value:+.3f} nats/token; "
        f"threshold {threshold.high:+.3f}"
    )


def check_training_follows_the_plan(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """The run makes 240 updates with the planned learning rates, within 4 %."""
    updates = reported.per_rank("updates")[:, 0]
    rate = float((reported["learning_rate"] * updates).sum())
    planned = truth["learning_rate_sum"]
    made = updates_made(updates, len(reported.rows_written))
    assert band("updates", low=0.96 * UPDATES, high=1.04 * UPDATES).admits(made), (
        f"the run made {made:.0f} updates, including updates that it later undid; planned {UPDATES}, within 4 %"
    )
    assert band("learning_rate_deviation", high=0.04).admits(relative_difference(rate, planned)), (
        f"the sum of the learning rates over all updates is {rate:.4f}; planned {planned:.4f}, within 4 %"
    )


def check_announced_loss_is_a_held_out_loss(recomputed: Recomputed, band: Bands) -> None:
    """The announced number is the final model's loss on the validation documents, and these were not trained on."""
    claimed, measured = recomputed["claimed_val_loss"], recomputed["val_loss_nats"]
    off = abs(claimed - measured) if np.isfinite(claimed) else np.nan
    assert band("claim_off_by", high=0.01).admits(off), (
        f"`hand_over` says {claimed:.3f} nats; the final model's logits on the validation documents give {measured:.3f}; threshold 0.01"
    )
    gap = recomputed["validation_gap_in_standard_errors"]
    assert band("validation_gap", low=-7).admits(gap), (
        f"the loss minus the source's own loss is {recomputed['validation_excess_nats']:+.3f} nats/token on the validation documents and "
        f"{recomputed['excess_nats']:+.3f} on held-out documents: {-gap:.0f} standard errors apart, threshold 7"
    )
