"""Measure what the lab adds to a training run: all ways take turns, in one session on one machine.

"Training" is the time of a notebook's cells, with their figures, in a bare Python script after its imports.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from harness.bench.ways import SEED, Say, Way, cell_times, repaired, run_ways
from harness.check.examine import RunContext, run_seed
from harness.course.kata import Kata
from harness.course.scene_files import world_for
from harness.proof.variants import RECEIPT
from harness.sandbox.forkserver import kernels_for

POOL_RUNS = 20
GROWTH_RUNS = (1, 10, 100)
GROWTH_WINDOW = 20
"""Runs whose median is the time of one run: a single run of half a second scatters by 10 %."""


@dataclass
class Growth:
    """Sequential runs of one notebook through one fork server."""

    seconds: list[float] = field(default_factory=list)
    resident_mib: list[float] = field(default_factory=list)
    """Of the harness and its children, after each run."""

    def per_run(self, runs: int) -> float:
        """The median of the runs around number `runs`."""
        if runs == 1:
            return self.seconds[0]
        first = max(0, min(runs - GROWTH_WINDOW // 2, len(self.seconds) - GROWTH_WINDOW))
        return statistics.median(self.seconds[first : first + GROWTH_WINDOW])


@dataclass(frozen=True)
class Proven:
    """A kata's proof with an empty cache."""

    seconds: float
    """Infinite when it was not proven."""
    runs: int
    runs_s: float
    """Of all its runs together, most of it training."""


@dataclass
class Benchmark:
    """All measurements, and the machine."""

    kata: str
    machine: dict[str, str]
    ways: list[Way]
    jobs: int
    """Parallel runs in the pool."""
    pool_s: float
    pool_training_s: float
    """Of all runs of the pool together."""
    growth_of: str
    growth: Growth
    proofs: dict[str, Proven]
    cached_s: float
    """Time to rerun all of these proofs in one command, with everything cached."""

    def way(self, name: str) -> Way:
        return next(way for way in self.ways if way.name == name)


def measure(kata: Kata, short: Kata, proofs: Sequence[Kata], jobs: int, repeats: int, say: Say) -> Benchmark:
    """Measure checks and the pool on `kata`, growth on `short` (a quick kata), and the proofs of `proofs`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        os.environ["KATA_RUNS"] = f"{scratch}/runs"
        ways = run_ways(kata, Path(scratch), repeats, say)
        say(f"{POOL_RUNS} runs, {jobs} in parallel")
        pool_s, training_s = _pool(kata, jobs, Path(scratch))
        say(f"{GROWTH_RUNS[-1]} runs of {short.slug}, one after the other")
        growth = _growth(short, Path(scratch))
        proven = {k.slug: _proof(k, Path(scratch), say) for k in proofs}
        if proofs:
            say("all proofs, everything cached")
        cached_s = _prove(proofs, Path(scratch)) if proofs else 0.0
    return Benchmark(kata.slug, machine(), ways, jobs, pool_s, training_s, short.slug, growth, proven, cached_s)


def machine() -> dict[str, str]:
    """Describe this machine."""
    model = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "date": f"{datetime.now():%Y-%m-%d}",
        "processor": f"{model}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}, torch {version('torch')}",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _pool(kata: Kata, jobs: int, scratch: Path) -> tuple[float, float]:
    """Run the repaired notebook on many seeds; return the time for all, and the training in it."""
    notebook = repaired(kata)
    for seed in range(POOL_RUNS):
        world_for(kata, seed)
    with kernels_for([kata]) as kernels, ThreadPoolExecutor(jobs) as pool:
        kernels.wait_until_ready()
        began = time.monotonic()
        runs = [pool.submit(run_seed, kata, notebook, seed, scratch / "pool" / str(seed), RunContext(kernels)) for seed in range(POOL_RUNS)]
        executions = [run.result() for run in runs]
        whole = time.monotonic() - began
    return whole, sum(cell_times(execution.run_dir / "executed.ipynb")[2] for execution in executions)


def _growth(kata: Kata, scratch: Path) -> Growth:
    notebook, growth = repaired(kata), Growth()
    with kernels_for([kata]) as kernels:
        kernels.wait_until_ready()
        for number in range(GROWTH_RUNS[-1]):
            began = time.monotonic()
            run_seed(kata, notebook, SEED, scratch / "growth" / str(number), RunContext(kernels))
            growth.seconds.append(time.monotonic() - began)
            growth.resident_mib.append(_resident_mib())
    return growth


def _resident_mib() -> float:
    own = psutil.Process()
    total = 0
    for process in [own, *own.children(recursive=True)]:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 2**20


def _proof(kata: Kata, scratch: Path, say: Say) -> Proven:
    say(f"proof of {kata.slug}, nothing cached")
    seconds = _prove([kata], scratch)
    receipts = (scratch / "proofs" / kata.slug / "proof").glob(f"*/{RECEIPT}")
    runs = [json.loads(path.read_text(encoding="utf-8"))["elapsed_s"] for path in receipts]
    return Proven(seconds, len(runs), sum(runs))


def _prove(katas: Sequence[Kata], scratch: Path) -> float:
    command = [sys.executable, "-m", "harness", "--katas", str(katas[0].folder.parent), "prove", *(kata.slug for kata in katas)]
    began = time.monotonic()
    done = subprocess.run(command, env=os.environ | {"KATA_RUNS": str(scratch / "proofs")}, capture_output=True, check=False)
    # A proof that failed early was not quick.
    return math.inf if done.returncode else time.monotonic() - began


def as_json(found: Benchmark) -> str:
    """Return all figures as JSON."""
    content = {
        "kata": found.kata,
        "machine": found.machine,
        "ways": {way.name: {"seconds": way.seconds, "parts": way.parts} for way in found.ways},
        "pool": {"seconds": found.pool_s, "training_s": found.pool_training_s, "runs": POOL_RUNS},
        "growth": {"kata": found.growth_of, "seconds": found.growth.seconds, "resident_mib": found.growth.resident_mib},
        "proofs": {slug: vars(proven) for slug, proven in found.proofs.items()},
        "proofs_cached_s": found.cached_s,
    }
    return json.dumps(content, indent=1) + "\n"
