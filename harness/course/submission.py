"""A learner's notebook: read any .ipynb file, and put its editable and added cells into the shipped notebook."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from harness.course.errors import SubmissionError
from harness.course.kata import Kata, shown
from harness.course.notebook import CHECK_CELL, OPEN_CELL, begins, source_of

MAGIC = re.compile(r"^([ \t]*)(%load_ext\s+harness\b.*|%kata\b.*)$", re.MULTILINE)
"""Lines that talk to the lab and are no part of a run."""


@dataclass(frozen=True)
class Submission:
    """A learner's notebook, completed from the shipped one."""

    notebook: NotebookNode
    """The kata's own cells, the editable ones as the learner left them, plus the learner's added cells."""
    changed: tuple[str, ...]
    """Ids of the editable cells that differ from the shipped notebook."""
    added: int
    """Cells that the learner added."""
    notes: tuple[str, ...]
    """What was restored, for the learner to read."""
    shipped: NotebookNode
    """The authored notebook that it was compared with."""
    written: Mapping[str, str] = field(default_factory=dict)
    """What the learner wrote into the kata's own Markdown cells: cell id → the lines that are not the kata's."""

    @property
    def as_shipped(self) -> bool:
        return not (self.changed or self.added)


def read_submission(path: Path) -> NotebookNode:
    """Read a learner's .ipynb of any 4.x format; raises SubmissionError that says what the file is instead."""
    if path.exists() and not path.is_file():
        raise SubmissionError(f"{shown(path)} is not a notebook: it is not a regular file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SubmissionError(f"{shown(path)} does not exist; make reset KATA=… writes the notebook as shipped") from None
    except UnicodeDecodeError as e:
        raise SubmissionError(f"{shown(path)} is not a notebook: {e}") from None
    if not text.strip():
        raise SubmissionError(f"{shown(path)} is empty; expected a Jupyter notebook. Save it again from Jupyter, or make reset KATA=…")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as e:
        raise SubmissionError(
            f"{shown(path)} is not JSON (line {e.lineno}: {e.msg}); expected a Jupyter notebook. Save it again from Jupyter, or make reset KATA=…"
        ) from None
    except RecursionError:
        raise SubmissionError(
            f"{shown(path)} is nested too deeply to be a notebook. Save it again from Jupyter, or make reset KATA=…"
        ) from None
    if not isinstance(content, dict) or content.get("nbformat") != 4 or not isinstance(content.get("cells"), list):
        raise SubmissionError(f"{shown(path)} is JSON but not a notebook of format 4; expected `nbformat: 4` and a list `cells`")
    for position, cell in enumerate(content["cells"], 1):
        if not isinstance(cell, dict) or not _is_source(cell.get("source", "")) or not isinstance(cell.get("id", ""), str):
            raise SubmissionError(
                f"{shown(path)}: {_ordinal(position)} is not a notebook cell; expected `cell_type`, `id` and `source`. Save it again from Jupyter, or make reset KATA=…"
            )
    return nbformat.from_dict(content)


def submit(kata: Kata, shipped: NotebookNode, learner: NotebookNode, name: str) -> Submission:
    """Put the learner's editable and added cells into the shipped notebook, and restore everything else.

    Raises SubmissionError when an editable cell is missing, duplicated or no longer code.
    """
    own = {cell.id: cell for cell in shipped.cells}
    for cell_id in kata.toml.cells.editable:
        _require_one(kata, own[cell_id], learner, name)
    merge = _Merge(kata, shipped)
    for position, cell in enumerate(learner.cells, 1):
        if cell.get("id") not in (CHECK_CELL, OPEN_CELL) and not _only_magic(cell):
            merge.take(cell, position)
    deleted = [i for i in own if i not in {c.get("id") for c in learner.cells} and own[i].cell_type == "code"]
    notes = [*merge.notes, *(f"cell {begins(own[i])} was deleted: its shipped content was run" for i in deleted)]
    notebook = copy.deepcopy(shipped)
    notebook.cells = merge.cells
    changed = tuple(c.id for c in merge.cells if c.id in own and c.source != own[c.id].source)
    written = {cell: text for cell, text in merge.written.items() if text}
    return Submission(notebook, changed, merge.added, tuple(notes), shipped, written)


class _Merge:
    """The shipped cells, into which a learner's are taken one by one."""

    def __init__(self, kata: Kata, shipped: NotebookNode) -> None:
        self._kata, self._own = kata, {cell.id: cell for cell in shipped.cells}
        self.cells = [copy.deepcopy(cell) for cell in shipped.cells]
        self.notes: list[str] = []
        self.written: dict[str, str] = {}
        self.added = 0
        self._place = 0
        """Where an added cell goes: after the cell before it."""

    def take(self, cell: NotebookNode, position: int) -> None:
        """Take a learner's cell: an editable one replaces the shipped one, an added one is inserted."""
        source = source_of(cell)
        if cell.get("cell_type") == "code":
            source = MAGIC.sub(r"\1pass  # \2", source)
        if cell.get("id") in self._own:
            self._take_own(self._own[cell.id], source, position)
        elif source.strip():
            self.cells.insert(self._place, _added(cell, source, self.added))
            self._place += 1
            self.added += 1

    def _take_own(self, shipped: NotebookNode, source: str, position: int) -> None:
        self._place = next(i for i, c in enumerate(self.cells) if c.id == shipped.id) + 1
        if shipped.id in self._kata.toml.cells.editable:
            self.cells[self._place - 1].source = source
        elif shipped.cell_type == "markdown":
            own = shipped.source.splitlines()
            self.written[shipped.id] = "\n".join(line for line in source.splitlines() if line.strip() and line not in own)
        elif source != shipped.source:
            self.notes.append(f"cell {begins(shipped)} ({_ordinal(position)}) is not editable: its shipped content was run")


def _only_magic(cell: NotebookNode) -> bool:
    """Whether a cell holds nothing but `%kata` lines and comments."""
    rest = re.sub(r"^\s*#.*$", "", MAGIC.sub("", source_of(cell)), flags=re.MULTILINE)
    return (
        cell.get("cell_type") == "code" and bool(source_of(cell).strip()) and MAGIC.search(source_of(cell)) is not None and not rest.strip()
    )


def _require_one(kata: Kata, shipped: NotebookNode, learner: NotebookNode, name: str) -> None:
    found = [(n, c) for n, c in enumerate(learner.cells, 1) if c.get("id") == shipped.id]
    editable = f"{name}: editable cell {begins(shipped)}"
    remedy = f"undo it in Jupyter, or make reset KATA={kata.slug} (keeps a backup)"
    if not found:
        if not any("id" in cell for cell in learner.cells):
            raise SubmissionError(
                f"{name}: its cells have no ids, so the editable ones cannot be found; save it with a current Jupyter (notebook format 4.5), or {remedy}"
            )
        raise SubmissionError(f"{editable} is missing; {remedy}")
    if len(found) > 1:
        raise SubmissionError(f"{editable} occurs {len(found)} times (cells {', '.join(str(n) for n, _ in found)}); keep one, or {remedy}")
    if found[0][1].get("cell_type") != "code":
        raise SubmissionError(f"{editable} ({_ordinal(found[0][0])}) is {found[0][1].get('cell_type')}, expected code; {remedy}")


def _added(cell: NotebookNode, source: str, number: int) -> NotebookNode:
    new = nbformat.v4.new_code_cell if cell.get("cell_type") == "code" else nbformat.v4.new_markdown_cell
    return new(source, id=f"added-{number}")


def _is_source(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(line, str) for line in value))


def _ordinal(position: int) -> str:
    return f"cell {position} from the top"
