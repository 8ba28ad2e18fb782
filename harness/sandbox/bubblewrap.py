"""Confine a learner's kernel: with bubblewrap where it works, elsewhere with limits and a sweep of leftover processes.

In the sandbox there is no network and the machine is read-only. The answers (`.meta/`, `fixtures/faults`, git's history) and other
runs are hidden, only the workspace is writable, and no process outlives the kernel.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fixtures.recording.journal import REPOSITORY, runs_folder
from harness.course.kata import Budget

FILE_MIB = 256
"""The largest file that a run may write."""
TMP_MIB = 512
LAUNCH = Path(__file__).with_name("launch.py")


STAGE = ".stage-"
ABANDONED_S = 86400.0


def _forget_abandoned(runs: Path) -> None:
    """Remove the leftovers of a killed harness."""
    for folder in runs.glob(f"{STAGE}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)


class Workspace:
    """Everything that a sandbox can write to: a folder with a short path for sockets and homes, and one beside the runs for evidence.

    A Unix socket's path has at most 107 bytes, however long the checkout's path is.
    """

    def __init__(self) -> None:
        runs = runs_folder()
        runs.mkdir(parents=True, exist_ok=True)
        self._short = tempfile.TemporaryDirectory(prefix="kata-", dir="/tmp" if Path("/tmp").is_dir() else None)
        _forget_abandoned(runs)
        self._files = tempfile.TemporaryDirectory(prefix=STAGE, dir=runs)
        self._numbers = itertools.count()
        self.worlds.mkdir()

    @property
    def folders(self) -> tuple[Path, Path]:
        return Path(self._short.name), Path(self._files.name)

    @property
    def worlds(self) -> Path:
        """Read-only in the sandbox."""
        return Path(self._files.name) / "worlds"

    def stage(self, modules: Sequence[str] = ()) -> Stage:
        """Make the folders of another kernel, which finds a kata's own modules in `modules`."""
        short, files = self.folders
        name = str(next(self._numbers))
        stage = Stage(short / name, files / name, self.worlds / name, tuple(modules))
        stage.evidence.mkdir(parents=True)
        home = stage.scratch / "home"
        home.mkdir(parents=True)
        _lend_font_cache(home)
        return stage

    def close(self) -> None:
        self._short.cleanup()
        self._files.cleanup()


@dataclass(frozen=True)
class Stage:
    """The folders of one kernel."""

    scratch: Path
    """Its sockets and its home; has a short path."""
    files: Path
    """Holds its evidence."""
    world: Path
    modules: tuple[str, ...]
    """Folders of the kata's own modules."""

    @property
    def evidence(self) -> Path:
        return self.files / "evidence"

    @property
    def probe(self) -> Path:
        """The inputs of the probe; present only after the notebook's last cell."""
        return self.scratch / "probe"

    def environment(self) -> dict[str, str]:
        """Return the kernel's environment variables."""
        home = self.scratch / "home"
        own = {"KATA_RUN": self.evidence, "KATA_WORLD": self.world, "KATA_PROBE": self.probe, "HOME": home, "IPYTHONDIR": home / ".ipython"}
        plain = plain_environment()
        path = {"PYTHONPATH": os.pathsep.join([plain["PYTHONPATH"], *self.modules])}
        return plain | path | {k: str(v) for k, v in own.items()}

    def clear(self) -> None:
        for folder in (self.scratch, self.files, self.world):
            shutil.rmtree(folder, ignore_errors=True)


def plain_environment() -> dict[str, str]:
    """Return the environment variables of every process in a sandbox."""
    # One thread: runs side by side do not compete, and the same seed gives the same bits.
    return os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Sandbox:
    """How kernels are confined on this machine."""

    sandboxed: bool
    why_not: str
    """What is missing, and the remedy; empty when sandboxed."""

    def argv(self, command: Sequence[str], folder: Path, katas: Path, workspace: Workspace) -> list[str]:
        """Return the command that runs `command` in the sandbox, in a folder; the answers in `katas` are hidden."""
        return [*_bubblewrap(katas, workspace), "--chdir", str(folder), "--", *command] if self.sandboxed else [*command]

    def kernel(self, budget: Budget) -> list[str]:
        """Return the command that starts a kernel; jupyter_client fills in {connection_file}."""
        sweep = "exec" if self.sandboxed else "sweep"
        return [sys.executable, str(LAUNCH), "kernel", str(budget.memory_gib), str(FILE_MIB), sweep, "-f", "{connection_file}"]


def find_sandbox() -> Sandbox:
    """Try bubblewrap: some hosts lack it, some refuse the namespaces it needs."""
    if os.environ.get("KATA_UNSANDBOXED"):
        return Sandbox(False, "KATA_UNSANDBOXED is set")
    if shutil.which("bwrap") is None:
        return Sandbox(False, "bubblewrap is not installed; on Debian or Ubuntu: apt-get install bubblewrap")
    trial = ["bwrap", *NAMESPACES, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    if tried.returncode:
        remedy = "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or an AppArmor profile for bwrap)"
        return Sandbox(False, f"this host refuses bubblewrap ({tried.stderr.strip()}); {remedy}")
    return Sandbox(True, "")


NAMESPACES = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent")


def _bubblewrap(katas: Path, workspace: Workspace) -> list[str]:
    short, files = workspace.folders
    empty = short / "empty"
    empty.mkdir(exist_ok=True)
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
    mounts += ["--tmpfs", str(runs), "--bind", str(files), str(files), "--bind", str(short), str(short), "--remount-ro", str(runs)]
    mounts += ["--ro-bind", str(workspace.worlds), str(workspace.worlds)]
    return ["bwrap", *NAMESPACES, *mounts, "--unsetenv", "JPY_PARENT_PID"]


def _answers(katas: Path) -> Iterable[Path]:
    """Folders that a learner's code must not read: the katas' answers, the faults' sources, and git's copies of both."""
    own = [REPOSITORY / ".git", katas.parent / ".git", REPOSITORY / "fixtures" / "faults", REPOSITORY / "tests"]
    found = sorted({f for f in [*own, *katas.glob("*/.meta"), *(REPOSITORY / "katas").glob("*/.meta")] if f.is_dir()})
    return [f for f in found if not any(f != other and f.is_relative_to(other) for other in found)]


def _lend_font_cache(home: Path) -> None:
    """Copy matplotlib's font list, which takes a second to build, into a kernel's new home."""
    cache = Path(os.environ.get("MPLCONFIGDIR") or Path.home() / ".cache" / "matplotlib")
    for path in cache.glob("fontlist-*.json"):
        (home / ".cache" / "matplotlib").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, home / ".cache" / "matplotlib")
