"""The commands of an exam: start it, check a notebook by its rules, show what is left, show the score card."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.check.examine import Examined, Listener, RunContext
from harness.course.kata import Kata, all_katas, find_kata, shown
from harness.course.notebook import authored
from harness.course.submission import read_submission, submit
from harness.exam.draw import as_authored, draw, in_tracks, lay_out, mend, met
from harness.exam.page import write_card
from harness.exam.scorecard import ScoreCard, clock, score
from harness.exam.state import Asked, Drawn, Exam, Finished, Judged, Paused, Resumed, Started, Told, append, new_folder, read
from harness.judging.verdict import Judge
from harness.sandbox.forkserver import Kernels
from harness.ui import report
from harness.ui.checking import checked, keep, load_for_pages
from harness.ui.view import CheckView, view_of

Clock = Callable[[], float]


def start(katas: Path, *, tracks: str, minutes: int, seed: int | None, also_seen: bool, now: Clock) -> Exam:
    """Draw an exam, write its notebooks, then start its clock."""
    everything = all_katas(katas)
    pool = in_tracks(everything, tracks)
    seed = secrets.randbelow(10**6) if seed is None else seed
    drawn = draw(pool, met(pool), minutes=minutes, seed=seed, also_seen=also_seen)
    folder = new_folder()
    for one in drawn:
        click.echo(f"writing {one.kata} …", err=True)
        lay_out(folder, find_kata(one.kata, katas), one)
    append(folder, Started(now(), minutes, seed, tracks, drawn))
    exam = read(folder)
    assert exam
    click.echo(f"Exam {exam.number} has started: {minutes} minutes, drawn with seed {seed}.")
    if (there := sum(one.minutes for one in drawn)) > minutes:
        click.echo(f"No available kata fits into {minutes} minutes: this one is meant for {there} minutes.")
    elif waiting := [kata.slug for kata in pool if kata.slug not in {one.kata for one in drawn}]:
        click.echo(f"{len(waiting)} more katas are available but do not fit: {minutes - there} minutes are left over.")
    return exam


def go_on(exam: Exam, katas: Path, now: Clock) -> Exam:
    """Continue a paused exam, and rewrite lost notebooks."""
    for one in exam.started.drawn:
        if mend(exam, find_kata(one.kata, katas)):
            click.echo(f"{shown(exam.notebook(one))} was incomplete: the missing files are as handed out.")
    if exam.paused:
        append(exam.folder, Resumed(now()))
        click.echo(f"Exam {exam.number} continues.")
    return _reread(exam)


def pause(exam: Exam, now: Clock) -> None:
    """Stop the clock of an exam."""
    if exam.paused:
        click.echo(f"Exam {exam.number} is already paused; make exam continues it.")
        return
    append(exam.folder, Paused(now()))
    click.echo(
        f"Exam {exam.number} is paused with {clock(exam.limit_s - exam.clock(now()))} left; the score card will show the pause. make exam continues it."
    )


def finish(exam: Exam, katas: Path, now: Clock) -> ScoreCard:
    """End an exam, write its score card and show it."""
    if exam.finished is None:
        over = exam.clock(now()) >= exam.limit_s
        append(exam.folder, Finished(now(), "time" if over else "asked"))
    exam = _reread(exam)
    card = score(exam, {one.kata: find_kata(one.kata, katas) for one in exam.started.drawn}, now())
    page = write_card(card)
    show_card(Console(), card)
    click.echo(f"\n  score card:  {shown(page)}\n  for the reviewer:  make exam-review NUMBER={exam.number}")
    click.echo("  hints and post-mortems of these katas are available again:  make debrief KATA=…")
    return card


def _reread(exam: Exam) -> Exam:
    now = read(exam.folder)
    assert now
    return now


def show_left(console: Console, exam: Exam, katas: Path, now: float) -> None:
    """Print the time and attempts left in an exam, and where its notebooks lie."""
    left = clock(exam.limit_s - exam.clock(now))
    console.print(
        f"exam {exam.number}: {left} left of {exam.started.minutes}:00{', paused' if exam.paused else ''}", style="bold", highlight=False
    )
    for one in exam.started.drawn:
        _show_drawn(console, exam, one, find_kata(one.kata, katas).toml.title)
    kata = exam.started.drawn[0].kata
    lines = (
        f"  open them:       make exam-lab   or any editor: {shown(exam.notebooks)}/KATA/KATA.ipynb",
        f"  check one:       make exam-check KATA={kata} CONFIDENCE=0.8",
        "                   (0 to 1: how sure you are that it holds on held-out seeds)",
        "  stop the clock:  make exam-pause",
        "  end it:          make exam-finish",
    )
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _show_drawn(console: Console, exam: Exam, drawn: Drawn, title: str) -> None:
    left = f"{drawn.attempts - exam.used(drawn)} of {drawn.attempts} attempts left"
    line = Text(f"  {drawn.kata:<20} level {drawn.level}   {drawn.minutes:>3} min   {left}   ", no_wrap=True)
    if any(attempt.fixed for attempt in exam.attempts(drawn.kata)):
        line.append("fixed", "green")
    console.print(line)
    console.print(Text(f"      {title}", "dim", no_wrap=True, overflow="ellipsis"))


def check(exam: Exam, drawn: Drawn, kata: Kata, kernels: Kernels, *, confidence: float | None, now: Clock) -> int:
    """Run and judge an exam's notebook by the exam's rules; return the exit code."""
    console, path = Console(), exam.notebook(drawn)
    submission = submit(kata, authored(kata), as_authored(kata, drawn, read_submission(path)), shown(path))
    number = 1 + len(exam.attempts(drawn.kata))
    append(exam.folder, Asked(now(), drawn.kata, number, confidence))
    threading.Thread(target=load_for_pages, args=(kata,), daemon=True).start()
    try:
        with Judge(kata.folder) as judge:
            context = RunContext(kernels, judge, listener=_Log(exam, drawn, number, now))
            view = view_of(kata, checked(console, kata, submission, context, None, drawn.seed), exam=True)
    except KeyboardInterrupt:
        if _reread(exam).attempts(drawn.kata)[-1].counted:
            raise KeyboardInterrupt("a verdict was shown, so this attempt counts") from None
        raise
    keep(view)
    append(exam.folder, _judged(drawn, number, view, now()))
    report.show_outcome(console, view)
    _show_after(console, _reread(exam), drawn, view, confidence, now())
    return view.attempt.exit_code


class _Log(Listener):
    """Writes down each verdict before it is shown."""

    def __init__(self, exam: Exam, drawn: Drawn, number: int, now: Clock) -> None:
        self._exam, self._drawn, self._number, self._now = exam, drawn, number, now

    def on_examined(self, examined: Examined) -> None:
        if not examined.unjudged:
            append(self._exam.folder, Told(self._now(), self._drawn.kata, self._number, examined.seed, examined.fixed))


def _judged(drawn: Drawn, number: int, view: CheckView, time: float) -> Judged:
    done = view.attempt
    verdict, form = done.decisive.verdict, done.diagnosis
    right, wrong = (form.right, form.wrong) if form else ((), ())
    return Judged(
        time=time,
        kata=drawn.kata,
        number=number,
        run=done.number,
        exit_code=done.exit_code,
        fixed=done.fixed,
        failed=tuple(check.name for check in verdict.failed) if verdict else (),
        decided_by=done.decisive.seed,
        right=() if form and form.blank else right,
        wrong=(*right, *wrong) if form and form.blank else wrong,
        filled=tuple(view.form),
    )


def _show_after(console: Console, exam: Exam, drawn: Drawn, view: CheckView, confidence: float | None, now: float) -> None:
    done, used = view.attempt, exam.used(drawn)
    left = clock(exam.limit_s - exam.clock(now))
    console.print()
    if done.submission.as_shipped:
        console.print(f"  {shown(exam.notebook(drawn))} is unchanged: save your edits there.", highlight=False)
    counts = "" if exam.attempts(drawn.kata)[-1].counted else "; this attempt could not be judged and does not count"
    console.print(f"  attempts:  {used} of {drawn.attempts} used{counts}", highlight=False)
    console.print(f"  confidence:  {'not given (CONFIDENCE=0.8)' if confidence is None else f'{confidence:g}, kept'}", highlight=False)
    console.print(f"  curves and changes:  {shown(done.folder / 'report.html')}", highlight=False)
    if exam.over(now):
        console.print("  Time is up. make exam-finish shows the score card.", highlight=False)
    else:
        console.print(f"  {left} left; make exam-status shows the other katas", highlight=False)


def show_card(console: Console, card: ScoreCard) -> None:
    """Print a score card."""
    pauses = f"; pauses: {len(card.pauses)}, {clock(sum(length for _, length in card.pauses))} in all" if card.pauses else ", no pause"
    console.print(
        f"\nExam {card.exam.number}: {clock(card.used_s)} used of {card.exam.started.minutes}:00{pauses}", style="bold", highlight=False
    )
    table = Table(box=None, header_style="dim")
    for heading in ("kata", "fixed", "diagnosed", "first evidence", "first hypothesis", "attempts"):
        table.add_column(heading)
    for kata in card.katas:
        right, wrong = kata.diagnosis
        fixed = Text(clock(kata.fixed_s, kata.turned_s), "green") if kata.fixed else Text("no", "red")
        fields = f"{len(right)} of {len(right) + len(wrong)} fields" if right or wrong else "not judged"
        evidence, hypothesis = clock(kata.first_evidence_s, kata.turned_s), clock(kata.first_hypothesis_s, kata.turned_s)
        table.add_row(kata.slug, fixed, fields, evidence, hypothesis, f"{kata.used} of {kata.drawn.attempts}")
    console.print(table)
    console.print("  minutes and seconds on the exam's clock; in brackets: since you turned to the kata", style="dim", highlight=False)
    if card.brier is None:
        console.print("  calibration: no confidence was given", highlight=False)
    else:
        claims = ", ".join(f"{c.confidence:g} {'held' if c.held else 'did not'}" for c in card.claims)
        console.print(f"  calibration: Brier score {card.brier:.2f} (0 best, 0.25 for always 0.5): {claims}", highlight=False)
