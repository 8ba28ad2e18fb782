"""What a kata's worlds, runs, verdicts and proof rest on, each as one hash: whatever changes it makes them stale, and nothing else does."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from harness.course.closure import closure, code, code_closure, content_hash, file_digest
from harness.course.kata import Kata

LOCK = Path(__file__).parents[1] / "constraints.txt"
"""Exact versions of everything that the project needs."""
ABOUT = ("hints.md", "postmortem.md", "notes.md", "proof.json")
"""Files of .meta that no run and no verdict reads."""
NOT_SCENE = (*ABOUT, "proof.toml", "baseline.json")
TEXTS = ("title", "track", "level", "minutes", "goal", "out_of_scope", "source", "spoilers", "failure_class", "why")
"""Keys of kata.toml and proof.toml that change no run and no verdict."""
RUNNING = ("harness.sandbox.kernel", "fixtures.scene", "fixtures.build_scene")
JUDGING = ("harness.judging.oracle", "harness.judging.checks")


def scene_key(kata: Kata) -> str:
    """Return the hash of what a kata's worlds and its probe's inputs are built from, their seed aside."""
    scene = kata.meta / "scene.py"
    return _hash(kata, [*_scene_files(kata), *closure([scene, "fixtures.build_scene"], folders(kata))])


def run_key(kata: Kata, surroundings: str, notebook: NotebookNode, seed: int) -> str:
    """Return the hash of what a run of a notebook depends on, given the `run_surroundings`. Markdown cells count for nothing."""
    cells = [(cell.id, code(cell.source).digest) for cell in notebook.cells if cell.cell_type == "code"]
    rests = code_closure((cell.source for cell in notebook.cells if cell.cell_type == "code"), folders(kata))
    key = [surroundings, _hash(kata, rests), cells, seed]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def run_surroundings(kata: Kata) -> str:
    """Return the hash of what every run of a kata depends on, whatever the notebook."""
    probe = [kata.probe] if kata.probe else []
    budget = kata.toml.budget.model_dump()
    return _sha(scene_key(kata), json.dumps(budget), _hash(kata, closure([*probe, *kata.modules, *RUNNING], folders(kata))))


def verdict_key(kata: Kata, *modules: str) -> str:
    """Return the hash of what a verdict depends on besides the run. modules: of the harness, beside those that judge."""
    baseline = kata.meta / "baseline.json"
    own = [kata.checks, kata.meta / "oracle.py", *kata.modules, *_scene_files(kata)]
    roots: list[Path | str] = [path for path in own if path.exists()]
    measures = json.loads(baseline.read_text(encoding="utf-8"))["measures"] if baseline.exists() else {}
    return _sha(_hash(kata, closure([*roots, *JUDGING, *modules], folders(kata))), json.dumps(measures))


def own_key(kata: Kata) -> str:
    """Return the hash of a kata's own folder, without texts that no run and no verdict reads."""
    return content_hash(own_files(kata), kata.folder, _meaning)


def proof_key(kata: Kata, *modules: str) -> str:
    """Return the hash of everything that a kata's proof rests on. modules: of the harness, beside those that run and judge."""
    files = own_files(kata)
    edits = _strings(tomllib.loads(_text(kata.meta / "proof.toml"))) if (kata.meta / "proof.toml").exists() else ()
    rests = closure([*files, *RUNNING, *JUDGING, *modules], folders(kata))
    return _hash(kata, [*rests, *code_closure(edits, folders(kata))])


def folders(kata: Kata) -> tuple[Path, ...]:
    """Return where a kata's modules lie: in its folder, in .meta, and in the folder of katas, whose packages several may share."""
    return (kata.folder, kata.meta, kata.folder.parent)


def own_files(kata: Kata) -> list[Path]:
    """Return the files of a kata's folder that its runs and verdicts may depend on."""
    found = [p for p in kata.folder.rglob("*") if p.is_file() and not _is_aside(p.relative_to(kata.folder))]
    return sorted(p for p in found if p.suffix not in (".ipynb", ".md", ".pyc") and p.name != "proof.json")


def _is_aside(path: Path) -> bool:
    return path.parts[0] == "world" or any(part.startswith(".") and part != ".meta" for part in path.parts)


def _scene_files(kata: Kata) -> list[Path]:
    """What the scene script may read: itself and everything in .meta that is not Python or about the kata. What it imports is its closure's."""
    data = [p for p in own_files(kata) if p.is_relative_to(kata.meta) and p.suffix != ".py" and p.name not in NOT_SCENE]
    return [kata.meta / "scene.py", *data]


def _hash(kata: Kata, files: Iterable[Path]) -> str:
    existing = [path for path in sorted(set(files)) if path.exists()]
    return _sha(content_hash(existing, kata.folder, _meaning), *versions())


def versions() -> tuple[str, ...]:
    """Return what every run and verdict depends on besides code: the version of torch, and the lock file."""
    lines = _text(LOCK).splitlines() if LOCK.exists() else []
    return torch_version(), *sorted(line for line in lines if line and not line.startswith("#"))


@lru_cache(None)
def torch_version() -> str:
    """Return the version of torch without the name of its build."""
    return version("torch").partition("+")[0]


def _meaning(path: Path) -> str:
    if path.suffix == ".toml":
        return _toml_digest(_text(path))
    if path.name == "baseline.json":
        baseline = json.loads(_text(path))
        return _sha(json.dumps([baseline["measures"], baseline["refused_by_sd"]]))
    return file_digest(path)


@lru_cache(None)
def _toml_digest(text: str) -> str:
    return _sha(json.dumps(_without_texts(tomllib.loads(text)), default=str))


def _without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_texts(v) for k, v in value.items() if k not in TEXTS}
    return [_without_texts(v) for v in value] if isinstance(value, list) else value


def _strings(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _strings(part)]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _sha(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
