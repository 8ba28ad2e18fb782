import json

import pytest

from harness.course.kata import load_proof
from harness.exam.questions import prompts
from harness.exam.scorecard import KataScore, Replayed
from harness.exam.state import Drawn, Exam, ExamAttempt, Finished, Judged, Started, Told
from harness.ui.lab_notebook import LabEntry

SEED = 2_000_007
SUMS = Drawn("sums", SEED, 5, 1, "toys", 1, False)
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
    """Return an attempt that failed on the public seed, unless the options say otherwise."""
    given = {"exit_code": 1, "failed": ("check_the_total_is_right",), "decided_by": SEED, "right": (), "wrong": ("cause",)} | judged
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
        (SEED,),
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
    return Replayed(ExamAttempt("sums", number, 60.0 * number, confidence, (Told(0.0, "sums", number, SEED, fixed),), done), entry)


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


def test_a_kata_without_attempts_is_asked_about(asked):
    assert asked().startswith("No attempt.")


def test_an_edit_without_a_hypothesis_is_named(asked):
    text = "Attempt 1 changed `total` without a written hypothesis."

    assert text in asked(replayed(1, hypotheses=()))
    assert text not in asked(replayed(1))


def test_a_hypothesis_that_became_another_is_quoted(asked):
    text = asked(replayed(1, hypotheses=("the sensor drifts",)), replayed(2, hypotheses=("three readings are none",)))

    assert (
        "The hypothesis of attempt 1, “the sensor drifts”, had changed by attempt 2: “three readings are none”. Which number changed your mind?"
        in text
    )
    assert "had changed" not in asked(replayed(1, hypotheses=("a",)), replayed(2, hypotheses=("a", "b")))


def test_a_right_field_that_was_given_up_is_named(asked):
    text = asked(replayed(1, right=("cause",), wrong=()), replayed(2))

    assert "`cause` of the diagnosis was right in attempt 1 and wrong in attempt 2." in text


@pytest.mark.parametrize("evidence", ["ZeroDivisionError in the cell `def total(readings):`", "`total` returned nothing"])
def test_a_change_elsewhere_than_where_the_evidence_points_is_named(asked, evidence):
    first = replayed(1, cells={}, evidence=(evidence,))

    assert "The evidence of attempt 1 names `total`, and attempt 2 changed `run`." in asked(first, replayed(2, cells={"run": "y"}))
    assert "The evidence of" not in asked(first, replayed(2))


def test_the_same_code_twice_and_the_same_failure_after_a_change_are_told_apart(asked):
    assert "Attempt 2 ran the same code as attempt 1." in asked(replayed(1, cells={"total": "x"}), replayed(2, cells={"total": "x"}))
    assert "Attempts 1 and 2 fail the same checks: `check_the_total_is_right`; in between, `total` changed." in asked(
        replayed(1), replayed(2)
    )


def test_a_known_masking_repair_is_told_to_the_reviewer_with_what_it_hides(asked):
    text = asked(replayed(1, cells={"total": CLIPPED}))

    assert "The known masking repair `clip-readings` fails the same checks as attempt 1 (2 known ones do; this one is the closest)" in text
    assert "The marker still counts, as ten." in text
    assert "masking" not in asked(replayed(1, cells={"total": CLIPPED}, failed=("check_every_reading_is_logged", "check_other")))
    assert "masking" not in asked(replayed(1, cells={}))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"confidence": 0.9}, "Attempt 1 came with confidence 0.9 and failed on the public seed."),
        ({"confidence": 0.9, "decided_by": 1234}, "Attempt 1 came with confidence 0.9 and failed on held-out seed 1234."),
        ({"decided_by": 1234}, "passed on the public seed and failed `check_the_total_is_right` on held-out seed 1234"),
        ({"confidence": 0.2, "exit_code": 0}, "Attempt 1 came with confidence 0.2 and held on all seeds."),
        ({"exit_code": 0}, "Fixed in attempt 1, and `cause` of the diagnosis is blank or wrong."),
        ({"right": ("cause",), "wrong": ()}, "The diagnosis is right in all fields, and no repair held."),
        ({"exit_code": 3, "failed": ()}, "Attempt 1 did not run to its end (timeout)"),
        ({"looked": ()}, "No attempt had an added cell that looks at the run."),
        ({"cells": {"a": "", "b": "", "total": ""}}, "Attempt 1 changed 3 cells at once: `a`, `b`, `total`."),
    ],
)
def test_what_happened_is_named(asked, options, text):
    assert text in asked(replayed(1, **options))


def test_nothing_is_asked_about_a_sound_piece_of_work(asked):
    assert asked(replayed(1, exit_code=0, right=("cause",), wrong=(), confidence=0.8)) == ""


def test_used_up_attempts_and_used_up_time_are_named(asked):
    assert "All 5 attempts were used." in asked(*(replayed(n) for n in range(1, 6)))
    assert "Time was up with 4 of 5 attempts left." in asked(replayed(1), reason="time")


def test_an_interrupted_attempt_is_named(asked):
    assert "Attempt 1 was interrupted." in asked(Replayed(ExamAttempt("sums", 1, 1.0, None, (), None), None))
