"""A kata's notebook as shipped and with each known fix, run on several seeds; runs are kept by content."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from nbformat import NotebookNode

from fixtures.recording.journal import runs_folder
from harness.check.examine import RunContext, run_seed
from harness.course.errors import KataError
from harness.course.fixes import with_fix
from harness.course.kata import Fix, Kata, Proof
from harness.course.notebook import authored, dumps
from harness.course.scene_files import content_hash, fixtures_of
from harness.judging.verdict import Judge, Verdict
from harness.sandbox.forkserver import Kernels
from harness.sandbox.kernel import Execution

JUDGES = (*tuple(f"judging/{name}.py" for name in ("bands", "evidence", "checks", "measures", "oracle", "verdict")), "proof/forgery.py")
"""Modules of the harness whose change asks for every verdict anew."""
KEPT_DAYS = 7.0
"""Runs that no proof has looked at for so long are thrown away."""


BROKEN = "broken"
"""What the notebook as shipped is called among the variants."""
Task = tuple[str, int]
"""Name of a variant, seed."""


class Progress(Protocol):
    """Is told what a proof or a calibration does."""

    def plan(self, kata: Kata, runs: Sequence[Task], kept: Collection[Task]) -> None:
        """These runs will be judged; those of `kept` are at hand from before."""

    def done(self, kata: Kata, run: Task, seconds: float) -> None:
        """A run is judged; it took `seconds`, now or then."""


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
        """Where runs of the kata are kept."""
        return Path(runs_folder(), self.kata.slug, "proof")

    @cached_property
    def _sources(self) -> str:
        probe = [self.kata.probe] if self.kata.probe else []
        return content_hash([self.kata.meta / "scene.py", self.kata.folder / "kata.toml", *probe, *fixtures_of(self.kata)])

    @cached_property
    def judge_key(self) -> str:
        """A hash of all that a verdict depends on, besides the run."""
        meta = (self.kata.meta / name for name in ("scene.py", "oracle.py", "baseline.json"))
        own = [Path(__file__).parents[1].joinpath(name) for name in JUDGES]
        found = [self.kata.checks, self.kata.folder / "kata.toml", *meta]
        return content_hash([*(path for path in found if path.exists()), *own, *fixtures_of(self.kata)])

    def run_folder(self, notebook: NotebookNode, seed: int, again: str = "") -> Path:
        """Return where a notebook's run for a seed is kept: its name is a hash of all that the run depends on."""
        return self.runs / (hashlib.sha256(f"{self._sources}{dumps(notebook)}{seed}".encode()).hexdigest()[:16] + again)


@dataclass(frozen=True)
class Variant:
    """The notebook as shipped or with one fix, and what a run of it must show."""

    name: str
    expect: str
    fails: tuple[str, ...]
    notebook: NotebookNode
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """A variant's runs and verdicts, one a seed."""

    variant: Variant
    executions: tuple[Execution, ...]
    verdicts: tuple[Verdict, ...]

    def failed_everywhere(self, check: str) -> bool:
        """Whether a check refuses the variant on every seed."""
        return all(check in {c.name for c in v.failed} for v in self.verdicts)

    def margin(self, check: str) -> float | None:
        """The smallest distance to the bar in sd over the seeds, negative where refused; None where nothing was measured."""
        margins = [min((m.sd for m in c.margins), default=None) for v in self.verdicts for c in v.checks if c.name == check]
        known = [m for m in margins if m is not None]
        return None if not known else max(known) if self.failed_everywhere(check) else min(known)

    @property
    def refused_by(self) -> float:
        """By how many sd the variant is refused on its decisive check, at its weakest seed; 0 when none refuses it on every seed."""
        margins = [self.margin(c.name) for c in self.verdicts[0].checks if self.failed_everywhere(c.name)]
        return max((-m for m in margins if m is not None), default=0.0)


def broken(bench: Bench, proof: Proof, seeds: Sequence[int]) -> Variant:
    """Return the notebook as shipped."""
    return Variant(BROKEN, "fail", tuple(proof.broken.fails), bench.shipped, tuple(seeds))


def fixed(bench: Bench, proof: Proof, fix: Fix, seeds: Sequence[int]) -> Variant:
    """Return the notebook with a fix."""
    notebook = with_fix(bench.kata, proof, fix.name, bench.shipped)
    return Variant(fix.name, fix.expect, tuple(fix.fails), notebook, tuple(seeds))


def run_all(bench: Bench, judge: Judge, variants: Sequence[Variant]) -> list[Row]:
    """Run variants on their seeds, in parallel, and judge them one by one; raises KataError when one cannot be judged."""
    futures = {(v.name, s): bench.executor.submit(cached_run, bench, v.notebook, s) for v in variants for s in v.seeds}
    try:
        return [_row(bench, judge, v, [futures[v.name, s] for s in v.seeds]) for v in variants]
    except BaseException:
        bench.stop.set()
        for future in futures.values():
            future.cancel()
        raise


def _row(bench: Bench, judge: Judge, variant: Variant, futures: Sequence[Future[Execution]]) -> Row:
    executions, verdicts = [], []
    for seed, future in zip(variant.seeds, futures, strict=True):
        execution = future.result()
        verdicts.append(_judged(bench, judge, variant, seed, execution))
        executions.append(execution)
        bench.progress.done(bench.kata, (variant.name, seed), execution.elapsed_s)
    return Row(variant, tuple(executions), tuple(verdicts))


def _judged(bench: Bench, judge: Judge, variant: Variant, seed: int, execution: Execution) -> Verdict:
    where = f"{variant.name}, seed {seed}"
    if execution.outcome != "completed":
        raise KataError(f"{where}: the notebook did not complete: {execution.outcome}: {execution.message}")
    evidence = execution.evidence
    verdict = kept(bench, judge, execution, "run", lambda: judge.judge(seed, evidence, judge.look(seed, evidence)))
    if errors := [c for c in verdict.checks if c.status == "error"]:
        raise KataError(f"{where}: {errors[0].name} broke: {errors[0].message}")
    return verdict


def kept(bench: Bench, judge: Judge, execution: Execution, name: str, find: Callable[[], Verdict]) -> Verdict:
    """Return the verdict called `name` on a kept run as it was found before by the same checks, or find and keep it."""
    key = hashlib.sha256(f"{name} {bench.judge_key} {judge.calibrating}".encode()).hexdigest()[:16]
    path = execution.run_dir / f"verdict-{key}.json"
    if path.exists():
        return Verdict.read(**json.loads(path.read_text()))
    verdict = find()
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
    """Throw away kept runs that nothing has looked at for KEPT_DAYS, and what proofs that were killed left half made."""
    for looked_at in [*bench.runs.glob(f"*/{RECEIPT}"), *bench.runs.glob(".*/input.ipynb")]:
        if time.time() - looked_at.stat().st_mtime > KEPT_DAYS * 86400:
            shutil.rmtree(looked_at.parent, ignore_errors=True)
