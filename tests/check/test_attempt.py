import json

import pytest

from harness.check.attempt import attempt
from harness.check.examine import Listener, RunContext
from harness.check.history import remembered
from harness.course.notebook import authored
from harness.course.submission import submit


class Heard(Listener):
    def __init__(self):
        self.seeds = []

    def on_seeds(self, seeds):
        self.seeds.append(list(seeds))


@pytest.fixture
def check(sums, kernels):
    def check(notebook, **options):
        heard = Heard()
        submission = submit(sums, authored(sums), notebook, "x.ipynb")
        done = attempt(sums, submission, RunContext(kernels, listener=heard), **{"seed": None} | options)
        return done, heard.seeds

    return check


def test_a_broken_notebook_stops_at_the_public_seed(check, with_fix):
    done, seeds = check(with_fix())

    assert seeds == [[0]]
    assert done.exit_code == 1
    assert done.submission.as_shipped


def test_a_right_fix_is_judged_on_two_seeds_it_has_not_seen(check, sums, with_fix):
    done, seeds = check(with_fix("leave-the-marker-out"))

    assert done.exit_code == 0
    assert seeds[0] == [0]
    assert len(set(seeds[1])) == 2
    assert min(seeds[1]) >= 1000


@pytest.mark.usefixtures("known_held_out_seeds")
def test_a_fix_that_remembers_the_public_seed_fails_a_held_out_one(check, sums, with_fix):
    constant = with_fix("leave-the-marker-out")
    known = json.loads((check(constant, seed=0)[0].folder / "seed-0" / "evidence" / "total.json").read_text())

    done, _ = check(with_fix(total=f"def total(readings):\n    return {known}"))

    assert done.examined[0].fixed
    assert done.exit_code == 1
    assert done.decisive.seed >= 1000


def test_a_diagnosis_is_judged_apart_from_the_repair(check, sums, with_fix):
    done, _ = check(with_fix("leave-the-marker-out"), seed=0)

    assert done.diagnosis.right == ("cause", "first_bad_step")
    assert check(with_fix(), seed=0)[0].diagnosis.right == ()


def test_another_seed_can_be_the_public_one(check, with_fix):
    done, seeds = check(with_fix("leave-the-marker-out"), public_seed=2_000_007)

    assert seeds[0] == [2_000_007]
    assert len(done.examined) == 3 and done.fixed
    assert done.diagnosis.right == ("cause", "first_bad_step")


def test_attempts_are_remembered_and_numbered(check, sums, with_fix):
    check(with_fix())
    done, _ = check(with_fix("clip-readings"))

    assert (done.number, done.attempts_before) == (2, 1)
    assert [entry["failed"] for entry in remembered("sums", "attempt")] == [["check_the_total_is_right"]] * 2


def test_a_run_that_dies_cannot_be_judged(check, sums, with_fix):
    done, _ = check(with_fix(total="import os\nos._exit(1)"))

    assert done.exit_code == 3


def test_a_cell_that_raises_fails(check, sums, with_fix):
    done, _ = check(with_fix(total="1 / 0"))

    assert done.exit_code == 1
