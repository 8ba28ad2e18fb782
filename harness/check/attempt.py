"""One check of a learner's notebook: the public seed first, then two that nobody has seen."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from fixtures.recording.journal import runs_folder
from fixtures.seeds import HELD_OUT
from harness.check.examine import Examined, OnRow, examine
from harness.check.history import remember, remembered
from harness.check.preflight import PUBLIC_SEED, Preflight
from harness.course.kata import Kata
from harness.course.notebook import Submission
from harness.judging.verdict import Diagnosis, Judge
from harness.sandbox.bubblewrap import Sandbox
from harness.sandbox.forkserver import Kernels

NUM_HELD_OUT = 2
"""Nights that a check draws, from those that no notebook can work out."""


@dataclass(frozen=True)
class Attempt:
    """A whole check."""

    number: int
    folder: Path
    submission: Submission
    examined: tuple[Examined, ...]
    """In the order in which they were run; the public seed first."""
    attempts_before: int
    sandbox: Sandbox
    not_judged: str
    """Why this machine cannot judge the kata; empty when it can."""
    asked: float
    """When it was asked for, in seconds since 1970."""
    public_seed: int = PUBLIC_SEED
    """The night that the learner knows; an exam draws its own."""

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
        return public.verdict.diagnosis if public.verdict and public.seed == self.public_seed else None

    @property
    def check_broke(self) -> bool:
        """Whether a check raised something else than a failed assertion: the kata is malformed."""
        return any(c.status == "error" for e in self.examined if e.verdict for c in e.verdict.checks)

    @property
    def exit_code(self) -> int:
        if self.check_broke:
            return 4
        if self.not_judged or any(e.unjudged for e in self.examined):
            return 3
        return 0 if self.fixed else 1


class Cancelled(Exception):
    """Nobody waits for this check any more: it leaves no trace."""


def attempt(
    kata: Kata,
    submission: Submission,
    kernels: Kernels,
    *,
    seed: int | None,
    public_seed: int = PUBLIC_SEED,
    judge: Judge | None = None,
    stop: threading.Event | None = None,
    on_seeds: Callable[[Sequence[int]], None] = lambda seeds: None,
    on_row: OnRow = lambda seed, row: None,
    on_examined: Callable[[Examined], None] = lambda examined: None,
) -> Attempt:
    """Check a submission: for `seed` alone, or for the public seed and, if it is fixed there, two hidden ones.

    on_seeds is told which seeds start running, on_row each telemetry row with its seed, on_examined each verdict as it is known.
    A judge of the kata's that is running may be lent. Raises Cancelled when `stop` was set.
    """
    asked = time.time()
    number, folder = _new_run(kata)
    stop = stop or threading.Event()
    lent = nullcontext(judge) if judge else Judge(kata.folder)
    # Two at a time: the hidden seeds side by side, or the public one beside the preflight.
    with lent as judge, ThreadPoolExecutor(NUM_HELD_OUT) as pool, Preflight(kata, kernels, pool) as preflight:
        rounds = [[seed]] if seed is not None else [[public_seed], _draw_held_out()]
        examined: list[Examined] = []
        for seeds in rounds:
            on_seeds(seeds)
            if submission.as_shipped:
                preflight.prepare("reference")
            for one in examine(kata, judge, submission.notebook, seeds, folder, kernels, pool, stop, on_row):
                if stop.is_set():
                    shutil.rmtree(folder, ignore_errors=True)
                    raise Cancelled
                examined.append(one)
                on_examined(one)
            if not examined[0].fixed:
                break
        why_not = _why_not_judged(preflight, judge, submission, examined)
    attempts_before = len(remembered(kata.slug, "attempt"))
    done = Attempt(number, folder, submission, tuple(examined), attempts_before, kernels.sandbox, why_not, asked, public_seed)
    _remember(kata, done)
    return done


def _why_not_judged(preflight: Preflight, judge: Judge, submission: Submission, examined: Sequence[Examined]) -> str:
    """Why a failure is not the learner's: the preflight does not hold on this machine. Empty for whatever can be judged."""
    if not any(e.verdict and not e.fixed for e in examined):
        return ""
    shipped = examined[0] if submission.as_shipped and examined[0].seed == PUBLIC_SEED else None
    return preflight.failure(judge, shipped)


def _draw_held_out() -> list[int]:
    return [secrets.choice(HELD_OUT) for _ in range(NUM_HELD_OUT)]


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
