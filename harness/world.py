"""The folder of files that a run stands in, built once for each content and seed."""

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
    script = kata.meta / "scene.py"
    world: Path = runs_folder() / kata.slug / "worlds" / f"{seed}-{content_hash([script, *fixtures_files()])[:12]}"
    if not world.is_dir():
        try:
            scene.build(script, seed, world)
        except subprocess.CalledProcessError as e:
            raise KataError(f"{shown(script)}: build({seed}) failed: {e.stderr.strip().splitlines()[-1]}") from None
    return world


def fixtures_files() -> list[Path]:
    """Return the sources that every world and run depends on."""
    return sorted((REPOSITORY / "fixtures").rglob("*.py"))


def content_hash(files: Iterable[Path]) -> str:
    """Return a hash of the files' names and contents."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
