"""What holds for an alarm that an on-call team can rely on: a specification to read.

`recomputed` is what the judge found. After the last cell, forty-eight unseen runs were replayed in random order. Each had an alarm of its own, called
after every step with the telemetry so far. An alarm calls somebody when it begins to ring, and again after every ten steps that it goes on.
A call is in time up to four steps after the first bad step. It is false before that step, in a run without an incident, and after an intended change.
"""

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed

KINDS = ("data", "lr", "opt", "hw")


def check_incidents_are_called(recomputed: Recomputed, band: Bands) -> None:
    """Nine of ten incidents are called in time."""
    value, raised = recomputed["recall"], recomputed["raised"]
    assert band("recall", low=0.9).admits(value), (
        f"{value:.0%} of {recomputed['num_bad']} held-out incidents are called within four steps of the first bad step (threshold 90 %)"
        + (f"; the alarm raised an exception in {len(raised)} runs, first {raised[0]}" if raised else "")
    )


def check_no_kind_is_missed(recomputed: Recomputed, band: Bands) -> None:
    """Of each kind of incident, 80 % are called in time."""
    value = recomputed["worst_recall"]
    by_kind = ", ".join(f"{kind} {share:.0%}" for kind, share in zip(KINDS, recomputed["recall_by_kind"], strict=True))
    assert band("worst_recall", low=0.8).admits(value), f"called in time: {by_kind} (threshold 80 % of each kind)"


def check_most_calls_are_incidents(recomputed: Recomputed, band: Bands) -> None:
    """Nine of ten calls are about an incident."""
    value = recomputed["precision"]
    before, quiet, meant = recomputed["false_by_place"]
    assert band("precision", low=0.9).admits(value), (
        f"{value:.0%} of the calls are about an incident (threshold 90 %); of {recomputed['false_calls']} false calls, {before} came before "
        f"the first bad step, {quiet} in runs without an incident, {meant} in runs with an intended change"
    )


def check_false_calls_are_rare(recomputed: Recomputed, band: Bands) -> None:
    """There are at most 12 false calls in 10,000 calm steps."""
    value = recomputed["false_per_10000"]
    assert band("false_per_10000", high=12).admits(value), (
        f"{recomputed['false_calls']} false calls in {recomputed['calm_steps']} calm steps: {value:.1f} in 10,000 (threshold 12)"
    )


def check_intended_changes_are_not_called(recomputed: Recomputed, band: Bands) -> None:
    """At most one in five intended, harmless changes is called."""
    value = recomputed["benign_disturbed"]
    assert band("benign_disturbed", high=0.2).admits(value), f"{value:.0%} of the intended changes are called (threshold 20 %)"


def check_calls_precede_the_dashboard(recomputed: Recomputed, band: Bands) -> None:
    """Seven of ten incidents are called before the dashboard shows them."""
    value, delay = recomputed["before_the_curve"], recomputed["mean_delay"]
    assert band("before_the_curve", low=0.7).admits(value), (
        f"{value:.0%} of the incidents are called before public_loss has a point of which at least half is bad (threshold 70 %); "
        f"the calls in time come {delay:.1f} steps after the first bad step on average"
    )


def check_answers_depend_only_on_the_past(recomputed: Recomputed, band: Bands) -> None:
    """Two runs that are equal up to a step get the same answers up to that step."""
    value = recomputed["same_past"]
    assert band("same_past", low=1.0).admits(value), (
        f"{value:.0%} of the pairs of runs that are bit-equal up to a step got the same answers up to it (threshold 100 %)"
    )
