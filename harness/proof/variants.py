"""A kata's notebook as shipped and with each known fix, run and judged on several seeds; both are cached by content."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from nbformat import NotebookNode

from fixtures.recording.journal import runs_folder
from harness.check.examine import RunContext, run_seed
from harness.course.errors import KataError
from harness.course.fixes import with_fix
from harness.course.kata import DIAGNOSIS, Fix, Kata, Proof
from harness.course.keys import run_key, run_surroundings, verdict_key
from harness.course.notebook import authored
from harness.judging.verdict import Judge, Judges, Verdict
from harness.sandbox.forkserver import Kernels
from harness.sandbox.kernel import Execution

KEPT_DAYS = 7.0
"""Cached runs that no proof has used for so long are deleted."""


BROKEN = "broken"
"""What the notebook as shipped is called among the variants."""
PUBLIC_SEED = 0
T = TypeVar("T")
Task = tuple[str, int]
"""Name of a variant, seed."""


class Progress(Protocol):
    """Is told what a proof or a calibration does."""

    def plan(self, kata: Kata, runs: Sequence[Task], kept: Collection[Task]) -> None:
        """These runs will be judged; those of `kept` are cached."""

    def done(self, kata: Kata, run: Task, seconds: float) -> None:
        """A run is judged; it took `seconds`, now or when it was cached."""


@dataclass(frozen=True)
class Bench:
    """What runs need besides a notebook: where they run side by side, and where their kernels come from."""

    kata: Kata
    executor: Executor
    kernels: Kernels
    progress: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    """Ends what runs."""

    @cached_property
    def shipped(self) -> NotebookNode:
        return authored(self.kata)

    @cached_property
    def runs(self) -> Path:
        """Where runs of the kata are cached."""
        return Path(runs_folder(), self.kata.slug, "proof")

    @cached_property
    def judge_key(self) -> str:
        """A hash of all that a verdict depends on, besides the run."""
        return verdict_key(self.kata, "harness.proof.forgery")

    @cached_property
    def _surroundings(self) -> str:
        return run_surroundings(self.kata)

    def run_folder(self, notebook: NotebookNode, seed: int, again: str = "") -> Path:
        """Return where a notebook's run for a seed is cached: its name is a hash of all that the run depends on."""
        return self.runs / (run_key(self.kata, self._surroundings, notebook, seed)[:16] + again)


@dataclass(frozen=True)
class Variant:
    """The notebook as shipped or with one fix, and what a run of it must show."""

    name: str
    expect: Literal["pass", "fail"]
    fails: tuple[str, ...]
    notebook: NotebookNode
    seeds: tuple[int, ...]
    outcome: str = "completed"
    """How its runs must end; one that does not complete is not judged."""


@dataclass(frozen=True)
class Row:
    """A variant's runs and their verdicts, one for each seed; no verdicts for a variant whose runs must not complete."""

    variant: Variant
    executions: tuple[Execution, ...]
    verdicts: tuple[Verdict, ...]
    diagnosis_decides: bool = False

    def refusals(self, verdict: Verdict) -> set[str]:
        """Return the names of what refuses a run: checks, and DIAGNOSIS on the public seed of a kata that a diagnosis decides."""
        failed = {check.name for check in verdict.failed}
        if self.diagnosis_decides and verdict.seed == PUBLIC_SEED and (verdict.diagnosis is None or verdict.diagnosis.wrong):
            failed.add(DIAGNOSIS)
        return failed

    def failed_everywhere(self, check: str) -> bool:
        """Whether a check refuses the variant on every seed on which it is judged."""
        judged = [v for v in self.verdicts if check != DIAGNOSIS or v.seed == PUBLIC_SEED]
        return bool(judged) and all(check in self.refusals(v) for v in judged)

    def margin(self, check: str) -> float | None:
        """The smallest distance to the threshold in sd over the seeds, negative where refused; None where nothing was measured."""
        margins = [min((m.sd for m in c.margins), default=None) for v in self.verdicts for c in v.checks if c.name == check]
        known = [m for m in margins if m is not None]
        return None if not known else max(known) if self.failed_everywhere(check) else min(known)

    @property
    def refused_by(self) -> float:
        """By how many sd the variant is refused on its decisive check, at its weakest seed; 0 when none refuses it on every seed.

        Infinite where no threshold decides: the runs end in an error, or the kata is about the diagnosis and nothing was measured.
        """
        if not self.verdicts:
            return math.inf
        margins = [self.margin(c.name) for c in self.verdicts[0].checks if self.failed_everywhere(c.name)]
        measured = [-m for m in margins if m is not None]
        declared = self.variant.fails == (DIAGNOSIS,) or (self.diagnosis_decides and bool(margins))
        return max(measured, default=math.inf if declared else 0.0)


def broken(bench: Bench, proof: Proof, seeds: Sequence[int]) -> Variant:
    """Return the notebook as shipped."""
    expect: Literal["pass", "fail"] = "fail" if proof.broken.goes_wrong else "pass"
    return Variant(BROKEN, expect, tuple(proof.broken.fails), bench.shipped, tuple(seeds), proof.broken.outcome)


def fixed(bench: Bench, proof: Proof, fix: Fix, seeds: Sequence[int]) -> Variant:
    """Return the notebook with a fix."""
    notebook = with_fix(bench.kata, proof, fix.name, bench.shipped)
    return Variant(fix.name, fix.expect, tuple(fix.fails), notebook, tuple(seeds))


def run_all(bench: Bench, judges: Judges, variants: Sequence[Variant]) -> list[Row]:
    """Run variants on their seeds and judge them, in parallel; raises KataError when one cannot be judged."""
    tasks = [(v, seed) for v in variants for seed in v.seeds]
    results = iter(side_by_side(bench, [partial(_run_and_judge, bench, judges, v, seed) for v, seed in tasks]))
    rows = []
    for variant in variants:
        executions, verdicts = zip(*(next(results) for _ in variant.seeds), strict=True)
        judged = tuple(v for v in verdicts if v is not None)
        rows.append(Row(variant, executions, judged, bench.kata.diagnosis_decides))
    return rows


def side_by_side(bench: Bench, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Return what each task returns; the first that raises ends the others."""
    futures = [bench.executor.submit(task) for task in tasks]
    try:
        return [future.result() for future in futures]
    except BaseException:
        bench.stop.set()
        for future in futures:
            future.cancel()
        raise


def _run_and_judge(bench: Bench, judges: Judges, variant: Variant, seed: int) -> tuple[Execution, Verdict | None]:
    execution = cached_run(bench, variant.notebook, seed)
    where = f"{variant.name}, seed {seed}"
    if execution.outcome != variant.outcome:
        expected = "" if variant.outcome == "completed" else f"; proof.toml says `outcome = {variant.outcome!r}`"
        did = "the notebook completed" if execution.outcome == "completed" else f"the notebook did not complete: {execution.outcome}"
        raise KataError(f"{where}: {did}{expected}" + (f": {execution.message}" if execution.message else ""))
    verdict = _judged(bench, judges, seed, execution, where) if variant.outcome == "completed" else None
    bench.progress.done(bench.kata, (variant.name, seed), execution.elapsed_s)
    return execution, verdict


def _judged(bench: Bench, judges: Judges, seed: int, execution: Execution, where: str) -> Verdict:
    verdict = cached_verdict(bench, judges, seed, execution, "run", lambda judge: judge.judge(seed, execution.evidence))
    if errors := [c for c in verdict.checks if c.status == "error"]:
        raise KataError(f"{where}: {errors[0].name} broke: {errors[0].message}")
    return verdict


def cached_verdict(bench: Bench, judges: Judges, seed: int, execution: Execution, name: str, find: Callable[[Judge], Verdict]) -> Verdict:
    """Return the verdict called `name` on a cached run, as it was found earlier by the same checks or is found now."""
    key = hashlib.sha256(f"{name} {bench.judge_key} {judges.calibrating}".encode()).hexdigest()[:16]
    path = execution.run_dir / f"verdict-{key}.json"
    if path.exists():
        return Verdict.read(**json.loads(path.read_text()))
    with judges.one(seed) as judge:
        verdict = find(judge)
    answer = asdict(verdict)
    path.write_text(json.dumps({"seed": answer.pop("seed"), "answer": answer}))
    return verdict


def cached_run(bench: Bench, notebook: NotebookNode, seed: int, again: str = "") -> Execution:
    """Run a notebook for a seed, or return the run of the same notebook, scene and fixtures; `again` names one run more."""
    run_dir = bench.run_folder(notebook, seed, again)
    receipt = run_dir / RECEIPT
    if receipt.exists():
        receipt.touch()
        return Execution(**json.loads(receipt.read_text()), run_dir=run_dir)
    # Another proof may be at the same run: each makes its own, and the first one that is whole is kept.
    making = run_dir.with_name(f".{run_dir.name}-{secrets.token_hex(4)}")
    execution = run_seed(bench.kata, notebook, seed, making, RunContext(bench.kernels, stop=bench.stop))
    # Whatever else ended a run may have been the machine's fault: it is tried again next time.
    if execution.outcome in ("completed", "cell_error"):
        (making / RECEIPT).write_text(json.dumps({k: v for k, v in asdict(execution).items() if k != "run_dir"}))
    if not receipt.exists():
        shutil.rmtree(run_dir, ignore_errors=True)
        with suppress(OSError):
            making.rename(run_dir)
    shutil.rmtree(making, ignore_errors=True)
    return replace(execution, run_dir=run_dir)


RECEIPT = "execution.json"


def plan(bench: Bench, variants: Sequence[Variant], *more: Task) -> None:
    """Announce the runs of variants, and others."""
    runs = {(v.name, seed): bench.run_folder(v.notebook, seed) for v in variants for seed in v.seeds}
    bench.progress.plan(bench.kata, [*runs, *more], [run for run, folder in runs.items() if (folder / RECEIPT).exists()])


def forget_old_runs(bench: Bench) -> None:
    """Delete cached runs that no proof has used for KEPT_DAYS, and unfinished ones of proofs that were killed."""
    for looked_at in [*bench.runs.glob(f"*/{RECEIPT}"), *bench.runs.glob(".*/input.ipynb")]:
        if time.time() - looked_at.stat().st_mtime > KEPT_DAYS * 86400:
            shutil.rmtree(looked_at.parent, ignore_errors=True)
