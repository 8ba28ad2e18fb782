"""Show what proves a kata: the matrix of variants and checks, bands, and progress while it is made."""

from __future__ import annotations

import math
import statistics
import threading
from collections.abc import Collection, Sequence

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from harness.course.kata import DIAGNOSIS, Kata
from harness.proof.calibrate import Calibration
from harness.proof.criteria import Forged
from harness.proof.prove import ProofResult
from harness.proof.receipt import expected_runs
from harness.proof.variants import PUBLIC_SEED, Row, Task

FAR_SD = 999
"""Distances beyond are shown as this: a column is five characters wide."""


class Board:
    """One display of proofs or calibrations: what runs, what is left, and how long that will take; alive for a with block."""

    def __init__(self, console: Console, katas: Sequence[Kata], jobs: int) -> None:
        self._console, self._jobs = console, jobs
        self._lock = threading.Lock()
        self._fresh: dict[str, set[Task]] = {}
        """Runs that are still to be made, for each kata that was begun."""
        self._took: dict[str, list[float]] = {kata.slug: [] for kata in katas}
        self._expected = {kata.slug: expected_runs(kata) for kata in katas}
        columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[what]}")]
        self._progress = RichProgress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)
        self._all = self._progress.add_task("all runs", total=None, what="", visible=len(katas) > 1)
        self._tasks: dict[str, TaskID] = {}

    def plan(self, kata: Kata, runs: Sequence[Task], kept: Collection[Task]) -> None:
        with self._lock:
            self._fresh[kata.slug] = set(runs) - set(kept)
            self._tasks[kata.slug] = self._progress.add_task(kata.slug, total=len(runs), what="")
            self._progress.update(self._all, total=sum(self._progress.tasks[t].total or 0 for t in self._tasks.values()))
            if not self._console.is_terminal:
                known = f", {len(kept)} of them cached" if kept else ""
                self._console.print(f"{kata.slug}: {len(runs)} runs{known}; {self._left()}")

    def done(self, kata: Kata, run: Task, seconds: float) -> None:
        with self._lock:
            if run in self._fresh[kata.slug]:
                self._fresh[kata.slug].discard(run)
                self._took[kata.slug].append(seconds)
            task = self._tasks[kata.slug]
            self._progress.update(task, advance=1, what=f"{run[0]}, seed {run[1]}")
            if self._progress.tasks[task].finished:
                self._progress.update(task, visible=False)
            done, total = (sum(int(getattr(self._progress.tasks[t], f) or 0) for t in self._tasks.values()) for f in ("completed", "total"))
            self._progress.update(self._all, completed=done, what=f"{done}/{total}  {self._left()}")

    def _left(self) -> str:
        """How long the runs that are still to be made will take, side by side."""
        seconds = 0.0
        for slug, (runs, each) in self._expected.items():
            left = len(self._fresh[slug]) if slug in self._fresh else runs
            if took := self._took[slug]:
                each = statistics.fmean(took)
            # Not a number when that is unknown, also for a kata that was not begun.
            seconds += left * each if left or slug not in self._fresh else 0.0
        if math.isnan(seconds):
            return "no time estimate yet"
        minutes = seconds / self._jobs / 60
        return f"about {minutes:.0f} min left" if minutes >= 1 else "under a minute left"

    def __enter__(self) -> Board:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()


def matrix(kata: Kata, checks: Sequence[str], rows: Sequence[Row], forged: Sequence[Forged] = ()) -> RenderableType:
    """Return variants × checks: the smallest distance to the threshold in sd over the seeds, or ok and FAIL where nothing is measured in sd.

    The last column says whether the variant is refused under the reports of the reference fix.
    """
    title = Text(f"{kata.slug}: distance to the threshold in sd, negative where refused", "italic")
    table = Table(box=None, padding=0, pad_edge=False, header_style="dim")
    table.add_column("variant", no_wrap=True, overflow="ellipsis", max_width=26)
    table.add_column("n", justify="right", min_width=2)
    decides = kata.diagnosis_decides
    for heading in [*(f"{n + 1}" for n in range(len(checks))), *(["form"] if decides else [])]:
        table.add_column(heading, justify="right", width=5, no_wrap=True)
    if forged:
        table.add_column("forged", justify="right", width=7, no_wrap=True)
    for row in rows:
        style = "green" if row.variant.expect == "pass" else "red"
        entries = [_entry(row, check) for check in [*checks, *([DIAGNOSIS] if decides else [])]]
        table.add_row(Text(row.variant.name, style), str(len(row.executions)), *entries, *([_forged_entry(row, forged)] if forged else []))
    legend = Text("\n".join(f"  {n}  {check}" for n, check in enumerate(checks, 1)), "dim")
    return Group(title, table, legend)


def _forged_entry(row: Row, forged: Sequence[Forged]) -> Text:
    tried = [f for f in forged if f.name == row.variant.name]
    if not tried:
        return Text("")
    taken = sum(f.accepted for f in tried)
    if not taken:
        return Text("FAIL", "red")
    return Text("ok" if taken == len(tried) else f"{taken}/{len(tried)}", "yellow")


def _entry(row: Row, check: str) -> Text:
    refused = [check in row.refusals(v) for v in row.verdicts if check != DIAGNOSIS or v.seed == PUBLIC_SEED]
    if not refused:
        return Text("" if row.verdicts else "err", "red")
    margin = row.margin(check)
    word = "FAIL" if all(refused) else f"{sum(refused)}/{len(refused)}" if any(refused) else "ok"
    figure = word if margin is None or not math.isfinite(margin) else f"{max(-FAR_SD, min(FAR_SD, margin)):+.0f}"
    return Text(figure, "red" if all(refused) else "yellow" if any(refused) else "green")


def show_proof(console: Console, result: ProofResult) -> None:
    """Print the matrix and what contradicts it."""
    console.print(matrix(result.kata, result.checks, result.rows, result.forged))
    crossed = [f for f in result.forged if f.name.startswith("results of seed")]
    refused = sum(not f.accepted for f in crossed)
    if crossed:
        console.print(Text(f"  results of another seed: {refused} of {len(crossed)} refused", "dim"))
    console.print(Text(f"  same seed twice: {'bit-identical' if not result.bits else 'differs in ' + result.bits}", "dim"))
    for claim in result.claims:
        console.print(
            Text(f"  selftest: {claim.claim}: {claim.measured:.3g} (threshold {claim.threshold:.3g})", "dim" if claim.holds else "red")
        )
    budget = result.kata.toml.budget
    limits = f"of {budget.notebook_s:g} s, {result.peak_memory_gib:.2f} GiB of {budget.memory_gib:g} GiB"
    console.print(Text(f"  slowest run {result.slowest_s:.1f} s {limits}", "dim"))
    for problem in result.problems:
        console.print(Text(f"  {problem}", "red"))
    verdict = "is proven" if result.proven else "is not proven"
    console.print(Text(f"{result.kata.slug} {verdict}.", "bold green" if result.proven else "bold red"))


def show_calibration(console: Console, done: Calibration, checks: Sequence[str]) -> None:
    """Print the reference's bands and how far every other variant is from the thresholds."""
    table = Table(box=None, header_style="dim", title="the reference fix", title_justify="left")
    for heading in ("measure", "mean", "sd", "lowest", "highest", "seeds"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    for name, m in done.measures.items():
        table.add_row(name, f"{m['mean']:.5g}", f"{m['sd']:.3g}", f"{m['low']:.5g}", f"{m['high']:.5g}", f"{m['seeds']:.0f}")
    console.print(table)
    console.print(matrix(done.kata, checks, done.rows))
