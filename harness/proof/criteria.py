"""What a proof demands, and what of it a kata's runs and verdicts contradict: one sentence for each contradiction."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.course.kata import DIAGNOSIS, Kata, Proof, listed
from harness.course.scaffold import check_names
from harness.judging.bands import read_baseline
from harness.proof.variants import BROKEN, Row
from harness.sandbox.kernel import Execution

THRESHOLD_SD = 6.0
"""A threshold is at least this far from the reference's mean …"""
MASK_SD = 4.0
"""… and every masking variant at least this far beyond its decisive threshold."""
BUDGET_SHARE = 0.7
MASKING_FIXES = 3


@dataclass(frozen=True)
class Forged:
    """A verdict on forged evidence."""

    name: str
    """The variant that hid behind the reference's reports, or whose results were another seed's."""
    seed: int
    refused_by: tuple[str, ...]
    """The checks that refuse it, without those that forged reports may pass; empty when it was accepted."""
    honest_only: bool

    @property
    def accepted(self) -> bool:
        return not self.refused_by


def all_of(kata: Kata, proof: Proof, rows: Sequence[Row], forged: Sequence[Forged]) -> list[str]:
    """What runs and verdicts, of real and of forged evidence, contradict."""
    return [*contradictions(kata, proof, check_names(kata), rows), *accepted(forged), *over_budget(kata, rows)]


def contradictions(kata: Kata, proof: Proof, checks: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Where variants do not show what proof.toml declares, or there are too few of them."""
    found = [problem for row in rows for problem in _undeclared(row)]
    right = sum(fix.expect == "pass" for fix in proof.fix)
    wanted = 1 if kata.diagnosis_decides else 2
    if right < wanted:
        found.append(f"{right} right fix, expected at least two of different kinds")
    if len(proof.fix) - right < MASKING_FIXES:
        found.append(f"{len(proof.fix) - right} masking fixes, expected at least three")
    ever_failed = {c.name for row in rows for v in row.verdicts for c in v.failed}
    never = [name for name in checks if name not in ever_failed]
    return found + [f"{listed([name])} is failed by no variant: it cannot fail, or a masking fix is missing" for name in never]


def _undeclared(row: Row) -> list[str]:
    variant = row.variant
    refusals = {name for v in row.verdicts for name in row.refusals(v)}
    found = [
        f"`{variant.name}` passes {listed([name])}, which it declares to fail" for name in variant.fails if not row.failed_everywhere(name)
    ]
    if variant.name == BROKEN and row.diagnosis_decides:
        if not row.failed_everywhere(DIAGNOSIS):
            found.append("the notebook as shipped holds the right diagnosis, and the diagnosis decides: leave the form blank")
        refusals.discard(DIAGNOSIS)
    if variant.expect == "pass" and refusals:
        what = "the notebook as shipped, which is healthy," if variant.name == BROKEN else f"right fix `{variant.name}`"
        found.append(f"{what} is refused by {listed(sorted(refusals))}")
    return found


def too_close(kata: Kata, reference: Row, calibrated: Mapping[str, float]) -> list[str]:
    """Thresholds and masking fixes that are nearer than the design allows."""
    baseline = read_baseline(kata.meta / "baseline.json")
    margins = (m for v in reference.verdicts for c in v.checks for m in c.margins)
    thresholds = {m.measure: m.threshold for m in margins if math.isfinite(m.threshold)}
    found = []
    for measure, threshold in sorted(thresholds.items()):
        mean, sd = baseline[measure]["mean"], baseline[measure]["sd"]
        if sd > 0 and (distance := abs(threshold - mean) / sd) < THRESHOLD_SD - 1e-6:
            found.append(f"the threshold of `{measure}` is {distance:.1f} sd from the reference, expected {THRESHOLD_SD:g} or more")
    for name, refused in calibrated.items():
        if refused < MASK_SD:
            found.append(f"in calibration `{name}` was only {refused:.1f} sd beyond its decisive threshold, expected {MASK_SD:g} or more")
    return found


def accepted(forged: Sequence[Forged]) -> list[str]:
    """Forged evidence that was not refused, and exceptions that nothing needs."""
    found = [f"with forged reports `{f.name}` is accepted on seed {f.seed}" for f in forged if f.accepted and not f.honest_only]
    needless = {f.name for f in forged if f.honest_only} - {f.name for f in forged if f.accepted}
    return found + [f"`{name}` is refused also when its reports are forged: drop `honest_only`" for name in sorted(needless)]


def over_budget(kata: Kata, rows: Sequence[Row]) -> list[str]:
    """Runs that come nearer to the kata's budget than the design allows."""
    budget, executions = kata.toml.budget, [e for row in rows for e in row.executions]
    slowest, largest = max(e.elapsed_s for e in executions), max(e.peak_memory_gib for e in executions)
    found = []
    if slowest > BUDGET_SHARE * budget.notebook_s:
        found.append(f"the slowest run took {slowest:.1f} s; 30 % of the {budget.notebook_s:g} s must stay free")
    if largest > BUDGET_SHARE * budget.memory_gib:
        found.append(f"the largest run held {largest:.2f} GiB; 30 % of the {budget.memory_gib:g} GiB must stay free")
    return found


def not_repeatable(proof: Proof, bits: str) -> list[str]:
    """Two runs of the reference that differ in `bits`, without a reason for it."""
    if not bits or proof.not_bit_identical:
        return []
    return [f"two runs of `{proof.reference.name}` on seed 0 differ: {bits}; make it repeatable, or say why not in `not_bit_identical`"]


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
