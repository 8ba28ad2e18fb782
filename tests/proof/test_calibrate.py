import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.course.errors import UsageError
from harness.course.kata import load_kata
from harness.course.scaffold import sync
from harness.proof.calibrate import MARGIN_SEEDS, calibrate_fixes, refused_by_sd
from harness.proof.variants import Bench


class Planned:
    """The progress of a calibration: keeps what is run."""

    def __init__(self):
        self.runs = []

    def plan(self, kata, runs, kept):
        self.runs = list(runs)

    def done(self, kata, run, seconds):
        pass


@pytest.fixture
def measure(sums, kernels):
    def measure(*names):
        sync(sums)
        planned = Planned()
        with ThreadPoolExecutor(2) as pool:
            done = calibrate_fixes(Bench(load_kata(sums.folder), pool, kernels, planned), names)
        return done, planned.runs

    return measure


def baseline(kata):
    return json.loads((kata.meta / "baseline.json").read_text())


def rewritten(kata, **refused):
    found = baseline(kata)
    found["refused_by_sd"] = refused
    (kata.meta / "baseline.json").write_text(json.dumps(found))
    return found


@pytest.mark.slow
def test_calibrating_one_fix_runs_it_alone_and_keeps_the_other_entries(sums, measure):
    before = rewritten(sums, broken=7.0, **{"clip-readings": 8.0, "scale-down": 9.0})

    done, runs = measure("scale-down")

    assert runs == [("scale-down", seed) for seed in MARGIN_SEEDS]
    assert [row.variant.name for row in done.rows] == ["scale-down"]
    assert baseline(sums) == before | {"refused_by_sd": {"broken": 7.0, "clip-readings": 8.0, "scale-down": 1e6}}


@pytest.mark.slow
def test_an_entry_of_a_fix_that_is_gone_is_dropped_when_the_baseline_is_written(sums, measure):
    rewritten(sums, **{"an-old-fix": 3.0, "scale-down": 9.0})

    measure("scale-down")

    assert list(baseline(sums)["refused_by_sd"]) == ["scale-down"]


def test_an_entry_of_a_fix_that_is_gone_is_ignored(sums):
    rewritten(sums, **{"an-old-fix": 3.0, "scale-down": 9.0})

    assert refused_by_sd(sums) == {"scale-down": 9.0}


def test_a_fix_that_is_not_declared_cannot_be_calibrated(measure):
    with pytest.raises(UsageError, match="sums has no variant `scale-up`; it has `broken`, `leave-outliers-out`, `clip-readings`"):
        measure("scale-up")


def test_the_reference_cannot_be_calibrated_alone(measure):
    with pytest.raises(UsageError, match="`leave-the-marker-out` is the reference: the thresholds come from it"):
        measure("leave-the-marker-out")
