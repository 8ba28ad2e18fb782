"""The harness's side of the fork server: a process that has imported what notebooks import and forks kernels on request.

Its other side, inside the sandbox, is launch.py. A fork takes 20 ms, where a fresh kernel imports for two to four seconds.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil

from harness.course.kata import Budget, Kata
from harness.sandbox.bubblewrap import FILE_MIB, LAUNCH, Sandbox, Stage, Workspace, find_sandbox, plain_environment

UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)
READY_S = 60.0
UP_S = 30.0
GONE_S = 3.0
LISTEN_S = 0.05


class NoFork(Exception):
    """The fork server cannot start a kernel; start a separate one."""


class ForkServer:
    """`launch.py serve MODULE...` in its own sandbox, alive for a with block. It imports while its caller continues."""

    def __init__(self, sandbox: Sandbox, katas: Path, modules: Sequence[str]) -> None:
        self.workspace = Workspace()
        stage = self.workspace.stage()
        home, folder = stage.scratch / "home", stage.files
        self._lock = threading.Lock()
        self._server: psutil.Process | None = None
        self._kernels: list[ForkedProcess] = []
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._process = subprocess.Popen(
            sandbox.argv([sys.executable, str(LAUNCH), "serve", *modules], folder, katas, self.workspace),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=plain_environment() | {"HOME": str(home), "IPYTHONDIR": str(home / ".ipython")},
            cwd=folder,
            # Ctrl-C is the harness's business: it closes what it opened.
            start_new_session=True,
        )
        theirs.close()

    def fork(self, stage: Stage, budget: Budget, connection_file: str, log: int) -> ForkedProcess:
        """Start a kernel and return when it listens; raises NoFork when it did not start."""
        request = {
            "environment": stage.environment(),
            "folder": str(stage.evidence),
            "modules": stage.modules,
            "connection_file": connection_file,
            "memory_gib": budget.memory_gib,
            "file_mib": FILE_MIB,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            with theirs, self._lock:
                with _refusals():
                    socket.send_fds(self._requests, [json.dumps(request).encode()], [theirs.fileno(), log])
                theirs.close()
                process = ForkedProcess(ours)
                self._kernels = [k for k in self._kernels if k.poll() is None] + [process]
            process.wait_until_up()
        except NoFork:
            ours.close()
            raise
        return process

    def wait_until_ready(self) -> None:
        """Return when everything is imported; raises NoFork when the server has ended, or cannot fork safely."""
        with self._lock, _refusals():
            if self._server is None:
                word, pid = _hear(self._requests, READY_S)
                if word != "ready":
                    raise NoFork("the fork server ended before it was ready")
                with suppress(psutil.Error):
                    self._server = psutil.Process(pid)
        if self._process.poll() is not None:
            raise NoFork("the fork server has ended")

    def sweep(self) -> None:
        """Kill processes that ended kernels left behind, and wait for their end; running kernels are not touched."""
        with self._lock:
            while strays := list(self._strays()):
                for stray in strays:
                    with suppress(psutil.Error):
                        stray.kill()
                if not gone(strays, GONE_S):
                    return

    def _strays(self) -> Iterator[psutil.Process]:
        """Descendants of the server that do not belong to a running kernel."""
        spared = {k.pid for k in self._kernels if k.poll() is None}
        for child in _children(self._server) if self._server else []:
            if child.pid not in spared and _alive(child):
                yield child
                yield from _children(child, recursive=True)

    def close(self) -> None:
        """End the server and all its kernels."""
        family = []
        with suppress(psutil.Error):
            family = psutil.Process(self._process.pid).children(recursive=True)
        with suppress(OSError):
            self._requests.shutdown(socket.SHUT_WR)
        try:
            # One that still imports would notice late.
            self._process.wait(GONE_S if self._server else 0)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        # Whoever still dies holds the other end.
        self._requests.settimeout(GONE_S)
        with suppress(OSError):
            while self._requests.recv(64):
                pass
        self._requests.close()
        gone(family, GONE_S)
        self.workspace.close()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the socket errors of an ended server into NoFork."""
    try:
        yield
    except OSError as e:
        raise NoFork(f"the fork server does not answer: {e}") from None


def _hear(channel: socket.socket, timeout: float | None) -> tuple[str, int]:
    """Return the next message, empty at its end, and the sender's process id outside the sandbox."""
    channel.settimeout(timeout)
    word, ancillary, *_ = channel.recvmsg(64, socket.CMSG_SPACE(UCRED.size))
    pids = [UCRED.unpack(data[: UCRED.size])[0] for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS]
    return word.decode(), pids[0] if pids else 0


class ForkedProcess:
    """The parent of a forked kernel, with the part of subprocess.Popen that jupyter_client's provisioner uses."""

    stdin = stdout = stderr = None

    def __init__(self, channel: socket.socket) -> None:
        self._channel, self._lock = channel, threading.Lock()
        self._up = False
        self.returncode: int | None = None
        with _refusals():
            word, self.pid = _hear(channel, UP_S)
        if word != "parent":
            raise NoFork("the fork server did not fork")

    def wait_until_up(self) -> None:
        """Return when the kernel's sockets are bound; raises NoFork when they never are."""
        deadline = time.monotonic() + UP_S
        while not self._up:
            self._listen(LISTEN_S)
            if self.returncode is not None or time.monotonic() > deadline:
                raise NoFork("the kernel ended before it was up")

    def _listen(self, timeout: float) -> None:
        """Read a message that arrives within `timeout`, if any; several threads may wait for one kernel."""
        with self._lock:
            if self.returncode is not None or not select.select([self._channel], [], [], timeout)[0]:
                return
            try:
                word, _ = _hear(self._channel, None)
            except OSError:
                word = ""
            if word == "up":
                self._up = True
                return
            # Killed before it could say a code: as Popen says it.
            self.returncode = int(word.split()[1]) if word.startswith("ended ") else -signal.SIGKILL
            self._channel.close()

    def poll(self) -> int | None:
        self._listen(0)
        self._listen(0)  # `up` may stand before the end
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until all processes of the kernel have ended; raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + (math.inf if timeout is None else timeout)
        while self.returncode is None:
            self._listen(LISTEN_S)
            if self.returncode is None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _children(process: psutil.Process, recursive: bool = False) -> list[psutil.Process]:
    try:
        return process.children(recursive=recursive)
    except psutil.Error:
        return []


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def gone(processes: Sequence[psutil.Process], timeout: float) -> bool:
    """Wait until processes have ended; return whether all have.

    Not psutil.wait_procs: whoever inherits an orphan may take a second or two to collect it, and a zombie does nothing.
    """
    deadline = time.monotonic() + timeout
    while any(_alive(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@dataclass(frozen=True)
class Kernels:
    """How kernels start: their sandbox, and the process that they are forked from, if there is one."""

    sandbox: Sandbox
    katas: Path
    """The folder of katas whose answers are hidden from them."""
    server: ForkServer | None = None

    def wait_until_ready(self) -> None:
        """Return when kernels can start without delay, or the server has failed."""
        if self.server:
            with suppress(NoFork):
                self.server.wait_until_ready()


@contextmanager
def kernels_for(katas: Sequence[Kata], *, cold: bool = False) -> Iterator[Kernels]:
    """Start the process that kernels for these katas, of one folder, will be forked from, and end it after the with block.

    Kernels are cold, each a process that imports for itself, when asked for and where a process cannot be forked after its imports.
    """
    sandbox, folder = find_sandbox(), katas[0].folder.parent
    if cold or sys.platform != "linux":
        yield Kernels(sandbox, folder)
        return
    with ForkServer(sandbox, folder, imports_of(katas)) as server:
        yield Kernels(sandbox, folder, server)


IMPORT = re.compile(r"^(?:from|import) ([\w.]+)", re.MULTILINE)


def imports_of(katas: Sequence[Kata]) -> list[str]:
    """Return the modules that the notebooks of katas import."""
    found = (name for kata in katas for name in IMPORT.findall((kata.meta / "notebook.py").read_text(encoding="utf-8")))
    return list(dict.fromkeys(found))
