"""Show what proves a kata: the matrix of variants and checks, bands, and progress while it is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from harness.calibrate import Calibration
from harness.kata import Kata
from harness.proof import Forged, ProofResult
from harness.variants import Row

FAR_SD = 999
"""Distances beyond are shown as this: a column is five characters wide."""


@contextmanager
def live_proof(console: Console, title: str) -> Iterator[tuple[Any, Any]]:
    """Show how many runs are done; yields the two callbacks that prove and calibrate take."""
    columns = [
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(24),
        TextColumn("{task.completed}/{task.total} runs"),
        TimeElapsedColumn(),
    ]
    with Progress(
        *columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(title, total=None)
        yield (
            lambda total: progress.update(task, total=total),
            lambda name, seed: progress.update(task, advance=1, description=f"{title}: {name}, seed {seed}"),
        )


def matrix(kata: Kata, checks: Sequence[str], rows: Sequence[Row], forged: Sequence[Forged] = ()) -> RenderableType:
    """Return variants × checks: the smallest distance to the bar in sd over the seeds, or ok and FAIL where nothing is measured in sd.

    The last column says whether the variant is refused under the reports of the reference fix.
    """
    table = Table(
        box=None,
        padding=0,
        pad_edge=False,
        header_style="dim",
        title=f"{kata.slug}: distance to the bar in sd, negative where refused",
        title_justify="left",
    )
    table.add_column("variant", no_wrap=True, overflow="ellipsis", max_width=26)
    table.add_column("n", justify="right", min_width=2)
    for n in range(len(checks)):
        table.add_column(f"{n + 1}", justify="right", width=5, no_wrap=True)
    if forged:
        table.add_column("liar", justify="right", width=5, no_wrap=True)
    for row in rows:
        style = "green" if row.variant.expect == "pass" else "red"
        entries = [_entry(row, check) for check in checks]
        table.add_row(Text(row.variant.name, style), str(len(row.verdicts)), *entries, *([_lie(row, forged)] if forged else []))
    legend = Text("\n".join(f"  {n}  {check}" for n, check in enumerate(checks, 1)), "dim")
    return Group(table, legend)


def _lie(row: Row, forged: Sequence[Forged]) -> Text:
    told = [f for f in forged if f.name == row.variant.name]
    if not told:
        return Text("")
    believed = sum(f.believed for f in told)
    if not believed:
        return Text("FAIL", "red")
    return Text("by" if believed == len(told) else f"{believed}/{len(told)}", "yellow")


def _entry(row: Row, check: str) -> Text:
    refused = [check in {c.name for c in v.failed} for v in row.verdicts]
    margin = row.margin(check)
    word = "FAIL" if all(refused) else f"{sum(refused)}/{len(refused)}" if any(refused) else "ok"
    figure = word if margin is None or not math.isfinite(margin) else f"{max(-FAR_SD, min(FAR_SD, margin)):+.0f}"
    return Text(figure, "red" if all(refused) else "yellow" if any(refused) else "green")


def show_proof(console: Console, result: ProofResult) -> None:
    """Print the matrix and what contradicts it."""
    console.print(matrix(result.kata, result.checks, result.rows, result.forged))
    stolen = [f for f in result.forged if f.name.startswith("weights of")]
    refused = sum(not f.believed for f in stolen)
    console.print(Text(f"  results of another seed: {refused} of {len(stolen)} refused", "dim"))
    console.print(Text(f"  same seed twice: {'bit-identical' if not result.bits else 'differs in ' + result.bits}", "dim"))
    budget = result.kata.toml.budget
    limits = f"of {budget.notebook_s:g} s, {result.peak_memory_gib:.2f} GiB of {budget.memory_gib:g} GiB"
    console.print(Text(f"  slowest run {result.slowest_s:.1f} s {limits}", "dim"))
    for problem in result.problems:
        console.print(Text(f"  {problem}", "red"))
    verdict = "is proven" if result.proven else "is not proven"
    console.print(Text(f"{result.kata.slug} {verdict}.", "bold green" if result.proven else "bold red"))


def show_calibration(console: Console, done: Calibration, checks: Sequence[str]) -> None:
    """Print the reference's bands and how far every other variant is from the bars."""
    table = Table(box=None, header_style="dim", title="the reference fix", title_justify="left")
    for heading in ("measure", "mean", "sd", "lowest", "highest", "seeds"):
        table.add_column(heading, justify="left" if heading == "measure" else "right")
    for name, m in done.measures.items():
        table.add_row(name, f"{m['mean']:.5g}", f"{m['sd']:.3g}", f"{m['low']:.5g}", f"{m['high']:.5g}", f"{m['seeds']:.0f}")
    console.print(table)
    console.print(matrix(done.kata, checks, done.rows))
