import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.course.scaffold import sync

ROOT = Path(__file__).parent.parent


@pytest.fixture
def kata(toys, sums):
    sync(sums)

    def run(*arguments):
        return CliRunner().invoke(main, ["--katas", str(toys), *map(str, arguments)])

    return run


def test_a_broken_notebook_exits_1_with_brief_evidence_and_next_command(kata):
    done = kata("check", "sums")

    assert done.exit_code == 1
    assert "The total that is too high" in done.output
    assert "the total is off by" in done.output
    assert "make hint KATA=sums KATAS=" in done.output
    assert "Traceback" not in done.output


def test_a_right_fix_exits_0_with_the_post_mortem(kata, tmp_path):
    kata("apply", "sums", "leave-the-marker-out", "-o", tmp_path / "fixed.ipynb")

    done = kata("check", "sums", "--notebook", tmp_path / "fixed.ipynb")

    assert done.exit_code == 0
    assert "diagnosis: all 2 fields are right" in done.output
    assert "Root cause" in done.output


def test_json_is_all_that_is_printed(kata, runs):
    done = kata("check", "sums", "--json", "--seed", "3")

    verdict = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [run["seed"] for run in verdict["runs"]] == [3]
    assert json.loads((runs / "sums" / "0001" / "verdict.json").read_text()) == verdict


@pytest.mark.parametrize(("name", "code"), [("crashes", 1), ("hangs", 3), ("dies", 3)])
def test_notebooks_that_do_not_end_well_get_a_verdict(kata, toys, name, code):
    kata("sync")

    done = kata("check", name)

    assert done.exit_code == code
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["check", "sumz"], 2, "did you mean `sums`?"),
        (["check"], 2, "Missing argument 'KATA'"),
        (["check", "sums", "--seed", "-1"], 2, "is not in the range"),
        (["check", "sums", "--notebook", "nowhere.ipynb"], 4, "nowhere.ipynb does not exist"),
        (["apply", "sums", "nothing", "-o", "x.ipynb"], 2, "sums has no fix `nothing`; it has `leave-the-marker-out`"),
        (["hint", "sums", "--level", "9"], 2, "sums has 3 hints, no hint 9"),
        (["prove", "crashes"], 4, "proof.toml is missing"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(kata, arguments, code, message):
    done = kata(*arguments)

    assert (done.exit_code, message in done.output) == (code, True), done.output


def test_apply_does_not_overwrite(kata, tmp_path):
    (tmp_path / "mine.ipynb").write_text("mine")

    done = kata("apply", "sums", "scale-down", "-o", tmp_path / "mine.ipynb")

    assert done.exit_code == 2
    assert (tmp_path / "mine.ipynb").read_text() == "mine"


def test_hints_advance_and_stay_at_the_last(kata):
    shown = [kata("hint", "sums").output.splitlines()[0] for _ in range(4)]

    assert shown == ["hint 1 of 3", "hint 2 of 3", "hint 3 of 3", "hint 3 of 3"]
    assert kata("hint", "sums", "--level", "1").output.splitlines()[0] == "hint 1 of 3"


def test_reset_says_where_the_learners_work_is(kata, sums):
    sums.notebook.write_text("my work")

    done = kata("reset", "sums")

    [backup] = sums.folder.glob("*.bak.ipynb")
    assert backup.name in done.output.replace("\n", "")
    assert backup.read_text() == "my work"


def test_list_shows_what_is_fixed(kata, tmp_path):
    kata("apply", "sums", "leave-the-marker-out", "-o", tmp_path / "fixed.ipynb")
    kata("check", "sums", "--notebook", tmp_path / "fixed.ipynb")

    shown = kata("list").output

    assert "fixed and diagnosed" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


@pytest.mark.slow
def test_a_new_kata_proves_when_its_blanks_are_filled(kata, toys, monkeypatch):
    monkeypatch.setattr("harness.proof.calibrate.CALIBRATION_SEEDS", range(100, 106))
    monkeypatch.setattr("harness.proof.calibrate.MARGIN_SEEDS", range(100, 102))
    assert "Fill the blanks marked TODO" in kata("new", "slowfade").output
    assert kata("prove", "slowfade").exit_code == 4  # no bars yet
    for path in [toys / "slowfade" / "kata.toml", *(toys / "slowfade" / ".meta").rglob("*")]:
        if path.is_file():
            path.write_text(path.read_text().replace("TODO", "filled in"))
    kata("sync", "slowfade")

    assert kata("calibrate", "slowfade").exit_code == 0
    done = kata("prove", "slowfade")

    assert done.exit_code == 0
    assert "slowfade is proven." in done.output


def lab(toys, *arguments, **environment):
    command = [sys.executable, "-m", "harness", "--katas", str(toys), *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_leaves_no_kernel_and_no_half_written_state(toys, runs):
    toml = toys / "hangs" / "kata.toml"
    toml.write_text(toml.read_text().replace("notebook_s = 4.0", "notebook_s = 60.0"))
    started = lab(toys, "check", "hangs")
    deadline = time.monotonic() + 30
    while not list(runs.glob("hangs/0001/seed-0/evidence")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)

    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)

    assert started.returncode == 130
    assert "Stopped: nothing was judged. All its processes have ended." in errors
    assert "Traceback" not in errors
    assert not (runs / "attempts.jsonl").exists()
    assert [p for p in psutil.process_iter() if str(runs) in " ".join(environment_of(p))] == []


def environment_of(process):
    try:
        return [value for key, value in process.environ().items() if key == "KATA_RUN"]
    except psutil.Error:
        return []


def test_a_checkout_with_spaces_and_braces_in_its_path_works(toys, runs, tmp_path):
    odd = tmp_path / "a course {of mine}, ünique"
    toys.rename(odd)

    done = lab(odd, "check", "sums", "--seed", "0", KATA_RUNS=str(tmp_path / "runs of {mine}"))

    output, _ = done.communicate(timeout=60)
    assert done.returncode == 1
    assert "the total is off by" in output


def test_a_place_that_cannot_be_written_to_is_named_with_the_way_out(kata, monkeypatch):
    monkeypatch.setenv("KATA_RUNS", "/dev/null/runs")

    done = kata("check", "sums")

    assert done.exit_code == 4
    assert "KATA_RUNS=folder" in done.output
    assert "Traceback" not in done.output


def test_a_full_disk_is_named_with_the_way_out(kata, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device", "attempts.jsonl")

    monkeypatch.setattr("harness.check.attempt.remember", full)

    done = kata("check", "sums")

    assert done.exit_code == 4
    assert "attempts.jsonl: No space left on device; free some space, or keep runs elsewhere: KATA_RUNS=folder" in done.output.replace(
        "\n", " "
    )
