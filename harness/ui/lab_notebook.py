"""The lab notebook: what a learner thought, looked at, changed and was told. One entry for each attempt, kept beside its verdict."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from nbformat import NotebookNode
from pydantic import TypeAdapter

from fixtures.recording.journal import runs_folder
from harness.check.attempt import Attempt
from harness.course.kata import Kata
from harness.course.notebook import authored, diffs, sources
from harness.ui.plot import Plot
from harness.ui.view import CheckView

FILE = "lab_notebook.json"
HYPOTHESIS_CELL = "hypothesis"
"""The kata's own cell that asks for a hypothesis."""
HYPOTHESIS = re.compile(r"^[\W_]*hypothes[ie]s\b", re.IGNORECASE)
"""How a Markdown cell begins that is a hypothesis: `Hypothesis: …`, also in bold or as a heading."""


@dataclass(frozen=True)
class LabEntry:
    """One attempt."""

    run: int
    time: float
    """When it started, in seconds since 1970."""
    seeds: tuple[int, ...]
    whole: bool
    """False when one seed alone was asked for."""
    hypotheses: tuple[str, ...]
    """What was written into the kata's own cell `hypothesis`, and the learner's Markdown cells that begin with the word."""
    looked: tuple[str, ...]
    """Code cells that the learner added."""
    cells: dict[str, str]
    """The learner's version of the cells that differ from the shipped ones."""
    diagnosis: dict[str, str]
    """The form as it was filled in, without empty fields."""
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    """Its fields; both are empty where the public seed was not judged."""
    outcomes: tuple[str, ...]
    failed: tuple[str, ...]
    """Claims of the checks that failed on the decisive seed."""
    evidence: tuple[str, ...]
    """What was measured there."""
    conclusion: str
    fixed: bool
    as_shipped: bool
    plot: Plot | None
    """The curve of the decisive seed."""

    @property
    def guess(self) -> str:
        """The diagnosis in one line."""
        return ", ".join(f"{name} {value}" for name, value in self.diagnosis.items())


def write(view: CheckView) -> LabEntry:
    """Keep an attempt, in its own folder."""
    entry = _entry(view)
    (view.attempt.folder / FILE).write_text(json.dumps(asdict(entry)) + "\n", encoding="utf-8")
    return entry


def _entry(view: CheckView) -> LabEntry:
    done, shipped = view.attempt, view.shipped
    learner = done.submission.notebook.cells
    added = [cell for cell in learner if cell.id not in shipped]
    verdict = done.decisive.verdict
    failed = verdict.failed if verdict and not view.hidden(done.decisive) else ()
    return LabEntry(
        run=done.number,
        time=done.asked,
        seeds=tuple(e.seed for e in done.examined),
        whole=done.whole,
        hypotheses=_hypotheses(done, added),
        looked=tuple(cell.source for cell in added if cell.cell_type == "code"),
        cells={cell.id: cell.source for cell in learner if cell.id in shipped and cell.source != shipped[cell.id]},
        diagnosis=dict(view.form),
        right=done.diagnosis.right if done.diagnosis else (),
        wrong=done.diagnosis.wrong if done.diagnosis else (),
        outcomes=tuple(e.execution.outcome for e in done.examined),
        failed=tuple(check.claim for check in failed),
        evidence=tuple(check.message for check in failed) if verdict else (done.decisive.execution.message,),
        conclusion=view.conclusion.text,
        fixed=done.fixed,
        as_shipped=done.submission.as_shipped,
        plot=view.plot,
    )


def _hypotheses(done: Attempt, added: Sequence[NotebookNode]) -> tuple[str, ...]:
    asked_for = done.submission.written.get(HYPOTHESIS_CELL)
    own = [cell.source for cell in added if cell.cell_type == "markdown" and HYPOTHESIS.match(cell.source)]
    return (*([asked_for] if asked_for else []), *own)


def read(folder: Path) -> LabEntry | None:
    """Return the entry of the attempt in a folder; None when it has none, or one that was cut off."""
    try:
        return TypeAdapter(LabEntry).validate_json((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return None


def entries(slug: str) -> list[LabEntry]:
    """Return a kata's lab notebook, oldest entry first."""
    return sorted(_entries(runs_folder() / slug), key=lambda entry: entry.run)


def _entries(folder: Path) -> Iterator[LabEntry]:
    for place in folder.glob("[0-9]*"):
        if entry := read(place):
            yield entry


def edits(kata: Kata, entry: LabEntry, before: LabEntry | None) -> list[tuple[str, list[str]]]:
    """Return each cell that changed since the attempt before (else since shipped), with the lines of a diff."""
    shipped = sources(authored(kata))
    return diffs(shipped | (before.cells if before else {}), shipped | entry.cells)
