"""The lab book: what a learner thought, looked at, changed and was told, a page for each check, kept beside its verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from pydantic import TypeAdapter

from fixtures.recording.journal import runs_folder
from harness.check.attempt import Attempt
from harness.course.kata import Kata
from harness.course.notebook import authored, diffs, sources
from harness.judging.evidence import MissingEvidence, Reported
from harness.ui.webpage import Plot, plot

FILE = "labbook.json"
HYPOTHESIS_CELL = "hypothesis"
"""The kata's own cell that asks for one."""
HYPOTHESIS = re.compile(r"^[\W_]*hypothes[ie]s\b", re.IGNORECASE)
"""How a Markdown cell begins that is a hypothesis: `Hypothesis: …`, in bold or as a heading if one likes."""
MAX_FIELD_CHARS = 300


@dataclass(frozen=True)
class Page:
    """One check."""

    run: int
    time: float
    """When it was asked for, in seconds since 1970."""
    seeds: tuple[int, ...]
    hypotheses: tuple[str, ...]
    """What was written into the kata's own cell `hypothesis`, and Markdown cells of the learner's that begin with the word."""
    looked: tuple[str, ...]
    """Code cells that the learner added."""
    cells: dict[str, str]
    """The learner's version of the cells that differ from the shipped ones."""
    diagnosis: dict[str, Any]
    """The form as it was filled in, empty fields left out."""
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    """Its fields; both are empty where the public night was not judged."""
    outcomes: tuple[str, ...]
    failed: tuple[str, ...]
    """Claims of the checks that failed on the night that decided."""
    evidence: tuple[str, ...]
    """What was measured there."""
    fixed: bool
    as_shipped: bool
    plot: Plot | None
    """The curve of the night that decided."""

    @property
    def guess(self) -> str:
        """The diagnosis in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.diagnosis.items())


def write(kata: Kata, done: Attempt) -> Path:
    """Keep a check; return the file, which lies in the check's folder."""
    path = done.folder / FILE
    path.write_text(json.dumps(asdict(_page(kata, done))) + "\n", encoding="utf-8")
    return path


def _page(kata: Kata, done: Attempt) -> Page:
    shipped = sources(authored(kata))
    learner = done.submission.notebook.cells
    added = [cell for cell in learner if cell.id not in shipped]
    verdict = done.decisive.verdict
    return Page(
        run=done.number,
        time=done.asked,
        seeds=tuple(e.seed for e in done.examined),
        hypotheses=_hypotheses(done, added),
        looked=tuple(cell.source for cell in added if cell.cell_type == "code"),
        cells={cell.id: cell.source for cell in learner if cell.id in shipped and cell.source != shipped[cell.id]},
        diagnosis=_form(done),
        right=done.diagnosis.right if done.diagnosis else (),
        wrong=done.diagnosis.wrong if done.diagnosis else (),
        outcomes=tuple(e.execution.outcome for e in done.examined),
        failed=tuple(check.claim for check in verdict.failed) if verdict else (),
        evidence=tuple(check.message for check in verdict.failed) if verdict else (done.decisive.execution.message,),
        fixed=done.fixed,
        as_shipped=done.submission.as_shipped,
        plot=plot(kata, done.decisive),
    )


def _hypotheses(done: Attempt, added: Sequence[NotebookNode]) -> tuple[str, ...]:
    asked_for = done.submission.written.get(HYPOTHESIS_CELL)
    own = [cell.source for cell in added if cell.cell_type == "markdown" and HYPOTHESIS.match(cell.source)]
    return (*([asked_for] if asked_for else []), *own)


def _form(done: Attempt) -> dict[str, Any]:
    try:
        form = Reported(done.examined[0].execution.evidence).artifact("diagnosis")
    except MissingEvidence:
        return {}
    given = form.items() if isinstance(form, dict) else ()
    return {str(name): str(value)[:MAX_FIELD_CHARS] for name, value in given if value not in ("", None)}


def read(folder: Path) -> Page | None:
    """Return the page of the check in a folder; None when it has none, or one that was cut off."""
    try:
        return TypeAdapter(Page).validate_json((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None


def pages(slug: str) -> list[Page]:
    """Return a kata's lab book, oldest page first."""
    return sorted(_pages(runs_folder() / slug), key=lambda page: page.run)


def _pages(folder: Path) -> Iterator[Page]:
    for place in folder.glob("[0-9]*"):
        if page := read(place):
            yield page


def edits(kata: Kata, page: Page, before: Page | None) -> list[tuple[str, list[str]]]:
    """Return, for each cell that was changed since the check before (else since shipped), its id and the lines of a diff."""
    shipped = sources(authored(kata))
    return diffs(shipped | (before.cells if before else {}), shipped | page.cells)
