"""What holds for an alarm that a spike desk can sleep beside. Read it as the specification it is.

`recomputed` is what the judge found: after the last cell forty-eight runs went by that the notebook has not seen, in no order, each with an
alarm of its own, called after every step with what there was by then. An alarm calls somebody when it begins to ring, and once more
after every ten steps that it goes on. A call is in time up to four steps after the first bad step. It is false in any step
before that one, in a run to which nothing happens, and after a change that was meant.
"""

KINDS = ("data", "lr", "opt", "hw")


def check_incidents_are_called(recomputed, band):
    """Nine of ten incidents are called in time."""
    value, raised = recomputed["recall"], recomputed["raised"]
    assert band("recall", low=0.9).admits(value), (
        f"{value:.0%} of {recomputed['num_bad']} hidden incidents are called within four steps of the first bad one (bar 90 %)"
        + (f"; the alarm raised an exception in {len(raised)} runs, first {raised[0]}" if raised else "")
    )


def check_no_kind_is_missed(recomputed, band):
    """Of each kind of incident, 80 % are called in time."""
    value = recomputed["worst_recall"]
    by_kind = ", ".join(f"{kind} {share:.0%}" for kind, share in zip(KINDS, recomputed["recall_by_kind"], strict=True))
    assert band("worst_recall", low=0.8).admits(value), f"called in time: {by_kind} (bar 80 % of every kind)"


def check_calls_are_worth_getting_up_for(recomputed, band):
    """Nine of ten calls are about an incident."""
    value = recomputed["precision"]
    before, quiet, meant = recomputed["false_by_place"]
    assert band("precision", low=0.9).admits(value), (
        f"{value:.0%} of the calls are about an incident (bar 90 %): {recomputed['false_calls']} are not, {before} of them before "
        f"the first bad step, {quiet} in runs to which nothing happens, {meant} in runs with a change that was meant"
    )


def check_calm_is_left_alone(recomputed, band):
    """There are at most 12 false calls in 10,000 calm steps."""
    value = recomputed["false_per_10000"]
    assert band("false_per_10000", high=12).admits(value), (
        f"{recomputed['false_calls']} calls in {recomputed['calm_steps']} calm steps, {value:.1f} in 10,000 (bar 12)"
    )


def check_what_was_meant_is_left_alone(recomputed, band):
    """At most one in five changes that were meant, and do no harm, is called."""
    value = recomputed["benign_disturbed"]
    assert band("benign_disturbed", high=0.2).admits(value), f"{value:.0%} of the changes that were meant are called (bar 20 %)"


def check_calls_come_before_the_curve(recomputed, band):
    """Seven of ten incidents are called before the dashboard shows them."""
    value, delay = recomputed["before_the_curve"], recomputed["mean_delay"]
    assert band("before_the_curve", low=0.7).admits(value), (
        f"{value:.0%} of the incidents are called before public_loss has a point of which half or more is bad (bar 70 %); "
        f"calls in time come {delay:.1f} steps after the first bad step"
    )


def check_the_past_is_enough(recomputed, band):
    """Two runs that are the same up to a step get the same answers up to it."""
    value = recomputed["same_past"]
    assert band("same_past", low=1.0).admits(value), (
        f"of the pairs of runs that are bit for bit the same up to a step, {value:.0%} got the same answers up to it (bar 100 %)"
    )
