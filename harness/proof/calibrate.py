"""Measure where healthy runs lie and how far every other variant is from the thresholds: `.meta/baseline.json`."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fixtures.recording.artifacts import number
from harness.course.errors import KataError, UsageError
from harness.course.kata import Kata, Proof, listed, load_proof, shown
from harness.judging.evidence import Reported
from harness.judging.verdict import Judges, Verdict
from harness.proof.variants import BROKEN, Bench, Row, Variant, broken, fixed, plan, run_all

CALIBRATION_SEEDS = range(100, 120)
MARGIN_SEEDS = range(100, 105)
Measures = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Calibration:
    """Means and standard deviations of the reference fix, and how far the other variants are from the thresholds."""

    kata: Kata
    measures: Measures
    rows: tuple[Row, ...]


def calibrate(bench: Bench) -> Calibration:
    """Measure the reference on 20 seeds and every other variant on 5, and write the baseline."""
    kata, proof = bench.kata, load_proof(bench.kata)
    reference, shipped = fixed(bench, proof, proof.reference, CALIBRATION_SEEDS), broken(bench, proof, (0,))
    others = [_variant(bench, proof, name) for name in [BROKEN, *(fix.name for fix in proof.fix if not fix.reference)]]
    plan(bench, [reference, shipped, *others])
    with Judges(kata.folder, calibrating=True) as judges:
        row, symptom = run_all(bench, judges, [reference, shipped])
    measures, curve = _measures(row.verdicts), _curve(kata.toml.curve, row, symptom)
    _write(kata, {"measures": measures, "refused_by_sd": {}, "curve": curve})
    return _margins(bench, proof, others)


def calibrate_fixes(bench: Bench, names: Sequence[str]) -> Calibration:
    """Measure only the named variants on 5 seeds, against the baseline as it is, and update their entries in it.

    Raises KataError when there is no baseline yet, UsageError for the reference and for names that proof.toml does not declare.
    """
    proof = load_proof(bench.kata)
    refused_by_sd(bench.kata)
    known = [BROKEN, *(fix.name for fix in proof.fix if not fix.reference)]
    if proof.reference.name in names:
        raise UsageError(f"`{proof.reference.name}` is the reference: the thresholds come from it. Leave --fix out to calibrate everything")
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"{bench.kata.slug} has no variant {listed(unknown)}; it has {listed(known)}")
    variants = [_variant(bench, proof, name) for name in dict.fromkeys(names)]
    plan(bench, variants)
    return _margins(bench, proof, variants)


def _variant(bench: Bench, proof: Proof, name: str) -> Variant:
    if name == BROKEN:
        return broken(bench, proof, MARGIN_SEEDS)
    return fixed(bench, proof, next(fix for fix in proof.fix if fix.name == name), MARGIN_SEEDS)


def _margins(bench: Bench, proof: Proof, variants: Sequence[Variant]) -> Calibration:
    """Judge variants against the measures in baseline.json, and write there by how much each masking one is refused."""
    with Judges(bench.kata.folder) as judges:
        # A new Bench, because verdicts depend on the baseline, which may just have been written.
        rows = run_all(replace(bench), judges, variants)
    baseline = _read(bench.kata)
    found = baseline["refused_by_sd"] | {row.variant.name: row.refused_by for row in rows if row.variant.expect == "fail"}
    _write(bench.kata, baseline | {"refused_by_sd": {name: found[name] for name in _masking(proof) if name in found}})
    return Calibration(bench.kata, baseline["measures"], tuple(rows))


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


def _curve(column: str, reference: Row, symptom: Row) -> dict[str, list[float | None]]:
    """What a report draws behind a learner's curve: where 20 healthy runs lay, step by step, and the notebook as shipped."""
    if not column:
        return {}
    healthy = [_by_step(column, execution.evidence) for execution in reference.executions]
    steps = sorted(set.union(*(set(run) for run in healthy)))
    at = [sorted(run[step] for run in healthy if step in run) for step in steps]
    broken_run = _by_step(column, symptom.executions[0].evidence)
    return {
        "step": list(steps),
        "healthy_low": [values[0] for values in at],
        "healthy_high": [values[-1] for values in at],
        "broken": [broken_run.get(step) for step in steps],
    }


def _by_step(column: str, evidence: Path) -> dict[int, float]:
    rows = Reported(evidence).rows
    return {row["step"]: round(x, 4) for row in rows if math.isfinite(x := number(row.get(column)))}


def _write(kata: Kata, baseline: Mapping[str, Mapping[str, Any]]) -> None:
    # One line for each entry, so that a difference can be read.
    refused = {name: min(round(sd, 1), 1e6) for name, sd in baseline["refused_by_sd"].items()}
    body = ",\n".join(
        f' "{part}": {{\n' + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in entries.items()) + "\n }"
        for part, entries in {**baseline, "refused_by_sd": refused}.items()
    )
    (kata.meta / "baseline.json").write_text(f"{{\n{body}\n}}\n", encoding="utf-8")


def _read(kata: Kata) -> dict[str, dict[str, Any]]:
    path = kata.meta / "baseline.json"
    if not path.exists():
        raise KataError(f"{shown(path)} is missing: the thresholds come from it; run make calibrate KATA={kata.slug}")
    baseline: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return baseline


def refused_by_sd(kata: Kata) -> dict[str, float]:
    """Return by how many sd calibration saw each masking variant refused; raises KataError when there was no calibration.

    An entry of a fix that is not in proof.toml any more is left out.
    """
    found, known = _read(kata)["refused_by_sd"], _masking(load_proof(kata))
    return {name: sd for name, sd in found.items() if name in known}


def _masking(proof: Proof) -> list[str]:
    """The variants that checks must refuse."""
    return [*([BROKEN] if proof.broken.goes_wrong else []), *(fix.name for fix in proof.fix if fix.expect == "fail")]
