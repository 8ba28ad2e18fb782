import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from harness.course.errors import SubmissionError
from harness.course.notebook import dumps
from harness.ui.watch import versions


@pytest.fixture
def watched(sums):
    """Collect the versions of the toy notebook that are noticed while the test saves."""
    found, stop = [], threading.Event()
    thread = threading.Thread(target=collect, args=(found, versions(sums, sums.notebook, stop)))
    thread.start()
    wait_for(lambda: found)
    yield found
    stop.set()
    thread.join()


def collect(found, things):
    for thing in things:
        found.append(thing)


@contextmanager
def ended(process):
    """A test that fails does not wait for what it started."""
    try:
        yield
    finally:
        process.kill()


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def save(notebook, path):
    """Save as Jupyter does: a temporary file beside the notebook, renamed, and a checkpoint."""
    (path.parent / ".ipynb_checkpoints").mkdir(exist_ok=True)
    for target in (path.parent / ".ipynb_checkpoints" / path.name, path):
        temporary = target.with_name(f".~{target.name}")
        temporary.write_text(dumps(notebook))
        temporary.rename(target)


def test_the_notebook_is_yielded_as_it_is_and_after_a_save(watched, sums, with_fix):
    assert watched[0].as_shipped

    save(with_fix("leave-the-marker-out"), sums.notebook)

    wait_for(lambda: len(watched) == 2)
    assert "total" in watched[1].changed


def test_a_save_of_the_same_code_is_none(watched, sums, with_fix):
    notebook = with_fix()
    for number in range(5):
        notebook.metadata["autosaved"] = number
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = number
        save(notebook, sums.notebook)
        time.sleep(0.1)
    (sums.folder / "notes.txt").write_text("x")
    time.sleep(1.0)

    assert len(watched) == 1


def test_a_burst_of_saves_is_not_as_many_versions(watched, sums, with_fix):
    for number in range(10):
        save(with_fix(diagnosis=f"n = {number}"), sums.notebook)

    wait_for(lambda: len(watched) > 1)
    time.sleep(1.0)
    assert len(watched) < 10
    assert "n = 9" in [cell.source for cell in watched[-1].notebook.cells]


def test_half_a_file_is_an_error_and_not_the_end(watched, sums, with_fix):
    sums.notebook.write_text('{"cells": [')
    wait_for(lambda: len(watched) == 2)

    save(with_fix("leave-the-marker-out"), sums.notebook)

    wait_for(lambda: len(watched) == 3)
    assert isinstance(watched[1], SubmissionError)
    assert "total" in watched[2].changed


@pytest.mark.slow
def test_a_save_during_a_run_ends_it_and_the_next_verdict_is_of_the_new_code(sums, with_fix, runs):
    save(with_fix(total="import time\ntime.sleep(60)\ntotal = sum"), sums.notebook)
    command = [sys.executable, "-m", "harness", "--katas", str(sums.folder.parent), "watch", "sums"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process, ended(process):
        said = []
        threading.Thread(target=collect, args=(said, process.stdout), daemon=True).start()
        wait_for(lambda: list((runs / "sums").glob("*/seed-0/kernel.log")))
        time.sleep(1.0)

        save(with_fix("leave-the-marker-out"), sums.notebook)

        wait_for(lambda: any("Fixed: " in line for line in said), 90)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130

    assert "You saved a new version; this run was stopped.\n" in said
    attempts = [json.loads(line) for line in (runs / "attempts.jsonl").read_text().splitlines()]
    assert [a["fixed"] for a in attempts] == [True]
    assert not [name for name in os.listdir(runs / "sums") if name.isdigit() and not (runs / "sums" / name / "verdict.json").exists()]
