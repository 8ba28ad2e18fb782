"""The command line: parse, call, print, exit code. `kata COMMAND --help` says what each takes."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markdown import Markdown

from fixtures.journal import REPOSITORY
from harness import attempt as attempts
from harness import matrix, proof, report, scaffold
from harness.cage import find_cage
from harness.calibrate import calibrate as measure
from harness.doctor import examine_machine
from harness.errors import EnvironmentNotReady, LabError, UsageError
from harness.kata import Kata, all_katas, find_kata, listed, load_proof, shown
from harness.logbook import remember, remembered
from harness.notebook import apply_fix, authored, dumps, read_fix, read_submission, submit
from harness.variants import Bench
from harness.webpage import write_junit, write_report


def _default_jobs() -> int:
    return os.cpu_count() or 1


INTERRUPTED = 130
"""What shells report for a command that ctrl-C ended."""
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


class Shown(click.ClickException):
    """A LabError as click prints it."""

    def __init__(self, error: LabError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click declares a class variable and reads the instance's


class Lab(click.Group):
    """Errors that a user can act on are shown as one message, with their exit code; only a bug of ours has a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LabError as e:
            raise Shown(e) from None
        except KeyboardInterrupt:
            click.echo("\nStopped: nothing was judged, nothing of it still runs.", err=True)
            ctx.exit(INTERRUPTED)
        except OSError as e:
            if e.errno not in DISK_ERRORS:
                raise
            place = f"{e.filename}: " if e.filename else ""
            space = "free some space, or " if e.errno in (errno.ENOSPC, errno.EDQUOT) else ""
            raise Shown(EnvironmentNotReady(f"{place}{e.strerror}; {space}keep runs elsewhere: KATA_RUNS=folder")) from None


@click.group(cls=Lab, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--katas",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=REPOSITORY / "katas",
    help="A folder of katas, if not this repository's.",
)
@click.pass_context
def main(ctx: click.Context, katas: Path) -> None:
    """Training runs that go wrong, and a judge that says whether you repaired them."""
    ctx.obj = katas


kata_argument = click.argument("name", metavar="KATA")


@main.command()
@kata_argument
@click.option("--notebook", type=click.Path(path_type=Path), help="A notebook to check instead of the kata's own file.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), help="One night only; default: the public one and, if it passes, two hidden ones."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON and nothing else.")
@click.pass_obj
def check(katas: Path, name: str, notebook: Path | None, seed: int | None, as_json: bool) -> None:
    """Run a notebook and judge what its training run left behind."""
    kata = find_kata(name, katas)
    console = Console(stderr=as_json, quiet=as_json)
    path = notebook or kata.notebook
    shipped = authored(kata)
    submission = submit(kata, shipped, read_submission(path), shown(path))
    if submission.as_shipped:
        report.show_page(console, kata, next(cell.source for cell in shipped.cells if cell.cell_type == "markdown"))
    with report.live_runs(console, kata.toml.curve) as live:
        done = attempts.attempt(kata, submission, seed=seed, on_row=live.row, on_seeds=live.start)
    verdict = report.as_json(kata, done)
    (done.folder / "verdict.json").write_text(json.dumps(verdict, indent=1) + "\n", encoding="utf-8")
    write_junit(done.folder / "junit.xml", kata, done)
    write_report(done.folder / "report.html", kata, done, report.conclusion(kata, done).plain)
    report.show_attempt(console, kata, done)
    if as_json:
        click.echo(json.dumps(verdict, indent=1))
    sys.exit(done.exit_code)


@main.command("list")
@click.pass_obj
def list_(katas: Path) -> None:
    """Show the katas and what you have done of them."""
    Console().print(report.list_katas(all_katas(katas)))


@main.command()
@kata_argument
@click.option("--level", type=click.IntRange(1), help="This hint again, instead of the next one.")
@click.pass_obj
def hint(katas: Path, name: str, level: int | None) -> None:
    """Show the next hint: first where to look, then what it means, last what kind of change."""
    kata = find_kata(name, katas)
    texts = scaffold.hints(kata)
    wanted = level or min(len(remembered(kata.slug, "hint")) + 1, len(texts))
    if wanted > len(texts):
        raise UsageError(f"{kata.slug} has {len(texts)} hints, no hint {wanted}")
    if level is None and wanted > len(remembered(kata.slug, "hint")):
        remember(kata, "hint", level=wanted)
    console = Console()
    console.print(f"[bold]hint {wanted} of {len(texts)}[/]")
    console.print(Markdown(texts[wanted - 1]))


@main.command()
@kata_argument
@click.pass_obj
def reset(katas: Path, name: str) -> None:
    """Put the shipped notebook back; yours is kept beside it under another name."""
    kata = find_kata(name, katas)
    backup = scaffold.reset(kata)
    click.echo(f"{shown(kata.notebook)} is as shipped." + (f" Your notebook is kept as {shown(backup)}" if backup else ""))


@main.command()
@kata_argument
@click.argument("fix")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The notebook to write; an existing file is not overwritten.",
)
@click.pass_obj
def apply(katas: Path, name: str, fix: str, output: Path) -> None:
    """Write a kata's notebook with one of its known fixes in it (for instructors)."""
    kata = find_kata(name, katas)
    known = [f.name for f in load_proof(kata).fix]
    if fix not in known:
        raise UsageError(f"{kata.slug} has no fix `{fix}`; it has {listed(known)}")
    if output.exists():
        raise UsageError(f"{shown(output)} exists and is not overwritten; name another file or move it away")
    notebook = apply_fix(authored(kata), read_fix(kata, fix), kata.fix_path(fix))
    try:
        output.write_text(dumps(notebook), encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{shown(output)} cannot be written: {e.strerror}") from None
    click.echo(f"{shown(output)}: check it with  kata check {kata.slug} --notebook {shown(output)}")


@main.command()
@click.argument("names", metavar="[KATA]...", nargs=-1)
@click.pass_obj
def sync(katas: Path, names: tuple[str, ...]) -> None:
    """Write the notebooks from their sources, .meta/notebook.py (for instructors); a learner's edits are backed up."""
    for kata in _chosen(katas, names):
        backup = scaffold.sync(kata)
        click.echo(f"{shown(kata.notebook)} is in sync" + (f"; what was there is kept as {shown(backup)}" if backup else ""))


@main.command()
@click.argument("names", metavar="[KATA]...", nargs=-1)
@click.option("--jobs", type=click.IntRange(1), default=_default_jobs, help="Notebooks that run side by side; default: one a core.")
@click.pass_obj
def prove(katas: Path, names: tuple[str, ...], jobs: int) -> None:
    """Try the broken notebook and every known fix: does each kata judge fairly? (for instructors)"""
    console = Console()
    unproven = []
    for kata in _chosen(katas, names):
        with _runs_in_parallel(jobs) as pool, matrix.live_proof(console, kata.slug) as (on_plan, on_done):
            result = proof.prove(Bench(kata, pool, find_cage()), on_plan, on_done)
        matrix.show_proof(console, result)
        if not result.proven:
            unproven.append(kata.slug)
    sys.exit(1 if unproven else 0)


@main.command()
@kata_argument
@click.option("--jobs", type=click.IntRange(1), default=_default_jobs, help="Notebooks that run side by side; default: one a core.")
@click.pass_obj
def calibrate(katas: Path, name: str, jobs: int) -> None:
    """Measure the reference fix on 20 seeds and every other on 5, and write the bands (for instructors)."""
    kata, console = find_kata(name, katas), Console()
    with _runs_in_parallel(jobs) as pool, matrix.live_proof(console, f"calibrate {kata.slug}") as (on_plan, on_done):
        done = measure(Bench(kata, pool, find_cage()), on_plan, on_done)
    matrix.show_calibration(console, done, scaffold.check_names(kata))
    click.echo(f"{shown(kata.meta / 'baseline.json')} is written; now make prove KATA={kata.slug}")


@main.command()
@kata_argument
@click.pass_obj
def new(katas: Path, name: str) -> None:
    """Start a kata: a folder that works, whose comments are the format's documentation (for instructors)."""
    kata = scaffold.new(name, katas)
    for path in sorted(p for p in kata.folder.rglob("*") if p.is_file()):
        click.echo(shown(path))
    click.echo(f"Fill the blanks marked TODO, then make sync, make calibrate and make prove KATA={name}")


@main.command()
def doctor() -> None:
    """Say what of the lab works on this machine, what is missing, and the remedy."""
    findings = examine_machine()
    Console().print(report.findings(findings))
    sys.exit(4 if any(f.state == "missing" for f in findings) else 0)


@main.command()
@click.argument("name", metavar="[KATA]", required=False)
@click.pass_obj
def lab(katas: Path, name: str | None) -> None:
    """Open JupyterLab on the katas."""
    target = find_kata(name, katas).notebook if name else katas
    command = [sys.executable, "-m", "jupyter", "lab", str(target), f"--ServerApp.root_dir={katas}"]
    try:
        os.execv(sys.executable, command)
    except OSError as e:
        raise EnvironmentNotReady(f"JupyterLab cannot be started: {e}; remove .venv and run make lab again") from None


def _chosen(katas: Path, names: tuple[str, ...]) -> list[Kata]:
    return [find_kata(name, katas) for name in names] if names else all_katas(katas)


@contextmanager
def _runs_in_parallel(jobs: int) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(jobs) as pool:
        yield pool
