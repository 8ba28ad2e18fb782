"""Show that a kata judges fairly: try the broken notebook, every known fix, and forged evidence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from harness.course.kata import DIAGNOSIS, Kata, Proof, load_proof
from harness.course.scaffold import check_names, problems
from harness.judging.verdict import Judges, Verdict
from harness.proof import criteria, receipt
from harness.proof.calibrate import refused_by_sd
from harness.proof.criteria import Forged
from harness.proof.forgery import cross_seed, forged_reports, produced
from harness.proof.selftest import Claim, selftest
from harness.proof.variants import (
    Bench,
    Row,
    Variant,
    broken,
    cached_run,
    cached_verdict,
    fixed,
    forget_old_runs,
    plan,
    run_all,
    side_by_side,
)
from harness.sandbox.kernel import Execution

PROOF_SEEDS = (0, 1, 2)
CROSSED_SEEDS = ((1, 0), (2, 1))
"""A run of the first seed is judged with the results of the second."""
ONE_SEED_MARGIN_SD = 10.0
"""A masking fix that calibration saw refused by this much is proven on one seed."""


@dataclass(frozen=True)
class ProofResult:
    """The matrix and what contradicts it."""

    kata: Kata
    checks: tuple[str, ...]
    rows: tuple[Row, ...]
    forged: tuple[Forged, ...]
    bits: str
    """How two runs of the reference on the same seed differ; empty when they do not."""
    claims: tuple[Claim, ...]
    """What the kata's selftest measured; none where it has none."""
    problems: tuple[str, ...]

    @property
    def proven(self) -> bool:
        return not self.problems

    @property
    def slowest_s(self) -> float:
        return max(e.elapsed_s for row in self.rows for e in row.executions)

    @property
    def peak_memory_gib(self) -> float:
        return max(e.peak_memory_gib for row in self.rows for e in row.executions)


def prove(bench: Bench) -> ProofResult:
    """Run the broken notebook and every fix, and say what does not hold; raises KataError when nothing can be run."""
    kata, proof = bench.kata, load_proof(bench.kata)
    calibrated = refused_by_sd(kata)
    claims = bench.executor.submit(selftest, kata, PROOF_SEEDS)
    variants = _variants(bench, proof, calibrated)
    twice = (f"{proof.reference.name} again", 0)
    plan(bench, variants, twice)
    # The second run has a process of its own, which shares nothing with the others: not even the order of a set.
    cold = replace(bench, kernels=replace(bench.kernels, server=None))
    second = bench.executor.submit(cached_run, cold, fixed(bench, proof, proof.reference, ()).notebook, 0, "-again")
    with Judges(kata.folder) as judges:
        rows = run_all(bench, judges, variants)
        honest = dict(zip(PROOF_SEEDS, _reference(proof, rows).executions, strict=True))
        forged = _Forgeries(bench, judges, proof, honest).of(rows)
    rows = [_timed_again(bench, row) for row in rows]
    bits = criteria.differences(honest[0], second.result())
    bench.progress.done(kata, twice, second.result().elapsed_s)
    found = [
        *problems(kata, proof),
        *criteria.all_of(kata, proof, rows, forged),
        *criteria.too_close(kata, _reference(proof, rows), calibrated),
        *(f"selftest: {c.claim}: {c.measured:.3g}, expected {c.threshold:.3g}" for c in claims.result() if not c.holds),
        *criteria.not_repeatable(proof, bits),
    ]
    forget_old_runs(bench)
    result = ProofResult(kata, tuple(check_names(kata)), tuple(rows), forged, bits, claims.result(), tuple(found))
    if result.proven:
        receipt.write(kata, _receipt(result))
    return result


def _variants(bench: Bench, proof: Proof, calibrated: Mapping[str, float]) -> list[Variant]:
    variants = [broken(bench, proof, PROOF_SEEDS)]
    for fix in proof.fix:
        clear = fix.expect == "fail" and calibrated.get(fix.name, 0.0) > ONE_SEED_MARGIN_SD
        variants.append(fixed(bench, proof, fix, PROOF_SEEDS[:1] if clear else PROOF_SEEDS))
    return variants


def _timed_again(bench: Bench, row: Row) -> Row:
    """Return a row whose slow runs were repeated when the kata's others were done, with the shorter time: others may have had the machine."""
    return replace(row, executions=tuple(_shorter(bench, row, *run) for run in zip(row.variant.seeds, row.executions, strict=True)))


def _shorter(bench: Bench, row: Row, seed: int, execution: Execution) -> Execution:
    limit = criteria.BUDGET_SHARE * bench.kata.toml.budget.notebook_s
    if execution.elapsed_s <= limit:
        return execution
    again = bench.executor.submit(cached_run, bench, row.variant.notebook, seed, "-timed").result()
    if again.elapsed_s > limit:
        # The next proof measures the time.
        shutil.rmtree(again.run_dir, ignore_errors=True)
    return replace(execution, elapsed_s=min(execution.elapsed_s, again.elapsed_s))


def _reference(proof: Proof, rows: Sequence[Row]) -> Row:
    return next(row for row in rows if row.variant.name == proof.reference.name)


@dataclass(frozen=True)
class _Forgeries:
    """Makes and judges forged evidence."""

    bench: Bench
    judges: Judges
    proof: Proof
    honest: Mapping[int, Execution]
    """The runs of the reference, by seed."""

    def of(self, rows: Sequence[Row]) -> tuple[Forged, ...]:
        masking = [row for row in rows if row.variant.expect == "fail" and row.verdicts]
        runs = [(row, seed, e) for row in masking for seed, e in zip(row.variant.seeds, row.executions, strict=True)]
        tasks = [partial(self._with_honest_reports, *run) for run in runs]
        # A run that leaves a diagnosis and reports alone has no results that another seed's could replace.
        crossed = [seeds for seeds in CROSSED_SEEDS if produced(self.proof, self.honest[seeds[1]].evidence)]
        tasks += [partial(self._with_results_of, other, seed) for seed, other in crossed]
        return tuple(side_by_side(self.bench, tasks))

    def _with_honest_reports(self, row: Row, seed: int, execution: Execution) -> Forged:
        refusals = row.refusals(self._verdict(forged_reports, seed, execution)) - set(self.proof.forger_satisfies)
        # The form may simply be blank: that refuses a masking fix only where it is what the fix is about.
        refused_by = sorted(name for name in refusals if name != DIAGNOSIS or DIAGNOSIS in row.variant.fails)
        honest_only = any(fix.name == row.variant.name and fix.honest_only for fix in self.proof.fix)
        return Forged(row.variant.name, seed, tuple(refused_by), honest_only)

    def _with_results_of(self, other: int, seed: int) -> Forged:
        verdict = self._verdict(cross_seed, seed, self.honest[other])
        refused_by = tuple(c.name for c in verdict.failed if c.name not in self.proof.forger_satisfies)
        return Forged(f"results of seed {other}", seed, refused_by, False)

    def _verdict(self, mix: Callable[..., Verdict], seed: int, other: Execution) -> Verdict:
        honest = self.honest[seed]
        name = f"{mix.__name__} {honest.run_dir.name} {self.proof.reported}"
        find = partial(mix, proof=self.proof, seed=seed, honest=honest.evidence, other=other.evidence)
        return cached_verdict(self.bench, self.judges, seed, other, name, find)


def _receipt(result: ProofResult) -> dict[str, Any]:
    return {
        "variants": {row.variant.name: _entry(row) for row in result.rows},
        "forged_refused": len([f for f in result.forged if not f.accepted]),
        "forged_tried": len(result.forged),
        "bit_identical": not result.bits,
        **({"selftest": {c.claim: c.measured for c in result.claims}} if result.claims else {}),
        "runs_s": round(sum(e.elapsed_s for row in result.rows for e in row.executions)),
        "slowest_s": round(result.slowest_s, 1),
        "peak_memory_gib": round(result.peak_memory_gib, 2),
    }


def _entry(row: Row) -> dict[str, Any]:
    failed = sorted({name for v in row.verdicts for name in row.refusals(v)})
    return {"expect": row.variant.expect, "seeds": list(row.variant.seeds), "failed": failed}
