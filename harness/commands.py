"""What the commands that run notebooks do. The command line starts the kernels' fork server before it imports this."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from harness.check.attempt import Cancelled
from harness.check.examine import Listener, RunContext
from harness.course import scaffold
from harness.course.errors import KataError, LabError, SubmissionError
from harness.course.kata import Kata, shown
from harness.course.notebook import authored
from harness.course.submission import Submission, read_submission, submit
from harness.judging.verdict import Judge
from harness.proof import prove as proof
from harness.proof.calibrate import calibrate, calibrate_fixes
from harness.proof.variants import Bench
from harness.sandbox.forkserver import Kernels
from harness.ui import matrix, report
from harness.ui.checking import FRAGMENT, checked, keep, load_for_pages
from harness.ui.events import Events, tell
from harness.ui.view import view_of
from harness.ui.watch import versions

Show = Literal["text", "json", "events"]
KATAS_AT_ONCE = 2
"""While one is judged to its end, the next one's runs fill the machine."""


def check(kata: Kata, kernels: Kernels, *, notebook: Path, seed: int | None, show: Show) -> int:
    """Run and judge a learner's notebook; return the exit code."""
    console = Console(stderr=show != "text", quiet=show != "text")
    submission = submit(kata, authored(kata), read_submission(notebook), shown(notebook))
    if submission.as_shipped:
        report.show_brief(console, kata, next(cell.source for cell in submission.shipped.cells if cell.cell_type == "markdown"))
    threading.Thread(target=load_for_pages, args=(kata,), daemon=True).start()
    with Judge(kata.folder) as judge:
        context = RunContext(kernels, judge, listener=Events(kata) if show == "events" else Listener())
        view = view_of(kata, checked(console, kata, submission, context, seed))
    verdict = keep(view)
    report.show_conclusion(console, view)
    if show == "json":
        click.echo(verdict)
    if show == "events":
        done, page = view.attempt, str(view.attempt.folder / FRAGMENT)
        tell("done", exit_code=done.exit_code, fixed=done.fixed, conclusion=view.conclusion.text, page=page)
    return view.attempt.exit_code


def watch(kata: Kata, kernels: Kernels, *, notebook: Path, seed: int | None) -> None:
    """Check a learner's notebook now, and after each save that changes its code, until ctrl-C."""
    console, running = Console(), threading.Event()
    with Judge(kata.folder) as judge, ThreadPoolExecutor(1) as aside:
        try:
            for version in versions(kata, notebook):
                running.set()
                running = threading.Event()
                aside.submit(_recheck, console, kata, version, RunContext(kernels, judge, running), seed)
        finally:
            running.set()


def _recheck(console: Console, kata: Kata, version: Submission | SubmissionError, context: RunContext, seed: int | None) -> None:
    console.rule(f"[dim]{datetime.now():%H:%M:%S}[/]", style="dim")
    try:
        if isinstance(version, SubmissionError):
            raise version
        view = view_of(kata, checked(console, kata, version, context, seed))
        keep(view)
        report.show_conclusion(console, view)
    except Cancelled:
        console.print("You saved a new version; this run was stopped.", style="dim")
    except LabError as e:
        console.print(f"Error: {e}", style="red", markup=False)
    except Exception:
        console.print_exception()
    if not context.stop.is_set():
        console.print(f"Waiting for the next save of {shown(kata.notebook)}; ctrl-C ends.", style="dim", highlight=False)


def prove(katas: Sequence[Kata], kernels: Kernels, *, jobs: int) -> int:
    """Prove katas, two at a time, and print each as soon as it is done; return the exit code."""
    console, code = Console(), 0
    with ThreadPoolExecutor(jobs) as runs, ThreadPoolExecutor(KATAS_AT_ONCE) as proofs, matrix.Board(console, katas, jobs) as board:
        benches = [Bench(kata, runs, kernels, board) for kata in katas]
        futures = [proofs.submit(proof.prove, bench) for bench in benches]
        try:
            for future, kata in zip(futures, katas, strict=True):
                try:
                    result = future.result()
                except KataError as e:
                    console.print(f"{kata.slug}: {e}", style="bold red", markup=False)
                    code = max(code, e.exit_code)
                else:
                    matrix.show_proof(console, result)
                    code = max(code, int(not result.proven))
        except BaseException as e:
            for bench, future in zip(benches, futures, strict=True):
                bench.stop.set()
                future.cancel()
            if isinstance(e, KeyboardInterrupt):
                raise KeyboardInterrupt("finished runs are cached, and the same command continues") from None
            raise
    return code


def measure(kata: Kata, kernels: Kernels, *, fixes: Sequence[str], jobs: int) -> None:
    """Write a kata's healthy bands; with `fixes`, only by how much these are refused."""
    console = Console()
    with ThreadPoolExecutor(jobs) as runs, matrix.Board(console, [kata], jobs) as board:
        bench = Bench(kata, runs, kernels, board)
        done = calibrate_fixes(bench, fixes) if fixes else calibrate(bench)
    matrix.show_calibration(console, done, scaffold.check_names(kata))
    click.echo(f"{shown(kata.meta / 'baseline.json')} is written; next: make prove KATA={kata.slug}")
