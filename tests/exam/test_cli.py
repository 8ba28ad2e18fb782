import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.course.fixes import read_fix
from harness.course.kata import load_kata, load_proof
from harness.course.scaffold import sync
from harness.exam.state import FILE, exams, open_exam

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kata(toys, sums):
    """Run a command on a course of two katas that can be drawn."""
    sync(sums)
    sync(load_kata(toys / "doubles"))
    (sums.meta / "proof.json").write_text("{}")

    def run(*arguments):
        return CliRunner().invoke(main, ["--katas", str(toys), *map(str, arguments)])

    return run


@pytest.fixture
def sat(kata):
    """The exam of both katas, started."""
    assert kata("exam", "--minutes", "2", "--seed", "5").exit_code == 0
    return exams()[0]


def later(exam, seconds):
    """Let time pass: everything that happened moves back."""
    path = exam.folder / FILE
    events = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(event | {"time": event["time"] - seconds}) + "\n" for event in events))


def repair(exam, kata, fix, **cells):
    """Save a known fix in the exam's notebook."""
    path = exam.notebook(exam.of(kata.slug))
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        cell.source = (read_fix(kata, fix) | cells).get(cell.id, cell.source)
    nbformat.write(notebook, path)


def text(done):
    return " ".join(done.output.split())


def test_an_exam_starts_with_all_that_is_needed_to_go_on(kata, toys):
    done = kata("exam", "--minutes", "2")

    assert done.exit_code == 0, done.output
    assert "Exam 1 has started: 2 minutes" in done.output
    assert "5 of 5" in done.output
    assert "make exam-check KATA=" in done.output
    assert {one.kata for one in exams()[0].started.drawn} == {"sums", "doubles"}


def test_the_learners_own_notebooks_are_untouched(kata, toys):
    before = {path: path.read_bytes() for path in toys.rglob("*.ipynb")}
    kata("exam", "--minutes", "2")
    kata("exam", "check", "sums")
    kata("exam", "finish")

    assert {path: path.read_bytes() for path in toys.rglob("*.ipynb")} == before


def test_the_same_command_goes_on_with_the_exam_that_is_open(kata, sat):
    later(sat, 30)

    done = kata("exam")

    assert "exam 1: 1:30 left of 2:00" in done.output or "exam 1: 1:29 left of 2:00" in done.output
    assert len(exams()) == 1
    other = kata("exam", "--minutes", "30")
    assert other.exit_code == 2
    assert "exam 1 is open, with 2 minutes" in text(other)
    assert kata("exam", "--minutes", "2").exit_code == 0


def test_a_pause_stops_the_clock_and_stands_on_the_card(kata, sat):
    later(sat, 30)
    assert "paused with 1:30 left" in kata("exam", "pause").output
    later(sat, 1000)

    refused = kata("exam", "check", "sums")
    assert refused.exit_code == 2
    assert "exam 1 is paused; make exam continues it" in text(refused)
    assert "Exam 1 continues." in kata("exam").output
    assert "pauses: 1, 16:4" in text(kata("exam", "finish"))
    assert exams()[0].clock(time.time()) == pytest.approx(30, abs=3)


def test_the_exams_public_seed_is_judged_first_and_then_two_held_out_ones(kata, sat, sums):
    repair(sat, sums, "leave-the-marker-out")

    done = kata("exam", "check", "sums", "--confidence", "0.9")

    assert done.exit_code == 0, done.output
    assert f"public seed {sat.of('sums').seed}" in done.output
    [attempt] = exams()[0].attempts("sums")
    assert attempt.judged.right == ("cause", "first_bad_step")
    assert attempt.told[0].seed == sat.of("sums").seed
    assert len({told.seed for told in attempt.told}) == 3
    assert "attempts: 1 of 5 used" in text(done)
    assert "0.9, kept" in done.output


@pytest.mark.parametrize(("fix", "code"), [("clip-readings", 1), ("leave-the-marker-out", 0)])
def test_a_verdict_of_an_exam_helps_with_nothing(kata, sat, sums, runs, fix, code):
    repair(sat, sums, fix)

    done = kata("exam", "check", "sums")

    assert done.exit_code == code
    why = next(fix.why for fix in load_proof(sums).fix if fix.name == "clip-readings")
    left = [path.read_text() for path in (runs / "sums").glob("0*/*") if path.is_file()]
    for shown in (done.output, *left):
        assert "make hint" not in shown
        assert why not in shown
        assert "Root cause" not in shown


def test_the_wrong_fields_of_a_diagnosis_are_never_named(kata, sat, sums):
    form = 'journal.save_artifact("diagnosis", {"cause": "data", "first_bad_step": 0})'
    repair(sat, sums, "clip-readings", diagnosis=form)
    done = [kata("exam", "check", "sums") for _ in range(3)]

    assert all("diagnosis: 1 of 2 fields are right" in one.output for one in done)
    assert not any("first_bad_step" in one.output for one in done)


@pytest.mark.parametrize(
    "arguments",
    [
        ["hint", "sums"],
        ["hint", "sums", "--level", "1"],
        ["check", "sums"],
        ["watch", "sums"],
        ["apply", "sums", "clip-readings", "-o", "x.ipynb"],
    ],
)
def test_help_has_to_wait_until_the_exam_is_finished(kata, sat, arguments):
    done = kata(*arguments)

    assert done.exit_code == 2
    assert "`sums` is in exam 1, which is open" in text(done)


def test_hints_are_open_again_after_the_exam(kata, sat):
    kata("exam", "finish")

    assert kata("hint", "sums").exit_code == 0


def test_the_checks_are_counted_and_a_run_that_could_not_be_judged_is_not(kata, sat, sums):
    repair(sat, sums, "clip-readings", total="import os\nos._exit(1)")
    died = kata("exam", "check", "sums")
    path = sat.folder / FILE
    asked = [{"event": "asked", "time": time.time(), "kata": "sums", "number": n, "confidence": None} for n in range(2, 7)]
    told = [{"event": "told", "time": time.time(), "kata": "sums", "number": n, "seed": 1, "fixed": False} for n in range(2, 7)]
    with path.open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in asked + told)

    refused = kata("exam", "check", "sums")

    assert died.exit_code == 3
    assert "0 of 5 used; this attempt could not be judged and does not count" in text(died)
    assert refused.exit_code == 2
    assert "all 5 attempts on `sums` are used" in text(refused)


def test_after_the_end_checks_are_refused_and_what_there_is_is_scored(kata, sat):
    kata("exam", "check", "sums")
    later(sat, 200)

    refused = kata("exam", "check", "doubles")
    ended = kata("exam")

    assert refused.exit_code == 2
    assert "time is up: exam 1 had 2 minutes. make exam-finish shows the score card" in text(refused)
    assert "Exam 1: 2:00 used of 2:00" in ended.output
    assert "0 of 2 fields" in ended.output
    assert "1 of 5" in ended.output
    assert "Time was up. make exam starts another one." in ended.output
    assert (sat.folder / "card.html").exists()
    assert len(exams()) == 1


def test_the_reviewers_page_waits_for_the_end(kata, sat):
    refused = kata("exam", "review")
    kata("exam", "finish")
    done = kata("exam", "review", "1")

    assert refused.exit_code == 2
    assert "make exam-finish ends it" in text(refused)
    assert done.exit_code == 0
    assert "No attempt." in (sat.folder / "review.html").read_text()


def test_a_lost_notebook_comes_back_and_a_spoilt_one_can_be_reset(kata, sat):
    notebook = sat.notebook(sat.of("sums"))
    notebook.unlink()
    assert kata("exam", "check", "sums").exit_code == 4
    assert "the missing files are as handed out" in text(kata("exam"))

    notebook.write_text("spoilt")
    spoilt = kata("exam", "check", "sums")
    assert (spoilt.exit_code, "make reset KATA=" in spoilt.output) == (4, True)
    assert "Backup of your notebook:" in text(kata("reset", "sums"))
    assert nbformat.read(notebook, 4).cells
    assert exams()[0].attempts("sums") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exam", "status"], "no exam is open; make exam starts one"),
        (["exam", "check", "sums"], "no exam is open; make exam starts one"),
        (["exam", "pause"], "no exam is open"),
        (["exam", "finish"], "no exam was started"),
        (["exam", "review"], "no exam was started"),
        (["exam", "lab"], "no exam is open"),
        (["exam", "--tracks", "spikes"], "no track `spikes`; the tracks are `toys`"),
        (["exam", "--minutes", "90"], "too few katas for 90 minutes"),
        (["exam", "--minutes", "0"], "is not in the range"),
        (["exam", "--minutes", "5", "status"], "kata exam status takes its own options"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(kata, arguments, message):
    done = kata(*arguments)

    assert (done.exit_code, message in text(done)) == (2, True), done.output
    assert exams() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exam", "check", "hangs"], "`hangs` is not in exam 1; it has `doubles`, `sums`"),
        (["exam", "check", "sums", "--confidence", "80"], "confidence is 80, expected a number from 0 to 1"),
        (["exam", "check", "sums", "--confidence", "nan"], "confidence is nan, expected a number from 0 to 1"),
        (["exam", "review", "9"], "no exam 9; there are `1`"),
    ],
)
def test_what_is_wrong_in_an_exam_is_said_and_costs_nothing(kata, sat, arguments, message):
    done = kata(*arguments)

    assert (done.exit_code, message in text(done)) == (2, True), done.output
    assert exams() == [sat]


@pytest.mark.slow
def test_a_check_that_is_killed_loses_nothing(kata, sat, toys, runs):
    toml = toys / "sums" / "kata.toml"
    source = toys / "sums" / ".meta" / "notebook.py"
    source.write_text(source.read_text().replace("    return sum(readings)", "    import time\n    time.sleep(60)"))
    toml.write_text(toml.read_text().replace("notebook_s = 20.0", "notebook_s = 90.0"))
    sat.notebook(sat.of("sums")).unlink()
    kata("exam")
    command = [sys.executable, "-m", "harness", "--katas", str(toys), "exam", "check", "sums", "--confidence", "0.5"]
    running = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not list(runs.glob(".stage-*/*/evidence/telemetry.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)

    running.send_signal(signal.SIGKILL)
    running.wait()

    [attempt] = open_exam(time.time()).attempts("sums")
    assert (attempt.confidence, attempt.counted, attempt.judged) == (0.5, False, None)
    assert "5 of 5" in kata("exam", "status").output
