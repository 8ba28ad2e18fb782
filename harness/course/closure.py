"""Which of the project's files a piece of code rests on, and hashes that change when their meaning does.

A Python file counts by its syntax tree without docstrings, so comments, documentation and formatting make nothing stale. Imports are
found anywhere in a file: inside functions, in the cells of percent scripts, in files that cells write.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import secrets
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fixtures.recording.journal import REPOSITORY, runs_folder

HEADER = re.compile(r"^(# %%(?:[ \t].*)?)$", re.MULTILINE)
"""Begins a cell of a percent script."""
MAGIC = re.compile(r"^[ \t]*[%!].*$", re.MULTILINE)
CELL_MAGIC = re.compile(r"^\s*%%.*\n?")
COMMENTED_CELL_MAGIC = re.compile(r"^\s*# %%\w")
IMPORT_LINE = re.compile(r"^\s*(?:from\s+[\w.]+\s+import\b|import\s).*$", re.MULTILINE)
DOTTED = re.compile(r"(?:harness|fixtures)(?:\.\w+)+")
"""A module that code names in a string, to start it as a process."""
SCRIPT = re.compile(r"\w+\.py")
"""A script that code names in a string; it counts where it lies beside the file."""
PROJECT = ("harness", "fixtures")
ENTRY_POINTS = ("load_ipython_extension",)
"""Functions that only IPython calls: what they import is not needed by whoever imports the module."""
WITHOUT_MEANING = ("ctx", "kind", "type_comment", "type_ignores")


@dataclass(frozen=True)
class Code:
    """What is known about one text of Python."""

    digest: str
    """Changes with the syntax tree, docstrings and comments aside."""
    imports: tuple[tuple[int, str], ...]
    """Level (0, or the number of leading dots) and dotted name of everything imported; a name after `from … import` may be no module."""
    scripts: tuple[str, ...]


@lru_cache(None)
def code(text: str) -> Code:
    """Read one cell or one file of Python, or what an earlier process read in the same text. Text that cannot be parsed counts as it stands."""
    path = runs_folder() / ".syntax" / f"{_sha(_own_digest(), text)[:32]}.json"
    try:
        digest, imports, scripts = json.loads(path.read_bytes())
        return Code(digest, tuple((level, name) for level, name in imports), tuple(scripts))
    except (OSError, ValueError):
        found = _read(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f".{secrets.token_hex(8)}")
    making.write_text(json.dumps([found.digest, found.imports, found.scripts]), encoding="utf-8")
    os.replace(making, path)
    return found


@lru_cache(None)
def _own_digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def _read(text: str) -> Code:
    magic = CELL_MAGIC.match(text)
    head, body = (magic.group().strip(), text[magic.end() :]) if magic else ("", MAGIC.sub("", text))
    try:
        tree = ast.parse(textwrap.dedent(body))
    except (SyntaxError, ValueError):
        found = [imported for line in IMPORT_LINE.findall(body) for imported in _parsed_imports(line.strip())]
        return Code(_sha(head, body), tuple(found), ())
    out: list[str] = [head]
    _spell(tree, out)
    strings = list(_strings(tree))
    imports = [*_imports(tree), *((0, s) for s in strings if DOTTED.fullmatch(s))]
    imports += [found for s in strings if "import " in s for line in IMPORT_LINE.findall(s) for found in _parsed_imports(line.strip())]
    return Code(_sha(*out), tuple(imports), tuple(s for s in strings if SCRIPT.fullmatch(s)))


def percent_cells(text: str) -> list[tuple[str, str]]:
    """Return the code cells of a percent script as (header, source), commented magics as they were; Markdown cells are left out."""
    first, *parts = HEADER.split(text)
    cells = [("", first)]
    for header, body in zip(parts[::2], parts[1::2], strict=True):
        if "[markdown]" in header:
            continue
        cells.append((header, re.sub(r"^# ?", "", body, flags=re.MULTILINE) if COMMENTED_CELL_MAGIC.match(body) else body))
    return cells


def closure(roots: Iterable[Path | str], folders: Sequence[Path] = ()) -> list[Path]:
    """Return the files that code rests on, itself included: what it imports, transitively, from the project and from `folders`.

    roots: files, or dotted names of modules. Of an imported package in `folders`, files that are not Python count too.
    """
    found: set[Path] = set()
    new = {path for root in roots for path in ([root] if isinstance(root, Path) else _located(root, folders))}
    while new:
        found |= new
        new = {path for origin in new for path in _rests_on(origin, folders)} - found
    return sorted(found)


def content_hash(files: Iterable[Path], base: Path, meaning: Callable[[Path], str] | None = None) -> str:
    """Return a hash of files: names relative to `base`, or to the repository, and what they mean."""
    return _sha(*(part for path in files for part in (_name(path, base), (meaning or file_digest)(path))))


def file_digest(path: Path) -> str:
    """Return a hash of one file: Python by its syntax tree, a percent script by its code cells, anything else by its bytes."""
    return _digest(path, *_version(path))


@lru_cache(None)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return _sha(*(part for header, source in _cells(path) for part in (header, code(source).digest)))


def _cells(path: Path) -> list[tuple[str, str]]:
    text = path.read_text(encoding="utf-8")
    return percent_cells(text) if HEADER.search(text) else [("", text)]


def _rests_on(origin: Path, folders: Sequence[Path]) -> set[Path]:
    if origin.suffix != ".py":
        return set()
    return _files_of(origin, _version(origin), tuple(folders))


@lru_cache(None)
def _files_of(origin: Path, version: tuple[int, int], folders: tuple[Path, ...]) -> set[Path]:
    found: set[Path] = set()
    for _, source in _cells(origin):
        known = code(source)
        for level, name in known.imports:
            found |= _relative(origin, level, name) if level else _located(name, folders)
        found |= {path for name in known.scripts if (path := origin.with_name(name)).is_file()}
    return found


def code_closure(sources: Iterable[str], folders: Sequence[Path]) -> list[Path]:
    """Return the files that cells rest on, given their sources."""
    names = {name for source in sources for level, name in code(source).imports if not level}
    return closure([path for name in names for path in _located(name, folders)], folders)


def _version(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


def _located(name: str, folders: Sequence[Path]) -> set[Path]:
    """The files of a module and of the packages around it; empty where it is none of ours."""
    top = name.partition(".")[0]
    if top in PROJECT:
        return _of_project(name)
    # They come first on the path of whatever imports them.
    if top in sys.stdlib_module_names:
        return set()
    for folder in folders:
        if found := _below(folder, name):
            packages = {path.parent for path in found if path.name == "__init__.py"}
            return found | {
                path for package in packages for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")
            }
    return set()


@lru_cache(None)
def _of_project(name: str) -> set[Path]:
    return _below(REPOSITORY, name)


def _below(folder: Path, name: str) -> set[Path]:
    found: set[Path] = set()
    place = folder
    for part in name.split("."):
        place = place / part
        found |= {path for path in (place / "__init__.py", place.with_name(part + ".py")) if path.is_file()}
    return found


def _relative(origin: Path, level: int, name: str) -> set[Path]:
    folder = origin.parents[level - 1]
    return _below(folder, name) | {path for path in [folder / "__init__.py"] if path.is_file()}


def _parsed_imports(line: str) -> Iterator[tuple[int, str]]:
    try:
        yield from _imports(ast.parse(line))
    except (SyntaxError, ValueError):
        # The line of an import that goes on: its module alone.
        if match := re.match(r"from\s+([\w.]+)\s+import", line):
            yield 0, match.group(1)


def _imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                yield from ((0, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                yield level, module or ""
                yield from ((level, f"{module}.{alias.name}" if module else alias.name) for alias in names if alias.name != "*")
            case ast.FunctionDef(name=name) if name in ENTRY_POINTS:
                pass
            case _:
                yield from _imports(child)


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _is_documentation(node: Any) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _spell(node: Any, out: list[str]) -> None:
    """Write a syntax tree down in the same words on every version of Python, which differ in the fields that they leave empty."""
    if isinstance(node, ast.AST):
        out.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or name in WITHOUT_MEANING or (isinstance(value, list) and not value):
                continue
            out.append(name)
            _spell(value, out)
    elif isinstance(node, list):
        out.append("[")
        for child in node:
            if not _is_documentation(child):
                _spell(child, out)
        out.append("]")
    else:
        out.append(repr(node))


def _name(path: Path, base: Path) -> str:
    near, whole = str(base.parent) + os.sep, str(path)
    inside = whole.startswith(near)
    name = os.path.relpath(whole, base) if inside else whole.removeprefix(str(REPOSITORY) + os.sep)
    return name.replace(os.sep, "/")


def _sha(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
