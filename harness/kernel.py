"""Run one notebook in a kernel of its own and say what happened; the learner's code never raises here."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nbformat
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from harness.engine import Session, execute, kernel_manager, socket_folder
from harness.kata import Budget

Row = dict[str, Any]
Outcome = Literal["completed", "cell_error", "timeout", "out_of_memory", "kernel_died", "cancelled"]
WATCHDOG_GRACE_S = 5.0
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
    run_dir: Path
    """Holds input.ipynb, executed.ipynb and `evidence`, which the kernel wrote."""

    @property
    def evidence(self) -> Path:
        return self.run_dir / "evidence"


def run(
    notebook: NotebookNode,
    run_dir: Path,
    *,
    seed: int,
    world: Path,
    budget: Budget,
    on_row: Callable[[Row], None] = lambda row: None,
    stop: threading.Event | None = None,
) -> Execution:
    """Run `notebook` for `seed` and wait for its end.

    on_row is called, from another thread, with each telemetry row as it is written. Setting `stop` kills the kernel.
    """
    evidence = run_dir / "evidence"
    evidence.mkdir(parents=True)
    nbformat.write(notebook, run_dir / "input.ipynb")
    started = time.monotonic()
    with socket_folder() as sockets, (run_dir / "kernel.log").open("wb") as log:
        km = kernel_manager([sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], Path(sockets))
        session = Session(km, _environment(evidence, world), log, started + budget.notebook_s)
        with _watch(session, evidence, on_row, stop or threading.Event()) as killed_for:
            try:
                execute(notebook, run_dir / "executed.ipynb", {"SEED": seed}, session, evidence)
                outcome, message = _ended(notebook, session)
            except PapermillExecutionError as e:
                outcome, message = _raised(e, session)
            except CellTimeoutError:
                outcome, message = "timeout", f"the notebook used up its {budget.notebook_s:g} s"
            except (DeadKernelError, RuntimeError) as e:
                # RuntimeError: the kernel died before it answered for the first time.
                outcome, message = "kernel_died", f"the kernel died ({str(e).splitlines()[0] if str(e) else type(e).__name__})"
            finally:
                _kill(km)
    if killed_for:
        outcome, message = (
            ("timeout", f"the notebook used up its {budget.notebook_s:g} s") if "time" in killed_for else ("cancelled", "cancelled")
        )
    return Execution(outcome, session.cell, message, time.monotonic() - started, run_dir)


def _environment(evidence: Path, world: Path) -> dict[str, str]:
    own = {"KATA_RUN": str(evidence), "KATA_WORLD": str(world), "IPYTHONDIR": str(evidence / ".ipython")}
    return os.environ | own | {"PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


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


@contextmanager
def _watch(session: Session, evidence: Path, on_row: Callable[[Row], None], stop: threading.Event) -> Iterator[list[str]]:
    """Follow the telemetry and kill the kernel when `stop` is set or papermill overlooks the deadline."""
    over = threading.Event()
    killed_for: list[str] = []

    def follow() -> None:
        tail = _Tail(evidence / "telemetry.jsonl")
        while not over.wait(0.1):
            for row in tail.new_rows():
                on_row(row)
            late = time.monotonic() > session.deadline + WATCHDOG_GRACE_S
            if (stop.is_set() or late) and not killed_for:
                killed_for.append("time" if late else "stop")
                _kill(session.km)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield killed_for
    finally:
        over.set()
        thread.join()


class _Tail:
    """The complete lines that were added to a file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def new_rows(self) -> Iterator[Row]:
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                with suppress(ValueError):
                    if isinstance(row := json.loads(line), dict):
                        yield row


def _kill(km: Any) -> None:
    # Passing km= makes nbclient leave the kernel alive after success, so it ends here in any case.
    process = getattr(km.provisioner, "process", None) if km.provisioner else None
    if process is None:
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError):
        process.kill()
        process.wait()
