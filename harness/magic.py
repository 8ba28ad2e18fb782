"""`%load_ext harness` in a kata's notebook, then `%kata check | hint | diff | progress | debrief`.

An attempt runs in its own process and judges the saved file; its progress and verdict appear under the cell. Outside a notebook the
command line's text appears.
"""

from __future__ import annotations

import html
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError as BadMagic
from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.display import HTML, DisplayHandle, Markdown, display

from harness.course.errors import LabError, SubmissionError
from harness.course.kata import Kata, all_katas, load_kata
from harness.course.notebook import CHECK_CELL, authored, diffs, sources
from harness.course.submission import read_submission, submit
from harness.exam.state import FILE as EXAM
from harness.exam.state import refuse_help
from harness.ui import progress
from harness.ui.hints import next_hint
from harness.ui.webpage import as_html, render

WORDS = ("check", "hint", "diff", "progress", "debrief")
USAGE = """%kata check [SEED]      run and judge the saved notebook; with a seed, on that seed only
%kata hint [LEVEL]      show the next hint, or the hint of a level
%kata diff              show your changes to the shipped cells
%kata progress          show the katas and your progress
%kata debrief [giveup]  show your attempts beside the reference, once you have fixed the kata or given up"""
REFRESH_S = 0.2


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext harness`."""
    magics = KataMagics(shell)
    shell.register_magics(magics)
    shell.events.register("pre_run_cell", magics.note_cell)
    with suppress(BadMagic, LabError):
        progress.opened(magics.kata())


@magics_class
class KataMagics(Magics):  # type: ignore[misc]
    """The line magic `%kata`."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._ran: dict[str, str] = {}
        """Source of each cell when it last ran here, by cell id."""
        self._checked: dict[str, str] = {}
        """Source of each cell at the last attempt from here."""

    def note_cell(self, info: ExecutionInfo) -> None:
        """Remember what ran, to compare it with the saved file."""
        if cell := getattr(info, "cell_id", None):
            self._ran[cell] = info.raw_cell

    @line_magic("kata")  # type: ignore[untyped-decorator]
    def run(self, line: str) -> None:
        """Run a command."""
        word, *rest = shlex.split(line) or [""]
        if word not in WORDS:
            raise BadMagic(USAGE)
        if "KATA_RUN" in os.environ:
            return  # an attempt runs this notebook: another attempt inside it would never end
        if (self.notebook().parent.parent.parent / EXAM).exists():
            self._exam(word, rest)
            return
        try:
            getattr(self, f"_{word}")(rest)
        except LabError as e:
            raise BadMagic(str(e)) from None

    def notebook(self) -> Path:
        """Return this notebook's file, as Jupyter or VS Code name it, else the kata notebook in this folder."""
        named = os.environ.get("JPY_SESSION_NAME") or self.shell.user_ns.get("__vsc_ipynb_file__") or ""
        here = Path.cwd()
        return Path(named) if named.endswith(".ipynb") and Path(named).exists() else here / f"{here.name}.ipynb"

    def kata(self) -> Kata:
        """Return the kata of the folder that the notebook lies in."""
        folder = self.notebook().parent
        if not (folder / "kata.toml").exists():
            raise BadMagic(f"{folder} is not a kata's folder: open a notebook in its own folder under katas/")
        return load_kata(folder)

    def _check(self, rest: Sequence[str]) -> None:
        kata, path = self.kata(), self.notebook()
        command = [sys.executable, "-m", "harness", "--katas", str(kata.folder.parent), "check", kata.slug, "--notebook", str(path)]
        command += ["--seed", _number(rest[0])] if rest else []
        if not _in_notebook(self.shell):
            subprocess.run(command, check=False)
            return
        view = _View(f"{path.name} as saved at {time.strftime('%H:%M:%S', time.localtime(path.stat().st_mtime))}")
        view.follow([*command, "--events"], _stale_note(self._stale(path)) or self._unchanged_note(path))

    def _exam(self, word: str, rest: Sequence[str]) -> None:
        """Check an exam's notebook by the exam's rules, and show the command line's text."""
        if word != "check":
            raise BadMagic("in an exam's notebook only %kata check works; %kata check 0.8 also says how sure you are")
        command = [sys.executable, "-m", "harness", "exam", "check", self.notebook().parent.name]
        command += ["--confidence", rest[0]] if rest else []
        for cell in self._stale(self.notebook()):
            print(f"Not what you ran: the saved file holds another version of `{cell}`. Save, then check again.")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        try:
            for line in process.stdout or ():
                print(line, end="")
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            print(process.communicate()[0])

    def _stale(self, path: Path) -> list[str]:
        """Cells whose last run here differs from the saved file."""
        try:
            saved = sources(read_submission(path))
        except SubmissionError:
            return []  # The attempt itself reports what is wrong with the file.
        return [cell for cell, source in self._ran.items() if cell in saved and saved[cell].strip() != source.strip()]

    def _unchanged_note(self, path: Path) -> str:
        """A note for a learner who edited without saving, or did not edit."""
        try:
            saved = {cell: source for cell, source in sources(read_submission(path)).items() if cell != CHECK_CELL}
        except SubmissionError:
            return ""
        unchanged, self._checked = saved == self._checked, saved
        if not unchanged:
            return ""
        return "<p role='alert'><b>The saved file has not changed since your last attempt here.</b> If you edited, save first (Ctrl+S).</p>"

    def _hint(self, rest: Sequence[str]) -> None:
        kata = self.kata()
        refuse_help(kata.slug, "hints", time.time())
        hint = next_hint(kata, int(_number(rest[0])) if rest else None)
        more = "\n\nNext hint: `%kata hint`" if hint.level < hint.of else ""
        display(Markdown(f"**Hint {hint.level} of {hint.of}**\n\n{hint.text}{more}"))

    def _diff(self, rest: Sequence[str]) -> None:
        kata, path = self.kata(), self.notebook()
        shipped = authored(kata)
        submission = submit(kata, shipped, read_submission(path), path.name)
        _show("changes.html.j2", changes=diffs(sources(shipped), sources(submission.notebook)), notes=submission.notes)

    def _progress(self, rest: Sequence[str]) -> None:
        katas = self.kata().folder.parent
        display(Markdown(progress.start_page(all_katas(katas), self.notebook().parent)))

    def _debrief(self, rest: Sequence[str]) -> None:
        kata = self.kata()
        refuse_help(kata.slug, "the debrief", time.time())
        found = progress.debrief(kata, give_up=list(rest) == ["giveup"])
        _show("debrief.html.j2", debrief=found, as_html=as_html, minutes=progress.minutes)


def _number(text: str) -> str:
    digits = text.rpartition("=")[2]
    if not digits.isdigit():
        raise BadMagic(f"`{text}` is not a number.\n{USAGE}")
    return digits


def _in_notebook(shell: InteractiveShell) -> bool:
    return hasattr(shell, "kernel")


def _show(template: str, **values: Any) -> None:
    display(HTML(render(template, **values)))


class _View:
    """The output under the cell: progress while an attempt runs, then its verdict."""

    def __init__(self, what: str) -> None:
        self._what, self._handle = what, display(HTML(""), display_id=True)
        self._lines: dict[int, str] = {}
        self._length: dict[int, int] = {}
        self._shown = 0.0

    def follow(self, command: Sequence[str], note: str) -> None:
        """Run an attempt and show its events under a note; an interrupt ends it."""
        self._put(note + _progress("the kernel starts", 0, 0))
        # In its own session: we pass an interrupt of this kernel on, once.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        last: dict[str, Any] = {}
        try:
            for last in _events(process):
                self._take(last, note)
            error = process.stderr.read() if process.stderr else ""
            process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.communicate()
            self._put("<p>Stopped: nothing was judged.</p>", text="Stopped: nothing was judged.")
            return
        if last.get("event") == "done":
            self._put(f"{note}<p>{html.escape(self._what)}</p>{Path(last['page']).read_text(encoding='utf-8')}", text=last["conclusion"])
        else:
            message = error.strip().removeprefix("Error: ") or f"the attempt ended with exit code {process.returncode}"
            self._put(f"{note}<p role='alert'><b>Not checked.</b> {html.escape(message)}</p>", text=f"Not checked. {message}")

    def _take(self, event: dict[str, Any], note: str) -> None:
        seed, kind = event.get("seed", 0), event["event"]
        if kind == "seeds":
            for seed in event["seeds"]:
                self._lines[seed] = _progress(f"seed {seed}: running", 0, 0)
        elif kind == "length":
            self._length[seed] = event["num_steps"]
        elif kind == "row":
            value = "" if event["value"] is None else f"  {event['column']} {event['value']:.2f}"
            self._lines[seed] = _progress(f"seed {seed}: step {event['step'] + 1}{value}", event["step"] + 1, self._length.get(seed, 0))
        elif kind == "examined":
            passed = f"{event['passed']} of {event['checks']} checks pass" if event["checks"] else event["outcome"]
            self._lines[seed] = f"<div>seed {seed}: {html.escape(passed)}</div>"
        if kind in ("seeds", "examined") or time.monotonic() - self._shown > REFRESH_S:
            self._put(note + "".join(self._lines.values()))

    def _put(self, content: str, text: str = "the attempt runs") -> None:
        self._shown = time.monotonic()
        handle: DisplayHandle = self._handle
        handle.update({"text/html": content, "text/plain": text}, raw=True)


def _events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    for line in process.stdout or ():
        with suppress(ValueError):
            if isinstance(event := json.loads(line), dict) and "event" in event:
                yield event


def _progress(label: str, done: int, total: int) -> str:
    state = f'value="{done}" max="{total}"' if total else ""
    return f"<div><label><progress {state}></progress> {html.escape(label)}</label></div>"


def _stale_note(stale: Sequence[str]) -> str:
    if not stale:
        return ""
    cells = ", ".join(f"<code>{html.escape(cell)}</code>" for cell in stale)
    return (
        f"<p role='alert'><b>Not what you ran:</b> the saved file holds another version of {cells}. "
        "The saved file is judged: save (Ctrl+S), then check again.</p>"
    )
