"""Ways to run the same cells: the bare script, papermill, a cold check and a warm one; each with the parts of its time."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from harness.check.attempt import attempt
from harness.check.examine import RunContext
from harness.course.fixes import read_fix
from harness.course.kata import Kata, load_proof
from harness.course.notebook import apply_fix, authored, dumps
from harness.course.scene_files import world_for
from harness.course.submission import submit
from harness.judging.verdict import Judge
from harness.sandbox.bubblewrap import Workspace
from harness.sandbox.forkserver import imports_of, kernels_for
from harness.sandbox.launch import with_first_uses

SEED = 0
SHOW = """
import matplotlib.pyplot as plt
for number in plt.get_fignums():
    plt.figure(number).savefig("figure.png", bbox_inches="tight")
"""
"""Jupyter draws a notebook's figures; a script must be told to."""
Say = Callable[[str], None]


@dataclass
class Way:
    """One way to run the same cells, several times."""

    name: str
    seconds: list[float] = field(default_factory=list)
    """Of the whole."""
    parts: list[dict[str, float]] = field(default_factory=list)
    """Seconds of each part: start, import, training, judge, report."""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def part(self, name: str) -> float:
        return statistics.median(parts.get(name, 0.0) for parts in self.parts)


def repaired(kata: Kata) -> NotebookNode:
    """Return the notebook with the reference fix."""
    fix = load_proof(kata).reference.name
    return apply_fix(authored(kata), read_fix(kata, fix), kata.fix_path(fix))


def run_ways(kata: Kata, scratch: Path, repeats: int, say: Say) -> list[Way]:
    """Run the repaired notebook in every way, in turns; the first turn is not counted."""
    notebook = repaired(kata)
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
        first, last, cells = cell_times(folder / "done.ipynb")
    return whole, {"start": first - began, "training": cells, "report": began + whole - last}


def _command(kata: Kata, path: Path, scratch: Path) -> tuple[float, dict[str, float]]:
    command = [sys.executable, "-m", "harness", "--katas", str(kata.folder.parent), "check", kata.slug]
    command += ["--notebook", str(path), "--seed", str(SEED)]

    def run() -> Path:
        subprocess.run(command, capture_output=True, check=True)
        return max((scratch / "runs" / kata.slug).glob("[0-9]*"))

    return _recheck(run)


def _recheck(run: Callable[[], Path]) -> tuple[float, dict[str, float]]:
    """Time an attempt; its files show when its kernel was requested, its first cell began and its last ended."""
    began = time.time()
    folder = run()
    ended = time.time()
    run_dir = folder / f"seed-{SEED}"
    asked = (run_dir / "input.ipynb").stat().st_mtime
    first, last, cells = cell_times(run_dir / "executed.ipynb")
    verdict = folder / "verdict.json"
    judged = verdict.stat().st_mtime if verdict.exists() else ended
    parts = {"start": asked - began, "import": first - asked, "training": cells, "judge": judged - last, "report": ended - judged}
    return ended - began, parts


def cell_times(path: Path) -> tuple[float, float, float]:
    """When the first cell began, when the last ended, and how long the code ran: papermill notes it."""
    notebook = nbformat.read(path, as_version=4)
    notes = [cell.metadata.papermill for cell in notebook.cells if cell.cell_type == "code"]
    times = [datetime.fromisoformat(note[key]).timestamp() for note in notes for key in ("start_time", "end_time")]
    return min(times), max(times), max(times) - min(times)
