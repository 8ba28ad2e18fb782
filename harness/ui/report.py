"""Show what the judge found: in the terminal, and as a value that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fixtures.recording.artifacts import number
from harness.check.attempt import Attempt
from harness.check.examine import Examined
from harness.check.history import remembered
from harness.check.preflight import PUBLIC_SEED
from harness.course.kata import Kata, listed, shown
from harness.course.notebook import Submission
from harness.course.scaffold import hints, postmortem
from harness.judging.evidence import Reported
from harness.judging.verdict import CheckResult, Diagnosis
from harness.sandbox.watchdog import Row as TelemetryRow
from harness.ui.doctor import Finding
from harness.ui.progress import Debrief, Stop, minutes, standings

WRONG_FIELDS_SHOWN_AFTER = 2
"""Attempts; from the third on the verdict names the wrong fields of a diagnosis. Before, trying all values would pay."""
SYMBOL = {"pass": Text("pass", "green"), "fail": Text("FAIL", "bold red"), "error": Text("BROKE", "bold magenta")}


def show_page(console: Console, kata: Kata, attempt_page: str) -> None:
    """Print the page that the on-call engineer got."""
    console.print(Panel(Markdown(attempt_page), title=f"katas/{kata.slug}", title_align="left", border_style="dim"))


def show_notes(console: Console, submission: Submission) -> None:
    """Print what was restored in a learner's notebook."""
    for note in submission.notes:
        console.print(f"note: {note}", style="yellow")


def show_outcome(console: Console, kata: Kata, done: Attempt, *, fields_named: bool) -> None:
    """Print what a check found, and nothing that helps: the curve, how much of the diagnosis is right, the verdict in one line."""
    if curve := _curve(kata, done):
        console.print(curve)
    if done.diagnosis:
        console.print(_diagnosis(done.diagnosis, fields_named))
    console.print(conclusion(kata, done))


def show_conclusion(console: Console, kata: Kata, done: Attempt, whys: Sequence[str] = ()) -> None:
    """Print the end of a check, after its nights: the curve, the diagnosis, why a repair like it only hides, what to do next."""
    show_outcome(console, kata, done, fields_named=_fields_named(done))
    if whys:
        console.print(_whys(whys))
    console.print()
    for line in _next_steps(kata, done):
        console.print(line, highlight=False)
    if may_read_on(done):
        console.print(Panel(Markdown(postmortem(kata)), title="post-mortem", title_align="left", border_style="green"))


def may_read_on(done: Attempt) -> bool:
    """Whether a check earned the post-mortem: fixed, on all nights, with something said about the cause."""
    return done.fixed and len(done.examined) > 1 and not diagnosis_waits(done)


def diagnosis_waits(done: Attempt) -> bool:
    """Whether a check repaired all nights and its form is empty: the post-mortem would give the answers."""
    return done.fixed and len(done.examined) > 1 and done.diagnosis is not None and done.diagnosis.blank


def _night(seed: int, public_seed: int) -> str:
    return f"public night (seed {seed})" if seed == public_seed else f"night {seed}"


def show_examined(console: Console, examined: Examined, public_seed: int = PUBLIC_SEED) -> None:
    """Print the verdict on one night: its checks with their evidence."""
    execution, verdict = examined.execution, examined.verdict
    console.print(f"\n[bold]{_night(examined.seed, public_seed)}[/]  ran {execution.elapsed_s:.1f} s")
    if verdict is None:
        console.print(Text(f"  {execution.outcome}: {printable(execution.message)}", "red"))
        return
    if verdict.fixed:
        console.print(Text(f"  all {len(verdict.checks)} checks pass", "green"))
        return
    table = Table.grid(padding=(0, 2))
    for check in verdict.checks:
        table.add_row(SYMBOL[check.status], _evidence(check))
    console.print(Padding(table, (0, 0, 0, 2)))


def _evidence(check: CheckResult) -> Text:
    if check.status == "pass":
        return Text(check.claim, "dim")
    return Text.assemble((check.claim, "bold"), "\n", printable(check.message), (f"  [{check.name}]", "dim"))


def printable(text: str) -> str:
    """Return a text without control characters: names in a learner's files could clear the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def _curve(kata: Kata, done: Attempt) -> str | None:
    """Draw the kata's curve over the steps; None when the run has no such column."""
    examined = done.decisive
    points = Reported(examined.execution.evidence).curve(kata.toml.curve)
    if len(points) < 2:
        return None
    import uniplot  # here: what draws nothing does not pay for it

    plot = uniplot.plot_to_string(
        [value for _, value in points],
        [step for step, _ in points],
        title=f"{kata.toml.curve} over steps, {_night(examined.seed, done.public_seed)}",
        lines=True,
        width=72,
        height=11,
        y_min=0,
    )
    return plot if isinstance(plot, str) else "\n".join(plot)


def _whys(whys: Sequence[str]) -> Text:
    return Text("\n".join(["Repairs are known that fail just these checks. Why they hide the symptom:", *(f"  - {why}" for why in whys)]))


def _fields_named(done: Attempt) -> bool:
    return done.attempts_before >= WRONG_FIELDS_SHOWN_AFTER


def diagnosis(done: Attempt, *, fields_named: bool = True) -> Text:
    """Return how much of the diagnosis is right, in one line; empty for a kata that asks for none."""
    return _diagnosis(done.diagnosis, fields_named and _fields_named(done)) if done.diagnosis else Text()


def _diagnosis(diagnosis: Diagnosis, fields_named: bool) -> Text:
    total = len(diagnosis.right) + len(diagnosis.wrong)
    if not diagnosis.wrong:
        return Text(f"diagnosed: {total} of {total} fields of your diagnosis are right", "green")
    if diagnosis.blank:
        return Text("diagnosis: not filled in yet", "yellow")
    line = f"diagnosis: {len(diagnosis.right)} of {total} fields are right"
    if fields_named:
        line += f"; not {listed(diagnosis.wrong)}"
    return Text(line, "yellow")


def conclusion(kata: Kata, done: Attempt) -> Text:
    """Return the verdict in one line."""
    if done.fixed:
        if len(done.examined) == 1:
            return Text(f"Seed {done.decisive.seed} alone: all checks pass.", "bold green")
        return Text(f"Fixed. `{kata.slug}` holds on the public night and on two that nobody had seen.", "bold green")
    if done.check_broke:
        return Text(
            "A check of this kata broke: that is the kata's fault, not yours. Please report the lines marked BROKE.", "bold magenta"
        )
    if done.not_judged:
        return Text(f"This machine cannot judge `{kata.slug}`: {done.not_judged}. That is not your repair's fault.", "bold red")
    if any(e.unjudged for e in done.examined):
        return Text("This run could not be judged.", "bold red")
    decisive = done.decisive
    failed = len(decisive.verdict.failed) if decisive.verdict else 0
    what = f"{failed} of {len(decisive.verdict.checks)} checks fail" if decisive.verdict else "the notebook did not run to its end"
    if decisive.seed != done.public_seed and len(done.examined) > 1:
        return Text(
            f"Passes on the public night, and {what} on night {decisive.seed}: the same failure, in a world that your repair had not met.",
            "bold red",
        )
    return Text(f"Not fixed: {what}.", "bold red")


def _next_steps(kata: Kata, done: Attempt) -> Iterator[str]:
    slug, decisive = kata.slug, done.decisive
    if done.submission.as_shipped:
        yield "The notebook is as shipped: this is the failure to investigate, not yet yours."
        yield f"  open it:  make lab, then {slug}/{slug}.ipynb     or any editor for notebooks: {shown(kata.notebook)}"
    if not done.sandbox.sandboxed:
        yield f"  unsandboxed: {done.sandbox.why_not}"
    yield f"  curves and changes:  {shown(done.folder / 'report.html')}"
    yield f"  what the run left:  {shown(decisive.execution.evidence)}"
    if done.fixed:
        if len(done.examined) == 1:
            yield f"  all nights:  make check KATA={slug}"
        if diagnosis_waits(done):
            yield "Your diagnosis is still open: fill in the form and check again, and the post-mortem is shown."
            yield f"  or read it as it is:  make debrief KATA={slug}"
        return
    if decisive.seed != PUBLIC_SEED:
        yield f"  this night again:  make check KATA={slug} SEED={decisive.seed}"
    total = len(hints(kata))
    taken = len(remembered(slug, "hint"))
    if taken < total:
        yield f"  hint {taken + 1} of {total}:  make hint KATA={slug}"
    yield f"  check again:  make check KATA={slug}"


def as_json(kata: Kata, done: Attempt) -> dict[str, Any]:
    """Return an attempt as plain values: kata, fixed, exit_code, and for each run its outcome and checks."""
    return {
        "schema": 1,
        "kata": kata.slug,
        "run": done.number,
        "fixed": done.fixed,
        "exit_code": done.exit_code,
        "sandboxed": done.sandbox.sandboxed,
        "not_judged": done.not_judged,
        "as_shipped": done.submission.as_shipped,
        "changed_cells": list(done.submission.changed),
        "notes": list(done.submission.notes),
        "diagnosis": done.diagnosis
        and {"right": len(done.diagnosis.right), "fields": len(done.diagnosis.right) + len(done.diagnosis.wrong)},
        "runs": [_run_as_json(e) for e in done.examined],
    }


def _run_as_json(examined: Examined) -> dict[str, Any]:
    execution = examined.execution
    return {
        "seed": examined.seed,
        "outcome": execution.outcome,
        "cell": execution.cell,
        "message": execution.message,
        "elapsed_s": round(execution.elapsed_s, 2),
        "peak_memory_gib": execution.peak_memory_gib,
        "folder": shown(execution.run_dir),
        "checks": [_check_as_json(check) for check in examined.verdict.checks] if examined.verdict else None,
    }


def _check_as_json(check: CheckResult) -> dict[str, Any]:
    margins = [{k: v if isinstance(v, str) or math.isfinite(v) else str(v) for k, v in asdict(m).items()} for m in check.margins]
    return {"name": check.name, "claim": check.claim, "status": check.status, "message": check.message, "margins": margins}


def show_debrief(console: Console, found: Debrief) -> None:
    """Print a learner's way through a kata beside the reference."""
    console.print(f"[bold]{found.kata.slug}[/]: {len(found.stops)} checks, {found.runs} runs, {found.hints} hints", highlight=False)
    console.print(
        f"cause named right in the form: {_after(found.first_right_s)}; fixed: {_after(found.fixed_s)}", highlight=False, style="dim"
    )
    for stop in found.stops:
        console.print(_stop(stop))
    if not found.reference:
        console.print(
            f"\nThe reference is shown when the kata is fixed, or: make debrief KATA={found.kata.slug} GIVE_UP=1", highlight=False
        )
    for heading, text in found.reference:
        console.print(Panel(Markdown(text), title=heading, title_align="left", border_style="green"))


def _stop(stop: Stop) -> RenderableType:
    page, table = stop.page, Table.grid(padding=(0, 2))
    hypotheses = [
        *page.hypotheses,
        *([f"{page.guess}  ({len(page.right)} of {len(page.right) + len(page.wrong)} fields right)"] if page.guess else []),
    ]
    table.add_row("hypothesis", Text(printable("\n".join(hypotheses)) or "none written down"))
    if page.looked:
        table.add_row("looked with", f"{len(page.looked)} cells of your own")
    table.add_row(
        "edit",
        Text(printable("\n".join(line for cell, lines in stop.edits for line in (cell, *lines))) or "nothing since the check before"),
    )
    table.add_row("verdict", Text(printable("\n".join(page.evidence)), "red") if page.evidence else Text("all checks pass", "green"))
    hints = f", after {stop.hints} hints" if stop.hints else ""
    return Panel(table, title=f"check {page.run}, after {minutes(stop.after_s)}{hints}", title_align="left", border_style="dim")


def _after(seconds: float | None) -> str:
    return "not yet" if seconds is None else f"after {minutes(seconds)}"


class LiveRuns:
    """What runs now: a line a seed, fed from the telemetry."""

    def __init__(self, progress: Progress, curve: str, public_seed: int) -> None:
        self._progress, self._curve, self._public_seed = progress, curve, public_seed
        self._tasks: dict[int, TaskID] = {}

    def start(self, seeds: Sequence[int]) -> None:
        """Add a line for each seed that starts to run."""
        for task in self._tasks.values():
            self._progress.update(task, visible=False)
        self._tasks = {seed: self._progress.add_task(_night(seed, self._public_seed), total=None, what="running") for seed in seeds}

    def row(self, seed: int, row: TelemetryRow) -> None:
        """Take a telemetry row of a seed's run."""
        task = self._tasks[seed]
        if isinstance(total := row.get("num_steps"), int):
            self._progress.reset(task, total=total, what="training")
        if isinstance(step := row.get("step"), int):
            value = number(row.get(self._curve))
            what = f"step {step + 1:4d}" + ("" if math.isnan(value) else f"  {self._curve} {value:.2f}")
            self._progress.update(task, completed=step + 1, what=what)
            if step + 1 == self._progress.tasks[task].total:
                self._progress.update(task, what=f"{what}, judging")


@contextmanager
def live_runs(console: Console, curve: str, public_seed: int = PUBLIC_SEED) -> Iterator[LiveRuns]:
    """Show running seeds with step, the kata's curve and time left until the block ends."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[what]}"), TimeElapsedColumn()]
    with Progress(
        *columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        yield LiveRuns(progress, curve, public_seed)


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
    """Return the katas by track, with what the learner has done."""
    table = Table(box=None, header_style="dim")
    for heading in ("track", "level", "kata", "what you see", "minutes", ""):
        table.add_column(heading)
    for standing in standings(katas):
        kata, toml = standing.kata, standing.kata.toml
        table.add_row(
            toml.track,
            str(toml.level),
            kata.slug,
            toml.title,
            str(toml.minutes),
            Text(standing.state, "green" if standing.fixed else "dim"),
        )
    return table
