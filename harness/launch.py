"""Start a kernel under limits: `python launch.py MEMORY_GIB FILE_MIB SWEEP IPYKERNEL-ARGUMENTS`.

A script of its own, run by path, so that the kernel's process imports nothing of the harness. With SWEEP it stays as the
kernel's parent and, when the kernel ends or it is told to stop, kills whatever the kernel started, also what called setsid.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
PR_SET_PDEATHSIG = 1


def limit(memory_gib: float, file_mib: float) -> None:
    """Bound the address space and the size of a file; child processes inherit both.

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


def sweep(kernel: list[str]) -> int:
    """Run the kernel as a child; return its exit code when nothing that it started is left."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    pid = os.posix_spawn(kernel[0], kernel, os.environ, setsigmask=[])
    code = None
    while code is None:
        if signal.sigwait({signal.SIGTERM, signal.SIGCHLD}) == signal.SIGTERM:
            os.kill(pid, signal.SIGKILL)
        code = _reap(pid)
    while children := _children():
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)
    return code


def _reap(kernel: int) -> int | None:
    """Collect whoever has ended; return the kernel's exit code if it is among them."""
    code = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == kernel:
                code = os.waitstatus_to_exitcode(ended[1])
    return code


def _children() -> list[int]:
    """All processes whose parent is this one: orphans of the kernel's come here too."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat") as stat:
                # The command's name, in brackets, may hold spaces and brackets.
                if int(stat.read().rpartition(")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found


def main() -> None:
    memory_gib, file_mib, sweeps, *arguments = sys.argv[1:]
    limit(float(memory_gib), float(file_mib))
    kernel = [sys.executable, "-m", "ipykernel_launcher", *arguments]
    if sweeps == "sweep" and sys.platform == "linux":
        sys.exit(sweep(kernel) & 0xFF)
    os.execv(kernel[0], kernel)


if __name__ == "__main__":
    main()
