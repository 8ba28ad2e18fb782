"""Specification of a repaired run of `secondstep`.

`reported` is what the run says of itself. `recomputed` is what the judge measured in the weights that the run saved every five steps and
at the end. The judge made all 300 updates itself, on one site. `distance` is the distance to that unmoved run, as a fraction of the
unmoved run's distance from its weights at the move.
"""

from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import relative_difference, updates_made

MAX_DISTANCE = 0.008  # right repairs of every kind stay below 0.004; the nearest masking one reaches 0.011


def check_weights_match_the_unmoved_run(recomputed: Recomputed, band: Bands) -> None:
    """At every saved step, the weights are those of the run that nobody moved."""
    way = np.array(recomputed["distance"])  # [saved, 2]: step, distance
    largest = np.nan_to_num(way[:, 1], nan=np.inf)
    limit = band("distance", high=MAX_DISTANCE)
    worst = way[largest.argmax()]
    assert limit.admits(largest.max()), (
        f"after step {worst[0]:.0f} the weights deviate from those of the unmoved run by {worst[1]:.3g} times its distance from the move "
        f"(threshold {limit.high}); {(~(largest <= limit.high)).sum()} of {len(way)} saved steps exceed the threshold"
    )


def check_final_weights_match_the_unmoved_run(recomputed: Recomputed, band: Bands) -> None:
    """The final weights are those of the run that nobody moved."""
    value = recomputed["final_distance"]
    limit = band("final_distance", high=MAX_DISTANCE)
    assert limit.admits(value), (
        f"the final weights deviate from those of the unmoved run by {value:.3g} times its distance from the move (threshold {limit.high})"
    )


def check_validation_loss_matches_the_unmoved_run(recomputed: Recomputed, band: Bands) -> None:
    """At every saved step, the validation loss is that of the run that nobody moved."""
    kept = np.array(recomputed["kept_val_loss"])  # [saved, 3]: step, loss, loss of the unmoved run
    above = np.nan_to_num(kept[:, 1] - kept[:, 2], nan=np.inf)
    limit = band("nats_above", high=0.02)
    worst = kept[above.argmax()]
    assert limit.admits(above.max()), (
        f"after step {worst[0]:.0f} the saved weights have a validation loss of {worst[1]:.3f} nats, those of the unmoved run {worst[2]:.3f} "
        f"(threshold {limit.high} nats more); {(~(above <= limit.high)).sum()} of {len(kept)} saved steps exceed the threshold"
    )


def check_held_out_loss_matches_the_unmoved_run(recomputed: Recomputed, band: Bands) -> None:
    """On held-out documents, the final weights are as good as those of the run that nobody moved."""
    excess, unmoved = recomputed["excess_nats"], recomputed["unmoved_excess_nats"]
    limit = band("nats_lost", high=0.01)
    assert limit.admits(excess - unmoved), (
        f"on 450 held-out documents the final weights lose {excess:.4f} nats/token over the exact likelihood; the unmoved run "
        f"loses {unmoved:.4f} (threshold {unmoved + limit.high:.4f})"
    )


def check_the_documents_are_read(recomputed: Recomputed, band: Bands) -> None:
    """Every document planned after the move takes part in an update."""
    value = recomputed["coverage"]
    assert band("coverage", low=0.97).admits(value), (
        f"{value:.1%} of the documents planned after the move took part in an update (threshold 97 %)"
    )


def check_the_plan_is_kept(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """The updates after the move have the planned learning rates, and at most 60 are repeated."""
    after = reported["step"] >= truth["move"]
    updates, rate = reported.per_rank("updates")[:, 0], reported["learning_rate"]
    left = truth["updates"] - truth["move"]
    made, most = updates_made(updates, len(reported.rows_written)), left + truth["repeated_at_most"]
    planned = truth["learning_rate_sum"]
    found = float((rate * updates)[after].sum())
    assert band("updates_per_planned", low=0.97, high=most / left).admits(made / left), (
        f"{made:.0f} updates were made after the move; the plan has {left}, and at most {most} with repeated ones"
    )
    assert band("learning_rate_deviation", high=0.03).admits(relative_difference(found, planned)), (
        f"the learning rates of the updates from step {truth['move']} on add up to {found:.4f}; the plan has {planned:.4f} (threshold 3 %)"
    )


def check_curves_match_the_weights(reported: Reported, recomputed: Recomputed, band: Bands) -> None:
    """The reported validation losses are those of the saved and final weights, which only recorded updates changed."""
    claimed = dict(zip(reported["step"].astype(int).tolist(), reported["val_loss"].tolist(), strict=True))
    off = [abs(claimed.get(int(step), np.inf) - loss) for step, loss, _ in recomputed["kept_val_loss"]]
    off.append(abs(list(claimed.values())[-1] - recomputed["final_val_loss"]))
    assert band("val_loss_difference", high=1e-3).admits(np.max(off)), (
        f"the val_loss that the judge measured on the saved and final weights differs from the reported one by up to {np.max(off):.3f} nats "
        "(threshold 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps the weights were neither those of the last update nor those of an earlier step"
    )
