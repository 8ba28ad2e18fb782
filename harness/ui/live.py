"""Running seeds in the terminal: a line each, fed from the telemetry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from fixtures.recording.artifacts import number
from harness.check.examine import Examined, Listener
from harness.course.kata import Kata
from harness.sandbox.watchdog import Row
from harness.ui.report import show_examined
from harness.ui.view import seed_name


class LiveRuns(Listener):
    """Shows each running seed, and each verdict as soon as it is known. `also` is told first."""

    def __init__(self, progress: Progress, kata: Kata, public_seed: int, also: Listener) -> None:
        self._progress, self._kata, self._public_seed, self._also = progress, kata, public_seed, also
        self._tasks: dict[int, TaskID] = {}

    def on_seeds(self, seeds: Sequence[int]) -> None:
        """Add a line for each seed that starts to run."""
        self._also.on_seeds(seeds)
        for task in self._tasks.values():
            self._progress.update(task, visible=False)
        self._tasks = {seed: self._progress.add_task(seed_name(seed, self._public_seed), total=None, what="running") for seed in seeds}

    def on_row(self, seed: int, row: Row) -> None:
        """Show a step and the kata's curve."""
        self._also.on_row(seed, row)
        task, curve = self._tasks[seed], self._kata.toml.curve
        if isinstance(total := row.get("num_steps"), int):
            self._progress.reset(task, total=total, what="training")
        if isinstance(step := row.get("step"), int):
            value = number(row.get(curve))
            what = f"step {step + 1:4d}" + ("" if math.isnan(value) else f"  {curve} {value:.2f}")
            self._progress.update(task, completed=step + 1, what=what)
            if step + 1 == self._progress.tasks[task].total:
                self._progress.update(task, what=f"{what}, judging")

    def on_examined(self, examined: Examined) -> None:
        """Print a seed's verdict."""
        self._also.on_examined(examined)
        show_examined(self._progress.console, self._kata, examined, self._public_seed)


class Times(ProgressColumn):
    """The time a run has taken and, once its length is known, the time it still needs."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Return both times, each with its word."""
        elapsed = f"{task.elapsed or 0:.0f} s"
        left = f", about {task.time_remaining:.0f} s left" if task.time_remaining else ""
        return Text(elapsed + left, "dim")


@contextmanager
def live_runs(console: Console, kata: Kata, public_seed: int, also: Listener) -> Iterator[LiveRuns]:
    """Show running seeds until the block ends."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[what]}"), Times()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield LiveRuns(progress, kata, public_seed, also)
