"""What holds in a repaired run of `restartjump`. Read it as the specification it is.

`reported` is what the run says of itself; `recomputed` is what the judge measured in the weights that the run kept every ten steps and at
the end. The judge has made the same 300 updates itself, without a restart; `distance` says how far the run is from there, as a share of the
way that the uninterrupted run has come since the start.
"""

import numpy as np

from harness.judging.measures import updates_made

UPDATES = 300
MAY_BE_MADE_AGAIN = 30


def check_the_way_is_the_uninterrupted_one(recomputed, band):
    """At every kept step the run is where it would be without a restart."""
    way = np.array(recomputed["distance"], dtype=float)  # [kept, 2]: step, distance
    off = np.nan_to_num(way[:, 1], nan=np.inf)
    # Rounding that differs in the second launch takes a run up to 0.000003 off, another order of sums from the start 0.0004; rates of one step
    # too early or late at least 0.0013.
    bar = band("distance", high=0.0008)
    first = way[(off > bar.high).argmax()] if (off > bar.high).any() else way[off.argmax()]
    assert bar.admits(off.max()), (
        f"after step {first[0]:.0f} the weights are {first[1]:.3%} of the way since the start off from where the same run is without a restart "
        f"(bar {bar.high:.3%}), and up to {off.max():.3%} at worst; so are {(off > bar.high).sum()} of the {len(way)} kept steps"
    )
    final = recomputed["final_distance"]
    assert band("final_distance", high=0.0008).admits(final), f"the final weights are {final:.3%} of the way off (bar 0.080%)"


def check_every_stretch_is_the_uninterrupted_one(recomputed, band):
    """From each kept step to the next, the run moves as it would without a restart."""
    moves = np.array(recomputed["stretch"], dtype=float)  # [kept, 2]: step, how far the move is from the uninterrupted run's
    off = np.nan_to_num(moves[:, 1], nan=np.inf)
    bar = band("stretch", high=0.005)
    worst = moves[off.argmax()]
    assert bar.admits(off.max()), (
        f"in the ten updates up to step {worst[0]:.0f} the run moved {worst[1]:.3f} lengths of the move away from where it moves without a restart "
        f"(bar {bar.high:.3f}); {(off > bar.high).sum()} of {len(moves)} stretches are so"
    )


def check_unseen_text_is_learnt(recomputed, band):
    """On unseen documents the final weights are as good as without a restart."""
    excess, planned = recomputed["excess_nats"], recomputed["uninterrupted_excess_nats"]
    bar = band("nats_lost", high=0.015)
    assert bar.admits(excess - planned), (
        f"on 450 unseen documents the final weights lose {excess:.3f} nats/token over the exact likelihood; "
        f"the same run without a restart loses {planned:.3f} (bar {planned + bar.high:.3f})"
    )


def check_a_launch_begins_where_the_last_one_ended(reported, truth, band):
    """Every update starts from the weights and moments that the one before it left, bit for bit."""
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
        f"in step {listed(torn)} the update started from other weights or moments than the step before it had left"
    )
    assert band("steps_of_another_launch", high=0).admits(len(early) + len(late)), (
        f"step {listed(early + late)} was made by another launch than planned; the first ends at {restart}, the second makes all from there on and "
        f"up to {again} of the steps before"
    )


def check_every_update_is_the_planned_one(reported, truth, band):
    """Every update uses, for every parameter, the rate that plan.json has for it."""
    planned = np.array(truth["learning_rates"])  # [step, parameter]
    given, steps = reported.per_rank("learning_rate_per_parameter"), reported["step"]
    applied = np.full(planned.shape, np.nan)
    for step, rates in zip(steps, given, strict=True):
        if 0 <= step < len(planned) and len(rates) == planned.shape[1]:
            applied[int(step)] = rates
    off = np.nan_to_num(np.abs(applied / planned - 1), nan=np.inf)
    bar = band("rate_deviation", high=1e-9)
    wrong = np.flatnonzero(~(off.max(1) <= bar.high))
    step = wrong[0] if len(wrong) else 0
    which = off[step].argmax()
    assert bar.admits(off.max()), (
        f"in {len(wrong)} of {len(planned)} updates an applied learning rate is not the planned one: at step {step} it is {applied[step, which]:.9f} for "
        f"{truth['parameters'][which]}, where the plan has {planned[step, which]:.9f} (bar: nine digits)"
    )


def check_every_step_is_made_once(reported, recomputed, band):
    """Every step has its one update on its own rows; few are made again."""
    updates = reported.per_rank("updates")[:, 0]
    made = updates_made(updates, len(reported.rows_written)) + float(reported["updates_unwatched"].sum())
    single = int((updates == 1).sum())
    assert band("steps_with_one_update", low=UPDATES, high=UPDATES).admits(single), (
        f"{single} steps have one update; the plan has {UPDATES} of them"
    )
    assert band("updates_made", low=UPDATES, high=UPDATES + MAY_BE_MADE_AGAIN).admits(made), (
        f"{made:.0f} updates were made, those included that the run went back on; the plan has {UPDATES}, and {MAY_BE_MADE_AGAIN} may be made again"
    )
    coverage, extra = recomputed["coverage"], recomputed["times_too_many"]
    assert band("coverage", low=0.99).admits(coverage) & band("times_too_many", high=0.01).admits(extra), (
        f"{coverage:.1%} of the night's 2400 rows were trained on (bar 99 %), {extra:.1%} of them once too often (bar 1 %)"
    )


def check_the_curves_are_this_runs(reported, recomputed, band):
    """The reported validation losses are those of the kept and the final weights, which changed by recorded updates alone."""
    claimed = dict(zip(reported["step"].astype(int).tolist(), reported["val_loss"].tolist(), strict=True))
    off = [abs(claimed.get(int(step), np.inf) - loss) for step, loss in recomputed["kept_val_loss"]]
    off.append(abs(list(claimed.values())[-1] - recomputed["final_val_loss"]))
    assert band("val_loss_difference", high=1e-3).admits(np.max(off)), (
        f"val_loss of the kept and final weights, measured again by the judge, differs from the reported one by up to {np.max(off):.3f} nats (bar 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps the weights were neither those of the last update nor those of an earlier step"
    )


def listed(values):
    shown = ", ".join(str(value) for value in values[:6])
    return shown + (f" and {len(values) - 6} more" if len(values) > 6 else "")
