"""Show an attempt while it runs, and write what it leaves: verdict, pages, junit.xml, an entry of the lab notebook."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

from rich.console import Console

from harness.check.attempt import Attempt, attempt
from harness.check.examine import RunContext
from harness.check.preflight import PUBLIC_SEED
from harness.course.kata import Kata
from harness.course.submission import Submission
from harness.ui import lab_notebook, report
from harness.ui.jupyterlab import refresh_start_page
from harness.ui.live import live_runs
from harness.ui.results import as_json, write_junit
from harness.ui.view import CheckView
from harness.ui.webpage import write_fragment, write_report

FRAGMENT = "verdict.html"


def load_for_pages(kata: Kata) -> None:
    """Import what the pages need while the kernel trains."""
    importlib.import_module("jinja2")
    importlib.import_module("markdown_it")
    if kata.toml.curve:
        importlib.import_module("uniplot")


def checked(
    console: Console, kata: Kata, submission: Submission, context: RunContext, seed: int | None, public_seed: int = PUBLIC_SEED
) -> Attempt:
    """Show an attempt while it runs, each seed as soon as it is judged. The context's listener is told first."""
    report.show_notes(console, submission)
    with live_runs(console, kata, public_seed, context.listener) as live:
        return attempt(kata, submission, replace(context, listener=live), seed=seed, public_seed=public_seed)


def keep(view: CheckView) -> str:
    """Write what an attempt leaves: verdict.json and .html, junit.xml, report.html, its lab notebook entry; return the first."""
    folder = view.attempt.folder
    verdict = json.dumps(as_json(view), indent=1)
    (folder / "verdict.json").write_text(verdict + "\n", encoding="utf-8")
    write_junit(folder / "junit.xml", view)
    lab_notebook.write(view)
    write_report(folder / "report.html", view)
    write_fragment(folder / FRAGMENT, view)
    refresh_start_page(view.kata.folder.parent)
    return verdict
