"""Specification of a repaired run of `restartjump`.

`reported` is what the run says of itself. `recomputed` is what the judge measured in the weights that the run saved every ten steps and
at the end. The judge made the same 300 updates without a restart. `distance` is the distance to that run, as a fraction of the
uninterrupted run's distance from its start.
"""

from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import updates_made

UPDATES = 300
MAY_BE_MADE_AGAIN = 30


def check_weights_match_the_uninterrupted_run(recomputed: Recomputed, band: Bands) -> None:
    """At every saved step, the weights are those of the same run without a restart."""
    way = np.array(recomputed["distance"], dtype=float)  # [saved, 2]: step, distance
    off = np.nan_to_num(way[:, 1], nan=np.inf)
    # Different rounding in the second launch gives up to 0.000003, another order of summation from the start 0.0004; rates that are
    # one step early or late give at least 0.0013.
    limit = band("distance", high=0.0008)
    first = way[(off > limit.high).argmax()] if (off > limit.high).any() else way[off.argmax()]
    assert limit.admits(off.max()), (
        f"after step {first[0]:.0f} the weights deviate from the run without a restart by {first[1]:.3%} of its distance from the start "
        f"(threshold {limit.high:.3%}), at most {off.max():.3%}; {(off > limit.high).sum()} of {len(way)} saved steps exceed the threshold"
    )
    final = recomputed["final_distance"]
    assert band("final_distance", high=0.0008).admits(final), f"the final weights deviate by {final:.3%} (threshold 0.080%)"


def check_every_interval_matches_the_uninterrupted_run(recomputed: Recomputed, band: Bands) -> None:
    """Between two saved steps, the weights change as they would without a restart."""
    moves = np.array(recomputed["stretch"], dtype=float)  # [saved, 2]: step, deviation of the interval's change
    off = np.nan_to_num(moves[:, 1], nan=np.inf)
    limit = band("stretch", high=0.005)
    worst = moves[off.argmax()]
    assert limit.admits(off.max()), (
        f"in the ten updates up to step {worst[0]:.0f} the change of the weights deviates from that of the run without a restart by {worst[1]:.1%} "
        f"(threshold {limit.high:.1%}); {(off > limit.high).sum()} of {len(moves)} intervals exceed it"
    )


def check_held_out_loss_matches_the_uninterrupted_run(recomputed: Recomputed, band: Bands) -> None:
    """On held-out documents, the final weights are as good as without a restart."""
    excess, planned = recomputed["excess_nats"], recomputed["uninterrupted_excess_nats"]
    limit = band("nats_lost", high=0.015)
    assert limit.admits(excess - planned), (
        f"on 450 held-out documents the final weights lose {excess:.3f} nats/token over the exact likelihood; "
        f"the same run without a restart loses {planned:.3f} (threshold {planned + limit.high:.3f})"
    )


def check_updates_continue_from_the_previous_state(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """Every update starts from exactly the weights and moments that the last one left, and in the planned launch."""
    before, after = ([row.get(name) for row in reported.rows] for name in ("state_before", "state_after"))
    torn = [
        row["step"]
        for row, found, left in zip(reported.rows[1:], before[1:], after[:-1], strict=True)
        if not (isinstance(found, str) and found == left)
    ]
    restart, again = truth["restart"], MAY_BE_MADE_AGAIN
    early = [row["step"] for row in reported.rows if row["step"] < restart - again and row.get("launch") != 1]
    late = [row["step"] for row in reported.rows if row["step"] >= restart and row.get("launch") != 2]
    assert band("torn_steps", high=0).admits(len(torn)), (
        f"in step {listed(torn)} the update started from other weights or moments than the previous step had left"
    )
    assert band("steps_of_another_launch", high=0).admits(len(early) + len(late)), (
        f"step {listed(early + late)} was made by the wrong launch; the first ends at {restart}, the second makes all steps from there on and "
        f"may repeat up to {again} earlier ones"
    )


def check_every_update_follows_the_plan(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """Every update uses the rate of plan.json for every parameter."""
    planned = np.array(truth["learning_rates"])  # [step, parameter]
    given, steps = reported.per_rank("learning_rate_per_parameter"), reported["step"]
    applied = np.full(planned.shape, np.nan)
    for step, rates in zip(steps, given, strict=True):
        if 0 <= step < len(planned) and len(rates) == planned.shape[1]:
            applied[int(step)] = rates
    off = np.nan_to_num(np.abs(applied / planned - 1), nan=np.inf)
    limit = band("rate_deviation", high=1e-9)
    wrong = np.flatnonzero(~(off.max(1) <= limit.high))
    step = wrong[0] if len(wrong) else 0
    which = off[step].argmax()
    assert limit.admits(off.max()), (
        f"in {len(wrong)} of {len(planned)} updates an applied learning rate differs from the plan: at step {step} it is {applied[step, which]:.9f} for "
        f"{truth['parameters'][which]}, and the plan has {planned[step, which]:.9f} (threshold: nine digits)"
    )


def check_every_step_is_made_once(reported: Reported, recomputed: Recomputed, band: Bands) -> None:
    """Every step has one update on its own rows, and at most 30 updates are repeated."""
    updates = reported.per_rank("updates")[:, 0]
    made = updates_made(updates, len(reported.rows_written)) + float(reported["updates_unwatched"].sum())
    single = int((updates == 1).sum())
    assert band("steps_with_one_update", low=UPDATES, high=UPDATES).admits(single), (
        f"{single} steps have one update; the plan has {UPDATES} of them"
    )
    assert band("updates_made", low=UPDATES, high=UPDATES + MAY_BE_MADE_AGAIN).admits(made), (
        f"{made:.0f} updates were made, repeated ones included; the plan has {UPDATES}, and up to {MAY_BE_MADE_AGAIN} may be repeated"
    )
    coverage, extra = recomputed["coverage"], recomputed["times_too_many"]
    assert band("coverage", low=0.99).admits(coverage) & band("times_too_many", high=0.01).admits(extra), (
        f"{coverage:.1%} of the run's 2400 rows were trained on (threshold 99 %), {extra:.1%} of them more than once (threshold 1 %)"
    )


def check_curves_match_the_weights(reported: Reported, recomputed: Recomputed, band: Bands) -> None:
    """The reported validation losses are those of the saved and final weights, which only recorded updates changed."""
    claimed = dict(zip(reported["step"].astype(int).tolist(), reported["val_loss"].tolist(), strict=True))
    off = [abs(claimed.get(int(step), np.inf) - loss) for step, loss in recomputed["kept_val_loss"]]
    off.append(abs(list(claimed.values())[-1] - recomputed["final_val_loss"]))
    assert band("val_loss_difference", high=1e-3).admits(np.max(off)), (
        f"the val_loss that the judge measured on the saved and final weights differs from the reported one by up to {np.max(off):.3f} nats "
        "(threshold 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps the weights were neither those of the last update nor those of an earlier step"
    )


def listed(values: Any) -> str:
    shown = ", ".join(str(value) for value in values[:6])
    return shown + (f" and {len(values) - 6} more" if len(values) > 6 else "")
