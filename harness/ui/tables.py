"""What the terminal lists besides attempts: the katas, the findings of doctor, a debrief."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.course.kata import Kata
from harness.ui.doctor import Finding
from harness.ui.progress import Debrief, Standing, Stop, minutes, standings
from harness.ui.report import printable
from harness.ui.view import make


def show_debrief(console: Console, found: Debrief) -> None:
    """Print a learner's way through a kata beside the reference."""
    console.print(f"[bold]{found.kata.slug}[/]: {len(found.stops)} attempts, {found.runs} runs, {found.hints} hints", highlight=False)
    console.print(
        f"right cause in the diagnosis form: {_after(found.first_right_s)}; fixed: {_after(found.fixed_s)}", highlight=False, style="dim"
    )
    for stop in found.stops:
        console.print(_stop(stop))
    if not found.reference:
        console.print(
            f"\nThe reference is shown when the kata is fixed, or: {make(found.kata, 'debrief')} GIVE_UP=1", highlight=False, soft_wrap=True
        )
    for heading, text in found.reference:
        console.print(Panel(Markdown(text), title=heading, title_align="left", border_style="green"))


def _stop(stop: Stop) -> RenderableType:
    entry, table = stop.entry, Table.grid(padding=(0, 2))
    hypotheses = [
        *entry.hypotheses,
        *([f"{entry.guess}  ({len(entry.right)} of {len(entry.right) + len(entry.wrong)} fields right)"] if entry.guess else []),
    ]
    table.add_row("hypothesis", Text(printable("\n".join(hypotheses)) or "none written"))
    if entry.looked:
        table.add_row("own cells", f"{len(entry.looked)}")
    table.add_row(
        "edit",
        Text(printable("\n".join(line for cell, lines in stop.edits for line in (cell, *lines))) or "nothing since the attempt before"),
    )
    verdict = printable("\n".join(entry.evidence) or entry.conclusion)
    table.add_row("verdict", Text(verdict, "green" if entry.fixed else "red"))
    hints = f", after {stop.hints} hints" if stop.hints else ""
    return Panel(table, title=f"attempt {entry.run}, after {minutes(stop.after_s)}{hints}", title_align="left", border_style="dim")


def _after(seconds: float | None) -> str:
    return "not yet" if seconds is None else f"after {minutes(seconds)}"


def findings(found: Sequence[Finding]) -> RenderableType:
    """Return what was found on this machine, with remedies."""
    table = Table(box=None, header_style="dim")
    for heading in ("", "state", "found", "remedy"):
        table.add_column(heading)
    styles = {"ok": "green", "worse": "yellow", "missing": "bold red"}
    for f in found:
        table.add_row(f.what, Text(f.state, styles[f.state]), f.found, f.remedy)
    return table


def list_katas(katas: Sequence[Kata]) -> RenderableType:
    """Return the katas by track, with what the learner has done; each title stands on a line of its own."""
    lines: list[Text] = []
    for track, found in groupby(standings(katas), key=lambda standing: standing.kata.toml.track):
        lines += [Text(track, "bold"), *(line for standing in found for line in _listed(standing)), Text()]
    return Group(*lines)


def _listed(standing: Standing) -> list[Text]:
    kata, toml = standing.kata, standing.kata.toml
    facts = Text(f"  {kata.slug:<20} level {toml.level}   {toml.minutes:>3} min   ", no_wrap=True)
    facts.append(standing.state, "green" if standing.fixed else "dim")
    return [facts, Text(f"      {toml.title}", "dim", no_wrap=True, overflow="ellipsis")]
