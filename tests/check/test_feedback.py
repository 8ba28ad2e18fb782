import json

import pytest

from harness.check.attempt import attempt
from harness.check.feedback import whys
from harness.course.notebook import authored, submit


@pytest.fixture
def check(sums, with_fix, kernels):
    def check(fix=None, **cells):
        return attempt(sums, submit(sums, authored(sums), with_fix(fix, **cells), "x.ipynb"), kernels, seed=0)

    return check


@pytest.fixture
def proven(sums):
    """A toy kata whose proof says what its masking fixes fail."""
    failed = {name: {"failed": ["check_the_total_is_right"]} for name in ("clip-readings", "scale-down")}
    (sums.meta / "proof.json").write_text(json.dumps({"variants": failed}))
    return sums


def test_a_repair_that_fails_like_a_known_mask_is_told_why_it_hides(proven, check):
    done = check(total="def total(readings):\n    return sum(min(r, 12.0) for r in readings)")

    assert {c.name for c in done.decisive.verdict.failed} == {"check_the_total_is_right"}
    # clip-readings is nearer, and its text would give the cause away.
    assert whys(proven, done) == ["A constant cannot know how many were missing."]


def test_nothing_is_told_of_a_notebook_as_shipped_or_of_other_failures(proven, check):
    assert whys(proven, check()) == []
    (proven.meta / "proof.json").write_text(json.dumps({"variants": {"clip-readings": {"failed": ["check_x"]}}}))
    assert whys(proven, check("clip-readings")) == []


def test_nothing_is_told_without_a_proof(sums, check):
    (sums.meta / "proof.json").unlink(missing_ok=True)
    assert whys(sums, check("clip-readings")) == []
