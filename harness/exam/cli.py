"""`kata exam`: parse, call, print, exit code."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from harness.course.errors import EnvironmentNotReady, UsageError
from harness.course.kata import find_kata, listed, shown
from harness.exam.state import Exam, exams
from harness.sandbox.forkserver import kernels_for

MINUTES = 90


@dataclass(frozen=True)
class Draw:
    """The options of a draw; None where not given."""

    tracks: str | None
    minutes: int | None
    seed: int | None
    also_seen: bool

    @property
    def asked(self) -> bool:
        return self != Draw(None, None, None, False)


@click.group(invoke_without_command=True)
@click.option("--tracks", metavar="NAME,…", help="Draw from these tracks only; make list shows them.")
@click.option("--minutes", type=click.IntRange(1, 24 * 60), help=f"Its length; default: {MINUTES}.")
@click.option("--seed", type=click.IntRange(0), help="Repeat a draw for another learner who has met none of its katas.")
@click.option("--seen", "also_seen", is_flag=True, help="Also draw katas that you have met, on seeds that you have not.")
@click.pass_context
def exam(context: click.Context, tracks: str | None, minutes: int | None, seed: int | None, also_seen: bool) -> None:
    """Start an exam: katas that you have not met, a clock, few attempts, no hints. An open exam continues.

    The clock is wall time: only a pause stops it, not a closed notebook, a crash or a reboot. Your work is kept."""
    asked = Draw(tracks, minutes, seed, also_seen)
    if context.invoked_subcommand:
        if asked.asked:
            raise UsageError(
                f"kata exam {context.invoked_subcommand} takes its own options after its name; the options of a draw belong to kata exam alone"
            )
        return
    from rich.console import Console

    from harness.exam import commands

    last = _last()
    if last and _close(last, context.obj):
        click.echo("  Time was up. make exam starts another one.")
        return
    if last and not last.finished:
        _require_same(last, asked)
        current = commands.go_on(last, context.obj, _now)
    else:
        current = commands.start(context.obj, tracks=tracks or "", minutes=minutes or MINUTES, seed=seed, also_seen=also_seen, now=_now)
    commands.show_left(Console(), current, context.obj, _now())


def _require_same(running: Exam, asked: Draw) -> None:
    started = running.started
    same = asked.minutes in (None, started.minutes) and asked.seed in (None, started.seed) and asked.tracks in (None, started.tracks)
    if not same:
        tracks = started.tracks or "all"
        raise UsageError(
            f"exam {running.number} is open, with {started.minutes} minutes, tracks: {tracks}, seed {started.seed}, and these cannot change. make exam continues it, make exam-finish ends it"
        )


@exam.command()
@click.pass_obj
def status(katas: Path) -> None:
    """Show the time, attempts and notebooks of the open exam."""
    from rich.console import Console

    from harness.exam import commands

    commands.show_left(Console(), _open(), katas, _now())


@exam.command()
@click.argument("name", metavar="KATA")
@click.option("--confidence", type=float, help="How sure you are, from 0 to 1, that the repair holds on held-out seeds.")
@click.pass_obj
def check(katas: Path, name: str, confidence: float | None) -> None:
    """Run and judge the exam's notebook of a kata; this uses one attempt."""
    if confidence is not None and not 0 <= confidence <= 1:
        raise UsageError(f"confidence is {confidence:g}, expected a number from 0 to 1; 0.8 means that four of five such repairs hold")
    current = _open()
    drawn, kata = current.of(name), find_kata(name, katas)
    if current.paused:
        raise UsageError(f"exam {current.number} is paused; make exam continues it")
    if current.used(drawn) >= drawn.attempts:
        raise UsageError(f"all {drawn.attempts} attempts on `{name}` are used; make exam-status shows the other katas")
    with kernels_for([kata]) as kernels:
        from harness.exam import commands

        sys.exit(commands.check(current, drawn, kata, kernels, confidence=confidence, now=_now))


@exam.command()
def pause() -> None:
    """Stop the clock; the score card shows the pause. kata exam continues."""
    from harness.exam import commands

    commands.pause(_open(), _now)


@exam.command()
@click.pass_obj
def finish(katas: Path) -> None:
    """End the exam and show its score card. After the end, show the card."""
    from harness.exam import commands

    if not (last := _last()):
        raise UsageError("no exam was started; make exam starts one")
    commands.finish(last, katas, _now)


@exam.command()
@click.argument("number", type=int, required=False)
@click.pass_obj
def review(katas: Path, number: int | None) -> None:
    """Write the reviewer's page of an exam that has ended, by default the last: every attempt, and what to ask about it."""
    from harness.exam.page import write_review
    from harness.exam.scorecard import score

    found = {one.number: one for one in exams()}
    if not found or number not in (None, *found):
        raise UsageError(f"no exam {number}; there are {listed(map(str, found))}" if found else "no exam was started; make exam starts one")
    chosen = found[max(found) if number is None else number]
    if not chosen.over(_now()):
        raise UsageError(f"exam {chosen.number} is open, and its reviewer's page gives the causes away; make exam-finish ends it")
    _close(chosen, katas)
    chosen = next(one for one in exams() if one.number == chosen.number)
    known = {drawn.kata: find_kata(drawn.kata, katas) for drawn in chosen.started.drawn}
    click.echo(shown(write_review(score(chosen, known, _now()), known)))


@exam.command()
@click.argument("name", metavar="[KATA]", required=False)
def lab(name: str | None) -> None:
    """Open JupyterLab on the exam's notebooks."""
    current = _open()
    target = current.notebook(current.of(name)) if name else current.notebooks
    try:
        os.execv(sys.executable, [sys.executable, "-m", "jupyter", "lab", str(target), f"--ServerApp.root_dir={current.notebooks}"])
    except OSError as e:
        raise EnvironmentNotReady(f"JupyterLab cannot be started: {e}; remove .venv and rerun make exam-lab") from None


def _now() -> float:
    return time.time()


def _last() -> Exam | None:
    found = exams()
    return found[-1] if found else None


def _open() -> Exam:
    """The open exam; raises UsageError when there is none, or its time is up."""
    last = _last()
    if not last or last.finished:
        raise UsageError("no exam is open; make exam starts one")
    if last.over(_now()):
        raise UsageError(f"time is up: exam {last.number} had {last.started.minutes} minutes. make exam-finish shows the score card")
    return last


def _close(last: Exam, katas: Path) -> bool:
    """End an exam whose time is up and show its score card; return whether it was up."""
    if last.finished or not last.over(_now()):
        return False
    from harness.exam import commands

    commands.finish(last, katas, _now)
    return True
