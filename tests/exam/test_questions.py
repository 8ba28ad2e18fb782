import json

import pytest

from harness.course.kata import load_proof
from harness.exam.questions import prompts
from harness.exam.scorecard import KataScore, Replayed
from harness.exam.state import Check, Drawn, Exam, Finished, Judged, Started, Told
from harness.ui.lab_notebook import LabEntry

NIGHT = 2_000_007
SUMS = Drawn("sums", NIGHT, 5, 1, "toys", 1, False)
CLIPPED = "def total(readings):\n    return sum(min(r, 10.0) for r in readings)"


def replayed(
    number,
    *,
    confidence=None,
    hypotheses=("because",),
    looked=("max(readings)",),
    cells=None,
    evidence=("the total is off by 7",),
    **judged,
):
    """Return a check that failed on the exam's night, unless told otherwise."""
    given = {"exit_code": 1, "failed": ("check_the_total_is_right",), "decided_by": NIGHT, "right": (), "wrong": ("cause",)} | judged
    fixed = given["exit_code"] == 0
    done = Judged(
        0.0,
        "sums",
        number,
        number,
        given["exit_code"],
        fixed,
        () if fixed else given["failed"],
        given["decided_by"],
        given["right"],
        given["wrong"],
        given["right"],
    )
    cells = {"total": f"x = {number}"} if cells is None else cells
    outcomes = ("completed",) if given["exit_code"] in (0, 1) else ("timeout",)
    entry = LabEntry(
        number,
        0.0,
        (NIGHT,),
        True,
        hypotheses,
        looked,
        cells,
        {},
        given["right"],
        given["wrong"],
        outcomes,
        (),
        evidence,
        "Not fixed.",
        fixed,
        not cells,
        None,
    )
    return Replayed(Check("sums", number, 60.0 * number, confidence, (Told(0.0, "sums", number, NIGHT, fixed),), done), entry)


@pytest.fixture
def asked(sums, tmp_path):
    """Return what would be asked about checks of the toy kata, as one text."""

    failed = {name: {"failed": ["check_the_total_is_right"]} for name in ("clip-readings", "scale-down")}
    (sums.meta / "proof.json").write_text(json.dumps({"variants": failed}))

    def asked(*checks, reason="asked"):
        exam = Exam(tmp_path / "0001", Started(0.0, 10, 1, "", (SUMS,)), (Finished(600.0, reason),))
        found = prompts(exam, sums, load_proof(sums), KataScore(SUMS, "t", checks, 0.0))
        return "\n".join(f"{prompt.fact} {prompt.question}" for prompt in found)

    return asked


def test_a_kata_that_was_never_checked_is_asked_about(asked):
    assert asked().startswith("Never checked.")


def test_an_edit_without_a_hypothesis_is_named(asked):
    text = "Check 1 changed `total` with no hypothesis written down."

    assert text in asked(replayed(1, hypotheses=()))
    assert text not in asked(replayed(1))


def test_a_hypothesis_that_became_another_is_quoted(asked):
    text = asked(replayed(1, hypotheses=("the sensor drifts",)), replayed(2, hypotheses=("three readings are none",)))

    assert (
        "The hypothesis of check 1, “the sensor drifts”, was another at check 2: “three readings are none”. Which number changed your mind?"
        in text
    )
    assert "was another" not in asked(replayed(1, hypotheses=("a",)), replayed(2, hypotheses=("a", "b")))


def test_a_right_field_that_was_given_up_is_named(asked):
    text = asked(replayed(1, right=("cause",), wrong=()), replayed(2))

    assert "`cause` of the diagnosis was right at check 1 and no longer at check 2." in text


@pytest.mark.parametrize("evidence", ["ZeroDivisionError in the cell `def total(readings):`", "`total` returned nothing"])
def test_a_change_elsewhere_than_where_the_evidence_points_is_named(asked, evidence):
    first = replayed(1, cells={}, evidence=(evidence,))

    assert "The evidence of check 1 names `total`, and check 2 changed `run`." in asked(first, replayed(2, cells={"run": "y"}))
    assert "The evidence of" not in asked(first, replayed(2))


def test_the_same_code_asked_again_and_the_same_failure_after_a_change_are_told_apart(asked):
    assert "Check 2 ran the same code as check 1." in asked(replayed(1, cells={"total": "x"}), replayed(2, cells={"total": "x"}))
    assert "Checks 1 and 2 fail the same: `check_the_total_is_right`; in between, `total` changed." in asked(replayed(1), replayed(2))


def test_a_known_masking_repair_is_told_to_the_reviewer_with_what_it_hides(asked):
    text = asked(replayed(1, cells={"total": CLIPPED}))

    assert "The known masking repair `clip-readings` fails the same checks as attempt 1 (2 known ones do; this one is the closest)" in text
    assert "The marker still counts, as ten." in text
    assert "masking" not in asked(replayed(1, cells={"total": CLIPPED}, failed=("check_every_reading_is_logged", "check_other")))
    assert "masking" not in asked(replayed(1, cells={}))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"confidence": 0.9}, "Check 1 came with confidence 0.9 and failed on the exam's own night."),
        ({"confidence": 0.9, "decided_by": 1234}, "Check 1 came with confidence 0.9 and failed on night 1234, which nobody had seen."),
        ({"decided_by": 1234}, "passed on the night that could be looked at and failed `check_the_total_is_right` on night 1234"),
        ({"confidence": 0.2, "exit_code": 0}, "Check 1 came with confidence 0.2 and held on all nights."),
        ({"exit_code": 0}, "Fixed at check 1, and `cause` of the diagnosis is blank or wrong."),
        ({"right": ("cause",), "wrong": ()}, "The diagnosis is right in all fields, and no repair held."),
        ({"exit_code": 3, "failed": ()}, "Check 1 did not run to its end (timeout)"),
        ({"looked": ()}, "No notebook that was checked had a cell added to look at the run."),
        ({"cells": {"a": "", "b": "", "total": ""}}, "Check 1 changed 3 cells at once: `a`, `b`, `total`."),
    ],
)
def test_what_happened_is_named(asked, options, text):
    assert text in asked(replayed(1, **options))


def test_nothing_is_asked_about_a_sound_piece_of_work(asked):
    assert asked(replayed(1, exit_code=0, right=("cause",), wrong=(), confidence=0.8)) == ""


def test_used_up_checks_and_used_up_time_are_named(asked):
    assert "All 5 checks were used." in asked(*(replayed(n) for n in range(1, 6)))
    assert "Time was up with 4 of 5 checks left." in asked(replayed(1), reason="time")


def test_a_check_that_was_broken_off_is_named(asked):
    assert "Check 1 was broken off." in asked(Replayed(Check("sums", 1, 1.0, None, (), None), None))
