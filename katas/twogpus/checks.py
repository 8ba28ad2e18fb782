"""The specification of a repaired run of `twogpus`.

`recomputed` holds the judge's own measurements: it loads the weights that both ranks kept every four steps and at the end. The judge makes
the same 100 updates in one process, from the same first weights, with the same eight rows per update. `distance` is the norm of the difference
from that process's weights, relative to the norm of that process's move since the start. `reported` holds the telemetry of both ranks.
"""

from typing import Any

import numpy as np

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed, Reported
from harness.judging.measures import relative_difference, updates_made

UPDATES = 100
RANKS = (0, 1)


def check_weights_match_one_process(recomputed: Recomputed, band: Bands) -> None:
    """At every kept step, both ranks' weights equal those of one process that trains on the same eight rows per update."""
    path = np.array(recomputed["distance"])  # [kept, 1 + rank]: step, distance of each rank
    largest = np.nan_to_num(path[:, 1:], nan=np.inf).max(1)
    # Rounding moves right runs by a millionth, an exchange in 16 bits by a few thousandths.
    threshold = band("distance", high=0.02)
    off = largest > threshold.high
    first = path[off.argmax()] if off.any() else path[largest.argmax()]
    assert threshold.admits(largest.max()), (
        f"after step {first[0]:.0f} the weights of rank 0 differ by {first[1]:.1%} and those of rank 1 by {first[2]:.1%} from one process on all "
        f"eight rows, relative to its move since the start (threshold {threshold.high:.1%}); {off.sum()} of {len(path)} kept steps exceed it"
    )
    final = np.max(recomputed["final_distance"])
    assert band("final_distance", high=0.02).admits(final), f"the final weights differ by {final:.1%} (threshold 2.0%)"


def check_each_four_updates_match_one_process(recomputed: Recomputed, band: Bands) -> None:
    """Between two kept steps, both ranks' weights move as those of one process on the same rows."""
    moves = np.array(recomputed["stretch"])  # [kept, 1 + rank]: step, relative difference of each rank's move from the one process's
    largest = np.nan_to_num(moves[:, 1:], nan=np.inf).max(1)
    # Rounding changes right runs by less than a ten thousandth, an exchange in 16 bits by up to 0.004.
    threshold = band("stretch", high=0.02)
    worst = moves[largest.argmax()]
    assert threshold.admits(largest.max()), (
        f"in the four updates up to step {worst[0]:.0f} the move of rank 0 differs by {worst[1]:.1%} and that of rank 1 by {worst[2]:.1%} from the "
        f"move of one process on all eight rows (threshold {threshold.high:.1%}); {(largest > threshold.high).sum()} of {len(moves)} moves exceed it"
    )


def check_unseen_documents_are_predicted_well(recomputed: Recomputed, band: Bands) -> None:
    """On held-out documents, both ranks' final weights are as good as those of one process."""
    excess, planned = np.max(recomputed["excess_nats"]), recomputed["one_process_excess_nats"]
    # A quarter of the gain of the second GPU, which is 0.08 nats at least.
    threshold = band("nats_lost", high=0.02)
    assert threshold.admits(excess - planned), (
        f"on 450 held-out documents the loss of the final weights is {excess:.3f} nats/token above the exact negative log-likelihood; one "
        f"process on the same rows has {planned:.3f} (threshold {planned + threshold.high:.3f})"
    )


def check_ranks_agree(recomputed: Recomputed, band: Bands) -> None:
    """At every kept step both ranks have the same weights."""
    difference = np.array(recomputed["rank_difference"])  # [kept, 2]: step, largest difference of a weight
    largest = difference[:, 1].max()
    threshold = band("rank_difference", high=1e-5)
    first = difference[(difference[:, 1] > threshold.high).argmax()]
    assert threshold.admits(largest), (
        f"after step {first[0]:.0f} a weight of rank 0 and the same weight of rank 1 differ by {first[1]:.2e}; the largest difference of all "
        f"kept steps is {largest:.2e} (threshold 1e-5)"
    )


def check_ranks_share_the_rows(recomputed: Recomputed, band: Bands) -> None:
    """Every row is trained on once, half of the rows on each rank."""
    rows = recomputed["rows_per_rank"]
    coverage, extra, share = recomputed["coverage"], recomputed["times_too_many"], recomputed["smaller_share"]
    right = band("coverage", low=0.97).admits(coverage) & band("times_too_many", high=0.03).admits(extra)
    assert right & band("smaller_share", low=0.45).admits(share), (
        f"rank 0 trained on {rows[0]} rows and rank 1 on {rows[1]}: {coverage:.0%} of the 800 rows (threshold 97 %), {extra:.0%} repeated "
        f"(threshold 3 %), and {share:.0%} of the work on the rank with fewer rows (threshold 45 %)"
    )


def check_training_follows_the_plan(reported: Reported, truth: dict[str, Any], band: Bands) -> None:
    """Each rank makes 100 updates with the planned learning rates, within 4 %."""
    planned = truth["learning_rate_sum"]
    for rank in RANKS:
        telemetry = reported.rank(rank)
        updates = telemetry.per_rank("updates")[:, 0]
        rate = float((telemetry["learning_rate"] * updates).sum())
        made = updates_made(updates, len(telemetry.rows_written))
        assert band("updates", low=0.96 * UPDATES, high=1.04 * UPDATES).admits(made), (
            f"rank {rank} made {made:.0f} updates, including updates that it later undid; planned {UPDATES}, within 4 %"
        )
        assert band("learning_rate_deviation", high=0.04).admits(relative_difference(rate, planned)), (
            f"the sum of the learning rates over all updates of rank {rank} is {rate:.4f}; planned {planned:.4f}, within 4 %"
        )


def check_reported_losses_match_the_weights(reported: Reported, recomputed: Recomputed, band: Bands) -> None:
    """The validation losses that each rank reports are those of its kept and final weights."""
    kept = np.array(recomputed["kept_val_loss"])  # [kept, 1 + rank]: step, val_loss of each rank
    for rank in RANKS:
        telemetry = reported.rank(rank)
        claimed = dict(zip(telemetry["step"].astype(int).tolist(), telemetry["val_loss"].tolist(), strict=True))
        off = [abs(claimed.get(int(step), np.inf) - loss) for step, loss in kept[:, [0, 1 + rank]]]
        off.append(abs(list(claimed.values())[-1] - recomputed["final_val_loss"][rank]))
        assert band("val_loss_difference", high=1e-3).admits(np.max(off)), (
            f"the reported val_loss of rank {rank} differs by up to {np.max(off):.3f} nats from the val_loss that the judge measured on its "
            f"weights (threshold 0.001)"
        )
