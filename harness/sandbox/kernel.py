"""Run one notebook in its own kernel and report what happened; errors of the learner's code are not raised here."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from harness.course.kata import Budget
from harness.course.notebook import PROBE_CELL, begins, with_probe
from harness.sandbox.bubblewrap import Stage, Workspace
from harness.sandbox.engine import LabKernelManager, Session, execute
from harness.sandbox.forkserver import ForkServer, Kernels, NoFork
from harness.sandbox.probe import Probe
from harness.sandbox.watchdog import Outcome, Row, Watchdog, end, too_late

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
    """A script that calls the learner's functions after the last cell."""
    inputs: Callable[[], Path | None] = lambda: None
    """Returns the folder of its inputs; called only then."""
    modules: Sequence[str] = ()
    """Folders of the kata's own modules."""


def run(
    notebook: NotebookNode,
    place: Place,
    *,
    seed: int,
    on_row: Callable[[Row], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Execution:
    """Run `notebook` for `seed`, and wait until all its processes have ended.

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
            pass  # Something killed it. A separate kernel starts more slowly and works as well.
    workspace = Workspace()
    try:
        return do(workspace, None)
    finally:
        workspace.close()


def _run(  # noqa: PLR0913  # one run, and what it needs: no two of these go anywhere else together
    notebook: NotebookNode,
    place: Place,
    seed: int,
    on_row: Callable[[Row], None],
    stop: threading.Event,
    workspace: Workspace,
    server: ForkServer | None,
) -> Execution:
    stage, budget, sandbox = workspace.stage(place.modules), place.budget, place.kernels.sandbox
    probe = Probe(place.probe, place.inputs, stage)
    try:
        shutil.copytree(place.world, stage.world)
        argv = sandbox.argv(sandbox.kernel(budget), stage.evidence, place.kernels.katas, workspace)
        started = time.monotonic()
        with (place.run_dir / "kernel.log").open("wb") as log:
            km = LabKernelManager(stage, argv, partial(server.fork, stage, budget) if server else None)
            session = Session(km, stage.environment(), log, started + budget.notebook_s, probe.bring)
            kill = partial(end, km, sandbox.sandboxed, server)
            watchdog = Watchdog(session, stage.evidence, workspace, budget, kill, stop, on_row)
            with probe, watchdog:
                outcome, message = _executed(notebook, place, session, stage, seed)
        if watchdog.killed_for:
            outcome, message = watchdog.killed_for
        if session.cell and outcome not in ("completed", "cell_error", "cancelled"):
            message += f", {_where(session.cell)}"
        elapsed_s = time.monotonic() - started - session.waited_s
        _take(stage.evidence, place.run_dir / "evidence")
        probe.leave(place.run_dir / "evidence")
    finally:
        stage.clear()
    cell = session.cell.id if session.cell else None
    return Execution(outcome, cell, message, elapsed_s, round(watchdog.peak_memory_gib, 3), place.run_dir)


def _take(left: Path, evidence: Path) -> None:
    """Move a kernel's evidence to its run's folder, where no kernel can reach it."""
    # The learner's code may have replaced the folder by a link to another run.
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
        return "timeout", too_late(place.budget)
    except (DeadKernelError, RuntimeError) as e:
        # RuntimeError: the kernel died before it answered for the first time.
        return "kernel_died", f"the kernel died ({str(e).splitlines()[0] if str(e) else type(e).__name__})"


def _ended(notebook: NotebookNode, session: Session) -> tuple[Outcome, str]:
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    if skipped := [cell for cell in code if cell.id not in session.finished]:
        return "cell_error", f"the kernel exited early: the cell {begins(skipped[0])} did not run to its end"
    return "completed", ""


def _raised(error: PapermillExecutionError, session: Session) -> tuple[Outcome, str]:
    message = f"{error.ename}: {error.evalue}"
    if error.ename == "MemoryError" or "can't allocate memory" in error.evalue:
        return "out_of_memory", message
    # The last frame that lies in a cell; the frames below it are a library's.
    frames = re.findall(r"Cell In\[(\d+)\], line (\d+)", ANSI.sub("", "\n".join(error.traceback)))
    if not frames or int(frames[-1][0]) > len(session.counted):
        return "cell_error", f"{message}, {_where(session.cell)}" if session.cell else message
    cell, line = session.counted[int(frames[-1][0]) - 1], int(frames[-1][1])
    text = cell.source.splitlines()[line - 1 : line]
    return "cell_error", f"{message}, {_where(cell)}, line {line}: {text[0].strip() if text else ''}"


def _where(cell: NotebookNode) -> str:
    return "while the judge called the learner's functions" if cell.id == PROBE_CELL else f"in the cell {begins(cell)}"
