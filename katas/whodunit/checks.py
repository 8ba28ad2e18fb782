"""The specification of a `diagnose` that a spike desk can rely on.

`recomputed` is what the judge measures. After the last cell, `diagnose` is called with sixty incidents of other runs, twelve of each cause, one at a
time and in random order. Half of them are of variants that no public set contains. An abstention counts as half a hit everywhere.
"""

from harness.judging.bands import Bands
from harness.judging.evidence import Recomputed

KINDS = ("data", "lr", "opt", "hw", "benign")
HARM_NATS = 0.03  # the right action taken one step early or late leaves nothing; wrong ones leave 0.04 to 5 nats


def check_all_causes_are_named(recomputed: Recomputed, band: Bands) -> None:
    """Each of the five causes is named on unseen incidents."""
    value, abstained, raised = recomputed["macro_f1"], recomputed["abstained"], recomputed["raised"]
    assert band("macro_f1", low=0.85).admits(value), (
        f"macro-F1 over the five causes is {value:.2f} on {recomputed['asked']} unseen incidents (threshold 0.85); {abstained} abstentions"
        + (f"; diagnose raised an exception on {len(raised)}, first {raised[0]}" if raised else "")
    )


def check_no_cause_is_missed(recomputed: Recomputed, band: Bands) -> None:
    """At least 70 % of the incidents of each cause are recognised."""
    value = recomputed["worst_recall"]
    assert band("worst_recall", low=0.7).admits(value), (
        f"{value:.0%} of the unseen incidents with cause `{KINDS[int(recomputed['worst_kind'])]}` are recognised (threshold 70 % for every cause)"
    )


def check_new_variants_are_recognised(recomputed: Recomputed, band: Bands) -> None:
    """Incidents of variants that no public set contains are recognised."""
    value, known = recomputed["new_variants"], recomputed["known_variants"]
    assert band("new_variants", low=0.8).admits(value), (
        f"{value:.0%} of the incidents of new variants are recognised (threshold 80 %), and {known:.0%} of the others"
    )


def check_first_bad_steps_are_found(recomputed: Recomputed, band: Bands) -> None:
    """The first bad step is named, within one step, for every cause."""
    value, worst, kind = recomputed["first_step"], recomputed["worst_first_step"], KINDS[int(recomputed["worst_first_step_kind"])]
    overall, each = band("first_step", low=0.8).admits(value), band("worst_first_step", low=0.6).admits(worst)
    assert overall and each, (
        f"the first bad step is named within one step in {value:.0%} of the incidents (threshold 80 %), "
        f"and in {worst:.0%} of those with cause `{kind}` (threshold 60 % for every cause)"
    )


def check_places_are_found(recomputed: Recomputed, band: Bands) -> None:
    """The place of an incident that has one (a shard, a rank, a source) is named, for every cause."""
    value, worst, kind = recomputed["place"], recomputed["worst_place"], KINDS[int(recomputed["worst_place_kind"])]
    overall, each = band("place", low=0.8).admits(value), band("worst_place", low=0.7).admits(worst)
    assert overall and each, (
        f"the place is named in {value:.0%} of the incidents that have one (threshold 80 %), "
        f"and in {worst:.0%} of those with cause `{kind}` (threshold 70 % for every cause that has one)"
    )


def check_actions_are_right(recomputed: Recomputed, band: Bands) -> None:
    """The right action is named."""
    value = recomputed["action"]
    assert band("action", low=0.85).admits(value), f"the right action is named in {value:.0%} of the incidents (threshold 85 %)"


def check_actions_help(recomputed: Recomputed, band: Bands) -> None:
    """Runs that go back and take the named action end as well as with the right one."""
    harm = recomputed["harm"]
    helped = sum(value <= HARM_NATS for value in harm) / len(harm)
    off = [KINDS[int(kind)] for kind, value in zip(recomputed["harm_kinds"], harm, strict=True) if value > HARM_NATS]
    assert band("helped", low=0.85).admits(helped), (
        f"of {len(harm)} incidents that were replayed with the answer of `diagnose`, {helped:.0%} end within {HARM_NATS} nats of the right action, "
        f"on the judge's scale (threshold 85 %); the others deviate by up to {max(harm):.2f} nats: "
        + ", ".join(f"{off.count(kind)} with cause `{kind}`" for kind in KINDS if kind in off)
    )


def check_confidence_is_reliable(recomputed: Recomputed, band: Bands) -> None:
    """The confidence tells how often the cause is right."""
    value = recomputed["brier"]
    assert band("brier", high=0.2).admits(value), f"the Brier score of the confidences is {value:.3f} (threshold 0.2; always 0.5 has 0.25)"
