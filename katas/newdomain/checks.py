"""The specification of a repaired run of `newdomain`.

`reported` is what the run writes about itself. `recomputed` is what the judge measures, outside the run, in the weights and in the hand-over.
The planned run is the judge's own: the 300 updates of the plan, from the same first weights, on the documents that are fit for training.
"""

from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import relative_difference, updates_made

UPDATES = 300
MAY_BE_MADE_AGAIN = 30


def check_every_source_is_learnt(recomputed: Recomputed, band: Bands) -> None:
    """Each source is learnt as well as in the planned run."""
    value, planned = recomputed["newest_excess_nats"], recomputed["newest_planned_excess_nats"]
    # Right repairs of other kinds are up to 0.006 off to either side.
    limit = band("newest_nats_lost", low=-0.009, high=0.009)
    assert limit.admits(value - planned), (
        f"on 200 unseen documents of one source the loss of the final weights is {value:.4f} nats/token above the exact negative log-likelihood; "
        f"that of the planned run is {planned:.4f} above (threshold {limit.high} to either side)"
    )
    way = np.array(recomputed["newest_on_the_way"], dtype=float)  # [kept, 3]: step, loss over the exact likelihood, that of the planned run
    off = np.nan_to_num(np.abs(way[:, 1] - way[:, 2]), nan=np.inf)
    step, value, planned = way[off.argmax()]
    assert band("newest_nats_on_the_way", high=0.08).admits(off.max()), (
        f"after step {step:.0f} the loss on one source is {value:.3f} nats/token above the exact negative log-likelihood; "
        f"in the planned run it is {planned:.3f} above (threshold 0.08 to either side)"
    )


def check_other_sources_are_learnt(recomputed: Recomputed, band: Bands) -> None:
    """The other sources are learnt as well as in the planned run."""
    value, planned = recomputed["older_excess_nats"], recomputed["older_planned_excess_nats"]
    limit = band("older_nats_lost", low=-0.006, high=0.006)
    assert limit.admits(value - planned), (
        f"on 400 unseen documents of the other sources the loss of the final weights is {value:.4f} nats/token above the exact negative "
        f"log-likelihood; that of the planned run is {planned:.4f} above (threshold {limit.high} to either side)"
    )


def check_weights_carry_no_imprint(recomputed: Recomputed, band: Bands) -> None:
    """The weights were never trained on what is unfit for training."""
    value, planned = recomputed["imprint_nats"], recomputed["planned_imprint_nats"]
    # Right repairs of other kinds go down to -0.03, three unfit rows to -0.11.
    limit = band("imprint_nats_lost", low=-0.08)
    assert limit.admits(value - planned), (
        f"the final weights carry an imprint of what is unfit for training: {value:.2f} nats on the judge's scale "
        f"(planned run {planned:.2f}, threshold {planned + limit.low:.2f})"
    )
    deepest = np.nan_to_num(recomputed["imprint_on_the_way"], nan=-np.inf).min()
    # Right repairs go down to -0.08, three unfit rows to -0.26.
    assert band("imprint_nats_on_the_way", low=-0.16).admits(deepest), (
        f"weights saved during the run carry an imprint: {-deepest:.2f} nats less on the judge's scale than in the planned run (threshold 0.16)"
    )


def check_weights_are_near_the_planned_run(recomputed: Recomputed, band: Bands) -> None:
    """The final weights are near those of the planned run."""
    value = recomputed["distance"]
    # The way is the distance from the first weights; right repairs of other kinds deviate by up to 0.1 of it.
    assert band("distance", high=0.12).admits(value), (
        f"the final weights deviate from those of the planned run by {value:.1%} of the distance that it moved (threshold 12 %)"
    )


def check_fit_documents_are_used(recomputed: Recomputed, band: Bands) -> None:
    """At least 99 % of the documents that are fit for training are trained on, once."""
    value, extra = recomputed["coverage"], recomputed["times_too_many"]
    assert band("coverage", low=0.99).admits(value) & band("times_too_many", high=0.01).admits(extra), (
        f"{value:.1%} of the documents that are fit for training took part in an update (threshold 99 %), "
        f"{extra:.1%} of them more than once (threshold 1 %)"
    )
    unlearnt = recomputed["beside_unlearnt"]
    # 1 % of all documents is nearly half of these. A repair that leaves out so many of them is at 0.3 to 0.65, others lie below 0.6.
    assert band("beside_unlearnt", high=0.8).admits(unlearnt), (
        f"on {recomputed['beside']} documents that are fit for training the losses of the final weights lie {unlearnt:.0%} of the way from a run "
        f"that was trained on them to a run in which they had no weight (threshold 80 %)"
    )


def check_training_plan_is_kept(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """The run makes 300 updates at the planned learning rates, within 2 %."""
    updates = reported.per_rank("updates")[:, 0]
    rate = float((reported["learning_rate"] * updates).sum())
    planned = truth["learning_rate_sum"]
    assert band("updates", low=0.98 * UPDATES, high=1.02 * UPDATES).admits(updates.sum()), (
        f"rank 0 made {updates.sum():.0f} updates; the plan has {UPDATES}, within 2 %"
    )
    made = updates_made(updates, len(reported.rows_written))
    assert band("updates_made", high=1.02 * UPDATES + MAY_BE_MADE_AGAIN).admits(made), (
        f"the run made {made:.0f} updates, including those that it undid; {MAY_BE_MADE_AGAIN} may be repeated"
    )
    assert band("learning_rate_deviation", high=0.02).admits(relative_difference(rate, planned)), (
        f"the learning rates of all updates add up to {rate:.4f}; the plan has {planned:.4f}, within 2 %"
    )


def check_ranks_agree(recomputed: Recomputed, band: Bands) -> None:
    """Both ranks end with the same weights."""
    value = recomputed["rank_difference"]
    assert band("rank_difference", high=1e-5).admits(value), (
        f"the final weights of rank 0 and rank 1 differ by up to {value:.2e} (threshold 1e-5)"
    )


def check_reported_losses_match_the_weights(reported: Reported, recomputed: Recomputed, band: Bands) -> None:
    """The reported validation losses are those of the saved weights, and only recorded updates changed the weights."""
    steps = reported["step"].astype(int)
    claimed = {int(s): v for s, v in zip(steps, reported["val_loss"], strict=True)}
    off = np.max([abs(claimed.get(int(s), np.inf) - v) for s, v in recomputed["kept_val_loss"]])
    assert band("val_loss_difference", high=1e-3).admits(off), (
        f"the judge measured val_loss of the saved weights: it differs from the reported one by {off:.3f} nats (threshold 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps the weights of rank 0 were neither those of the last update nor those of an earlier step"
    )


def check_hand_over_is_complete_and_precise(recomputed: Recomputed, band: Bands) -> None:
    """The hand-over names the documents that must be held back, and nothing else."""
    recall, precision = recomputed["hand_over_recall"], recomputed["hand_over_precision"]
    named, others = recomputed["hand_over_named"], recomputed["hand_over_others"]
    right = band("hand_over_recall", low=0.9).admits(recall) & band("hand_over_precision", low=0.9).admits(precision)
    assert right & band("hand_over_others", high=0).admits(others), (
        f"the hand-over names {recall:.0%} of the documents that must be held back (threshold 90 %); of the {named:.0f} that it names, {precision:.0%} "
        f"must be held back (threshold 90 %); it also names {others:.0f} ranks and changes, and none of them must be (threshold 0)"
    )
