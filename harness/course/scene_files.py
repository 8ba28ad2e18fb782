"""The folder of files that a run stands in, and the one that a probe is asked with: built once for each content and seed."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fixtures import scene
from fixtures.recording.journal import runs_folder
from fixtures.seeds import number_of
from harness.course.errors import KataError
from harness.course.kata import Kata, shown
from harness.course.keys import scene_key


def world_for(kata: Kata, seed: int) -> Path:
    """Return the world of a seed, built now if it was not yet; raises KataError with the scene script's own words."""
    return _built(kata, seed, "worlds", "build")


def inputs_for(kata: Kata, seed: int) -> Path | None:
    """Return the hidden inputs of a seed for the kata's probe, in the same way; None for a kata without probe."""
    return _built(kata, seed, "inputs", "inputs") if kata.probe else None


def _built(kata: Kata, seed: int, kind: str, function: str) -> Path:
    script = kata.meta / "scene.py"
    # The number that is drawn from, too: with another key, a held-out seed is another scene.
    content = scene_key(kata) + str(number_of(seed))
    folder: Path = runs_folder() / kata.slug / kind / f"{seed}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        with _alone(runs_folder() / kata.slug / f".{kind}-{seed}.lock"):
            _build(script, seed, folder, function)
    return folder


def _build(script: Path, seed: int, folder: Path, function: str) -> None:
    if folder.is_dir():
        return
    try:
        scene.build(script, seed, folder, function)
    except subprocess.CalledProcessError as e:
        raise KataError(f"{shown(script)}: {function}({seed}) failed: {e.stderr.strip().splitlines()[-1]}") from None


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other thread or process holds the lock: a scene may take ten seconds, and is not built twice side by side."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
