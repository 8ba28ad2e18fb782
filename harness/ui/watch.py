"""Notice when a learner has saved other code; whatever else editors do in a notebook's folder is no reason to run it again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import watchfiles

from harness.course.errors import SubmissionError
from harness.course.kata import Kata, shown
from harness.course.notebook import authored
from harness.course.submission import Submission, read_submission, submit

QUIET_MS = 100
"""Changes that follow each other within this time are one save: editors write, rename and write again."""
LOOK_MS = 2000
"""Some file systems tell of no changes: the file is looked at all the same."""


def versions(kata: Kata, notebook: Path, stop: threading.Event | None = None) -> Iterator[Submission | SubmissionError]:
    """Yield the notebook as it is now and after each save that changed what would run, or says why it cannot run, until `stop` is set.

    An autosave, a moved cursor, new outputs, another cell's collapse: the file changes, and nothing is yielded.
    """
    shipped, last = authored(kata), ""
    name, path = shown(notebook), notebook.resolve()
    saves = watchfiles.watch(
        path.parent,
        watch_filter=lambda change, changed: Path(changed) == path,
        recursive=False,
        step=QUIET_MS,
        debounce=10 * QUIET_MS,
        stop_event=stop,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
    )
    for _ in chain([()], saves):
        try:
            found: Submission | SubmissionError = submit(kata, shipped, read_submission(path), name)
        except SubmissionError as e:
            found = e
        if (seen := _what_would_run(found)) != last:
            last = seen
            yield found


def _what_would_run(found: Submission | SubmissionError) -> str:
    if isinstance(found, SubmissionError):
        return f"cannot run: {found}"
    return "\0".join(cell.source for cell in found.notebook.cells if cell.cell_type == "code")
