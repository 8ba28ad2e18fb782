"""What works on this machine, what is missing, and the remedy."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import psutil

from fixtures.recording.journal import REPOSITORY, runs_folder
from harness.sandbox.bubblewrap import find_sandbox

MIN_FREE_GIB = 2.0
MIN_MEMORY_GIB = 4.0


@dataclass(frozen=True)
class Finding:
    """One examined part of the machine."""

    what: str
    state: Literal["ok", "worse", "missing"]
    """worse: attempts run, with the limitation that `remedy` names."""
    found: str
    remedy: str = ""


def examine_machine() -> list[Finding]:
    """Examine everything that an attempt needs."""
    return [_python(), _torch(), _jupyter(), _bubblewrap(), _cores(), _memory(), _disk(), *_katas()]


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _torch() -> Finding:
    pinned = next(r for r in requires("failure-katas") or [] if r.startswith("torch=="))
    try:
        found = version("torch")
    except PackageNotFoundError:
        return Finding("torch", "missing", "not installed", "remove .venv and rerun make")
    if found.partition("+")[0] != pinned.removeprefix("torch=="):
        return Finding("torch", "worse", found, f"thresholds are calibrated for {pinned}: pip install {pinned}")
    return Finding("torch", "ok", found)


def _jupyter() -> Finding:
    if importlib.util.find_spec("jupyterlab") is None:
        return Finding("JupyterLab", "worse", "not installed", "make lab needs it: pip install jupyter")
    return Finding("JupyterLab", "ok", version("jupyterlab"))


def _bubblewrap() -> Finding:
    sandbox = find_sandbox()
    if not sandbox.sandboxed:
        return Finding("bubblewrap", "worse", "notebooks run unsandboxed", sandbox.why_not)
    return Finding("bubblewrap", "ok", shutil.which("bwrap") or "")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        return Finding("cores", "worse", str(cores), "budgets assume two cores; runs may exceed their time limit")
    return Finding("cores", "ok", str(cores))


def _memory() -> Finding:
    limits = [psutil.virtual_memory().available, *_cgroup_limits()]
    gib = min(limits) / 2**30
    found = f"{gib:.1f} GiB available"
    return (
        Finding("memory", "ok", found)
        if gib >= MIN_MEMORY_GIB
        else Finding("memory", "worse", found, f"{MIN_MEMORY_GIB:g} GiB or more allow two parallel runs")
    )


def _cgroup_limits() -> Iterator[int]:
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        path = Path(name)
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            yield int(text)


def _disk() -> Finding:
    folder = runs_folder()
    exists = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(exists).free / 2**30
    if not os.access(exists, os.W_OK):
        return Finding("runs", "missing", f"{folder} is not writable", "keep runs elsewhere: KATA_RUNS=folder")
    if free < MIN_FREE_GIB:
        return Finding("runs", "worse", f"{free:.1f} GiB free at {folder}", "remove old runs, or keep them elsewhere: KATA_RUNS=folder")
    return Finding("runs", "ok", f"{free:.0f} GiB free at {folder}")


def _katas() -> Iterator[Finding]:
    count = len(list((REPOSITORY / "katas").glob("*/kata.toml")))
    yield Finding("katas", "ok" if count else "missing", f"{count} in {REPOSITORY / 'katas'}", "" if count else "make check KATAS=folder …")
