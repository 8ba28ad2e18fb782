"""One attempt in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from harness.check.attempt import checks_hidden
from harness.check.examine import Examined
from harness.course.kata import Kata
from harness.course.submission import Submission
from harness.judging.verdict import CheckResult
from harness.ui.view import CheckView, Line, Tone, seed_name

STATUS = {"pass": Text("pass", "green"), "fail": Text("FAIL", "bold red"), "error": Text("ERROR", "bold magenta")}
STYLE: dict[Tone, str] = {"good": "green", "bad": "red", "fault": "magenta", "open": "yellow"}


def show_brief(console: Console, kata: Kata, brief: str) -> None:
    """Print the incident brief."""
    console.print(Panel(Markdown(brief), title=f"katas/{kata.slug}", title_align="left", border_style="dim"))


def show_notes(console: Console, submission: Submission) -> None:
    """Print what was restored in a learner's notebook."""
    for note in submission.notes:
        console.print(f"note: {printable(note)}", style="yellow", markup=False)


def show_examined(console: Console, kata: Kata, examined: Examined, public_seed: int) -> None:
    """Print the verdict on one seed: its checks with their evidence."""
    execution, verdict = examined.execution, examined.verdict
    console.print(f"\n[bold]{seed_name(examined.seed, public_seed)}[/]  ran {execution.elapsed_s:.1f} s", highlight=False)
    if verdict is None:
        console.print(Text(f"  {execution.outcome}: {printable(execution.message)}", "red"))
    elif checks_hidden(kata, examined):
        console.print(Text("  The checks are shown once your diagnosis form is filled in.", "yellow"))
    elif verdict.fixed:
        console.print(Text(f"  all {len(verdict.checks)} checks pass", "green"))
    else:
        table = Table.grid(padding=(0, 2))
        for check in verdict.checks:
            table.add_row(STATUS[check.status], _evidence(check))
        console.print(Padding(table, (0, 0, 0, 2)))


def _evidence(check: CheckResult) -> Text:
    if check.status == "pass":
        return Text(check.claim, "dim")
    return Text.assemble((check.claim, "bold"), "\n", printable(check.message), (f"  [{check.name}]", "dim"))


def printable(text: str) -> str:
    """Return a text without control characters: names in a learner's files could clear the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text)


def show_outcome(console: Console, view: CheckView) -> None:
    """Print what an attempt found: the curve, the diagnosis, the conclusion."""
    if view.curve:
        console.print(_drawn(view))
    if view.diagnosis:
        console.print(_styled(view.diagnosis))
    console.print(Text(view.conclusion.text, f"bold {STYLE[view.conclusion.tone]}"))


def show_conclusion(console: Console, view: CheckView) -> None:
    """Print the end of an attempt: what it found, what it resembles, what to do next, the post-mortem once it is earned."""
    show_outcome(console, view)
    if view.feedback:
        console.print(Text(f"A known repair fails the same checks: {view.feedback}"))
    console.print()
    for line in view.next_steps:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if view.postmortem:
        console.print(Panel(Markdown(view.postmortem), title="post-mortem", title_align="left", border_style="green"))


def _styled(line: Line) -> Text:
    return Text(line.text, STYLE[line.tone])


def _drawn(view: CheckView) -> str:
    import uniplot  # here: what draws nothing does not pay for it

    plot = uniplot.plot_to_string(
        [value for _, value in view.curve],
        [step for step, _ in view.curve],
        title=f"{view.kata.toml.curve} over steps, {view.seed_name(view.attempt.decisive)}",
        lines=True,
        width=72,
        height=11,
        y_min=0,
    )
    return plot if isinstance(plot, str) else "\n".join(plot)
