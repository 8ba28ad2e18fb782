"""What holds in a repaired run of `nightspikes`: a specification to read.

`reported` is what the run says of itself. `recomputed` is what the judge measured in the run's kept weights, and in the results of your `train` on
eight short jobs after the last cell. The judge has made the same updates itself: devices of the same kind, same rows, same first weights.
`distance` is how far a run's weights are from the judge's, as a share of the judge's path.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import relative_difference

UPDATES = 140
FAR = 1e-3  # other devices of the kind, or another order of sums, cost less than a hundredth of this


def check_weights_match_the_planned_run(recomputed: Recomputed, band: Bands) -> None:
    """At the kept steps and at the end, the run's weights are where the plan leads."""
    path = np.array(recomputed["distance"])  # [kept, 2]: step, distance
    distance = np.nan_to_num(path[:, 1], nan=np.inf)
    off = distance > FAR
    first = path[off.argmax()] if off.any() else path[distance.argmax()]
    assert band("distance", high=FAR).admits(distance.max()), (
        f"after step {first[0]:.0f}, rank 0's weights are {first[1]:.2%} of the path off the planned ones (threshold {FAR:.1%}); "
        f"{off.sum()} of the {len(path)} kept steps are beyond the threshold"
    )
    final = np.max(recomputed["final_distance"])
    assert band("final_distance", high=FAR).admits(final), (
        f"the final weights are {final:.2%} of the path off the planned ones (threshold {FAR:.1%})"
    )


def check_short_jobs_match_their_plans(recomputed: Recomputed, band: Bands) -> None:
    """Eight other jobs, trained by the same function, end where their plans lead."""
    distance = np.nan_to_num(recomputed["job_distance"], nan=np.inf)
    off, errors = distance > FAR, recomputed["job_errors"]
    assert band("job_distance", high=FAR).admits(distance.max()), (
        f"{off.sum()} of 8 short jobs end off their planned weights, by {listed(distance[off])} of the path (threshold {FAR:.1%})"
        + (f"; {len(errors)} of them ended with {errors[0]}" if len(errors) else "")
    )


def check_hand_over_names_what_to_hold_back(recomputed: Recomputed, band: Bands) -> None:
    """The run's hand-over names what has to be held back, and nothing else."""
    named, wrongly = recomputed["device_named"], recomputed["named_wrongly"]
    right = band("named", low=1).admits(float(named)) & band("named_wrongly", high=0).admits(float(len(wrongly)))
    assert right, (
        f"what has to be held back from the next job is {'named' if named else 'not named'}; {len(wrongly)} named "
        f"{'item is' if len(wrongly) == 1 else 'items are'} in order ({', '.join(wrongly) or 'none'}; threshold 0)"
    )


def check_short_jobs_name_what_to_hold_back(recomputed: Recomputed, band: Bands) -> None:
    """In the short jobs, every planned device that has to be held back is named, and nothing that is in order."""
    to_name, named = np.sum(recomputed["job_to_name"]), np.sum(recomputed["job_named"])
    wrongly = np.sum(recomputed["job_named_wrongly"])
    recall = named / to_name if to_name else np.nan
    right = band("recall", low=1).admits(recall) & band("job_named_wrongly", high=0).admits(float(wrongly))
    assert right, (
        f"in the 8 short jobs, {named:.0f} of the {to_name:.0f} planned devices to hold back are named (threshold: all); "
        f"{wrongly:.0f} named items are in order (threshold: 0)"
    )


def check_planned_devices_do_the_work(recomputed: Recomputed, band: Bands) -> None:
    """In the short jobs, a planned device computes with the job's own weights, unless it has to be held back."""
    work = np.array(recomputed["job_work"])
    # A quarter in each half of the job, so that ranks may take turns; runs as planned do all of it.
    assert band("least_work", low=0.25).admits(work.min()), (
        f"in {(~(work >= 0.25)).sum()} of 8 short jobs, a planned device that is in order computed as little as {work.min():.0%} of its planned "
        "multiply-adds in one half of the job (threshold 25 %)"
    )


def check_training_plan_is_kept(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """The run makes 140 updates at the planned learning rates, within 4 %."""
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
    """The reported validation losses are those of the kept and final weights, and only recorded updates changed the weights."""
    claimed = dict(zip(reported["step"].astype(int).tolist(), reported["val_loss"].tolist(), strict=True))
    off = np.max([abs(claimed.get(int(step), np.inf) - loss) for step, loss in recomputed["kept_val_loss"]])
    assert band("val_loss_difference", high=1e-3).admits(off), (
        f"the judge's val_loss of the kept and final weights differs from the reported one by {off:.3f} nats (threshold 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps, rank 0's weights were neither those of the last update nor those of an earlier step"
    )


def listed(shares: Iterable[float]) -> str:
    return ", ".join(f"{share:.2%}" for share in sorted(shares, reverse=True)[:4]) or "none"
