"""The folder of files that a run stands in, and the one that a probe is asked with: built once for each content and seed."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from pathlib import Path

from fixtures import scene
from fixtures.journal import REPOSITORY, runs_folder
from harness.errors import KataError
from harness.kata import Kata, shown


def world_for(kata: Kata, seed: int) -> Path:
    """Return the world of a seed, built now if it was not yet; raises KataError with the scene script's own words."""
    return _built(kata, seed, "worlds", "build")


def inputs_for(kata: Kata, seed: int) -> Path | None:
    """Return the hidden inputs of a seed for the kata's probe, in the same way; None for a kata without probe."""
    return _built(kata, seed, "inputs", "inputs") if kata.probe else None


def _built(kata: Kata, seed: int, kind: str, function: str) -> Path:
    script = kata.meta / "scene.py"
    folder: Path = runs_folder() / kata.slug / kind / f"{seed}-{content_hash([script, *fixtures_files()])[:12]}"
    if not folder.is_dir():
        try:
            scene.build(script, seed, folder, function)
        except subprocess.CalledProcessError as e:
            raise KataError(f"{shown(script)}: {function}({seed}) failed: {e.stderr.strip().splitlines()[-1]}") from None
    return folder


def fixtures_files() -> list[Path]:
    """Return the sources that every world and run depends on."""
    return sorted((REPOSITORY / "fixtures").rglob("*.py"))


def content_hash(files: Iterable[Path]) -> str:
    """Return a hash of the files' names and contents."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
