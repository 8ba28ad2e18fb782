"""Katas whose diagnosis decides: `leave`, where the shipped run is healthy, and `read` without a function to hand over."""

import json

import pytest

from harness.check.attempt import attempt
from harness.check.examine import Listener, RunContext
from harness.check.preflight import Preflight
from harness.course.fixes import read_fix
from harness.course.kata import load_kata
from harness.course.notebook import apply_fix, authored
from harness.course.submission import submit
from harness.ui.checking import keep
from harness.ui.progress import standings
from harness.ui.view import view_of

HEALTHY = "return sum(r for r in readings if r != 999.0)"
WRONG = 'journal.save_artifact("diagnosis", {"cause": "data", "first_bad_step": -1})'


class Heard(Listener):
    def __init__(self):
        self.seeds = []

    def on_seeds(self, seeds):
        self.seeds.append(list(seeds))


@pytest.fixture
def of_kind(sums):
    """Return the toy kata with a healthy shipped run, as a kata of another kind."""

    def of_kind(kind):
        toml, notebook = sums.folder / "kata.toml", sums.meta / "notebook.py"
        toml.write_text(toml.read_text().replace('kind = "repair"', f'kind = "{kind}"'))
        notebook.write_text(notebook.read_text().replace("return sum(readings)", HEALTHY))
        proof = sums.meta / "proof.toml"
        proof.write_text(proof.read_text().replace('[broken]\nfails = ["check_the_total_is_right"]\n', ""))
        return load_kata(sums.folder)

    return of_kind


@pytest.fixture
def check(kernels):
    """Check the notebook of a kata; return the view and the seeds that ran."""

    def check(kata, fix=None, seed=None, **cells):
        heard = Heard()
        shipped = authored(kata)
        edited = apply_fix(shipped, (read_fix(kata, fix) if fix else {}) | cells, kata.notebook)
        submission = submit(kata, shipped, edited, "x.ipynb")
        return view_of(kata, attempt(kata, submission, RunContext(kernels, listener=heard), seed=seed)), heard.seeds

    return check


def test_with_an_empty_form_nothing_is_given_away(of_kind, check):
    kata = of_kind("leave")

    view, seeds = check(kata)
    verdict = keep(view)

    assert (view.attempt.exit_code, seeds) == (1, [[0]])
    assert view.conclusion.text == "Your diagnosis decides, and its form is empty. The checks are shown once you fill it in."
    assert json.loads(verdict)["runs"][0]["checks"] is None
    pages = [view.attempt.folder / name for name in ("report.html", "verdict.html", "junit.xml", "lab_notebook.json")]
    assert not any("check_the_total_is_right" in page.read_text() or "checks pass" in page.read_text() for page in pages)


def test_passing_checks_with_a_wrong_diagnosis_are_not_enough(of_kind, check):
    view, seeds = check(of_kind("leave"), diagnosis=WRONG)

    assert (view.attempt.exit_code, seeds) == (1, [[0]])
    assert view.conclusion.text == "All checks pass; your diagnosis decides: 1 of 2 fields are right."
    assert view.postmortem == ""


def test_a_right_diagnosis_is_judged_on_held_out_seeds_too(of_kind, check):
    view, seeds = check(of_kind("leave"), "leave-the-marker-out")

    assert view.attempt.exit_code == 0
    assert [len(found) for found in seeds] == [1, 2]
    assert view.conclusion.text == "Solved: your diagnosis is right, and all checks pass on the public seed and on 2 held-out seeds."


def test_an_edit_that_fails_a_check_is_refused_whatever_the_diagnosis(of_kind, check, monkeypatch):
    # The preflight holds here, and costs two runs.
    monkeypatch.setattr(Preflight, "failure", lambda self, judge, broken: "")

    view, _ = check(of_kind("leave"), "leave-the-marker-out", total="def total(readings):\n    return 0")

    assert not view.attempt.fixed
    assert view.conclusion.text == "Not fixed: 1 of 2 checks fail."


def test_another_seed_alone_does_not_judge_the_diagnosis(of_kind, check):
    view, _ = check(of_kind("leave"), "leave-the-marker-out", seed=3)

    assert view.attempt.exit_code == 1
    assert view.conclusion.text == "Seed 3 alone: all checks pass. Your diagnosis decides, and it is judged on the public seed."


def test_where_nothing_is_rerun_the_public_seed_alone_decides(of_kind, check):
    kata = of_kind("read")

    view, seeds = check(kata, "leave-the-marker-out")

    assert (view.attempt.exit_code, seeds) == (0, [[0]])
    assert view.conclusion.text == "Solved: all checks pass, and your diagnosis is right."
    assert view.postmortem
    assert standings([kata])[0].state == "fixed and diagnosed"
