"""Show that a kata judges fairly: calibrate its bars on the reference fix, then try every known fix against them."""

from __future__ import annotations

import json
import shutil
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from fixtures.journal import runs_folder
from harness.attempt import run_seed
from harness.errors import KataError
from harness.judge import Judge, Verdict
from harness.kata import Fix, Kata, Proof, listed, load_proof
from harness.kernel import Execution
from harness.notebook import apply_fix, authored, dumps, read_fix
from harness.scaffold import check_names, problems
from harness.world import content_hash, fixtures_files

PROOF_SEEDS = (0, 1, 2)
CALIBRATION_SEEDS = range(100, 120)
MARGIN_SEEDS = range(100, 105)
MASK_MARGIN_SD = 4.0
ONE_SEED_MARGIN_SD = 10.0
"""A masking fix that calibration saw refused by this much is proven on one seed."""

OnDone = Callable[[str, int], None]


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
    """A variant's verdicts, one a seed."""

    variant: Variant
    verdicts: tuple[Verdict, ...]

    def failed_everywhere(self, check: str) -> bool:
        return all(check in {c.name for c in v.failed} for v in self.verdicts)

    def margin(self, check: str) -> float | None:
        """The smallest distance to the bar in sd over the seeds, negative where refused; None where nothing was measured."""
        margins = [min((m.sd for m in c.margins), default=None) for v in self.verdicts for c in v.checks if c.name == check]
        known = [m for m in margins if m is not None]
        return None if not known else max(known) if self.failed_everywhere(check) else min(known)


@dataclass(frozen=True)
class ProofResult:
    """The matrix and what contradicts it."""

    kata: Kata
    checks: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[str, ...]

    @property
    def proven(self) -> bool:
        return not self.problems


def prove(kata: Kata, executor: Executor, on_plan: Callable[[int], None], on_done: OnDone) -> ProofResult:
    """Run the broken notebook and every fix, and say what does not hold; raises KataError when nothing can be run."""
    proof = load_proof(kata)
    found = problems(kata, proof)
    variants = _variants(kata, proof)
    on_plan(sum(len(v.seeds) for v in variants))
    with Judge(kata.folder) as judge:
        rows = tuple(_row(v, verdicts) for v, verdicts in _verdicts(kata, judge, variants, executor, on_done))
    checks = tuple(check_names(kata))
    return ProofResult(kata, checks, rows, (*found, *_contradictions(proof, checks, rows)))


def _row(variant: Variant, verdicts: Sequence[Verdict]) -> Row:
    return Row(variant, tuple(verdicts))


def _variants(kata: Kata, proof: Proof) -> list[Variant]:
    shipped = authored(kata)
    margins = _calibrated_margins(kata)
    variants = [Variant("broken", "fail", tuple(proof.broken.fails), shipped, PROOF_SEEDS)]
    for fix in proof.fix:
        clear = fix.expect == "fail" and margins.get(fix.name, 0.0) > ONE_SEED_MARGIN_SD
        seeds = PROOF_SEEDS[:1] if clear else PROOF_SEEDS
        variants.append(Variant(fix.name, fix.expect, tuple(fix.fails), _fixed(kata, shipped, fix), seeds))
    return variants


def _fixed(kata: Kata, shipped: NotebookNode, fix: Fix) -> NotebookNode:
    return apply_fix(shipped, read_fix(kata, fix.name), kata.fix_path(fix.name))


def _verdicts(
    kata: Kata, judge: Judge, variants: Sequence[Variant], executor: Executor, on_done: OnDone
) -> list[tuple[Variant, list[Verdict]]]:
    stop = threading.Event()
    futures = {(v.name, s): executor.submit(cached_run, kata, v.notebook, s, stop) for v in variants for s in v.seeds}
    try:
        return [(v, [_judged(judge, v, s, futures[v.name, s], on_done) for s in v.seeds]) for v in variants]
    except BaseException:
        stop.set()
        for future in futures.values():
            future.cancel()
        raise


def _judged(judge: Judge, variant: Variant, seed: int, future: Future[Execution], on_done: OnDone) -> Verdict:
    execution = future.result()
    if execution.outcome != "completed":
        raise KataError(
            f"{variant.name}, seed {seed}: the notebook did not complete: {execution.outcome} in cell `{execution.cell}`: {execution.message}"
        )
    verdict = judge.judge(seed, execution.evidence, judge.look(seed, execution.evidence))
    if errors := [c for c in verdict.checks if c.status == "error"]:
        raise KataError(f"{variant.name}, seed {seed}: {errors[0].name} broke: {errors[0].message}")
    on_done(variant.name, seed)
    return verdict


def cached_run(kata: Kata, notebook: NotebookNode, seed: int, stop: threading.Event) -> Execution:
    """Run a notebook for a seed, or return the run of the same notebook, scene and fixtures."""
    key = _run_key(kata, notebook, seed)
    run_dir = runs_folder() / kata.slug / "proof" / key
    receipt = run_dir / "execution.json"
    if receipt.exists():
        return Execution(**json.loads(receipt.read_text()), run_dir=run_dir)
    shutil.rmtree(run_dir, ignore_errors=True)
    execution = run_seed(kata, notebook, seed, run_dir, lambda seed, row: None, stop)
    if execution.outcome != "cancelled":
        receipt.write_text(json.dumps({k: v for k, v in asdict(execution).items() if k != "run_dir"}))
    return execution


def _run_key(kata: Kata, notebook: NotebookNode, seed: int) -> str:
    import hashlib

    sources = content_hash([kata.meta / "scene.py", kata.folder / "kata.toml", *fixtures_files()])
    return hashlib.sha256(f"{sources}{dumps(notebook)}{seed}".encode()).hexdigest()[:16]


def _contradictions(proof: Proof, checks: Sequence[str], rows: Sequence[Row]) -> list[str]:
    found = []
    for row in rows:
        failed = {c.name for v in row.verdicts for c in v.failed}
        if row.variant.expect == "pass" and failed:
            found.append(f"right fix `{row.variant.name}` is refused by {listed(sorted(failed))}")
        found += [
            f"`{row.variant.name}` passes {listed([name])}, which it declares to fail"
            for name in row.variant.fails
            if not row.failed_everywhere(name)
        ]
    right = [fix for fix in proof.fix if fix.expect == "pass"]
    masking = [fix for fix in proof.fix if fix.expect == "fail"]
    if len(right) < 2:
        found.append(f"{len(right)} right fix, expected at least two of different kinds")
    if len(masking) < 3:
        found.append(f"{len(masking)} masking fixes, expected at least three")
    ever_failed = {c.name for row in rows for v in row.verdicts for c in v.failed}
    found += [
        f"{listed([name])} is failed by no variant: it cannot fail, or a masking fix is missing"
        for name in checks
        if name not in ever_failed
    ]
    return found


@dataclass(frozen=True)
class Calibration:
    """Means and standard deviations of the reference fix, and how far the other fixes are from the bars."""

    kata: Kata
    measures: Mapping[str, Mapping[str, float]]
    rows: tuple[Row, ...]


def calibrate(kata: Kata, executor: Executor, on_plan: Callable[[int], None], on_done: OnDone) -> Calibration:
    """Measure the reference on 20 seeds and every other variant on 5, write `.meta/baseline.json`."""
    proof = load_proof(kata)
    reference, others = _calibration_variants(kata, proof)
    on_plan(len(CALIBRATION_SEEDS) + len(MARGIN_SEEDS) * len(others))
    with Judge(kata.folder, calibrating=True) as judge:
        [(_, verdicts)] = _verdicts(kata, judge, [reference], executor, on_done)
    measures = _measures(verdicts)
    _write_baseline(kata, measures, {})
    with Judge(kata.folder) as judge:
        rows = [_row(v, verdicts) for v, verdicts in _verdicts(kata, judge, others, executor, on_done)]
    _write_baseline(kata, measures, {row.variant.name: refused_by(row) for row in rows if row.variant.expect == "fail"})
    return Calibration(kata, measures, tuple(rows))


def _calibration_variants(kata: Kata, proof: Proof) -> tuple[Variant, list[Variant]]:
    shipped, fix = authored(kata), proof.reference
    reference = Variant(fix.name, "pass", (), _fixed(kata, shipped, fix), tuple(CALIBRATION_SEEDS))
    others = [Variant("broken", "fail", tuple(proof.broken.fails), shipped, tuple(MARGIN_SEEDS))]
    others += [
        Variant(f.name, f.expect, tuple(f.fails), _fixed(kata, shipped, f), tuple(MARGIN_SEEDS)) for f in proof.fix if not f.reference
    ]
    return reference, others


def _measures(verdicts: Sequence[Verdict]) -> dict[str, dict[str, float]]:
    values: dict[str, list[float]] = {}
    for verdict in verdicts:
        for check in verdict.checks:
            for margin in check.margins:
                values.setdefault(margin.measure, []).append(margin.value)
    return {
        name: {"mean": statistics.fmean(v), "sd": statistics.stdev(v), "low": min(v), "high": max(v), "seeds": len(v)}
        for name, v in sorted(values.items())
    }


def refused_by(row: Row) -> float:
    """Return by how many sd a variant is refused on its decisive check; 0 when none refuses it on every seed."""
    margins = [row.margin(c.name) for c in row.verdicts[0].checks if row.failed_everywhere(c.name)]
    return max((-m for m in margins if m is not None), default=0.0)


def _write_baseline(kata: Kata, measures: Mapping[str, Any], refused: Mapping[str, float]) -> None:
    content = {"measures": measures, "refused_by_sd": {k: min(round(v, 1), 1e6) for k, v in refused.items()}}
    (kata.meta / "baseline.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _calibrated_margins(kata: Kata) -> dict[str, float]:
    path: Path = kata.meta / "baseline.json"
    if not path.exists():
        raise KataError(f"{kata.slug} has no bars yet: make calibrate KATA={kata.slug}")
    margins: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["refused_by_sd"]
    return margins
