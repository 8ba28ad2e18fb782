"""Run a notebook for a seed, and judge its evidence after the kernel has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nbformat import NotebookNode

from fixtures.scene import module_folders
from harness.course.kata import Kata
from harness.course.notebook import without_outputs
from harness.course.scene_files import inputs_for, world_for
from harness.judging.verdict import Judge, Verdict
from harness.sandbox.forkserver import Kernels
from harness.sandbox.kernel import Execution, Place, run
from harness.sandbox.watchdog import Row


@dataclass(frozen=True)
class Examined:
    """One run of a notebook and what the judge found; no verdict when it could not be judged."""

    seed: int
    execution: Execution
    verdict: Verdict | None

    @property
    def fixed(self) -> bool:
        return self.verdict is not None and self.verdict.fixed

    @property
    def unjudged(self) -> bool:
        return self.verdict is None and self.execution.outcome != "cell_error"


class Listener:
    """Follows an attempt while it runs; this one does nothing. Rows come from other threads."""

    def on_seeds(self, seeds: Sequence[int]) -> None:
        """Note the seeds whose runs start now."""

    def on_row(self, seed: int, row: Row) -> None:
        """Note a telemetry row of a seed's run as it is written."""

    def on_examined(self, examined: Examined) -> None:
        """Note a verdict as soon as it is known."""


@dataclass(frozen=True)
class RunContext:
    """What runs of a kata share: where their kernels come from, who judges them, what stops them, who follows them."""

    kernels: Kernels
    judge: Judge | None = None
    """A judge that is already running; without one, an attempt starts its own."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Setting it kills the kernels."""
    listener: Listener = field(default_factory=Listener)


def examine(
    kata: Kata, notebook: NotebookNode, seeds: Sequence[int], folder: Path, executor: Executor, context: RunContext
) -> Iterator[Examined]:
    """Run a notebook for several seeds in parallel, and judge the runs after the last kernel has ended. The context needs a judge."""
    judge = context.judge
    assert judge
    futures = [executor.submit(run_seed, kata, notebook, seed, folder / f"seed-{seed}", context) for seed in seeds]
    try:
        # Loading the judge beside the kernels' server would delay both; while a kernel trains there is room.
        context.kernels.wait_until_ready()
        judge.start()
        executions = [future.result() for future in futures]
    except BaseException:
        context.stop.set()
        raise
    # The truth of a seed is computed only now: no kernel is alive that could read it.
    for seed, execution in zip(seeds, executions, strict=True):
        yield judge_execution(judge, seed, execution)


def run_seed(kata: Kata, notebook: NotebookNode, seed: int, run_dir: Path, context: RunContext) -> Execution:
    """Run a notebook for one seed, in the scene of that seed."""
    # The inputs are needed after the last cell only, and are drawn while the cells run.
    with ThreadPoolExecutor(1) as aside:
        inputs = aside.submit(inputs_for, kata, seed).result
        place = Place(context.kernels, world_for(kata, seed), run_dir, kata.toml.budget, kata.probe, inputs, module_folders(kata.folder))
        on_row = partial(context.listener.on_row, seed)
        return run(without_outputs(notebook), place, seed=seed, on_row=on_row, stop=context.stop)


def judge_execution(judge: Judge, seed: int, execution: Execution) -> Examined:
    """Judge a finished run; one that did not complete has no verdict."""
    if execution.outcome != "completed":
        return Examined(seed, execution, None)
    return Examined(seed, execution, judge.judge(seed, execution.evidence))
