"""The folder of files that a run stands in, and the one that a probe is asked with: built once for each content and seed."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from fixtures import scene
from fixtures.recording.journal import REPOSITORY, runs_folder
from fixtures.seeds import number_of
from harness.course.errors import KataError
from harness.course.kata import Kata, shown


def world_for(kata: Kata, seed: int) -> Path:
    """Return the world of a seed, built now if it was not yet; raises KataError with the scene script's own words."""
    return _built(kata, seed, "worlds", "build")


def inputs_for(kata: Kata, seed: int) -> Path | None:
    """Return the hidden inputs of a seed for the kata's probe, in the same way; None for a kata without probe."""
    return _built(kata, seed, "inputs", "inputs") if kata.probe else None


def _built(kata: Kata, seed: int, kind: str, function: str) -> Path:
    script = kata.meta / "scene.py"
    # By what it is drawn from, too: another key is another night of the same name.
    content = content_hash([script, *fixtures_of(kata)]) + str(number_of(seed))
    folder: Path = runs_folder() / kata.slug / kind / f"{seed}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        try:
            scene.build(script, seed, folder, function)
        except subprocess.CalledProcessError as e:
            raise KataError(f"{shown(script)}: {function}({seed}) failed: {e.stderr.strip().splitlines()[-1]}") from None
    return folder


def fixtures_of(kata: Kata) -> list[Path]:
    """Return the sources of `fixtures` that a kata's worlds, runs and judgement depend on: what it imports, and what that imports."""
    found = {REPOSITORY / "fixtures" / f"{name}.py" for name in EVERYBODYS}
    read: set[Path] = set()
    new = {p for p in kata.folder.rglob("*.py") if "__pycache__" not in p.parts} | found
    while new:
        read |= new
        found |= {module for path in new for module in _imported(path.read_text(encoding="utf-8"))}
        new = found - read
    return sorted(found)


EVERYBODYS = ("__init__", "recording/__init__", "recording/journal", "recording/artifacts", "scene", "build_scene", "seeds", "probing")
"""Modules of `fixtures` that every run goes through."""
# On text, not on a syntax tree: a percent script holds cells for files and magics as comments.
IMPORT = re.compile(r"(?:from|import)\s+fixtures(?:\.([\w.]+))?(?: +import +(\([\w\s,]+\)|[\w ,]+))?")


def _imported(text: str) -> Iterator[Path]:
    for module, names in IMPORT.findall(text):
        folder = REPOSITORY.joinpath("fixtures", *filter(None, module.split(".")))
        places = [folder.with_suffix(".py"), folder / "__init__.py", *(folder / f"{name}.py" for name in re.findall(r"\w+", names))]
        yield from (path for path in places if path.is_file())


def content_hash(files: Iterable[Path]) -> str:
    """Return a hash of the files' names and contents."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
