"""What the commands that run notebooks do. The command line starts the kernels' fork server before it imports this."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Literal

import click
from rich.console import Console

from harness import labbook, masking, matrix, proof, report, scaffold
from harness.attempt import Attempt, Cancelled, attempt
from harness.calibrate import calibrate
from harness.errors import KataError, LabError, SubmissionError
from harness.events import Events, tell
from harness.examine import Examined
from harness.forkserver import Kernels
from harness.kata import Kata, shown
from harness.lab import refresh_start_page
from harness.notebook import Submission, authored, read_submission, submit
from harness.premise import PUBLIC_SEED
from harness.variants import Bench
from harness.verdict import Judge
from harness.watch import versions
from harness.webpage import Words, write_fragment, write_junit, write_report

Show = Literal["text", "json", "events"]
FRAGMENT = "verdict.html"
WAITS = "Fill in the form, save and check again, and the post-mortem is shown; or read it as it is: `%kata debrief`."
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
    whys = masking.whys(kata, done)
    verdict = keep(kata, done, whys)
    report.show_conclusion(console, kata, done, whys)
    if show == "json":
        click.echo(verdict)
    if show == "events":
        text = report.conclusion(kata, done).plain
        tell("done", exit_code=done.exit_code, fixed=done.fixed, conclusion=text, page=str(done.folder / FRAGMENT))
    return done.exit_code


def load_what_shows(kata: Kata) -> None:
    """Import while the kernel trains what is needed at the end."""
    importlib.import_module("jinja2")
    importlib.import_module("markdown_it")
    if kata.toml.curve:
        importlib.import_module("uniplot")


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
        whys = masking.whys(kata, done)
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
    labbook.write(kata, done)
    story = scaffold.postmortem(kata) if helps and report.may_read_on(done) else ""
    waits = WAITS if helps and report.diagnosis_waits(done) else ""
    words = Words(report.conclusion(kata, done).plain, report.diagnosis(done, fields_named=helps).plain, whys, story, waits)
    write_report(done.folder / "report.html", kata, done, words)
    write_fragment(done.folder / FRAGMENT, kata, done, words)
    refresh_start_page(kata.folder.parent)
    return verdict


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


def measure(kata: Kata, kernels: Kernels, *, jobs: int) -> None:
    """Write a kata's healthy bands."""
    console = Console()
    with ThreadPoolExecutor(jobs) as runs, matrix.Board(console, [kata], jobs) as board:
        done = calibrate(Bench(kata, runs, kernels, board))
    matrix.show_calibration(console, done, scaffold.check_names(kata))
    click.echo(f"{shown(kata.meta / 'baseline.json')} is written; now make prove KATA={kata.slug}")
