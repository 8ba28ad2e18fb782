"""The specification of a repaired run of `lossspike`.

`reported` is what the run writes about itself. `recomputed` is what the judge measures, outside the run, in the final weights and in the hand-over.
A threshold in sd is a distance from the mean of 20 healthy runs; .meta/baseline.json has the figures.
"""

from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import relative_difference, running_median

UPDATES = 300
SETTLED = 60  # steps; before them a healthy loss falls too steeply for a running median


def check_no_update_on_a_loss_jump(reported: Reported, band: Bands) -> None:
    """The run makes no update on a batch whose loss jumps."""
    updated = reported.per_rank("updates").max(1) > 0
    step, loss = reported["step"][updated], reported["train_loss"][updated]
    ratio = loss[SETTLED:] / running_median(loss, window=30)[SETTLED:]
    largest = ratio.max() if len(ratio) else np.nan
    limit = band("largest_jump", high_sd=6)
    assert limit.admits(largest), (
        f"the run made updates on {(~(ratio <= limit.high)).sum()} batches whose train_loss exceeds {limit.high:.1f}x its running median, "
        f"the limit of healthy runs (steps {listed(step[SETTLED:][~(ratio <= limit.high)])}; up to {np.max(loss[SETTLED:], initial=0):.2f} nats)"
    )


def check_weights_carry_no_imprint(recomputed: Recomputed, band: Bands) -> None:
    """The final weights show no trace of what made the loss jump."""
    value = recomputed["imprint_nats"]
    limit = band("imprint_nats", low_sd=6)
    assert limit.admits(value), (
        f"the final weights carry an imprint of the jumps: {value:.2f} nats on the judge's scale "
        f"(threshold {limit.low:.2f}; runs that were never exposed stay above it)"
    )
    # A tenth, as much as the hand-over may miss; the known right repairs have none.
    exposed = recomputed["exposed_rows"]
    assert band("exposed_rows", high=7).admits(exposed), (
        f"the run trained on rows that make the loss jump {exposed:.0f} times (threshold 7)"
    )


def check_main_sources_are_learnt(recomputed: Recomputed, band: Bands) -> None:
    """The main sources are learnt as well as in a healthy run."""
    value = recomputed["main_excess_nats"]
    limit = band("main_excess_nats", low=-0.01, high_sd=7)
    assert limit.admits(value), (
        f"on 400 unseen documents of the main sources the loss of the final weights is {value:.4f} nats/token above the exact "
        f"negative log-likelihood (expected {limit.low:.3f} to {limit.high:.4f})"
    )


def check_rarest_source_is_learnt(recomputed: Recomputed, band: Bands) -> None:
    """The rarest source is learnt as well as in a healthy run."""
    value = recomputed["rarest_excess_nats"]
    limit = band("rarest_excess_nats", low=-0.02, high_sd=8)
    assert limit.admits(value), (
        f"on 200 unseen documents of the rarest source the loss of the final weights is {value:.3f} nats/token above the exact "
        f"negative log-likelihood (expected {limit.low:.2f} to {limit.high:.3f})"
    )


def check_sound_documents_are_used(recomputed: Recomputed, band: Bands) -> None:
    """At least 97 % of the sound documents take part in an update."""
    value = recomputed["coverage"]
    assert band("coverage", low=0.97).admits(value), f"{value:.1%} of the run's sound documents took part in an update (threshold 97 %)"


def check_training_plan_is_kept(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """The run makes 300 updates at the planned learning rates, within 4 %."""
    updates = reported.per_rank("updates")[:, 0]
    rate = float((reported["learning_rate"] * updates).sum())
    planned = truth["learning_rate_sum"]
    assert band("updates", low=0.96 * UPDATES, high=1.04 * UPDATES).admits(updates.sum()), (
        f"rank 0 made {updates.sum():.0f} updates; the plan has {UPDATES}, within 4 %"
    )
    assert band("learning_rate_deviation", high=0.04).admits(relative_difference(rate, planned)), (
        f"the learning rates of all updates add up to {rate:.4f}; the plan has {planned:.4f}, within 4 %"
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
    """The hand-over names what must be held back, and nothing else."""
    recall, precision = recomputed["hand_over_recall"], recomputed["hand_over_precision"]
    named = recomputed["hand_over_named"]
    right = band("hand_over_recall", low=0.9).admits(recall) & band("hand_over_precision", low=0.9).admits(precision)
    assert right, (
        f"the hand-over names {recall:.0%} of what must be held back (threshold 90 %); "
        f"of the {named:.0f} things that it names, {precision:.0%} must be held back (threshold 90 %)"
    )


def listed(steps: Any) -> str:
    shown = ", ".join(str(int(s)) for s in steps[:6])
    return shown + (f" and {len(steps) - 6} more" if len(steps) > 6 else "")
