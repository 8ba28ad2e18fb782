"""Notice when a learner has saved changed code; other activity in a notebook's folder causes no rerun."""

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
"""Changes within this time are one save: editors write, rename and write once more."""
LOOK_MS = 2000
"""Some file systems report no changes, so the file is also read at this interval."""


def versions(kata: Kata, notebook: Path, stop: threading.Event | None = None) -> Iterator[Submission | SubmissionError]:
    """Yield the notebook now and after each save that changes its code, or the reason why it cannot run, until `stop` is set.

    An autosave, a moved cursor, new outputs or a collapsed cell change the file, but yield nothing.
    """
    shipped, last = authored(kata), ""
    name, path = shown(notebook), notebook.resolve()
    saves = watchfiles.watch(
        path.parent,
        watch_filter=lambda _, changed: Path(changed) == path,
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
