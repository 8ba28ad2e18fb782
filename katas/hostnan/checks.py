"""What holds in a repaired run of `hostnan`: a specification to read.

`reported` is what the run says of itself. `recomputed` is what the judge measured in the kept and final weights, and in what `apply_update` did
with new gradients. The judge has made the same 140 updates on healthy devices. `distance` is how far the run's weights are from the judge's,
as a share of the judge's path since the checkpoint.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import relative_difference, updates_made

UPDATES = 140
MAY_BE_REPEATED = 30
PRODUCTS = 12
"""Matrix products that one rank computes in one step."""


def check_weights_match_the_planned_run(recomputed: Recomputed, band: Bands) -> None:
    """At every kept step and at the end, the weights match a run in which every product is right."""
    path = np.array(recomputed["distance"], dtype=float)  # [kept, 2]: step, distance
    off = np.nan_to_num(path[:, 1], nan=np.inf)
    # Another order of sums, or three ranks instead of four, costs right runs up to 0.000001; a rank that computes elsewhere costs at least 0.0006.
    threshold = band("distance", high=5e-5)
    first = path[(off > threshold.high).argmax()] if (off > threshold.high).any() else path[off.argmax()]
    assert threshold.admits(off.max()), (
        f"{where(first)} (threshold {threshold.high:.3%}); {(off > threshold.high).sum()} of the {len(path)} kept steps are beyond the threshold. "
        "The judge's run made the same updates, and all its products were right"
    )
    final = recomputed["final_distance"][0]
    assert band("final_distance", high=5e-5).admits(final), (
        f"the final weights of rank 0 are {final:.3%} of the path off (threshold 0.005 %)"
    )


def check_each_ten_updates_match_the_planned_run(recomputed: Recomputed, band: Bands) -> None:
    """From each kept step to the next, the weights move as in a run in which every product is right."""
    moves = np.array(recomputed["stretch"], dtype=float)  # [kept, 2]: step, relative deviation of the move
    # Right runs stay below 0.000003; with one rank that computes elsewhere it is 0.004.
    off = np.nan_to_num(moves[:, 1], nan=np.inf)
    threshold = band("stretch", high=1e-4)
    worst = moves[off.argmax()]
    assert threshold.admits(off.max()), (
        f"in the ten updates up to step {worst[0]:.0f}, the change of the weights deviates from the expected one by {worst[1]:.2%} "
        f"(threshold {threshold.high:.2%}); {(off > threshold.high).sum()} of {len(moves)} such intervals are beyond the threshold"
    )


def check_three_ranks_end_at_the_planned_weights(recomputed: Recomputed, band: Bands) -> None:
    """At the end, at least three ranks hold the weights that the plan leads to."""
    off = np.nan_to_num(np.array(recomputed["final_distance"], dtype=float), nan=np.inf)  # [rank]
    third = np.sort(off)[2]
    assert band("third_rank_distance", high=5e-5).admits(third), (
        f"the final weights of the ranks are {', '.join(f'{x:.3%}' for x in off)} of the path off the planned ones (inf: not finite, or missing); "
        "three must be within 0.005 %"
    )


def check_held_out_loss_matches_the_planned_run(recomputed: Recomputed, band: Bands) -> None:
    """On unseen documents, the final weights are as good as those of the planned run."""
    excess, planned = recomputed["excess_nats"], recomputed["planned_excess_nats"]
    threshold = band("nats_lost", high=1e-3)
    assert threshold.admits(excess - planned), (
        f"on 450 unseen documents, the final weights lose {excess:.4f} nats/token over the exact likelihood; the planned run loses {planned:.4f} "
        f"(threshold {planned + threshold.high:.4f})"
    )


def check_nonfinite_gradients_halt(recomputed: Recomputed, band: Bands) -> None:
    """When a rank's gradients are not finite, `apply_update` raises `Halt`, names that rank and changes nothing."""
    for measure, what in (
        ("let_through", "did not raise Halt"),
        ("touched", "had changed weights or moments when it returned or raised"),
        ("misnamed", "raised Halt, but did not name exactly the ranks whose gradients are not finite"),
    ):
        cases = recomputed[measure]
        assert band(measure, high=0).admits(len(cases)), (
            f"in {len(cases)} of {recomputed['poisoned']} cases with non-finite gradients, `apply_update` {what}: {listed(cases)}"
        )


def check_finite_gradients_are_applied(recomputed: Recomputed, band: Bands) -> None:
    """When all gradients are finite, large or small, `apply_update` makes the planned update on all ranks, weights and moments."""
    refused, apart, num_cases = recomputed["refused"], recomputed["apart"], recomputed["healthy"]
    assert band("refused", high=0).admits(len(refused)), (
        f"in {len(refused)} of {num_cases} cases with finite gradients, no update was made: {listed(refused)}"
    )
    off = np.nan_to_num(np.array(recomputed["update_off_by"], dtype=float), nan=np.inf)
    assert band("update_off_by", high=1e-3).admits(off.max()), (
        f"with gradients {recomputed['healthy_cases'][off.argmax()]}, the update deviates from the planned one by {off.max():.1%} (threshold 0.1 %)"
    )
    assert band("ranks_apart", high=0).admits(len(apart)), (
        f"in {len(apart)} of {num_cases} cases, the ranks differ in weights or moments after the update: {listed(apart)}"
    )


def check_healthy_hosts_do_the_work(reported: Reported, recomputed: Recomputed, truth: dict[str, Any], band: Bands) -> None:
    """The failing host is named and computes nothing after its first failure; all other hosts stay in and compute."""
    named = recomputed["isolated"]
    assert band("named_another", high=0).admits(int(named != truth["sick"])), (
        f"handed over as the host that needs repair: {named or 'none'}"
        + ("; every product of this run on that host's device is right" if named in truth["hosts"] else "")
    )
    rows = [row for row in reported.rows if row["step"] > truth["first_bad_step"]]
    work = [found if isinstance(found := row.get("products"), dict) else {} for row in rows]
    late = sum(products_on(each, truth["sick"]) > 0 for each in work)
    assert band("steps_on_the_failing_host", high=0).admits(late), (
        f"in {late} of the {len(rows)} steps after the first failure, products were still computed on the failing device (threshold 0)"
    )
    share = {
        host: float(np.mean([products_on(each, host) >= PRODUCTS for each in work])) if rows else 0.0
        for host in truth["hosts"]
        if host != truth["sick"]
    }
    least = min(share, key=lambda host: share[host])
    assert band("share_of_steps", low=0.97).admits(share[least]), (
        f"{least} is healthy, but its device computed a rank's share in only {share[least]:.0%} of the steps after the first failure (threshold 97 %)"
    )


def check_training_plan_is_kept(reported: Reported, recomputed: Recomputed, truth: dict[str, Any], band: Bands) -> None:
    """The run makes 140 updates at the planned learning rates on all rows, and repeats at most 30."""
    updates = reported.per_rank("updates")[:, 0]
    made = updates_made(updates, len(reported.rows_written))
    # An update that is undone within its step and made once more counts as repeated.
    moved = int((updates >= 1).sum())
    assert band("steps_without_update", high=0).admits(abs(UPDATES - moved)), f"{moved} steps have an update; the plan has {UPDATES}"
    # The number of repeated updates depends on the last checkpoint: up to 20.
    assert band("updates_too_many", high=0).admits(float(np.maximum(0.0, made - UPDATES - MAY_BE_REPEATED))), (
        f"{made:.0f} updates were made, those included that were undone; the plan has {UPDATES}, and {MAY_BE_REPEATED} may be repeated"
    )
    rate, planned = float((reported["learning_rate"] * (updates >= 1)).sum()), truth["learning_rate_sum"]
    assert band("learning_rate_deviation", high=1e-6).admits(relative_difference(rate, planned)), (
        f"the learning rates of all updates add up to {rate:.6f}; the plan has {planned:.6f}"
    )
    coverage, extra = recomputed["coverage"], recomputed["times_too_many"]
    assert band("coverage", low=0.99).admits(coverage) & band("times_too_many", high=0.01).admits(extra), (
        f"{coverage:.1%} of the 1680 planned rows were trained on (threshold 99 %), {extra:.1%} of them more than once (threshold 1 %)"
    )


def check_reported_losses_match_the_weights(reported: Reported, recomputed: Recomputed, band: Bands) -> None:
    """The reported validation losses are those of the kept and final weights, and only recorded updates changed the weights."""
    claimed = dict(zip(reported["step"].astype(int).tolist(), reported["val_loss"].tolist(), strict=True))
    off = [abs(claimed.get(int(step), np.inf) - loss) for step, loss in recomputed["kept_val_loss"]]
    off.append(abs(list(claimed.values())[-1] - recomputed["final_val_loss"]))
    assert band("val_loss_difference", high=1e-3).admits(np.max(off)), (
        f"the judge's val_loss of the kept and final weights differs from the reported one by up to {np.max(off):.3f} nats (threshold 0.001)"
    )
    unrecorded = reported["unrecorded_change"].sum()
    assert band("unrecorded_changes", high=0).admits(unrecorded), (
        f"in {unrecorded:.0f} steps, the weights were neither those of the last update nor those of an earlier step"
    )


def where(entry: Any) -> str:
    step, distance = entry
    if not np.isfinite(distance):
        return f"after step {step:.0f}, the weights are not finite, or were not kept"
    return f"after step {step:.0f}, the weights are {distance:.3%} of the path off"


def products_on(products: dict[str, Any], host: str) -> int:
    count = products.get(host)
    return count if isinstance(count, int) else 0


def listed(values: Sequence[object]) -> str:
    return "; ".join(str(value) for value in values[:4]) + (f" and {len(values) - 4} more" if len(values) > 4 else "")
