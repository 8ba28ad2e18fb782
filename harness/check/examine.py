"""Run a notebook in the world of a seed, and judge what it left when its kernel is dead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
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

OnRow = Callable[[int, Row], None]


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


def examine(
    kata: Kata,
    judge: Judge,
    notebook: NotebookNode,
    seeds: Sequence[int],
    folder: Path,
    kernels: Kernels,
    executor: Executor,
    stop: threading.Event,
    on_row: OnRow,
) -> Iterator[Examined]:
    """Run a notebook for several seeds side by side, and judge them when the last kernel is dead. Setting `stop` kills the kernels."""
    futures = [executor.submit(run_seed, kata, notebook, seed, folder / f"seed-{seed}", kernels, stop, on_row) for seed in seeds]
    try:
        # Loading with the kernels' server would make all of it slower; while a kernel trains there is room.
        kernels.wait_until_ready()
        judge.start()
        executions = [future.result() for future in futures]
    except BaseException:
        stop.set()
        raise
    # The truth of a seed is made only now: no kernel lives that could read it.
    for seed, execution in zip(seeds, executions, strict=True):
        yield judge_execution(judge, seed, execution)


def run_seed(
    kata: Kata,
    notebook: NotebookNode,
    seed: int,
    run_dir: Path,
    kernels: Kernels,
    stop: threading.Event,
    on_row: OnRow = lambda seed, row: None,
) -> Execution:
    """Run a notebook in the world of one seed."""
    # The inputs are not needed before the last cell, and are drawn while the others run.
    with ThreadPoolExecutor(1) as aside:
        inputs = aside.submit(inputs_for, kata, seed).result
        place = Place(kernels, world_for(kata, seed), run_dir, kata.toml.budget, kata.probe, inputs, module_folders(kata.folder))
        return run(without_outputs(notebook), place, seed=seed, on_row=lambda row: on_row(seed, row), stop=stop)


def judge_execution(judge: Judge, seed: int, execution: Execution) -> Examined:
    """Judge a finished run; one that did not complete has no verdict."""
    if execution.outcome != "completed":
        return Examined(seed, execution, None)
    findings = judge.look(seed, execution.evidence)
    return Examined(seed, execution, judge.judge(seed, execution.evidence, findings))
