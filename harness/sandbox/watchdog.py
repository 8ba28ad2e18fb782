"""Observe a run from outside: its telemetry as it is written, its memory and disk, its deadline, its end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import psutil

from harness.course.kata import Budget
from harness.sandbox.bubblewrap import Workspace
from harness.sandbox.engine import LabKernelManager, Session
from harness.sandbox.forkserver import ForkedProcess, ForkServer, gone

Row = dict[str, Any]
Outcome = Literal["completed", "cell_error", "timeout", "out_of_memory", "out_of_disk", "kernel_died", "cancelled"]
GRACE_S = 5.0
LOOK_EVERY_S = 0.1
MEASURE_EVERY_S = 0.5
MAX_EVIDENCE_GIB = 1.0
MAX_EVIDENCE_FILES = 10_000
SWEEP_S = 3.0
TAIL_BYTES = 4 * 2**20


class Watchdog:
    """Follows a run from its own thread: telemetry, memory, disk and the deadline, which papermill may miss."""

    def __init__(  # noqa: PLR0913  # whatever may end a run
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

    def __enter__(self) -> Watchdog:
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
        if time.monotonic() > self._session.deadline + GRACE_S:
            return "timeout", too_late(self._budget)
        if not measure:
            return None
        memory_gib = _memory_gib(self._session.km)
        self.peak_memory_gib = max(self.peak_memory_gib, memory_gib)
        if memory_gib > self._budget.memory_gib:
            return "out_of_memory", f"the run used {memory_gib:.1f} GiB of memory; its limit is {self._budget.memory_gib:g} GiB"
        files, gib = _disk_use(*self._workspace.folders)
        if gib > MAX_EVIDENCE_GIB or files > MAX_EVIDENCE_FILES:
            return (
                "out_of_disk",
                f"the run wrote {gib:.1f} GiB in {files} files; the limit is {MAX_EVIDENCE_GIB:g} GiB in {MAX_EVIDENCE_FILES} files",
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
    """The process that was started: the kernel or its parent."""
    return getattr(km.provisioner, "process", None) if km.provisioner else None


def _processes(km: LabKernelManager) -> list[psutil.Process]:
    if (process := _process(km)) is None:
        return []
    try:
        root = psutil.Process(process.pid)
        # The parent of a forked kernel uses no memory of its own.
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


def end(km: LabKernelManager, sandboxed: bool, server: ForkServer | None) -> None:
    """Kill the kernel and wait until all its processes have ended."""
    if (process := _process(km)) is None:
        return
    alive = _processes(km)
    if server or (not sandboxed and sys.platform == "linux"):
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
    # In the sandbox the first process of its namespace dies a moment after bubblewrap, and all others with it.
    gone(alive, SWEEP_S)


def too_late(budget: Budget) -> str:
    return f"the notebook exceeded its limit of {budget.notebook_s:g} s"
