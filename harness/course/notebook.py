"""Pure functions on notebooks: read and write them, apply a fix, take a learner's cells, say what changed."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from harness.course.errors import KataError, SubmissionError
from harness.course.kata import Kata, listed, shown

PROBE_CELL = "probe"
DESK_CELL = "desk"
DESK = """%load_ext harness
# Saved (Ctrl+S)? Take the # away in the next line and run this cell again: what is saved is judged.
# %kata check
# In the same way:  %kata hint   %kata diff   %kata progress   %kata debrief
# Looking tools:  from fixtures import plots;  help(plots)"""
OPEN_CELL = "yours"
"""Says which cells are the learner's."""
MAGIC = re.compile(r"^([ \t]*)(%load_ext\s+harness\b.*|%kata\b.*)$", re.MULTILINE)
"""What a learner types for the desk, which is no part of a run."""
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Submission:
    """A learner's notebook, made whole."""

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


def read_percent(path: Path) -> NotebookNode:
    """Read a percent script; every cell has a hand-written id. What stands above the first cell is for its author.

    Raises KataError when a cell has no id, or two share one.
    """
    import jupytext  # here: what does not read scripts does not pay for it

    if not path.exists():
        raise KataError(f"{shown(path)} is missing")
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text[max(0, text.find("# %%")) :], fmt="py:percent")
    for position, cell in enumerate(notebook.cells, 1):
        # jupytext drops nbformat's cell ids; the id= of the percent header arrives as metadata.
        cell_id = cell.metadata.pop("id", None)
        if not isinstance(cell_id, str) or not re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", cell_id):
            raise KataError(f'{shown(path)}: cell {position} has no id; write its header as  # %% id="a-name"  (letters, digits, dashes)')
        cell.id = cell_id
    found = ids(notebook)
    if twice := sorted({i for i in found if found.count(i) > 1}):
        raise KataError(f"{shown(path)}: cell id {listed(twice)} occurs twice; ids are unique")
    return notebook


def authored(kata: Kata) -> NotebookNode:
    """Return the kata's notebook from its source of truth, `.meta/notebook.py`, as it is run."""
    path = kata.meta / "notebook.py"
    notebook = read_percent(path)
    if taken := {PROBE_CELL, DESK_CELL, OPEN_CELL} & set(ids(notebook)):
        raise KataError(f"{shown(path)}: the cell id {listed(sorted(taken))} is the harness's own; name that cell otherwise")
    if missing := [i for i in kata.toml.cells.editable if i not in ids(notebook)]:
        raise KataError(
            f"{shown(kata.folder / 'kata.toml')}: editable cell {listed(missing)} is not in {shown(path)}; its cells are {listed(ids(notebook))}"
        )
    if "parameters" not in ids(notebook):
        raise KataError(f'{shown(path)}: no cell `parameters`; it sets SEED and is tagged  tags=["parameters"]')
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNELSPEC), language_info=NotebookNode(name="python"))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.metadata["editable"] = cell.id in kata.toml.cells.editable or cell.cell_type == "markdown"
    return notebook


def for_learners(kata: Kata) -> NotebookNode:
    """Return the notebook as it is shipped: the authored one, what a learner is told of it, and a cell that brings the desk; no run has these."""
    shipped = authored(kata)
    yours = nbformat.v4.new_markdown_cell(open_cells(kata, shipped), id=OPEN_CELL, metadata={"editable": False})
    for cell in shipped.cells:
        cell.source = _at_the_desk(kata, cell.source)
    shipped.cells.insert(ids(shipped).index("parameters"), yours)
    shipped.cells.append(nbformat.v4.new_code_cell(DESK, id=DESK_CELL))
    for cell in shipped.cells:
        cell.metadata["deletable"] = False
    return shipped


def open_cells(kata: Kata, notebook: NotebookNode) -> str:
    """Say which cells may be edited, by how they begin: nobody sees a cell's id."""
    which = ", ".join(begins(cell) for cell in notebook.cells if cell.id in kata.toml.cells.editable)
    return (
        f"**Yours to edit**: the code cells that begin with {which}, and cells that you add. All others are run as shipped.\n\n"
        "What you think is kept with the check that follows: write it where the notebook asks for it, or in a text cell that begins with `Hypothesis:`."
    )


MAX_BEGIN_CHARS = 60


def begins(cell: NotebookNode) -> str:
    """Return how a cell begins, as its name for a learner, in backticks."""
    line = _source(cell).strip().partition("\n")[0]
    return f"`{line[:MAX_BEGIN_CHARS] + '…' if len(line) > MAX_BEGIN_CHARS else line}`"


def _at_the_desk(kata: Kata, source: str) -> str:
    """Return a cell's text as it is in JupyterLab, where checks are asked for in the notebook itself."""
    return source.replace(
        f"Save the notebook, then `make check KATA={kata.slug}` in a terminal. Stuck? `make hint KATA={kata.slug}`.",
        f"Save the notebook, then check it from the cell below; `make check KATA={kata.slug}` in a terminal does the same. Stuck? `%kata hint`.",
    )


def with_probe(notebook: NotebookNode) -> NotebookNode:
    """Return a copy that ends with a cell in which the kata's probe.py asks its questions."""
    asked = copy.deepcopy(notebook)
    asked.cells.append(nbformat.v4.new_code_cell("import fixtures.probing\n\nfixtures.probing.answer(globals())", id=PROBE_CELL))
    return asked


def dumps(notebook: NotebookNode) -> str:
    """Return the text of an .ipynb file."""
    text: str = nbformat.writes(notebook)
    return text + "\n"


def read_submission(path: Path) -> NotebookNode:
    """Read a learner's .ipynb of any 4.x format; raises SubmissionError that says what the file is instead."""
    if path.exists() and not path.is_file():
        raise SubmissionError(f"{shown(path)} is not a notebook: it is no regular file")
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
        raise SubmissionError(f"{shown(path)} is JSON but no notebook of format 4; expected `nbformat: 4` and a list `cells`")
    for position, cell in enumerate(content["cells"], 1):
        if not isinstance(cell, dict) or not _is_source(cell.get("source", "")) or not isinstance(cell.get("id", ""), str):
            raise SubmissionError(
                f"{shown(path)}: {_ordinal(position)} is no notebook cell; expected `cell_type`, `id` and `source`. Save it again from Jupyter, or make reset KATA=…"
            )
    return nbformat.from_dict(content)


def submit(kata: Kata, shipped: NotebookNode, learner: NotebookNode, name: str) -> Submission:
    """Put the learner's editable and added cells into the shipped notebook; everything else is restored.

    Raises SubmissionError when an editable cell is missing, duplicated or no longer code.
    """
    sources = {cell.id: cell for cell in shipped.cells}
    merged, notes = [copy.deepcopy(cell) for cell in shipped.cells], []
    written: dict[str, str] = {}
    for cell_id in kata.toml.cells.editable:
        _require_one(kata, sources[cell_id], learner, name)
    place = 0
    added = 0
    for position, cell in enumerate(learner.cells, 1):
        cell_id, source = cell.get("id"), _source(cell)
        if cell.get("cell_type") == "code":
            source = MAGIC.sub(r"\1pass  # \2", source)
        if cell_id in (DESK_CELL, OPEN_CELL) or _only_magic(cell):
            continue
        if cell_id in sources:
            place = next(i for i, c in enumerate(merged) if c.id == cell_id) + 1
            if cell_id in kata.toml.cells.editable:
                merged[place - 1].source = source
            elif sources[cell_id].cell_type == "markdown":
                own = f"{sources[cell_id].source}\n{_at_the_desk(kata, sources[cell_id].source)}".splitlines()
                written[cell_id] = "\n".join(line for line in source.splitlines() if line.strip() and line not in own)
            elif source != sources[cell_id].source:
                notes.append(f"cell {begins(sources[cell_id])} ({_ordinal(position)}) is not editable: its shipped content was run")
        elif source.strip():
            merged.insert(place, _added(cell, source, added))
            place += 1
            added += 1
    deleted = [i for i in sources if i not in {c.get("id") for c in learner.cells} and sources[i].cell_type == "code"]
    notes += [f"cell {begins(sources[i])} was deleted: its shipped content was run" for i in deleted]
    notebook = copy.deepcopy(shipped)
    notebook.cells = merged
    changed = tuple(c.id for c in merged if c.id in sources and c.source != sources[c.id].source)
    return Submission(notebook, changed, added, tuple(notes), shipped, {cell: text for cell, text in written.items() if text})


def _only_magic(cell: NotebookNode) -> bool:
    """Whether a cell does nothing but ask the desk."""
    rest = re.sub(r"^\s*#.*$", "", MAGIC.sub("", _source(cell)), flags=re.MULTILINE)
    return cell.get("cell_type") == "code" and bool(_source(cell).strip()) and MAGIC.search(_source(cell)) is not None and not rest.strip()


def _require_one(kata: Kata, shipped: NotebookNode, learner: NotebookNode, name: str) -> None:
    found = [(n, c) for n, c in enumerate(learner.cells, 1) if c.get("id") == shipped.id]
    editable = f"{name}: editable cell {begins(shipped)}"
    remedy = f"undo it in Jupyter, or make reset KATA={kata.slug} (keeps a backup)"
    if not found:
        if not any("id" in cell for cell in learner.cells):
            raise SubmissionError(
                f"{name}: its cells have no ids, so the editable ones cannot be told; save it with a current Jupyter (notebook format 4.5), or {remedy}"
            )
        raise SubmissionError(f"{editable} is missing; {remedy}")
    if len(found) > 1:
        raise SubmissionError(f"{editable} occurs {len(found)} times (cells {', '.join(str(n) for n, _ in found)}); keep one, or {remedy}")
    if found[0][1].get("cell_type") != "code":
        raise SubmissionError(f"{editable} ({_ordinal(found[0][0])}) is {found[0][1].get('cell_type')}, expected code; {remedy}")


def _added(cell: NotebookNode, source: str, number: int) -> NotebookNode:
    new = nbformat.v4.new_code_cell if cell.get("cell_type") == "code" else nbformat.v4.new_markdown_cell
    return new(source, id=f"added-{number}")


def _source(cell: NotebookNode) -> str:
    source = cell.get("source", "")
    text = "".join(source) if isinstance(source, list) else str(source)
    # A lone surrogate is no character that a file can hold.
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")


def _is_source(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(line, str) for line in value))


def _ordinal(position: int) -> str:
    return f"cell {position} from the top"


def read_fix(kata: Kata, name: str) -> dict[str, str]:
    """Return a known fix as cell id → source."""
    return {cell.id: cell.source for cell in read_percent(kata.fix_path(name)).cells}


def apply_fix(notebook: NotebookNode, fix: dict[str, str], path: Path) -> NotebookNode:
    """Return a copy of `notebook` in which the cells named by `fix` are replaced."""
    if unknown := fix.keys() - set(ids(notebook)):
        raise KataError(f"{shown(path)}: no cell {listed(sorted(unknown))} in the notebook; its cells are {listed(ids(notebook))}")
    patched = copy.deepcopy(notebook)
    for cell in patched.cells:
        cell.source = fix.get(cell.id, cell.source)
    return patched


def ids(notebook: NotebookNode) -> list[str]:
    """Return the ids of a notebook's cells, in order."""
    return [cell.id for cell in notebook.cells]


def sources(notebook: NotebookNode) -> dict[str, str]:
    """Return each cell's source, by id."""
    return {cell.get("id", ""): _source(cell) for cell in notebook.cells}


def diffs(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return, for each cell of `new` that differs, its id and the lines of a unified diff."""
    found = []
    for cell, source in new.items():
        if source != old.get(cell):
            lines = difflib.unified_diff(old.get(cell, "").splitlines(), source.splitlines(), n=2, lineterm="")
            found.append((cell, list(lines)[2:]))
    return found


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return a copy that has never been run."""
    fresh = copy.deepcopy(notebook)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return fresh
