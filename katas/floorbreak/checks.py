"""What holds in a repaired run of `floorbreak`. Read it as the specification it is.

`reported` is what the run says of itself; `recomputed` is what the judge found when it called `model` on documents that it had not
met. Bars in sd are distances from the mean of 20 healthy runs; .meta/baseline.json has the figures.
"""

import numpy as np

from harness.measures import relative_difference

UPDATES = 240
SAME = 1e-3
"""Logits are of the order of 10, and right runs differ by less than 1e-5: another kernel may add in another order."""


def check_a_prefix_is_enough(recomputed, band):
    """What the model says at a position is the same whatever follows, in training mode and in evaluation mode."""
    right = True
    found = []
    for mode in ("train", "eval"):
        largest = recomputed[f"difference_{mode}"]
        right &= band(f"difference_{mode}", high=SAME).admits(largest)
        found.append(f"up to {largest:.2g} in {mode} mode, at {recomputed[f'positions_{mode}']:.0f} of 31 positions")
    assert right, f"with other tokens after a position, the logits at and before that position differ by {'; '.join(found)} (bar {SAME:g})"


def check_every_layer_keeps_to_it(recomputed, band):
    """The same holds for the output of every layer."""
    largest, layers = recomputed["difference_hidden"], recomputed["layers_that_differ"]
    assert band("difference_hidden", high=SAME).admits(largest), (
        f"with other tokens after a position, {layers:.0f} of {recomputed['layers']:.0f} modules put out something else at or before it: "
        f"up to {largest:.2g} (bar {SAME:g})"
    )


def check_the_source_is_not_beaten(recomputed, band):
    """On unseen documents the model is not better than the source that wrote them."""
    value, error = recomputed["excess_nats"], recomputed["excess_standard_error"]
    assert band("excess_in_standard_errors", low=-4).admits(value / error), (
        f"on 400 unseen documents the model's loss is {-value:.3f} nats/token below their exact negative log-likelihood; "
        f"4 standard errors are {4 * error:.3f}"
    )


def check_the_text_is_learnt(recomputed, band):
    """Unseen documents are predicted as well as in a healthy run."""
    value = recomputed["excess_nats"]
    bar = band("excess_nats", low=-0.03, high_sd=7)
    assert bar.admits(value), (
        f"on 400 unseen documents the model loses {value:.3f} nats/token over their exact negative log-likelihood "
        f"(expected {bar.low:.3f} to {bar.high:.3f})"
    )


def check_the_plan_is_kept(reported, truth, band):
    """240 updates and the planned learning rates, within 4 %."""
    updates = reported.per_rank("updates")[:, 0]
    rate = float((reported["learning_rate"] * updates).sum())
    planned = truth["learning_rate_sum"]
    assert band("updates", low=0.96 * UPDATES, high=1.04 * UPDATES).admits(updates.sum()), (
        f"{updates.sum():.0f} updates were made; the plan has {UPDATES}, within 4 %"
    )
    assert band("learning_rate_deviation", high=0.04).admits(relative_difference(rate, planned)), (
        f"the learning rates of all updates add up to {rate:.4f}; the plan has {planned:.4f}, within 4 %"
    )


def check_the_number_can_be_printed(recomputed, band):
    """The number that is handed over is the loss of the final model on the validation documents."""
    claimed, measured = recomputed["claimed_val_loss"], recomputed["val_loss_nats"]
    off = abs(claimed - measured) if np.isfinite(claimed) else np.nan
    assert band("claim_off_by", high=0.01).admits(off), (
        f"handed over: {claimed:.3f} nats; the final model's logits on the validation documents give {measured:.3f} (bar 0.01)"
    )
