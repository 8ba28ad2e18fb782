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

from harness.check import feedback
from harness.check.attempt import Cancelled, attempt
from harness.course import scaffold
from harness.course.errors import KataError, LabError, SubmissionError
from harness.course.kata import Kata, shown
from harness.course.notebook import Submission, authored, read_submission, submit
from harness.judging.verdict import Judge
from harness.proof import prove as proof
from harness.proof.calibrate import calibrate, calibrate_fixes
from harness.proof.variants import Bench
from harness.sandbox.forkserver import Kernels
from harness.ui import matrix, report
from harness.ui.checking import FRAGMENT, checked, keep, load_what_shows
from harness.ui.events import Events, tell
from harness.ui.watch import versions

Show = Literal["text", "json", "events"]
KATAS_AT_ONCE = 2
"""While one is judged to its end, the next one's runs fill the machine."""


def check(kata: Kata, kernels: Kernels, *, notebook: Path, seed: int | None, show: Show) -> int:
    """Run and judge a learner's notebook; return the exit code."""
    console = Console(stderr=show != "text", quiet=show != "text")
    shipped = authored(kata)
    submission = submit(kata, shipped, read_submission(notebook), shown(notebook))
    if submission.as_shipped:
        report.show_page(console, kata, next(cell.source for cell in shipped.cells if cell.cell_type == "markdown"))
    threading.Thread(target=load_what_shows, args=(kata,), daemon=True).start()
    with Judge(kata.folder) as judge:
        if show == "events":
            follow = Events(kata.toml.curve)
            done = attempt(
                kata, submission, kernels, seed=seed, judge=judge, on_seeds=follow.start, on_row=follow.row, on_examined=follow.examined
            )
        else:
            done = checked(console, kata, submission, kernels, judge, seed, threading.Event())
    whys = feedback.whys(kata, done)
    verdict = keep(kata, done, whys)
    report.show_conclusion(console, kata, done, whys)
    if show == "json":
        click.echo(verdict)
    if show == "events":
        text = report.conclusion(kata, done).plain
        tell("done", exit_code=done.exit_code, fixed=done.fixed, conclusion=text, page=str(done.folder / FRAGMENT))
    return done.exit_code


def watch(kata: Kata, kernels: Kernels, *, notebook: Path, seed: int | None) -> None:
    """Check a learner's notebook now and whenever it is saved with other code, until ctrl-C."""
    console, running = Console(), threading.Event()
    with Judge(kata.folder) as judge, ThreadPoolExecutor(1) as aside:
        try:
            for version in versions(kata, notebook):
                running.set()
                running = threading.Event()
                aside.submit(_recheck, console, kata, version, kernels, judge, seed, running)
        finally:
            running.set()


def _recheck(
    console: Console,
    kata: Kata,
    version: Submission | SubmissionError,
    kernels: Kernels,
    judge: Judge,
    seed: int | None,
    stop: threading.Event,
) -> None:
    console.rule(f"[dim]{datetime.now():%H:%M:%S}[/]", style="dim")
    try:
        if isinstance(version, SubmissionError):
            raise version
        done = checked(console, kata, version, kernels, judge, seed, stop)
        whys = feedback.whys(kata, done)
        keep(kata, done, whys)
        report.show_conclusion(console, kata, done, whys)
    except Cancelled:
        console.print("saved again: this run was ended", style="dim")
    except LabError as e:
        console.print(f"Error: {e}", style="red", markup=False)
    except Exception:
        console.print_exception()
    if not stop.is_set():
        console.print(f"Waiting for you to save {shown(kata.notebook)}; ctrl-C ends.", style="dim", highlight=False)


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
                raise KeyboardInterrupt("what was run is kept, and the same command goes on from there") from None
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
