"""What holds in a repaired run of `nightspikes`. Read it as the specification it is.

`reported` is what the run says of itself; `recomputed` is what the judge measured in the weights that the night kept, and in what your
`train` left of eight short jobs that it was called with after the last cell. The judge has made the same updates itself, on devices of the same kind,
with the same rows and the same first weights; `distance` says how far a run is from there, as a share of the way that the judge's run has come.
"""

import numpy as np

from harness.judging.measures import relative_difference

UPDATES = 140
BAR = 1e-3  # what is computed on other devices of the kind, or in another order of sums, ends less than a hundredth of this off


def check_the_night_goes_the_planned_way(recomputed, band):
    """At the kept steps and at the end the night's weights are where the plan's rows lead."""
    way = np.array(recomputed["distance"])  # [kept, 2]: step, distance
    largest = np.nan_to_num(way[:, 1], nan=np.inf)
    off = largest > BAR
    first = way[off.argmax()] if off.any() else way[largest.argmax()]
    assert band("distance", high=BAR).admits(largest.max()), (
        f"after step {first[0]:.0f} rank 0's weights are {first[1]:.2%} of the way off from where the plan leads (bar {BAR:.1%}); "
        f"so are {off.sum()} of the {len(way)} kept steps"
    )
    final = np.max(recomputed["final_distance"])
    assert band("final_distance", high=BAR).admits(final), (
        f"the night's final weights are {final:.2%} of the way off from where the plan leads (bar {BAR:.1%})"
    )


def check_other_jobs_go_the_planned_way(recomputed, band):
    """Eight other jobs, trained by the same function, end where their plans lead."""
    distance = np.nan_to_num(recomputed["job_distance"], nan=np.inf)
    off = distance > BAR
    errors = recomputed["job_errors"]
    assert band("job_distance", high=BAR).admits(distance.max()), (
        f"{off.sum()} of 8 short jobs end elsewhere than their plans lead, by {listed(distance[off])} of the way (bar {BAR:.1%})"
        + (f"; {len(errors)} of them ended with {errors[0]}" if len(errors) else "")
    )


def check_what_is_held_back_is_right(recomputed, band):
    """The night's hand-over names what has to be held back, and nothing else."""
    named, wrongly = recomputed["device_named"], recomputed["named_wrongly"]
    right = band("named", low=1).admits(float(named)) & band("named_wrongly", high=0).admits(float(len(wrongly)))
    assert right, (
        f"{'what' if named else 'nothing of what'} has to be held back from the next job is named, and {len(wrongly)} that "
        f"{'has' if len(wrongly) == 1 else 'have'} nothing against {'it' if len(wrongly) == 1 else 'them'} ({', '.join(wrongly) or 'none'})"
    )


def check_what_other_jobs_hold_back_is_right(recomputed, band):
    """In the other jobs, of what the plan names for a rank all that has to be held back is named, and nowhere anything that is in order."""
    to_name, named = np.sum(recomputed["job_to_name"]), np.sum(recomputed["job_named"])
    wrongly = np.sum(recomputed["job_named_wrongly"])
    recall = named / to_name if to_name else np.nan
    right = band("recall", low=1).admits(recall) & band("job_named_wrongly", high=0).admits(float(wrongly))
    assert right, (
        f"of the {to_name:.0f} that had to be held back from the 8 short jobs, {named:.0f} are named (bar: all); "
        f"{wrongly:.0f} are named that have nothing against them (bar: none)"
    )


def check_the_planned_devices_do_their_work(recomputed, band):
    """In the other jobs, what the plan names for a rank computes with the job's own weights, unless it has to be held back."""
    work = np.array(recomputed["job_work"])
    # A quarter, in each half of the job, so that work may be passed around; those that run as planned do all of it.
    assert band("least_work", low=0.25).admits(work.min()), (
        f"in {(~(work >= 0.25)).sum()} of 8 short jobs a device that the plan names for a rank, and that has nothing against it, computed as little as "
        f"{work.min():.0%} of the multiply-adds that the plan gives it for its rank, in one half of the job (bar 25 %)"
    )


def check_the_plan_is_kept(reported, truth, band):
    """140 updates and the planned learning rates, within 4 %."""
    updates = reported.per_rank("updates")[:, 0]
    rate = float((reported["learning_rate"] * updates).sum())
    planned = truth["learning_rate_sum"]
    assert band("updates", low=0.96 * UPDATES, high=1.04 * UPDATES).admits(updates.sum()), (
        f"rank 0 made {updates.sum():.0f} updates; the plan has {UPDATES}, within 4 %"
    )
    assert band("learning_rate_deviation", high=0.04).admits(relative_difference(rate, planned)), (
        f"the learning rates of all updates add up to {rate:.4f}; the plan has {planned:.4f}, within 4 %"
    )


def check_ranks_agree(recomputed, band):
    """Both ranks end with the same weights."""
    value = recomputed["rank_difference"]
    assert band("rank_difference", high=1e-5).admits(value), (
        f"the final weights of rank 0 and rank 1 differ by up to {value:.2e} (bar 1e-5)"
    )


def check_the_curve_is_this_runs(reported, recomputed, band):
    """The reported validation losses are those of the kept and the final weights, which changed by recorded updates alone."""
    claimed = dict(zip(reported["step"].astype(int).tolist(), reported["val_loss"].tolist(), strict=True))
    off = np.max([abs(claimed.get(int(step), np.inf) - loss) for step, loss in recomputed["kept_val_loss"]])
    assert band("val_loss_difference", high=1e-3).admits(off), (
        f"val_loss of the kept and final weights, measured again by the judge, differs from the reported one by {off:.3f} nats (bar 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps the weights of rank 0 were neither those of the last update nor those of an earlier step"
    )


def listed(shares):
    return ", ".join(f"{share:.2%}" for share in sorted(shares, reverse=True)[:4]) or "none"
