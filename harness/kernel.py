"""Run one notebook in a kernel of its own and say what happened; the learner's code never raises here."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import nbformat
import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from harness.cage import Stage, Workspace
from harness.engine import LabKernelManager, Session, execute
from harness.forkserver import ForkedProcess, ForkServer, Kernels, NoFork, gone
from harness.kata import Budget
from harness.notebook import with_probe
from harness.turns import Probe

Row = dict[str, Any]
Outcome = Literal["completed", "cell_error", "timeout", "out_of_memory", "out_of_disk", "kernel_died", "cancelled"]
WATCHDOG_GRACE_S = 5.0
LOOK_EVERY_S = 0.1
MEASURE_EVERY_S = 0.5
MAX_EVIDENCE_GIB = 1.0
MAX_EVIDENCE_FILES = 10_000
SWEEP_S = 3.0
TAIL_BYTES = 4 * 2**20
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Execution:
    """What happened to one notebook."""

    outcome: Outcome
    cell: str | None
    """Id of the cell that ran last; None if none was reached."""
    message: str
    """One line about a run that did not complete; empty otherwise."""
    elapsed_s: float
    peak_memory_gib: float
    """Resident memory of the kernel and all that it started, at its highest, measured twice a second."""
    run_dir: Path
    """Holds input.ipynb, executed.ipynb and `evidence`, which the kernel wrote."""

    @property
    def evidence(self) -> Path:
        return self.run_dir / "evidence"


@dataclass(frozen=True)
class Place:
    """Where a notebook runs and what it may use there."""

    kernels: Kernels
    world: Path
    run_dir: Path
    budget: Budget
    probe: Path | None = None
    """A script that calls the learner's functions after the last cell …"""
    inputs: Callable[[], Path | None] = lambda: None
    """… and where what it calls them with lies: asked for only then."""


def run(
    notebook: NotebookNode,
    place: Place,
    *,
    seed: int,
    on_row: Callable[[Row], None] = lambda row: None,
    stop: threading.Event | None = None,
) -> Execution:
    """Run `notebook` for `seed` and wait for its end, and for the end of everything that it started.

    on_row is called, from another thread, with each telemetry row as it is written. Setting `stop` kills the kernel.
    """
    place.run_dir.mkdir(parents=True)
    if place.probe:
        notebook = with_probe(notebook)
    nbformat.write(notebook, place.run_dir / "input.ipynb")
    do = partial(_run, notebook, place, seed, on_row, stop or threading.Event())
    if place.kernels.server:
        try:
            place.kernels.server.wait_until_ready()
            return do(place.kernels.server.workspace, place.kernels.server)
        except NoFork:
            pass  # Something killed it. A kernel of one's own takes longer, and is as good.
    workspace = Workspace()
    try:
        return do(workspace, None)
    finally:
        workspace.close()


def _run(
    notebook: NotebookNode,
    place: Place,
    seed: int,
    on_row: Callable[[Row], None],
    stop: threading.Event,
    workspace: Workspace,
    server: ForkServer | None,
) -> Execution:
    stage, budget, cage = workspace.stage(), place.budget, place.kernels.cage
    probe = Probe(place.probe, place.inputs, stage)
    try:
        shutil.copytree(place.world, stage.world)
        argv = cage.argv(cage.kernel(budget), stage.evidence, place.kernels.katas, workspace)
        started = time.monotonic()
        with (place.run_dir / "kernel.log").open("wb") as log:
            km = LabKernelManager(stage, argv, partial(server.fork, stage, budget) if server else None)
            session = Session(km, stage.environment(), log, started + budget.notebook_s, probe.bring)
            end = partial(_end, km, cage.caged, server)
            watch = _Watch(session, stage.evidence, workspace, budget, end, stop, on_row)
            with probe, watch:
                outcome, message = _executed(notebook, place, session, stage, seed)
        if watch.killed_for:
            outcome, message = watch.killed_for
        elapsed_s = time.monotonic() - started - session.waited_s
        _take(stage.evidence, place.run_dir / "evidence")
        probe.leave(place.run_dir / "evidence")
    finally:
        stage.clear()
    return Execution(outcome, session.cell, message, elapsed_s, round(watch.peak_memory_gib, 3), place.run_dir)


def _take(left: Path, evidence: Path) -> None:
    """Put what a kernel left where its run is kept, out of every kernel's reach."""
    # It may be no folder any more: a link could name another run's.
    if left.is_symlink() or not left.is_dir():
        evidence.mkdir()
    else:
        left.rename(evidence)


def _executed(notebook: NotebookNode, place: Place, session: Session, stage: Stage, seed: int) -> tuple[Outcome, str]:
    try:
        execute(notebook, place.run_dir / "executed.ipynb", {"SEED": seed}, session, stage.evidence)
        return _ended(notebook, session)
    except PapermillExecutionError as e:
        return _raised(e, session)
    except CellTimeoutError:
        return "timeout", _too_late(place.budget)
    except (DeadKernelError, RuntimeError) as e:
        # RuntimeError: the kernel died before it answered for the first time.
        return "kernel_died", f"the kernel died ({str(e).splitlines()[0] if str(e) else type(e).__name__})"


def _too_late(budget: Budget) -> str:
    return f"the notebook used up its {budget.notebook_s:g} s"


def _ended(notebook: NotebookNode, session: Session) -> tuple[Outcome, str]:
    code = [cell.id for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if skipped := [i for i in code if i not in session.finished]:
        return "cell_error", f"the kernel left before the end: cell `{skipped[0]}` did not run to its end"
    return "completed", ""


def _raised(error: PapermillExecutionError, session: Session) -> tuple[Outcome, str]:
    message = f"{error.ename}: {error.evalue}"
    if error.ename == "MemoryError" or "can't allocate memory" in error.evalue:
        return "out_of_memory", message
    # The last frame that lies in a cell; the frames below it are a library's.
    frames = re.findall(r"Cell In\[(\d+)\], line (\d+)", ANSI.sub("", "\n".join(error.traceback)))
    if not frames or int(frames[-1][0]) > len(session.counted):
        return "cell_error", message
    cell, line = session.counted[int(frames[-1][0]) - 1], int(frames[-1][1])
    text = cell.source.splitlines()[line - 1 : line]
    return "cell_error", f"{message}, in cell `{cell.id}`, line {line}: {text[0].strip() if text else ''}"


class _Watch:
    """Follows a run from a thread of its own: telemetry, memory, disk and the deadline, which papermill may overlook."""

    def __init__(
        self,
        session: Session,
        evidence: Path,
        workspace: Workspace,
        budget: Budget,
        end: Callable[[], None],
        stop: threading.Event,
        on_row: Callable[[Row], None],
    ) -> None:
        self.killed_for: tuple[Outcome, str] | None = None
        self.peak_memory_gib = 0.0
        self._session, self._evidence, self._workspace, self._budget = session, evidence, workspace, budget
        self._end, self._stop, self._on_row = end, stop, on_row
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
        # Passing km= makes nbclient leave the kernel alive after success, so it ends here in any case.
        self._end()

    def _follow(self) -> None:
        tail = _Tail(self._evidence / "telemetry.jsonl")
        looks = 0
        while not self._over.wait(LOOK_EVERY_S):
            for row in tail.new_rows():
                self._on_row(row)
            looks += 1
            measure = looks % round(MEASURE_EVERY_S / LOOK_EVERY_S) == 0
            if self.killed_for is None and (reason := self._reason_to_kill(measure)):
                self.killed_for = reason
                self._end()

    def _reason_to_kill(self, measure: bool) -> tuple[Outcome, str] | None:
        if self._stop.is_set():
            return "cancelled", "cancelled"
        if time.monotonic() > self._session.deadline + WATCHDOG_GRACE_S:
            return "timeout", _too_late(self._budget)
        if not measure:
            return None
        memory_gib = _memory_gib(self._session.km)
        self.peak_memory_gib = max(self.peak_memory_gib, memory_gib)
        if memory_gib > self._budget.memory_gib:
            return "out_of_memory", f"the run held {memory_gib:.1f} GiB of memory; its budget is {self._budget.memory_gib:g} GiB"
        files, gib = _disk_use(*self._workspace.folders)
        if gib > MAX_EVIDENCE_GIB or files > MAX_EVIDENCE_FILES:
            return (
                "out_of_disk",
                f"the run wrote {gib:.1f} GiB in {files} files; at most {MAX_EVIDENCE_GIB:g} GiB in {MAX_EVIDENCE_FILES} files are kept",
            )
        return None


def _memory_gib(km: LabKernelManager) -> float:
    total = 0
    for process in _processes(km):
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 2**30


def _disk_use(*folders: Path) -> tuple[int, float]:
    files, size = 0, 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            files += len(names)
            for name in names[:MAX_EVIDENCE_FILES]:
                with suppress(OSError):
                    size += os.lstat(os.path.join(parent, name)).st_blocks * 512
            if files > MAX_EVIDENCE_FILES:
                break
    return files, size / 2**30


def _process(km: LabKernelManager) -> Any:
    """What was started for the kernel: it, or its parent."""
    return getattr(km.provisioner, "process", None) if km.provisioner else None


def _processes(km: LabKernelManager) -> list[psutil.Process]:
    if (process := _process(km)) is None:
        return []
    try:
        root = psutil.Process(process.pid)
        # The parent of a forked kernel holds nothing of its own.
        return [*([] if isinstance(process, ForkedProcess) else [root]), *root.children(recursive=True)]
    except psutil.Error:
        return []


class _Tail:
    """The complete lines that were added to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def new_rows(self) -> Iterator[Row]:
        # The file is the learner's: it may be a pipe, a link to something endless, or one endless line.
        with suppress(OSError), open(os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return
            file.seek(self._offset)
            *lines, _ = file.read(TAIL_BYTES).split(b"\n")
            for line in lines:
                self._offset += len(line) + 1
                with suppress(ValueError, RecursionError):
                    if isinstance(row := json.loads(line), dict):
                        yield row


def _end(km: LabKernelManager, caged: bool, server: ForkServer | None) -> None:
    """Kill the kernel and wait until nothing that it started is left."""
    if (process := _process(km)) is None:
        return
    alive = _processes(km)
    if server or (not caged and sys.platform == "linux"):
        # The kernel's parent, launch.py, kills what the kernel left behind and ends.
        with suppress(OSError, subprocess.TimeoutExpired):
            process.terminate()
            process.wait(SWEEP_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):
        process.kill()
        process.wait()
    if server:
        server.sweep()
    # In the cage the first process of its namespace dies a moment after bubblewrap, and all others with it.
    gone(alive, SWEEP_S)
