"""Pure functions on notebooks: read the source, write the learner's copy, apply a fix, compare cells."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from harness.course.errors import KataError
from harness.course.kata import Kata, listed, shown

PROBE_CELL = "probe"
CHECK_CELL = "kata-check"
HOW_TO_CHECK = """%load_ext harness
# Save the notebook (Ctrl+S). Remove the # in the next line and run this cell: the saved file is judged.
# %kata check
# The same in a terminal:  make check KATA={slug}
# Hints:  %kata hint       More:  %kata diff   %kata progress   %kata debrief
# Plots:  from fixtures import plots;  help(plots)"""
OPEN_CELL = "yours"
"""The cell that names the editable cells."""
KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


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
    if taken := {PROBE_CELL, CHECK_CELL, OPEN_CELL} & set(ids(notebook)):
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
    """Return the notebook as shipped: the authored one, a cell that names the editable cells, and one that says how to check. Neither is run."""
    shipped = authored(kata)
    yours = nbformat.v4.new_markdown_cell(open_cells(kata, shipped), id=OPEN_CELL, metadata={"editable": False})
    shipped.cells.insert(ids(shipped).index("parameters"), yours)
    shipped.cells.append(nbformat.v4.new_code_cell(HOW_TO_CHECK.format(slug=kata.slug), id=CHECK_CELL))
    for cell in shipped.cells:
        cell.metadata["deletable"] = False
    return shipped


def open_cells(kata: Kata, notebook: NotebookNode) -> str:
    """Name the editable cells by their first lines: Jupyter shows no cell ids."""
    which = ", ".join(begins(cell) for cell in notebook.cells if cell.id in kata.toml.cells.editable)
    return (
        f"**Yours to edit**: the code cells that begin with {which}, and cells that you add. All others run as shipped.\n\n"
        "Your lab notebook keeps your hypotheses: write them where the notebook asks, or in a text cell that begins with `Hypothesis:`."
    )


MAX_BEGIN_CHARS = 60


def begins(cell: NotebookNode) -> str:
    """Return a cell's first line in backquotes, as its name for a learner."""
    line = source_of(cell).strip().partition("\n")[0]
    return f"`{line[:MAX_BEGIN_CHARS] + '…' if len(line) > MAX_BEGIN_CHARS else line}`"


def with_probe(notebook: NotebookNode) -> NotebookNode:
    """Return a copy that ends with a cell in which the kata's probe.py calls the learner's functions."""
    probed = copy.deepcopy(notebook)
    probed.cells.append(nbformat.v4.new_code_cell("import fixtures.probing\n\nfixtures.probing.answer(globals())", id=PROBE_CELL))
    return probed


def dumps(notebook: NotebookNode) -> str:
    """Return the text of an .ipynb file."""
    text: str = nbformat.writes(notebook)
    return text + "\n"


def apply_fix(notebook: NotebookNode, fix: dict[str, str], path: Path) -> NotebookNode:
    """Return a copy of `notebook` in which the cells named by `fix` are replaced."""
    if unknown := fix.keys() - set(ids(notebook)):
        raise KataError(f"{shown(path)}: no cell {listed(sorted(unknown))} in the notebook; its cells are {listed(ids(notebook))}")
    patched = copy.deepcopy(notebook)
    for cell in patched.cells:
        cell.source = fix.get(cell.id, cell.source)
    return patched


def source_of(cell: NotebookNode) -> str:
    """Return a cell's text; learners' files hold it in several forms."""
    source = cell.get("source", "")
    text = "".join(source) if isinstance(source, list) else str(source)
    # A file cannot hold a lone surrogate.
    return text.replace("\r\n", "\n").encode("utf-8", "replace").decode("utf-8")


def ids(notebook: NotebookNode) -> list[str]:
    """Return the ids of a notebook's cells, in order."""
    return [cell.id for cell in notebook.cells]


def sources(notebook: NotebookNode) -> dict[str, str]:
    """Return each cell's source, by id."""
    return {cell.get("id", ""): source_of(cell) for cell in notebook.cells}


def diffs(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return, for each cell of `new` that differs, its id and the lines of a unified diff."""
    found = []
    for cell, source in new.items():
        if source != old.get(cell):
            lines = difflib.unified_diff(old.get(cell, "").splitlines(), source.splitlines(), n=2, lineterm="")
            found.append((cell, list(lines)[2:]))
    return found


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without outputs."""
    fresh = copy.deepcopy(notebook)
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return fresh
