"""One attempt: a learner's notebook on the public seed, then on two held-out seeds."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nbformat import NotebookNode

from fixtures.recording.journal import runs_folder
from fixtures.seeds import HELD_OUT
from harness.check.examine import Examined, RunContext, examine
from harness.check.history import remember, remembered
from harness.check.preflight import PUBLIC_SEED, Preflight
from harness.course.kata import Kata
from harness.course.submission import Submission
from harness.judging.verdict import Diagnosis, Judge
from harness.sandbox.bubblewrap import Sandbox

NUM_HELD_OUT = 2
"""Held-out seeds of one attempt."""


@dataclass(frozen=True)
class Attempt:
    """What one attempt found."""

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
    """When it started, in seconds since 1970."""
    public_seed: int = PUBLIC_SEED
    """The seed that the learner knows; an exam draws its own."""
    whole: bool = True
    """False when one seed alone was asked for."""
    diagnosis_decides: bool = False
    """Passing checks are not enough: every field of the diagnosis must be right."""

    @property
    def fixed(self) -> bool:
        return self.checks_pass and (self.diagnosed or not self.diagnosis_decides)

    @property
    def checks_pass(self) -> bool:
        return all(e.fixed for e in self.examined)

    @property
    def decisive(self) -> Examined:
        """The run to show: the first whose checks do not all pass, else the first."""
        return next((e for e in self.examined if not e.fixed), self.examined[0])

    @property
    def diagnosis(self) -> Diagnosis | None:
        public = self.examined[0]
        return public.verdict.diagnosis if public.verdict and public.seed == self.public_seed else None

    @property
    def diagnosed(self) -> bool:
        """Whether every field of the diagnosis is right, on the public seed."""
        return self.diagnosis is not None and bool(self.diagnosis.right) and not self.diagnosis.wrong

    @property
    def check_broke(self) -> bool:
        """Whether a check raised anything but a failed assertion: the kata is malformed."""
        return any(c.status == "error" for e in self.examined if e.verdict for c in e.verdict.checks)

    @property
    def exit_code(self) -> int:
        if self.check_broke:
            return 4
        if self.not_judged or any(e.unjudged for e in self.examined):
            return 3
        return 0 if self.fixed else 1


class Cancelled(Exception):
    """The attempt was stopped before its verdict: it leaves no trace."""


def checks_hidden(kata: Kata, examined: Examined) -> bool:
    """Whether a run's checks stay hidden: where the diagnosis decides, they would answer a form that is still empty."""
    form = examined.verdict.diagnosis if examined.verdict else None
    return kata.diagnosis_decides and form is not None and form.blank


def attempt(
    kata: Kata,
    submission: Submission,
    context: RunContext,
    *,
    seed: int | None,
    public_seed: int = PUBLIC_SEED,
) -> Attempt:
    """Check a submission: for `seed` alone, or for the public seed and, if it passes there, for two held-out seeds.

    The public seed alone decides where there is a diagnosis and nothing else to hand over.
    Raises Cancelled when the context's `stop` was set.
    """
    asked = time.time()
    number, folder = _new_run(kata)
    own = nullcontext(context.judge) if context.judge else Judge(kata.folder)
    # Two at a time: the held-out seeds in parallel, or the public one beside the preflight.
    with own as judge, ThreadPoolExecutor(NUM_HELD_OUT) as pool, Preflight(kata, context.kernels, pool) as preflight:
        context = replace(context, judge=judge)
        examined: list[Examined] = []
        for seeds in _rounds(kata, seed, public_seed):
            if submission.as_shipped:
                preflight.prepare("reference")
            examined += _round(kata, submission.notebook, seeds, folder, pool, context)
            if not examined[0].fixed or (kata.diagnosis_decides and not _all_right(examined[0])):
                break
        why_not = _why_not_judged(preflight, judge, submission, examined)
    done = Attempt(
        number=number,
        folder=folder,
        submission=submission,
        examined=tuple(examined),
        attempts_before=len(remembered(kata.slug, "attempt")),
        sandbox=context.kernels.sandbox,
        not_judged=why_not,
        asked=asked,
        public_seed=public_seed,
        whole=seed is None,
        diagnosis_decides=kata.diagnosis_decides,
    )
    _remember(kata, done)
    return done


def _round(kata: Kata, notebook: NotebookNode, seeds: list[int], folder: Path, pool: Executor, context: RunContext) -> list[Examined]:
    """Run and judge a notebook for some seeds, and tell the listener; raises Cancelled when the context's `stop` was set."""
    context.listener.on_seeds(seeds)
    found = []
    for one in examine(kata, notebook, seeds, folder, pool, context):
        if context.stop.is_set():
            shutil.rmtree(folder, ignore_errors=True)
            raise Cancelled
        found.append(one)
        context.listener.on_examined(one)
    return found


def _rounds(kata: Kata, seed: int | None, public_seed: int) -> list[list[int]]:
    """The seeds of an attempt; each round runs only if the one before passed."""
    if seed is not None:
        return [[seed]]
    nothing_to_rerun = kata.kind == "read" and kata.diagnosis_decides
    return [[public_seed]] if nothing_to_rerun else [[public_seed], _draw_held_out()]


def _all_right(examined: Examined) -> bool:
    form = examined.verdict.diagnosis if examined.verdict else None
    return form is not None and not form.wrong


def _why_not_judged(preflight: Preflight, judge: Judge, submission: Submission, examined: Sequence[Examined]) -> str:
    """Why this machine cannot judge the kata; empty when it can, and when nothing failed."""
    if not any(e.verdict and not e.fixed for e in examined):
        return ""
    shipped = examined[0] if submission.as_shipped and examined[0].seed == PUBLIC_SEED else None
    return preflight.failure(judge, shipped)


def _draw_held_out() -> list[int]:
    return [secrets.choice(HELD_OUT) for _ in range(NUM_HELD_OUT)]


def _new_run(kata: Kata) -> tuple[int, Path]:
    """Make the next attempt's folder; two attempts at once get one each."""
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
    verdict, hidden = done.decisive.verdict, checks_hidden(kata, done.decisive)
    remember(
        kata,
        "attempt",
        run=done.number,
        seeds=[e.seed for e in done.examined],
        as_shipped=done.submission.as_shipped,
        changed=list(done.submission.changed),
        outcomes=[e.execution.outcome for e in done.examined],
        fixed=done.fixed,
        whole=done.whole,
        failed=[] if hidden or not verdict else [c.name for c in verdict.failed],
        diagnosis=done.diagnosis and asdict(done.diagnosis),
    )
