"""The command line: parse, call, print, exit code. `kata COMMAND --help` shows the options of each."""

from __future__ import annotations

import os
import sys
import time
from datetime import date
from pathlib import Path
from typing import Literal

import click

from fixtures.recording.journal import REPOSITORY, runs_folder
from harness.course.errors import EnvironmentNotReady, UsageError
from harness.course.kata import Kata, all_katas, find_kata, listed, load_proof, shown
from harness.exam.cli import exam
from harness.exam.state import open_exam, refuse_help
from harness.sandbox.forkserver import kernels_for
from harness.ui.errors import Lab

# Commands import the rest themselves: kernels start, and the command line answers, before slow modules are loaded.


@click.group(cls=Lab, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--katas",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=REPOSITORY / "katas",
    help="The folder of katas; default: this repository's.",
)
@click.pass_context
def main(ctx: click.Context, katas: Path) -> None:
    """Training runs that go wrong, and a harness that judges whether you repaired them."""
    ctx.obj = katas


main.add_command(exam)
kata_argument = click.argument("name", metavar="KATA")
jobs_option = click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Notebooks that run side by side; default: one per core."
)


@main.command()
@kata_argument
@click.option("--notebook", type=click.Path(path_type=Path), help="The notebook to check; default: the kata's own file.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="This seed only; default: the public one and, if it passes, two held-out ones."
)
@click.option("--json", "show", flag_value="json", help="Print only the verdict, as JSON.")
@click.option("--events", "show", flag_value="events", help="Print only events, as JSON lines.")
@click.option("--text", "show", flag_value="text", default=True, hidden=True)
@click.pass_obj
def check(katas: Path, name: str, notebook: Path | None, seed: int | None, show: Literal["text", "json", "events"]) -> None:
    """Run a notebook and judge its training run."""
    kata = find_kata(name, katas)
    refuse_help(kata.slug, "practice attempts", time.time())
    with kernels_for([kata]) as kernels:
        from harness import commands

        sys.exit(commands.check(kata, kernels, notebook=notebook or kata.notebook, seed=seed, show=show))


@main.command()
@kata_argument
@click.option("--notebook", type=click.Path(path_type=Path), help="The notebook to watch; default: the kata's own file.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Check this seed only.")
@click.pass_obj
def watch(katas: Path, name: str, notebook: Path | None, seed: int | None) -> None:
    """Check a notebook after each save; a save during a run stops that run."""
    kata = find_kata(name, katas)
    refuse_help(kata.slug, "practice attempts", time.time())
    with kernels_for([kata]) as kernels:
        from harness import commands

        commands.watch(kata, kernels, notebook=notebook or kata.notebook, seed=seed)


@main.command("list")
@click.pass_obj
def list_(katas: Path) -> None:
    """List the katas and your progress."""
    from rich.console import Console

    from harness.ui.tables import list_katas

    Console().print(list_katas(all_katas(katas)))


@main.command()
@kata_argument
@click.option("--level", type=click.IntRange(1), help="Show this hint instead of the next one.")
@click.pass_obj
def hint(katas: Path, name: str, level: int | None) -> None:
    """Show the next hint: where to look, then what it means, then what kind of change."""
    from rich.console import Console
    from rich.markdown import Markdown

    from harness.ui.hints import next_hint

    kata = find_kata(name, katas)
    refuse_help(kata.slug, "hints", time.time())
    found = next_hint(kata, level)
    console = Console()
    console.print(f"[bold]hint {found.level} of {found.of}[/]")
    console.print(Markdown(found.text))


@main.command()
@kata_argument
@click.option("--give-up", is_flag=True, help="Show the reference although the kata is not fixed.")
@click.pass_obj
def debrief(katas: Path, name: str, give_up: bool) -> None:
    """Show your attempts on a kata beside the reference."""
    from rich.console import Console

    from harness.ui import progress, tables

    kata = find_kata(name, katas)
    refuse_help(kata.slug, "the debrief", time.time())
    tables.show_debrief(Console(), progress.debrief(kata, give_up=give_up))


@main.command()
@kata_argument
@click.pass_obj
def reset(katas: Path, name: str) -> None:
    """Restore the shipped notebook and keep a backup of yours. During an exam, restore the exam's notebook."""
    from harness.course import scaffold
    from harness.exam import draw

    kata, sat = find_kata(name, katas), open_exam(time.time())
    if sat and sat.has(kata.slug):
        notebook, backup = sat.notebook(sat.of(kata.slug)), draw.reset(sat, kata)
    else:
        notebook, backup = kata.notebook, scaffold.reset(kata)
    click.echo(f"{shown(notebook)} is as shipped." + (f" Backup of your notebook: {shown(backup)}" if backup else ""))


@main.command()
@kata_argument
@click.argument("fix")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The notebook to write. An existing file is not overwritten.",
)
@click.pass_obj
def apply(katas: Path, name: str, fix: str, output: Path) -> None:
    """Write a kata's notebook with a known fix applied (for instructors)."""
    from harness.course.fixes import read_fix
    from harness.course.notebook import apply_fix, dumps, for_learners

    kata = find_kata(name, katas)
    refuse_help(kata.slug, "known repairs", time.time())
    known = [f.name for f in load_proof(kata).fix]
    if fix not in known:
        raise UsageError(f"{kata.slug} has no fix `{fix}`; it has {listed(known)}")
    if output.exists():
        raise UsageError(f"{shown(output)} exists and is not overwritten; name another file or move it away")
    notebook = apply_fix(for_learners(kata), read_fix(kata, fix), kata.fix_path(fix))
    try:
        output.write_text(dumps(notebook), encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{shown(output)} cannot be written: {e.strerror}") from None
    click.echo(f"{shown(output)} is written. Check it: kata check {kata.slug} --notebook {shown(output)}")


@main.command()
@click.argument("names", metavar="[KATA]...", nargs=-1)
@click.pass_obj
def sync(katas: Path, names: tuple[str, ...]) -> None:
    """Write the notebooks from their sources, .meta/notebook.py (for instructors). A learner's edits are backed up."""
    from harness.course import scaffold

    for kata in _chosen(katas, names):
        backup = scaffold.sync(kata)
        click.echo(f"{shown(kata.notebook)} is in sync" + (f"; backup of the old file: {shown(backup)}" if backup else ""))


@main.command()
@click.argument("names", metavar="[KATA]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Also the katas that did not change since they were proven.")
@click.option("--minutes", type=click.FloatRange(0), help="The changed katas, and as many others as fit into this time: stale ones first.")
@jobs_option
@click.pass_obj
def prove(katas: Path, names: tuple[str, ...], everything: bool, minutes: float | None, jobs: int) -> None:
    """Try the broken notebook and every known fix: does each kata judge fairly? (for instructors)

    Without names: the katas that changed, and those whose proofs are stale, because something else that they rest on changed. Runs are
    cached: after an interruption, the same command continues."""
    from harness import commands
    from harness.proof.receipt import due

    chosen = known = _chosen(katas, names)
    if not names and not everything:
        plan = due(known, minutes, jobs, str(date.today()))
        chosen = list(plan.chosen)
        if plan.stale:
            click.echo(f"stale, and left out: {', '.join(k.slug for k in plan.stale)}  (make prove proves them)")
        if plan.proven:
            click.echo(f"proven, and nothing changed: {', '.join(k.slug for k in plan.proven)}  (make prove ALL=1 proves them too)")
    if chosen:
        with kernels_for(chosen) as kernels:
            sys.exit(commands.prove(chosen, kernels, jobs=jobs))


@main.command()
@kata_argument
@click.option("--fix", "fixes", multiple=True, help="Measure only this variant, on 5 seeds, against the bands as they are; repeatable.")
@jobs_option
@click.pass_obj
def calibrate(katas: Path, name: str, fixes: tuple[str, ...], jobs: int) -> None:
    """Measure the reference fix on 20 seeds and every other on 5, and write the bands (for instructors)."""
    kata = find_kata(name, katas)
    with kernels_for([kata]) as kernels:
        from harness import commands

        commands.measure(kata, kernels, fixes=fixes, jobs=jobs)


@main.command()
@click.option("--kata", "name", required=True, help="The kata for checks and the pool.")
@click.option("--short", required=True, help="The kata for a hundred runs in a row.")
@click.option("--repeats", type=click.IntRange(1), default=5, help="How often each way runs; figures are medians.")
@jobs_option
@click.option("--proofs/--no-proofs", default=True, help="Also time each kata's proof, which takes minutes.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the report; default: bench in the folder of runs.",
)
@click.pass_obj
def bench(katas: Path, name: str, short: str, repeats: int, jobs: int, proofs: bool, output: Path | None) -> None:  # noqa: PLR0913
    """Measure what the lab adds to a training run, compared with the bare script and papermill (for developers)."""
    from harness.bench import benchmark, page

    folder = output or runs_folder() / "bench"
    proven = all_katas(katas) if proofs else []
    found = benchmark.measure(
        find_kata(name, katas), find_kata(short, katas), proven, jobs, repeats, lambda line: click.echo(line, err=True)
    )
    written = page.write(found, folder)
    for what, bound, value, holds in page.goals(found):
        click.echo(f"{'holds ' if holds else 'MISSED'}  {what}: {value}  ({bound})")
    click.echo(shown(written))


@main.command()
@kata_argument
@click.pass_obj
def new(katas: Path, name: str) -> None:
    """Start a kata: a working folder whose comments document the format (for instructors)."""
    from harness.course import scaffold

    kata = scaffold.new(name, katas)
    for path in sorted(p for p in kata.folder.rglob("*") if p.is_file()):
        click.echo(shown(path))
    click.echo(f"Fill the blanks marked TODO, then make sync, make calibrate and make prove KATA={name}")


@main.command()
def doctor() -> None:
    """Show what works on this machine, what is missing, and the remedy."""
    from rich.console import Console

    from harness.ui import tables
    from harness.ui.doctor import examine_machine

    findings = examine_machine()
    Console().print(tables.findings(findings))
    sys.exit(4 if any(f.state == "missing" for f in findings) else 0)


@main.command()
@click.argument("name", metavar="[KATA]", required=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def lab(katas: Path, name: str | None, options: tuple[str, ...]) -> None:
    """Open JupyterLab at the start page, or at a kata's notebook.

    Options after `--` go to Jupyter, as in `kata lab -- --no-browser`."""
    from harness.ui.jupyterlab import command as lab_command
    from harness.ui.jupyterlab import environment

    if name and name.startswith("-"):
        options, name = (name, *options), None
    command = [sys.executable, *lab_command(katas, find_kata(name, katas) if name else None, options)]
    try:
        os.execve(sys.executable, command, environment(katas))
    except OSError as e:
        raise EnvironmentNotReady(f"JupyterLab cannot be started: {e}; remove .venv and rerun make lab") from None


def _chosen(katas: Path, names: tuple[str, ...]) -> list[Kata]:
    return [find_kata(name, katas) for name in names] if names else all_katas(katas)
