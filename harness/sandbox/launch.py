"""Start kernels inside the sandbox: a single one, or one per request from a process that has imported everything.

    launch.py kernel MEMORY_GIB FILE_MIB SWEEP IPYKERNEL-ARGUMENTS
    launch.py serve MODULE...            reads requests of harness.sandbox.forkserver from standard input, a Unix socket

This is a script that runs by path, so that the kernel's process imports nothing of the harness. Each kernel has limits. With SWEEP, and
when served, it also has a parent process, which kills all the kernel's descendants when the kernel ends or must stop, including those
that called setsid.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
PR_SET_PDEATHSIG = 1
REQUEST_BYTES = 2**18
KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", "ipykernel.debugger")
IMPORTED_AT_FIRST_USE = {"torch": "torch._dynamo"}
"""The first step of an optimizer imports it, and takes longer than importing torch."""
INLINE = "module://matplotlib_inline.backend_inline"
"""ipykernel sets this for its kernels; here matplotlib is imported earlier and needs it already."""


def limit(memory_gib: float, file_mib: float) -> None:
    """Limit the address space and the file size; child processes inherit both limits.

    torch and matplotlib reserve 1.4 GiB of address space for 0.35 GiB of memory, so 1.5 GiB are added.
    """
    address_space = int((memory_gib + 1.5) * 2**30)
    # macOS refuses RLIMIT_AS.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    file_size = int(file_mib * 2**20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Without this a write beyond the limit kills the kernel; with it, it is an OSError in the learner's cell.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def adopt() -> None:
    """Become the parent of the orphans among this process's descendants."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(by: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, by)


def watch_over(kernel: int) -> int:
    """Wait for the kernel's end, or end it on SIGTERM; return its exit code when all its processes have ended.

    SIGTERM and SIGCHLD must be blocked since before the kernel was started.
    """
    code = None
    while code is None:
        if signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) == signal.SIGTERM:
            os.kill(kernel, signal.SIGKILL)
        code = _reap(kernel)
    kill_children()
    return code


def kill_children() -> None:
    """Kill all children, including orphans that become children, until none are left."""
    while children := _children():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _reap(kernel: int) -> int | None:
    """Collect ended children; return the kernel's exit code if it is among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == kernel:
                code = os.waitstatus_to_exitcode(ended[1])
    return code


def _children() -> list[int]:
    """All children of this process, orphans of the kernel included."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat") as stat:
                # The command's name, in brackets, may hold spaces and brackets.
                if int(stat.read().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found


def start_one(memory_gib: str, file_mib: str, sweeps: str, *arguments: str) -> NoReturn:
    """Become a kernel, or the parent that sweeps after it."""
    limit(float(memory_gib), float(file_mib))
    kernel = [sys.executable, "-m", "ipykernel_launcher", *arguments]
    if sweeps != "sweep" or sys.platform != "linux":
        os.execv(kernel[0], kernel)
    adopt()
    die_with_parent(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    sys.exit(watch_over(os.posix_spawn(kernel[0], kernel, os.environ, setsigmask=[])) & 0xFF)


def with_first_uses(modules: list[str]) -> list[str]:
    """Add modules that others import at first use."""
    return [*modules, *(IMPORTED_AT_FIRST_USE[name] for name in modules if name in IMPORTED_AT_FIRST_USE)]


def serve(modules: list[str]) -> NoReturn:
    """Import what kernels need, then fork one per request until the other side closes."""
    os.environ.setdefault("MPLBACKEND", INLINE)
    before = dict(os.environ)
    gc.disable()  # It would look through all that is imported, again and again: a tenth of the time.
    for name in (*KERNEL, *with_first_uses(modules)):
        # What cannot be imported here is the notebook's to meet.
        with suppress(ImportError):
            importlib.import_module(name)
    if len(os.listdir("/proc/self/task")) > 1:
        sys.exit("an import started a thread, and a process with threads cannot be forked safely")
    # An import may set a variable, and in a fresh kernel it would.
    imported = {name: value for name, value in os.environ.items() if before.get(name) != value}
    adopt()
    # What was imported is never freed: without this, each kernel's first collection would write to all of it.
    gc.enable()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    requests = socket.socket(fileno=os.dup(0))
    requests.send(b"ready")
    while True:
        request, descriptors, *_ = socket.recv_fds(requests, REQUEST_BYTES, 2)
        if not request:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            kill_children()
            os._exit(0)
        if os.fork() == 0:
            asked = json.loads(request)
            _keep(asked | {"environment": imported | asked["environment"]}, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(request: dict[str, Any], channel: int, log: int) -> NoReturn:
    """Be the parent of one kernel, in its own session: report when it is up, and its exit code."""
    code = 1
    try:
        os.setsid()
        adopt()
        die_with_parent(signal.SIGTERM)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
        os.dup2(log, 1)
        os.dup2(log, 2)
        said = socket.socket(fileno=channel)
        said.send(b"parent")
        limit(request["memory_gib"], request["file_mib"])
        if (kernel := os.fork()) == 0:
            _become_kernel(request, said)
        code = watch_over(kernel)
        said.send(f"ended {code}".encode())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code & 0xFF)


def _become_kernel(request: dict[str, Any], said: socket.socket) -> NoReturn:
    """Be a kernel like a new process: with its own descriptors, environment, folder and random state."""
    code = 1
    try:
        die_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said.detach(), 3)
        os.closerange(4, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.path += request["modules"]
        if "numpy.random" in sys.modules:  # Python's `random` reseeds itself after a fork; numpy does not.
            sys.modules["numpy.random"].seed()
        sys.argv = ["ipykernel_launcher.py", "-f", request["connection_file"]]
        from ipykernel.kernelapp import IPKernelApp

        app = IPKernelApp.instance()
        app.initialize(sys.argv[1:])
        os.write(3, b"up")
        os.close(3)
        app.start()
        code = 0
    except SystemExit as e:
        code = e.code if isinstance(e.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def main() -> None:
    # Not the harness's folder, whose modules are not the kernel's business.
    sys.path.pop(0)
    mode, *arguments = sys.argv[1:]
    if mode == "serve":
        serve(arguments)
    start_one(*arguments)


if __name__ == "__main__":
    main()
