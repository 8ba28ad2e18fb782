"""Show that a kata judges fairly: try the broken notebook, every known fix, and the best lies."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.course.kata import Kata, Proof, listed, load_proof
from harness.course.scaffold import check_names, problems
from harness.course.scene_files import content_hash, fixtures_of
from harness.judging.bands import read_baseline
from harness.judging.verdict import Judge, Verdict
from harness.proof.calibrate import refused_by_sd
from harness.proof.forgery import cross_seed, forged_reports
from harness.proof.selftest import Claim, selftest
from harness.proof.variants import JUDGES, Bench, Row, broken, cached_run, fixed, forget_old_runs, kept, plan, run_all
from harness.sandbox.kernel import Execution

PROOF_SEEDS = (0, 1, 2)
BAR_SD = 6.0
"""A bar stands at least this far from the reference's mean …"""
MASK_SD = 4.0
"""… and every masking variant at least this far beyond its decisive bar."""
ONE_SEED_MARGIN_SD = 10.0
"""A masking fix that calibration saw refused by this much is proven on one seed."""
BUDGET_SHARE = 0.7


@dataclass(frozen=True)
class Forged:
    """A lie and whether it got by."""

    name: str
    seed: int
    refused_by: tuple[str, ...]
    """The checks that refuse it, without those that a forged_reports satisfies; empty when it got by."""
    honest_only: bool

    @property
    def believed(self) -> bool:
        return not self.refused_by


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
    kata = bench.kata
    proof = load_proof(kata)
    calibrated = refused_by_sd(kata)
    claims = bench.executor.submit(selftest, kata)
    variants = [broken(bench, proof, PROOF_SEEDS)]
    for fix in proof.fix:
        clear = fix.expect == "fail" and calibrated.get(fix.name, 0.0) > ONE_SEED_MARGIN_SD
        variants.append(fixed(bench, proof, fix, PROOF_SEEDS[:1] if clear else PROOF_SEEDS))
    once_more = (f"{proof.reference.name} again", 0)
    plan(bench, variants, once_more)
    # Once more in a process of its own, which shares nothing with the others: not even the order of a set.
    cold = replace(bench, kernels=replace(bench.kernels, server=None))
    again = bench.executor.submit(cached_run, cold, fixed(bench, proof, proof.reference, ()).notebook, 0, "-again")
    with Judge(kata.folder) as judge:
        rows = run_all(bench, judge, variants)
        forged = tuple(_forged(bench, judge, proof, rows))
    rows = [_timed_again(bench, row) for row in rows]
    reference = _reference(proof, rows)
    bits = differences(reference.executions[0], again.result())
    bench.progress.done(kata, once_more, again.result().elapsed_s)
    checks = tuple(check_names(kata))
    found = [
        *problems(kata, proof),
        *_contradictions(proof, checks, rows),
        *_too_close(kata, reference, calibrated),
        *_believed(forged),
        *over_budget(kata, rows),
        *(f"selftest: {c.claim}: {c.measured:.3g}, expected {c.bar:.3g}" for c in claims.result() if not c.holds),
    ]
    if bits and not proof.not_bit_identical:
        found.append(
            f"two runs of `{proof.reference.name}` on seed 0 differ: {bits}; make it repeatable, or say why not in `not_bit_identical`"
        )
    forget_old_runs(bench)
    result = ProofResult(kata, checks, tuple(rows), forged, bits, claims.result(), tuple(found))
    _write_receipt(result)
    return result


def _timed_again(bench: Bench, row: Row) -> Row:
    """Return a row whose slow runs were run once more when the kata's others were done, with the shorter time: others may have had the machine."""
    return replace(row, executions=tuple(_shorter(bench, row, *run) for run in zip(row.variant.seeds, row.executions, strict=True)))


def _shorter(bench: Bench, row: Row, seed: int, execution: Execution) -> Execution:
    limit = BUDGET_SHARE * bench.kata.toml.budget.notebook_s
    if execution.elapsed_s <= limit:
        return execution
    again = bench.executor.submit(cached_run, bench, row.variant.notebook, seed, "-timed").result()
    if again.elapsed_s > limit:
        # Nor is this time for ever.
        shutil.rmtree(again.run_dir, ignore_errors=True)
    return replace(execution, elapsed_s=min(execution.elapsed_s, again.elapsed_s))


def _reference(proof: Proof, rows: Sequence[Row]) -> Row:
    return next(row for row in rows if row.variant.name == proof.reference.name)


def _forged(bench: Bench, judge: Judge, proof: Proof, rows: Sequence[Row]) -> Iterator[Forged]:
    honest = dict(zip(PROOF_SEEDS, _reference(proof, rows).executions, strict=True))
    honest_only = {fix.name for fix in proof.fix if fix.honest_only}

    def told(tell: Callable[..., Verdict], seed: int, other: Execution, *evidence: Path) -> tuple[str, ...]:
        name = f"{tell.__name__} {honest[seed].run_dir.name} {proof.reported}"
        verdict = kept(bench, judge, other, name, lambda: tell(judge, bench.kata, proof, seed, *evidence))
        return tuple(c.name for c in verdict.failed if c.name not in proof.forger_satisfies)

    for row in (r for r in rows if r.variant.expect == "fail"):
        for seed, execution in zip(row.variant.seeds, row.executions, strict=True):
            refused_by = told(forged_reports, seed, execution, honest[seed].evidence, execution.evidence)
            yield Forged(row.variant.name, seed, refused_by, row.variant.name in honest_only)
    for seed, other in ((1, 0), (2, 1)):
        yield Forged(
            f"weights of seed {other}", seed, told(cross_seed, seed, honest[other], honest[seed].evidence, honest[other].evidence), False
        )


def _believed(forged: Sequence[Forged]) -> list[str]:
    found = [f"forged reports get `{f.name}` past the judge on seed {f.seed}" for f in forged if f.believed and not f.honest_only]
    needless = {f.name for f in forged if f.honest_only} - {f.name for f in forged if f.believed}
    return found + [f"`{name}` is refused also when its reports are forged: drop `honest_only`" for name in sorted(needless)]


def _contradictions(proof: Proof, checks: Sequence[str], rows: Sequence[Row]) -> list[str]:
    found = []
    for row in rows:
        failed = {c.name for v in row.verdicts for c in v.failed}
        if row.variant.expect == "pass" and failed:
            found.append(f"right fix `{row.variant.name}` is refused by {listed(sorted(failed))}")
        missing = [name for name in row.variant.fails if not row.failed_everywhere(name)]
        found += [f"`{row.variant.name}` passes {listed([name])}, which it declares to fail" for name in missing]
    right = sum(fix.expect == "pass" for fix in proof.fix)
    if right < 2:
        found.append(f"{right} right fix, expected at least two of different kinds")
    if len(proof.fix) - right < 3:
        found.append(f"{len(proof.fix) - right} masking fixes, expected at least three")
    ever_failed = {c.name for row in rows for v in row.verdicts for c in v.failed}
    never = [name for name in checks if name not in ever_failed]
    return found + [f"{listed([name])} is failed by no variant: it cannot fail, or a masking fix is missing" for name in never]


def _too_close(kata: Kata, reference: Row, calibrated: Mapping[str, float]) -> list[str]:
    """Bars and masks that stand nearer than the design allows."""
    baseline = read_baseline(kata.meta / "baseline.json")
    bars = {m.measure: m.bar for v in reference.verdicts for c in v.checks for m in c.margins if math.isfinite(m.bar)}
    found = []
    for measure, bar in sorted(bars.items()):
        mean, sd = baseline[measure]["mean"], baseline[measure]["sd"]
        if sd > 0 and abs(bar - mean) / sd < BAR_SD - 1e-6:
            found.append(f"the bar of `{measure}` stands {abs(bar - mean) / sd:.1f} sd from the reference, expected {BAR_SD:g} or more")
    for name, refused in calibrated.items():
        if refused < MASK_SD:
            found.append(f"calibration saw `{name}` only {refused:.1f} sd beyond its decisive bar, expected {MASK_SD:g} or more")
    return found


def over_budget(kata: Kata, rows: Sequence[Row]) -> list[str]:
    """Say where runs come nearer to the kata's budget than the design allows."""
    budget, executions = kata.toml.budget, [e for row in rows for e in row.executions]
    slowest, largest = max(e.elapsed_s for e in executions), max(e.peak_memory_gib for e in executions)
    found = []
    if slowest > BUDGET_SHARE * budget.notebook_s:
        found.append(f"the slowest run took {slowest:.1f} s; 30 % of the {budget.notebook_s:g} s must stay free")
    if largest > BUDGET_SHARE * budget.memory_gib:
        found.append(f"the largest run held {largest:.2f} GiB; 30 % of the {budget.memory_gib:g} GiB must stay free")
    return found


def differences(first: Execution, second: Execution) -> str:
    """Say in which file two runs differ, clocks aside; empty when every bit is the same."""
    files = {name: _content(first.evidence / name) for name in _names(first)}
    others = {name: _content(second.evidence / name) for name in _names(second)}
    odd = sorted(name for name in files.keys() | others.keys() if files.get(name) != others.get(name))
    return listed(odd[:3])


def _names(execution: Execution) -> list[str]:
    return [p.name for p in execution.evidence.iterdir() if p.is_file()]


def _content(path: Path) -> Any:
    if path.suffix != ".jsonl":
        return path.read_bytes()
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in row.items() if k != "elapsed_s"} for row in rows]


def content_key(kata: Kata) -> str:
    """Return the hash of everything that a kata's proof rests on."""
    return content_hash([*kata.sources, *fixtures_of(kata), *(Path(__file__).parents[1].joinpath(name) for name in JUDGES)])


def receipt_of(kata: Kata) -> dict[str, Any]:
    """Return the kata's proof.json; empty when it was never proven, or has changed since."""
    path = kata.meta / "proof.json"
    receipt: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return receipt if receipt.get("content") == content_key(kata) else {}


def due(katas: Sequence[Kata], minutes: float, jobs: int, day: str) -> list[Kata]:
    """Return the katas to prove: all that changed since they were proven, and of the others as large a share as `minutes` allow.

    Which others rotates with the day, so that each comes up.
    """
    changed = [kata for kata in katas if not receipt_of(kata)]
    chosen, seconds = [], minutes * 60 * jobs
    others = (kata for kata in katas if kata not in changed)
    for kata in sorted(others, key=lambda k: hashlib.sha256(f"{day} {k.slug}".encode()).hexdigest()):
        runs, each = expected_runs(kata)
        seconds -= runs * each
        # Not a number when nobody knows how long it takes.
        if not seconds >= 0:
            break
        chosen.append(kata)
    return changed + chosen


def expected_runs(kata: Kata) -> tuple[int, float]:
    """Return how many runs a kata's proof had when it was last written down, and the mean time of one; NaN when it never was."""
    path = kata.meta / "proof.json"
    receipt = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    runs = sum(len(variant["seeds"]) for variant in receipt.get("variants", {}).values())
    return runs, receipt.get("runs_s", math.nan) / max(runs, 1)


def _write_receipt(result: ProofResult) -> None:
    """Write proof.json, unless it already tells of this content: timings would change it at every proof."""
    path = result.kata.meta / "proof.json"
    if not result.proven or receipt_of(result.kata):
        return
    receipt = {
        "content": content_key(result.kata),
        "torch": version("torch").partition("+")[0],
        "variants": {row.variant.name: _receipt(row) for row in result.rows},
        "lies_refused": len([f for f in result.forged if not f.believed]),
        "lies_told": len(result.forged),
        "bit_identical": not result.bits,
        **({"selftest": {c.claim: c.measured for c in result.claims}} if result.claims else {}),
        "runs_s": round(sum(e.elapsed_s for row in result.rows for e in row.executions)),
        "slowest_s": round(result.slowest_s, 1),
        "peak_memory_gib": round(result.peak_memory_gib, 2),
    }
    path.write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")


def _receipt(row: Row) -> dict[str, Any]:
    failed = sorted({c.name for v in row.verdicts for c in v.failed})
    return {"expect": row.variant.expect, "seeds": list(row.variant.seeds), "failed": failed}
