"""Measure what the lab adds to a training run: everything side by side, in turns, on one machine in one go.

"Training" is the time of a notebook's cells in a bare Python script that has imported what they need, drawing its figures included.
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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil
from nbformat import NotebookNode

from harness.check.attempt import attempt
from harness.check.examine import RunContext, run_seed
from harness.course.fixes import read_fix
from harness.course.kata import Kata, load_proof
from harness.course.notebook import apply_fix, authored, dumps
from harness.course.scene_files import world_for
from harness.course.submission import submit
from harness.judging.verdict import Judge
from harness.proof.variants import RECEIPT
from harness.sandbox.bubblewrap import Workspace
from harness.sandbox.forkserver import imports_of, kernels_for
from harness.sandbox.launch import with_first_uses

SEED = 0
POOL_RUNS = 20
GROWTH_RUNS = (1, 10, 100)
GROWTH_WINDOW = 20
"""Runs whose median stands for the time of one: a run of half a second scatters by a tenth."""
SHOW = """
import matplotlib.pyplot as plt
for number in plt.get_fignums():
    plt.figure(number).savefig("figure.png", bbox_inches="tight")
"""
"""What Jupyter does with a notebook's figures and a script does not."""
Say = Callable[[str], None]


@dataclass
class Way:
    """One way to run the same cells, several times."""

    name: str
    seconds: list[float] = field(default_factory=list)
    """Of the whole."""
    parts: list[dict[str, float]] = field(default_factory=list)
    """Where the time went: start, import, training, judge, report."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def part(self, name: str) -> float:
        return statistics.median(parts.get(name, 0.0) for parts in self.parts)


@dataclass
class Growth:
    """Runs of one notebook, one after the other, through one process that forks."""

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
    """A kata's proof with nothing kept."""

    seconds: float
    """Infinite when it was not proven."""
    runs: int
    runs_s: float
    """Of all its runs together, most of it training."""


@dataclass
class Benchmark:
    """All that was measured, and on what."""

    kata: str
    machine: dict[str, str]
    ways: list[Way]
    jobs: int
    """Runs side by side in the pool."""
    pool_s: float
    pool_training_s: float
    """Of all runs of the pool together."""
    growth_of: str
    growth: Growth
    proofs: dict[str, Proven]
    kept_s: float
    """Proving all of these katas again, in one command, with everything kept."""

    def way(self, name: str) -> Way:
        return next(way for way in self.ways if way.name == name)

    @property
    def training(self) -> float:
        return self.way("script").part("training")


def measure(kata: Kata, short: Kata, proofs: Sequence[Kata], jobs: int, repeats: int, say: Say) -> Benchmark:
    """Measure checks and the pool on `kata`, growth on `short`, which should be quick, and the proofs of `proofs`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        os.environ["KATA_RUNS"] = f"{scratch}/runs"
        ways = _ways(kata, Path(scratch), repeats, say)
        say(f"{POOL_RUNS} runs, {jobs} side by side")
        pool_s, training_s = _pool(kata, jobs, Path(scratch))
        say(f"{GROWTH_RUNS[-1]} runs of {short.slug}, one after the other")
        growth = _growth(short, Path(scratch))
        proven = {k.slug: _proof(k, Path(scratch), say) for k in proofs}
        say("all proofs, everything kept")
        kept_s = _prove(proofs, Path(scratch)) if proofs else 0.0
    return Benchmark(kata.slug, machine(), ways, jobs, pool_s, training_s, short.slug, growth, proven, kept_s)


def machine() -> dict[str, str]:
    """Say what this machine is."""
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


def _repaired(kata: Kata) -> NotebookNode:
    fix = load_proof(kata).reference.name
    return apply_fix(authored(kata), read_fix(kata, fix), kata.fix_path(fix))


def _ways(kata: Kata, scratch: Path, repeats: int, say: Say) -> list[Way]:
    notebook = _repaired(kata)
    path = scratch / "repaired.ipynb"
    path.write_text(dumps(notebook), encoding="utf-8")
    world = world_for(kata, SEED)
    script, papermill, cold, warm = ways = [Way("script"), Way("papermill"), Way("check, cold"), Way("check, warm")]
    submission = submit(kata, authored(kata), notebook, path.name)
    with kernels_for([kata]) as kernels, Judge(kata.folder) as judge:
        for turn in range(repeats + 1):
            for way, run in (
                (script, lambda: _script(kata, notebook, world)),
                (papermill, lambda: _papermill(path, world)),
                (cold, lambda: _command(kata, path, scratch)),
                (warm, lambda: _recheck(lambda: attempt(kata, submission, RunContext(kernels, judge), seed=SEED).folder)),
            ):
                say(f"turn {turn} of {repeats}: {way.name}")
                seconds, parts = run()  # type: ignore[no-untyped-call]
                # The first turn fills the machine's caches for all of them.
                if turn:
                    way.seconds.append(seconds)
                    way.parts.append(parts)
    return ways


@contextmanager
def _stage(world: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    workspace = Workspace()
    try:
        stage = workspace.stage()
        yield stage.evidence, stage.environment() | {"KATA_WORLD": str(world), "MPLBACKEND": "agg"}
    finally:
        workspace.close()


def _script(kata: Kata, notebook: NotebookNode, world: Path) -> tuple[float, dict[str, float]]:
    cells = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    imports = "\n".join(f"import {module}" for module in with_first_uses(imports_of([kata])))
    clock = "print(time.time() - _began, file=sys.stderr)"
    show = SHOW if "plt." in cells else ""
    text = f"import sys, time\n_began = time.time()\n{imports}\n{clock}\n_began = time.time()\n{cells}\n{show}\nimport sys, time\n{clock}\n"
    with _stage(world) as (folder, environment):
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", text], cwd=folder, env=environment, capture_output=True, text=True, check=True)
        whole = time.monotonic() - began
    imported, trained = (float(line) for line in done.stderr.splitlines()[-2:])
    return whole, {"start": whole - imported - trained, "import": imported, "training": trained}


def _papermill(path: Path, world: Path) -> tuple[float, dict[str, float]]:
    with _stage(world) as (folder, environment):
        command = [
            sys.executable,
            "-m",
            "papermill",
            "--no-progress-bar",
            "-k",
            "python3",
            str(path),
            "done.ipynb",
            "-p",
            "SEED",
            str(SEED),
        ]
        began = time.time()
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        whole = time.time() - began
        first, last, cells = _cells(folder / "done.ipynb")
    return whole, {"start": first - began, "training": cells, "report": began + whole - last}


def _command(kata: Kata, path: Path, scratch: Path) -> tuple[float, dict[str, float]]:
    command = [sys.executable, "-m", "harness", "--katas", str(kata.folder.parent), "check", kata.slug]
    command += ["--notebook", str(path), "--seed", str(SEED)]

    def run() -> Path:
        subprocess.run(command, capture_output=True, check=True)
        return max((scratch / "runs" / kata.slug).glob("[0-9]*"))

    return _recheck(run)


def _recheck(run: Callable[[], Path]) -> tuple[float, dict[str, float]]:
    """Time a check, and read from what it left when its kernel was asked for, its first cell began and its last ended."""
    began = time.time()
    folder = run()
    ended = time.time()
    run_dir = folder / f"seed-{SEED}"
    asked = (run_dir / "input.ipynb").stat().st_mtime
    first, last, cells = _cells(run_dir / "executed.ipynb")
    verdict = folder / "verdict.json"
    judged = verdict.stat().st_mtime if verdict.exists() else ended
    parts = {"start": asked - began, "import": first - asked, "training": cells, "judge": judged - last, "report": ended - judged}
    return ended - began, parts


def _cells(path: Path) -> tuple[float, float, float]:
    """When the first cell began, when the last ended, and how long the code ran: papermill notes it."""
    notebook = nbformat.read(path, as_version=4)
    notes = [cell.metadata.papermill for cell in notebook.cells if cell.cell_type == "code"]
    times = [datetime.fromisoformat(note[key]).timestamp() for note in notes for key in ("start_time", "end_time")]
    return min(times), max(times), max(times) - min(times)


def _pool(kata: Kata, jobs: int, scratch: Path) -> tuple[float, float]:
    """Run the repaired notebook on many seeds; return the time for all, and the training in it."""
    notebook = _repaired(kata)
    for seed in range(POOL_RUNS):
        world_for(kata, seed)
    with kernels_for([kata]) as kernels, ThreadPoolExecutor(jobs) as pool:
        kernels.wait_until_ready()
        began = time.monotonic()
        runs = [pool.submit(run_seed, kata, notebook, seed, scratch / "pool" / str(seed), RunContext(kernels)) for seed in range(POOL_RUNS)]
        executions = [run.result() for run in runs]
        whole = time.monotonic() - began
    return whole, sum(_cells(execution.run_dir / "executed.ipynb")[2] for execution in executions)


def _growth(kata: Kata, scratch: Path) -> Growth:
    notebook, growth = _repaired(kata), Growth()
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
    say(f"proof of {kata.slug}, nothing kept")
    seconds = _prove([kata], scratch)
    receipts = (scratch / "proofs" / kata.slug / "proof").glob(f"*/{RECEIPT}")
    runs = [json.loads(path.read_text(encoding="utf-8"))["elapsed_s"] for path in receipts]
    return Proven(seconds, len(runs), sum(runs))


def _prove(katas: Sequence[Kata], scratch: Path) -> float:
    command = [sys.executable, "-m", "harness", "--katas", str(katas[0].folder.parent), "prove", *(kata.slug for kata in katas)]
    began = time.monotonic()
    done = subprocess.run(command, env=os.environ | {"KATA_RUNS": str(scratch / "proofs")}, capture_output=True, check=False)
    # A proof that broke off early was not quick.
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
        "proofs_kept_s": found.kept_s,
    }
    return json.dumps(content, indent=1) + "\n"
