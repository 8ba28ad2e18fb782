"""What holds in a repaired run of `newdomain`. Read it as the specification it is.

`reported` is what the run says of itself; `recomputed` is what the judge measured in the final weights and in what was handed over, outside the
run. The judge has made the 300 updates of the plan itself, from the same first weights, on what is fit to be trained on; where
a check speaks of the planned run, it is that one.
"""

import numpy as np

from harness.judging.measures import relative_difference, updates_made

UPDATES = 300
MAY_BE_MADE_AGAIN = 30


def check_every_source_is_learnt(recomputed, band):
    """Each source is learnt as well as in the planned run."""
    value, planned = recomputed["newest_excess_nats"], recomputed["newest_planned_excess_nats"]
    # Right repairs of other kinds are up to 0.006 off to either side.
    bar = band("newest_nats_lost", low=-0.009, high=0.009)
    assert bar.admits(value - planned), (
        f"on 200 unseen documents of one source the final weights lose {value:.4f} nats/token over the exact likelihood; "
        f"the planned run loses {planned:.4f} (bar {bar.high} to either side)"
    )
    way = np.array(recomputed["newest_on_the_way"], dtype=float)  # [kept, 3]: step, loss over the exact likelihood, that of the planned run
    off = np.nan_to_num(np.abs(way[:, 1] - way[:, 2]), nan=np.inf)
    step, value, planned = way[off.argmax()]
    assert band("newest_nats_on_the_way", high=0.08).admits(off.max()), (
        f"after step {step:.0f} the weights lose {value:.3f} nats/token on one source over the exact likelihood; "
        f"the planned run loses {planned:.3f} there (bar 0.08 to either side)"
    )


def check_other_text_is_learnt(recomputed, band):
    """The other sources are learnt as well as in the planned run."""
    value, planned = recomputed["older_excess_nats"], recomputed["older_planned_excess_nats"]
    bar = band("older_nats_lost", low=-0.006, high=0.006)
    assert bar.admits(value - planned), (
        f"on 400 unseen documents of the other sources the final weights lose {value:.4f} nats/token over the exact likelihood; "
        f"the planned run loses {planned:.4f} (bar {bar.high} to either side)"
    )


def check_weights_carry_no_imprint(recomputed, band):
    """The weights have not met what is unfit to be trained on."""
    value, planned = recomputed["imprint_nats"], recomputed["planned_imprint_nats"]
    # Right repairs of other kinds go down to -0.03; three rows of what is unfit to -0.11.
    bar = band("imprint_nats_lost", low=-0.08)
    assert bar.admits(value - planned), (
        f"the final weights carry an imprint: {value:.2f} nats on the judge's scale, where the planned run, which was never exposed, "
        f"has {planned:.2f} (bar {planned + bar.low:.2f})"
    )
    deepest = np.nan_to_num(recomputed["imprint_on_the_way"], nan=-np.inf).min()
    # Down to -0.08, and to -0.26.
    assert band("imprint_nats_on_the_way", low=-0.16).admits(deepest), (
        f"weights that were kept on the way carry an imprint: they have {-deepest:.2f} nats less on the judge's scale than those of the planned run (bar 0.16)"
    )


def check_the_run_is_the_planned_one(recomputed, band):
    """The final weights are near those of the planned run."""
    value = recomputed["distance"]
    # Right repairs of other kinds end up to 0.1 of the way off.
    assert band("distance", high=0.12).admits(value), (
        f"the final weights are {value:.1%} of the way since the start off from where the planned run ends (bar 12 %)"
    )


def check_the_nights_data_is_used(recomputed, band):
    """At least 99 % of what is fit to be trained on is trained on, once."""
    value, extra = recomputed["coverage"], recomputed["times_too_many"]
    assert band("coverage", low=0.99).admits(value) & band("times_too_many", high=0.01).admits(extra), (
        f"{value:.1%} of the night's documents that are fit to be trained on took part in an update (bar 99 %), "
        f"{extra:.1%} of them once too often (bar 1 %)"
    )
    unlearnt = recomputed["beside_unlearnt"]
    # 1 % of the night is nearly half of these documents. A repair that leaves out so many of them is at 0.3 to 0.65, others lie below 0.6.
    assert band("beside_unlearnt", high=0.8).admits(unlearnt), (
        f"{recomputed['beside']} documents that are fit to be trained on cost the final weights as if these were {unlearnt:.0%} of the way from "
        f"a run that was trained on them to one in which they had no weight (bar 80 %)"
    )


def check_the_plan_is_kept(reported, truth, band):
    """300 updates and the planned learning rates, within 2 %."""
    updates = reported.per_rank("updates")[:, 0]
    rate = float((reported["learning_rate"] * updates).sum())
    planned = truth["learning_rate_sum"]
    assert band("updates", low=0.98 * UPDATES, high=1.02 * UPDATES).admits(updates.sum()), (
        f"rank 0 made {updates.sum():.0f} updates; the plan has {UPDATES}, within 2 %"
    )
    made = updates_made(updates, len(reported.rows_written))
    assert band("updates_made", high=1.02 * UPDATES + MAY_BE_MADE_AGAIN).admits(made), (
        f"{made:.0f} updates were made, those included that the run went back on; {MAY_BE_MADE_AGAIN} may be made again"
    )
    assert band("learning_rate_deviation", high=0.02).admits(relative_difference(rate, planned)), (
        f"the learning rates of all updates add up to {rate:.4f}; the plan has {planned:.4f}, within 2 %"
    )


def check_ranks_agree(recomputed, band):
    """Both ranks end with the same weights."""
    value = recomputed["rank_difference"]
    assert band("rank_difference", high=1e-5).admits(value), (
        f"the final weights of rank 0 and rank 1 differ by up to {value:.2e} (bar 1e-5)"
    )


def check_the_curve_is_this_runs(reported, recomputed, band):
    """The reported validation losses are those of the kept and the final weights, which changed by recorded updates alone."""
    steps = reported["step"].astype(int)
    claimed = {int(s): v for s, v in zip(steps, reported["val_loss"], strict=True)}
    off = np.max([abs(claimed.get(int(s), np.inf) - v) for s, v in recomputed["kept_val_loss"]])
    assert band("val_loss_difference", high=1e-3).admits(off), (
        f"val_loss of the kept and final weights, measured again by the judge, differs from the reported one by {off:.3f} nats (bar 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps the weights of rank 0 were neither those of the last update nor those of an earlier step"
    )


def check_the_hand_over_is_right(recomputed, band):
    """What is handed over names what has to be held back, and nothing else."""
    recall, precision = recomputed["hand_over_recall"], recomputed["hand_over_precision"]
    named, others = recomputed["hand_over_named"], recomputed["hand_over_others"]
    right = band("hand_over_recall", low=0.9).admits(recall) & band("hand_over_precision", low=0.9).admits(precision)
    assert right & band("hand_over_others", high=0).admits(others), (
        f"{recall:.0%} of the documents that must be held back are named (bar 90 %); {named:.0f} are named, of which {precision:.0%} must be held back "
        f"(bar 90 %), and {others:.0f} ranks and changes, of which none must be (bar 0)"
    )
