"""What a learner's kernel may touch: bubblewrap where it works; elsewhere limits, and a sweep of what it leaves behind.

In the cage there is no network, the machine is read-only, the answers (`.meta/`, `fixtures/faults`, git's history) and other
runs are not there, only the run's own evidence folder can be written to, and nothing outlives the kernel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fixtures.journal import REPOSITORY, runs_folder
from harness.kata import Budget

FILE_MIB = 256
"""The largest file that a run may write."""
TMP_MIB = 512
LAUNCH = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Cage:
    """How kernels are confined on this machine."""

    caged: bool
    why_not: str
    """What is missing and the remedy; empty when caged."""

    def argv(self, budget: Budget, katas: Path, evidence: Path, world: Path, scratch: Path) -> list[str]:
        """Return the command that starts a kernel. `scratch` holds its sockets and its home, and is thrown away after it."""
        (scratch / "home").mkdir()
        _lend_font_cache(scratch / "home")
        sweep = "exec" if self.caged else "sweep"
        kernel = [sys.executable, str(LAUNCH), str(budget.memory_gib), str(FILE_MIB), sweep, "-f", "{connection_file}"]
        return [*_bubblewrap(katas, evidence, world, scratch), *kernel] if self.caged else kernel

    def environment(self, evidence: Path, world: Path, scratch: Path) -> dict[str, str]:
        """Return the variables of the kernel's process."""
        home = scratch / "home"
        own = {"KATA_RUN": evidence, "KATA_WORLD": world, "KATA_PROBE": probe_folder(scratch)}
        own |= {"HOME": home, "IPYTHONDIR": home / ".ipython", "PYTHONPATH": REPOSITORY}
        # One thread: runs side by side do not compete, and the same seed gives the same bits.
        return os.environ | {k: str(v) for k, v in own.items()} | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def probe_folder(scratch: Path) -> Path:
    """Return where a kernel will find what the judge asks: it is there only when the notebook's last cell has run."""
    return scratch / "probe"


def find_cage() -> Cage:
    """Try bubblewrap: some hosts lack it, some refuse the namespaces it needs."""
    if os.environ.get("KATA_UNCAGED"):
        return Cage(False, "KATA_UNCAGED is set")
    if shutil.which("bwrap") is None:
        return Cage(False, "bubblewrap is not installed; on Debian or Ubuntu: apt-get install bubblewrap")
    trial = ["bwrap", *NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    if tried.returncode:
        remedy = "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or an AppArmor profile for bwrap)"
        return Cage(False, f"this host refuses bubblewrap ({tried.stderr.strip()}); {remedy}")
    return Cage(True, "")


NAMESPACES = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent")


def _bubblewrap(katas: Path, evidence: Path, world: Path, scratch: Path) -> list[str]:
    empty = scratch / "empty"
    empty.mkdir()
    # Tests' copies, virtual environments and checkouts may lie under what is emptied here: they are put back.
    emptied = [f for f in (Path("/tmp"), Path("/dev/shm"), Path.home()) if f.is_dir() and f != f.parent]
    needed = [Path(sys.prefix), Path(sys.base_prefix), REPOSITORY, katas.resolve()]
    mounts = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for folder in emptied:
        mounts += ["--size", str(TMP_MIB * 2**20), "--tmpfs", str(folder)]
    for folder in needed:
        if any(folder.is_relative_to(e) for e in emptied):
            mounts += ["--ro-bind", str(folder), str(folder)]
    for folder in _answers(katas.resolve()):
        mounts += ["--ro-bind", str(empty), str(folder)]
    # A read-only tmpfs, not the empty folder: mount points are made in it first.
    runs = runs_folder()
    if runs.is_dir():
        mounts += ["--tmpfs", str(runs)]
    mounts += ["--bind", str(evidence), str(evidence), "--ro-bind", str(world), str(world), "--bind", str(scratch), str(scratch)]
    if runs.is_dir():
        mounts += ["--remount-ro", str(runs)]
    return ["bwrap", *NAMESPACES, *mounts, "--unsetenv", "JPY_PARENT_PID", "--chdir", str(evidence), "--"]


def _answers(katas: Path) -> Iterable[Path]:
    """What a learner's code must not read: the katas' answers, the faults' sources, and git's copies of both."""
    own = [REPOSITORY / ".git", katas.parent / ".git", REPOSITORY / "fixtures" / "faults", REPOSITORY / "tests"]
    found = sorted({f for f in [*own, *katas.glob("*/.meta"), *(REPOSITORY / "katas").glob("*/.meta")] if f.is_dir()})
    return [f for f in found if not any(f != other and f.is_relative_to(other) for other in found)]


def _lend_font_cache(home: Path) -> None:
    """Copy matplotlib's list of fonts, which it takes a second to make, into a kernel's fresh home."""
    cache = Path(os.environ.get("MPLCONFIGDIR") or Path.home() / ".cache" / "matplotlib")
    for path in cache.glob("fontlist-*.json"):
        (home / ".cache" / "matplotlib").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, home / ".cache" / "matplotlib")
