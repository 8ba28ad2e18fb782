"""One check of a learner's notebook: the public seed first, then two that nobody has seen."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from nbformat import NotebookNode

from fixtures.journal import runs_folder
from harness.judge import Diagnosis, Judge, Verdict
from harness.kata import Kata
from harness.kernel import Execution, Row, run
from harness.logbook import remember, remembered
from harness.notebook import Submission, without_outputs
from harness.world import world_for

PUBLIC_SEED = 0
HIDDEN_SEEDS = 2
FIRST_HIDDEN_SEED = 1000
"""Seeds 0-9 are practice worlds; hidden seeds are drawn far above them."""

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


@dataclass(frozen=True)
class Attempt:
    """A whole check."""

    number: int
    folder: Path
    submission: Submission
    examined: tuple[Examined, ...]
    """In the order in which they were run; the public seed first."""
    attempts_before: int

    @property
    def fixed(self) -> bool:
        return all(e.fixed for e in self.examined)

    @property
    def decisive(self) -> Examined:
        """The run to show: the first that is not fixed, else the first."""
        return next((e for e in self.examined if not e.fixed), self.examined[0])

    @property
    def diagnosis(self) -> Diagnosis | None:
        public = self.examined[0]
        return public.verdict.diagnosis if public.verdict and public.seed == PUBLIC_SEED else None

    @property
    def check_broke(self) -> bool:
        """Whether a check raised something else than a failed assertion: the kata is malformed."""
        return any(c.status == "error" for e in self.examined if e.verdict for c in e.verdict.checks)

    @property
    def exit_code(self) -> int:
        if self.check_broke:
            return 4
        if any(e.unjudged for e in self.examined):
            return 3
        return 0 if self.fixed else 1


def attempt(kata: Kata, submission: Submission, *, seed: int | None, on_row: OnRow, on_seeds: Callable[[Sequence[int]], None]) -> Attempt:
    """Check a submission: for `seed` alone, or for the public seed and, if it is fixed there, two hidden ones.

    on_seeds is told which seeds start running, on_row each telemetry row with its seed.
    """
    number, folder = _new_run(kata)
    with Judge(kata.folder) as judge, ThreadPoolExecutor(HIDDEN_SEEDS) as pool:
        first = [PUBLIC_SEED if seed is None else seed]
        rounds = [first] if seed is not None else [first, _draw_hidden()]
        examined: list[Examined] = []
        for seeds in rounds:
            on_seeds(seeds)
            examined += examine(kata, judge, submission.notebook, seeds, folder, pool, on_row)
            if not examined[0].fixed:
                break
    done = Attempt(number, folder, submission, tuple(examined), len(remembered(kata.slug, "attempt")))
    _remember(kata, done)
    return done


def examine(
    kata: Kata, judge: Judge, notebook: NotebookNode, seeds: Sequence[int], folder: Path, executor: Executor, on_row: OnRow
) -> list[Examined]:
    """Run a notebook for several seeds side by side and judge them when the last kernel is dead."""
    stop = threading.Event()
    futures = [executor.submit(run_seed, kata, notebook, seed, folder / f"seed-{seed}", on_row, stop) for seed in seeds]
    try:
        executions = [future.result() for future in futures]
    except BaseException:
        stop.set()
        raise
    # The truth of a seed is made only now: no kernel lives that could read it.
    return [judge_execution(judge, seed, execution) for seed, execution in zip(seeds, executions, strict=True)]


def run_seed(kata: Kata, notebook: NotebookNode, seed: int, run_dir: Path, on_row: OnRow, stop: threading.Event) -> Execution:
    """Run a notebook in the world of one seed."""
    return run(
        without_outputs(notebook),
        run_dir,
        seed=seed,
        world=world_for(kata, seed),
        budget=kata.toml.budget,
        on_row=lambda row: on_row(seed, row),
        stop=stop,
    )


def judge_execution(judge: Judge, seed: int, execution: Execution) -> Examined:
    """Judge a finished run; one that did not complete has no verdict."""
    if execution.outcome != "completed":
        return Examined(seed, execution, None)
    findings = judge.look(seed, execution.evidence)
    return Examined(seed, execution, judge.judge(seed, execution.evidence, findings))


def _draw_hidden() -> list[int]:
    return [FIRST_HIDDEN_SEED + secrets.randbelow(10**6) for _ in range(HIDDEN_SEEDS)]


def _new_run(kata: Kata) -> tuple[int, Path]:
    """Make the next run folder; two checks at once get two."""
    parent = runs_folder() / kata.slug
    parent.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(p.name) for p in parent.iterdir() if p.name.isdigit()), default=0)
    while True:
        folder = parent / f"{number:04d}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return number, folder


def _remember(kata: Kata, done: Attempt) -> None:
    remember(
        kata,
        "attempt",
        run=done.number,
        seeds=[e.seed for e in done.examined],
        as_shipped=done.submission.as_shipped,
        changed=list(done.submission.changed),
        outcomes=[e.execution.outcome for e in done.examined],
        fixed=done.fixed,
        failed=[c.name for c in done.decisive.verdict.failed] if done.decisive.verdict else [],
        diagnosis=done.diagnosis and asdict(done.diagnosis),
    )
