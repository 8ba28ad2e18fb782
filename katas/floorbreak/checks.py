"""What holds in a repaired run of `floorbreak`. Read it as the specification it is.

`reported` is what the run says of itself; `recomputed` is what the judge found when it called `model` on documents that it had not
met. Bars in sd are distances from the mean of 20 healthy runs; .meta/baseline.json has the figures.
"""

import numpy as np

from harness.judging.measures import relative_difference, updates_made

UPDATES = 240
SAME = 1e-3
"""Logits are of the order of 10, and right runs differ by less than 1e-5: another kernel may add in another order."""


def check_a_prefix_is_enough(recomputed, band):
    """What the model says at a position is the same whatever follows, in training mode and in evaluation mode."""
    train, evaluation, shorter = (recomputed[f"difference_{how}"] for how in ("train", "eval", "shorter"))
    right = band("difference_train", high=SAME).admits(train) & band("difference_eval", high=SAME).admits(evaluation)
    assert right & band("difference_shorter", high=SAME).admits(shorter), (
        f"12 documents were cut at each of 31 places, and their logits up to there compared with those of the whole: with another ending they "
        f"differ by up to {train:.2g} in training mode (at {recomputed['places_train']} places) and {evaluation:.2g} in evaluation mode (at "
        f"{recomputed['places_eval']}), without an ending by up to {shorter:.2g} (bar {SAME:g})"
    )


def check_the_source_is_not_beaten(recomputed, band):
    """The model is not better than the source, neither on unseen documents nor on the validation documents."""
    for what, key in (("396 unseen", "excess"), ("the 24 validation", "validation_excess")):
        value, errors = recomputed[f"{key}_nats"], recomputed[f"{key.removesuffix('_excess')}_in_standard_errors"]
        assert band(f"{key.removesuffix('_excess')}_in_standard_errors", low=-4).admits(errors), (
            f"on {what} documents the model's loss is {-value:.3f} nats/token below the source's own, which is {-errors:.0f} standard errors (bar 4)"
        )


def check_the_text_is_learnt(recomputed, band):
    """Unseen documents are predicted as well as in a healthy run."""
    value = recomputed["excess_nats"]
    bar = band("excess_nats", high_sd=7)
    assert bar.admits(value), (
        f"on 396 unseen documents the model, as it is in evaluation, scores {value:+.3f} nats/token against the source "
        f"(bar {bar.high:+.3f})"
    )


def check_the_plan_is_kept(reported, truth, band):
    """240 updates and the planned learning rates, within 4 %."""
    updates = reported.per_rank("updates")[:, 0]
    rate = float((reported["learning_rate"] * updates).sum())
    planned = truth["learning_rate_sum"]
    made = updates_made(updates, len(reported.rows_written))
    assert band("updates", low=0.96 * UPDATES, high=1.04 * UPDATES).admits(made), (
        f"{made:.0f} updates were made, those included that a later one went back on; the plan has {UPDATES}, within 4 %"
    )
    assert band("learning_rate_deviation", high=0.04).admits(relative_difference(rate, planned)), (
        f"the learning rates of all updates add up to {rate:.4f}; the plan has {planned:.4f}, within 4 %"
    )


def check_the_number_can_be_printed(recomputed, band):
    """The number that is handed over is the final model's loss on validation documents that were kept apart from training."""
    claimed, measured = recomputed["claimed_val_loss"], recomputed["val_loss_nats"]
    off = abs(claimed - measured) if np.isfinite(claimed) else np.nan
    assert band("claim_off_by", high=0.01).admits(off), (
        f"handed over: {claimed:.3f} nats; the final model's logits on the validation documents give {measured:.3f} (bar 0.01)"
    )
    gap = recomputed["validation_gap_in_standard_errors"]
    assert band("validation_gap", low=-7).admits(gap), (
        f"over the source, the model scores {recomputed['validation_excess_nats']:+.3f} nats/token on the validation documents and "
        f"{recomputed['excess_nats']:+.3f} on documents that nobody has seen: {-gap:.0f} standard errors apart (bar 7)"
    )
