"""Show a check while it runs, and write what it leaves: verdict, pages, junit.xml, the lab notebook's page."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Sequence

from rich.console import Console

from harness.check.attempt import Attempt, attempt
from harness.check.examine import Examined
from harness.check.preflight import PUBLIC_SEED
from harness.course import scaffold
from harness.course.kata import Kata
from harness.course.notebook import Submission
from harness.judging.verdict import Judge
from harness.sandbox.forkserver import Kernels
from harness.ui import lab_notebook, report
from harness.ui.jupyterlab import refresh_start_page
from harness.ui.webpage import Words, write_fragment, write_junit, write_report

FRAGMENT = "verdict.html"
WAITS = "Fill in the form, save and check again, and the post-mortem is shown; or read it as it is: `%kata debrief`."


def load_what_shows(kata: Kata) -> None:
    """Import while the kernel trains what is needed at the end."""
    importlib.import_module("jinja2")
    importlib.import_module("markdown_it")
    if kata.toml.curve:
        importlib.import_module("uniplot")


def checked(
    console: Console,
    kata: Kata,
    submission: Submission,
    kernels: Kernels,
    judge: Judge,
    seed: int | None,
    stop: threading.Event,
    *,
    public_seed: int = PUBLIC_SEED,
    on_examined: Callable[[Examined], None] = lambda examined: None,
) -> Attempt:
    """Show a check while it runs, each night as soon as it is judged; on_examined is told before it is shown."""

    def show(examined: Examined) -> None:
        on_examined(examined)
        report.show_examined(console, examined, public_seed)

    report.show_notes(console, submission)
    with report.live_runs(console, kata.toml.curve, public_seed) as live:
        return attempt(
            kata,
            submission,
            kernels,
            seed=seed,
            public_seed=public_seed,
            judge=judge,
            stop=stop,
            on_seeds=live.start,
            on_row=live.row,
            on_examined=show,
        )


def keep(kata: Kata, done: Attempt, whys: Sequence[str] = (), *, helps: bool = True) -> str:
    """Write what a check leaves: verdict.json and .html, junit.xml, report.html, its page of the lab book; return the first.

    An exam's pages do not help: no post-mortem, and no field of the diagnosis is named.
    """
    verdict = json.dumps(report.as_json(kata, done), indent=1)
    (done.folder / "verdict.json").write_text(verdict + "\n", encoding="utf-8")
    write_junit(done.folder / "junit.xml", kata, done)
    lab_notebook.write(kata, done)
    story = scaffold.postmortem(kata) if helps and report.may_read_on(done) else ""
    waits = WAITS if helps and report.diagnosis_waits(done) else ""
    words = Words(report.conclusion(kata, done).plain, report.diagnosis(done, fields_named=helps).plain, whys, story, waits)
    write_report(done.folder / "report.html", kata, done, words)
    write_fragment(done.folder / FRAGMENT, kata, done, words)
    refresh_start_page(kata.folder.parent)
    return verdict
