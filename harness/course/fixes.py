"""Known fixes: small edits of a kata's notebook, each on top of at most two others, rendered to whole cells."""

from __future__ import annotations

from collections.abc import Mapping

from nbformat import NotebookNode

from harness.course.errors import KataError
from harness.course.kata import Fix, Kata, Proof, listed, load_proof, shown
from harness.course.notebook import apply_fix, authored, ids, read_percent, sources

MAX_DEPTH = 2
"""How many other fixes may stand below one: more is hard to read."""


def fix_cells(kata: Kata, proof: Proof, name: str, shipped: NotebookNode) -> dict[str, str]:
    """Return a fix as cell id → source, for each cell that it or a fix below it changes.

    Raises KataError that names fix and cell when an edit's `find` does not occur exactly once in the cell, as the fixes below left it.
    """
    cells: dict[str, str] = {}
    for fix in _from_the_ground_up(kata, proof, name):
        cells |= _whole_cells(kata, fix, shipped)
        for edit in fix.edit:
            source = (sources(shipped) | cells).get(edit.cell)
            if source is None:
                raise KataError(f"{_where(kata, fix)}: no cell `{edit.cell}` in the notebook; its cells are {listed(ids(shipped))}")
            if (found := source.count(edit.find)) != 1:
                raise KataError(
                    f"{_where(kata, fix)}: in the cell `{edit.cell}` the text {edit.find!r} occurs {found} times, expected once; "
                    "give `find` more of the lines around it"
                )
            cells[edit.cell] = source.replace(edit.find, edit.replace)
    return cells


def with_fix(kata: Kata, proof: Proof, name: str, shipped: NotebookNode) -> NotebookNode:
    """Return a copy of the shipped notebook with a known fix in it."""
    return apply_fix(shipped, fix_cells(kata, proof, name, shipped), kata.fix_path(name))


def read_fix(kata: Kata, name: str) -> dict[str, str]:
    """Return a known fix as cell id → source: `fix_cells`, for whoever has only the kata at hand."""
    return fix_cells(kata, load_proof(kata), name, authored(kata))


def _from_the_ground_up(kata: Kata, proof: Proof, name: str) -> list[Fix]:
    """The fix and those that it extends, the lowest first."""
    known = {fix.name: fix for fix in proof.fix}
    chain = [known[name]]
    while below := chain[0].extends:
        if below not in known:
            raise KataError(f"{_where(kata, chain[0])} extends `{below}`, which is not a fix of this kata; its fixes are {listed(known)}")
        chain.insert(0, known[below])
        if len(chain) > MAX_DEPTH + 1:
            raise KataError(
                f"{_where(kata, known[name])} stands on more than {MAX_DEPTH} others; extend one that is nearer to the notebook"
            )
    return chain


def _whole_cells(kata: Kata, fix: Fix, shipped: NotebookNode) -> Mapping[str, str]:
    path = kata.fix_path(fix.name)
    if not path.exists():
        return {}
    found = {cell.id: cell.source for cell in read_percent(path).cells}
    if unknown := found.keys() - set(ids(shipped)):
        raise KataError(f"{shown(path)}: no cell {listed(sorted(unknown))} in the notebook; its cells are {listed(ids(shipped))}")
    return found


def _where(kata: Kata, fix: Fix) -> str:
    return f"{shown(kata.meta / 'proof.toml')}: fix `{fix.name}`"
