import json
from dataclasses import replace

import pytest

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.check.feedback import resembled
from harness.course.notebook import authored
from harness.course.submission import submit


@pytest.fixture
def check(sums, with_fix, kernels):
    def check(fix=None, **cells):
        return attempt(sums, submit(sums, authored(sums), with_fix(fix, **cells), "x.ipynb"), RunContext(kernels), seed=0)

    return check


@pytest.fixture
def proven(sums):
    """A toy kata whose proof says what its masking fixes fail."""
    failed = {name: {"failed": ["check_the_total_is_right"]} for name in ("clip-readings", "scale-down")}
    (sums.meta / "proof.json").write_text(json.dumps({"variants": failed}))
    return sums


def test_a_repair_that_fails_like_a_known_mask_gets_its_explanation(proven, check):
    done = check(total="def total(readings):\n    return sum(min(r, 12.0) for r in readings)")

    assert {c.name for c in done.decisive.verdict.failed} == {"check_the_total_is_right"}
    # clip-readings is more similar, but its text contains a spoiler.
    assert resembled(proven, done) == "A constant cannot know how many were missing."


def test_the_shipped_notebook_and_other_failures_resemble_nothing(proven, check):
    assert resembled(proven, check()) == ""
    (proven.meta / "proof.json").write_text(json.dumps({"variants": {"clip-readings": {"failed": ["check_x"]}}}))
    assert resembled(proven, check("clip-readings")) == ""


def test_without_a_proof_nothing_is_resembled(sums, check):
    (sums.meta / "proof.json").unlink(missing_ok=True)
    assert resembled(sums, check("clip-readings")) == ""


def test_a_run_that_raises_and_one_that_was_not_judged_resemble_nothing(proven, check):
    assert resembled(proven, check(total="def total(readings):\n    return 1 / 0")) == ""

    done = check("scale-down")
    assert resembled(proven, done)
    assert resembled(proven, replace(done, not_judged="the reference repair fails here")) == ""
