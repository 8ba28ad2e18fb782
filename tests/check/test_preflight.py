import json

import pytest

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.course.notebook import authored
from harness.course.submission import submit


@pytest.fixture
def check(sums, with_fix, kernels):
    def check(fix=None, **cells):
        return attempt(sums, submit(sums, authored(sums), with_fix(fix, **cells), "x"), RunContext(kernels), seed=None)

    return check


def known(runs):
    return [json.loads(path.read_text())["failure"] for path in (runs / "sums" / "preflight").glob("*.json")]


def test_where_the_preflight_holds_a_failure_is_the_learners(check, runs):
    done = check("clip-readings")

    assert done.exit_code == 1
    assert known(runs) == [""]


def test_a_machine_on_which_the_reference_fails_cannot_judge(check, sums, runs):
    # As if another processor moved every total a little beyond the threshold.
    oracle = sums.meta / "oracle.py"
    oracle.write_text(oracle.read_text().replace('- truth["total"])', '- truth["total"]) + 0.7'))

    done = check("leave-outliers-out")

    assert done.exit_code == 3
    assert done.not_judged == "the reference repair fails `check_the_total_is_right` here: the total is off by 0.7 (bar 0.5)"


def test_a_machine_on_which_the_symptom_does_not_show_cannot_judge(check, sums):
    checks = sums.checks
    checks.write_text(checks.read_text().replace("high=0.5", "high=1e9").replace("low=20", "low=21"))

    done = check("clip-readings")

    assert done.exit_code == 3
    assert done.not_judged == "the notebook as shipped passes `check_the_total_is_right` here: its symptom does not show"


def test_the_preflight_is_made_once(check, runs):
    check("clip-readings")
    [path] = (runs / "sums" / "preflight").glob("*.json")
    path.write_text('{"failure": "known from before"}')

    assert check("scale-down").not_judged == "known from before"


def test_a_pass_needs_no_preflight(check, runs):
    assert check("leave-the-marker-out").exit_code == 0
    assert not (runs / "sums" / "preflight").exists()
