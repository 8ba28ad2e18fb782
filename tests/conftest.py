"""The toy course: katas of a few cells that need no torch, in a copy of its own for each test."""

import fcntl
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from fixtures.seeds import HELD_OUT, KEY_BYTES, key_path
from harness.check.attempt import NUM_HELD_OUT
from harness.course.fixes import read_fix
from harness.course.kata import Kata, load_kata
from harness.course.notebook import apply_fix, authored
from harness.sandbox.forkserver import kernels_for

# Workers share the cores: torch on all of them in each worker takes several times as long.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell that starts the tests in the background makes them, and all that they start, deaf to ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

TOYS = Path(__file__).parent / "toy_katas"


def pytest_collection_modifyitems(items):
    """Begin with the slow tests, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Return a function that makes something for all workers of a test run: `made_once(name, make)`; `make` writes into an empty folder."""
    workers = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp().parent if workers else tmp_path_factory.getbasetemp()

    def made_once(name, make):
        folder = shared / f"once-{name}"
        with (shared / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                staging = Path(tempfile.mkdtemp(dir=shared))
                make(staging)
                staging.rename(folder)
        return folder

    return made_once


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """All state of a test lives here."""
    folder = tmp_path / "runs"
    monkeypatch.setenv("KATA_RUNS", str(folder))
    return folder


@pytest.fixture
def known_held_out_seeds(runs, monkeypatch):
    """The same held-out seeds in each run of a test."""
    runs.mkdir()
    (runs / key_path().name).write_bytes(bytes(range(KEY_BYTES)))
    monkeypatch.setattr("harness.check.attempt._draw_held_out", lambda: list(HELD_OUT[:NUM_HELD_OUT]))


@pytest.fixture
def toys(tmp_path):
    """A copy of the toy course that a test may spoil."""
    return Path(shutil.copytree(TOYS, tmp_path / "katas"))


@pytest.fixture
def sums(toys) -> Kata:
    return load_kata(toys / "sums")


@pytest.fixture
def kernels(sums):
    """Kernels as a check has them, for the toy course."""
    with kernels_for([sums]) as kernels:
        yield kernels


@pytest.fixture
def with_fix(sums):
    """Return the toy notebook with a known fix, and cells replaced by the test."""

    def build(fix=None, **cells):
        notebook = authored(sums)
        if fix:
            notebook = apply_fix(notebook, read_fix(sums, fix), sums.fix_path(fix))
        return apply_fix(notebook, cells, sums.notebook)

    return build
