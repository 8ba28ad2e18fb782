"""Measure where healthy runs lie and how far every other variant is from the bars: `.meta/baseline.json`."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fixtures.recording.artifacts import number
from harness.course.errors import KataError
from harness.course.kata import Kata, load_proof
from harness.judging.evidence import Reported
from harness.judging.verdict import Judge, Verdict
from harness.proof.variants import Bench, Row, broken, fixed, plan, run_all

CALIBRATION_SEEDS = range(100, 120)
MARGIN_SEEDS = range(100, 105)


@dataclass(frozen=True)
class Calibration:
    """Means and standard deviations of the reference fix, and how far the other variants are from the bars."""

    kata: Kata
    measures: Mapping[str, Mapping[str, float]]
    rows: tuple[Row, ...]


def calibrate(bench: Bench) -> Calibration:
    """Measure the reference on 20 seeds and every other variant on 5, and write the baseline."""
    kata = bench.kata
    proof = load_proof(kata)
    reference = fixed(bench, proof, proof.reference, CALIBRATION_SEEDS)
    others = [broken(bench, proof, MARGIN_SEEDS), *(fixed(bench, proof, fix, MARGIN_SEEDS) for fix in proof.fix if not fix.reference)]
    shipped = broken(bench, proof, (0,))
    plan(bench, [reference, shipped, *others])
    with Judge(kata.folder, calibrating=True) as judge:
        row, symptom = run_all(bench, judge, [reference, shipped])
    measures, curve = _measures(row.verdicts), _curve(kata.toml.curve, row, symptom)
    _write(kata, measures, {}, curve)
    with Judge(kata.folder) as judge:
        # Anew: verdicts hang on the baseline that was just written.
        rows = run_all(replace(bench), judge, others)
    _write(kata, measures, {row.variant.name: row.refused_by for row in rows if row.variant.expect == "fail"}, curve)
    return Calibration(kata, measures, tuple(rows))


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


def _write(
    kata: Kata, measures: Mapping[str, Mapping[str, float]], refused: Mapping[str, float], curve: Mapping[str, list[float | None]]
) -> None:
    # One line for each entry, so that a difference can be read.
    parts = {"measures": measures, "refused_by_sd": {k: min(round(v, 1), 1e6) for k, v in refused.items()}, "curve": curve}
    body = ",\n".join(
        f' "{part}": {{\n' + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in entries.items()) + "\n }"
        for part, entries in parts.items()
    )
    (kata.meta / "baseline.json").write_text(f"{{\n{body}\n}}\n", encoding="utf-8")


def refused_by_sd(kata: Kata) -> dict[str, float]:
    """Return by how many sd calibration saw each masking variant refused; raises KataError when there was no calibration."""
    path: Path = kata.meta / "baseline.json"
    if not path.exists():
        raise KataError(f"{kata.slug} has no bars yet: make calibrate KATA={kata.slug}")
    margins: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))["refused_by_sd"]
    return margins
