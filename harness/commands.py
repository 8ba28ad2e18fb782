"""What the commands that run notebooks do. The command line starts the kernels' fork server before it imports this."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from rich.console import Console

from harness import matrix, proof, report, scaffold
from harness.attempt import Attempt, attempt
from harness.calibrate import calibrate
from harness.forkserver import Kernels
from harness.kata import Kata, shown
from harness.notebook import authored, read_submission, submit
from harness.variants import Bench
from harness.webpage import write_junit, write_report


def check(kata: Kata, kernels: Kernels, *, notebook: Path, seed: int | None, as_json: bool) -> int:
    """Run and judge a learner's notebook; return the exit code."""
    console = Console(stderr=as_json, quiet=as_json)
    shipped = authored(kata)
    submission = submit(kata, shipped, read_submission(notebook), shown(notebook))
    if submission.as_shipped:
        report.show_page(console, kata, next(cell.source for cell in shipped.cells if cell.cell_type == "markdown"))
    report.show_notes(console, submission)
    with report.live_runs(console, kata.toml.curve) as live:
        done = attempt(
            kata,
            submission,
            kernels,
            seed=seed,
            on_seeds=live.start,
            on_row=live.row,
            on_examined=lambda one: report.show_examined(console, one),
        )
    verdict = keep(kata, done)
    report.show_conclusion(console, kata, done)
    if as_json:
        click.echo(verdict)
    return done.exit_code


def keep(kata: Kata, done: Attempt) -> str:
    """Write a check's verdict.json, junit.xml and report.html; return the first."""
    verdict = json.dumps(report.as_json(kata, done), indent=1)
    (done.folder / "verdict.json").write_text(verdict + "\n", encoding="utf-8")
    write_junit(done.folder / "junit.xml", kata, done)
    write_report(done.folder / "report.html", kata, done, report.conclusion(kata, done).plain)
    return verdict


def prove(katas: Sequence[Kata], kernels: Kernels, *, jobs: int) -> int:
    """Prove katas; return the exit code."""
    console = Console()
    unproven = []
    for kata in katas:
        with ThreadPoolExecutor(jobs) as pool, matrix.live_proof(console, kata.slug) as (on_plan, on_done):
            result = proof.prove(Bench(kata, pool, kernels), on_plan, on_done)
        matrix.show_proof(console, result)
        if not result.proven:
            unproven.append(kata.slug)
    return 1 if unproven else 0


def measure(kata: Kata, kernels: Kernels, *, jobs: int) -> None:
    """Write a kata's healthy bands."""
    console = Console()
    with ThreadPoolExecutor(jobs) as pool, matrix.live_proof(console, f"calibrate {kata.slug}") as (on_plan, on_done):
        done = calibrate(Bench(kata, pool, kernels), on_plan, on_done)
    matrix.show_calibration(console, done, scaffold.check_names(kata))
    click.echo(f"{shown(kata.meta / 'baseline.json')} is written; now make prove KATA={kata.slug}")
