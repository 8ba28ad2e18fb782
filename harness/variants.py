"""A kata's notebook as shipped and with each known fix, run on several seeds; runs are kept by content."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass

from nbformat import NotebookNode

from fixtures.journal import runs_folder
from harness.errors import KataError
from harness.examine import run_seed
from harness.forkserver import Kernels
from harness.kata import Fix, Kata, Proof
from harness.kernel import Execution
from harness.notebook import apply_fix, authored, dumps, read_fix
from harness.verdict import Judge, Verdict
from harness.world import content_hash, fixtures_of

OnPlan = Callable[[int], None]
"""Is told how many runs there will be."""
OnDone = Callable[[str, int], None]
"""Is told which variant and seed is judged."""


@dataclass(frozen=True)
class Bench:
    """What runs need besides a notebook: where they run side by side, and where their kernels come from."""

    kata: Kata
    executor: Executor
    kernels: Kernels


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


def broken(kata: Kata, proof: Proof, seeds: Sequence[int]) -> Variant:
    """Return the notebook as shipped."""
    return Variant("broken", "fail", tuple(proof.broken.fails), authored(kata), tuple(seeds))


def fixed(kata: Kata, fix: Fix, seeds: Sequence[int]) -> Variant:
    """Return the notebook with a fix."""
    notebook = apply_fix(authored(kata), read_fix(kata, fix.name), kata.fix_path(fix.name))
    return Variant(fix.name, fix.expect, tuple(fix.fails), notebook, tuple(seeds))


def run_all(bench: Bench, judge: Judge, variants: Sequence[Variant], on_done: OnDone) -> list[Row]:
    """Run variants on their seeds, in parallel, and judge them one by one; raises KataError when one cannot be judged."""
    stop = threading.Event()
    futures = {(v.name, s): bench.executor.submit(cached_run, bench, v.notebook, s, stop) for v in variants for s in v.seeds}
    try:
        return [_row(judge, v, [futures[v.name, s] for s in v.seeds], on_done) for v in variants]
    except BaseException:
        stop.set()
        for future in futures.values():
            future.cancel()
        raise


def _row(judge: Judge, variant: Variant, futures: Sequence[Future[Execution]], on_done: OnDone) -> Row:
    executions, verdicts = [], []
    for seed, future in zip(variant.seeds, futures, strict=True):
        execution = future.result()
        verdicts.append(_judged(judge, variant, seed, execution))
        executions.append(execution)
        on_done(variant.name, seed)
    return Row(variant, tuple(executions), tuple(verdicts))


def _judged(judge: Judge, variant: Variant, seed: int, execution: Execution) -> Verdict:
    where = f"{variant.name}, seed {seed}"
    if execution.outcome != "completed":
        raise KataError(f"{where}: the notebook did not complete: {execution.outcome} in cell `{execution.cell}`: {execution.message}")
    verdict = judge.judge(seed, execution.evidence, judge.look(seed, execution.evidence))
    if errors := [c for c in verdict.checks if c.status == "error"]:
        raise KataError(f"{where}: {errors[0].name} broke: {errors[0].message}")
    return verdict


def cached_run(bench: Bench, notebook: NotebookNode, seed: int, stop: threading.Event, again: str = "") -> Execution:
    """Run a notebook for a seed, or return the run of the same notebook, scene and fixtures; `again` names one run more."""
    kata = bench.kata
    run_dir = runs_folder() / kata.slug / "proof" / (_run_key(kata, notebook, seed) + again)
    receipt = run_dir / "execution.json"
    if receipt.exists():
        return Execution(**json.loads(receipt.read_text()), run_dir=run_dir)
    shutil.rmtree(run_dir, ignore_errors=True)
    execution = run_seed(kata, notebook, seed, run_dir, bench.kernels, stop)
    # Whatever else ended a run may have been the machine's fault: it is tried again next time.
    if execution.outcome in ("completed", "cell_error"):
        receipt.write_text(json.dumps({k: v for k, v in asdict(execution).items() if k != "run_dir"}))
    return execution


def _run_key(kata: Kata, notebook: NotebookNode, seed: int) -> str:
    probe = [kata.probe] if kata.probe else []
    sources = content_hash([kata.meta / "scene.py", kata.folder / "kata.toml", *probe, *fixtures_of(kata)])
    return hashlib.sha256(f"{sources}{dumps(notebook)}{seed}".encode()).hexdigest()[:16]
