"""Measure an alarm: when it called, against what happened in each run.

An alarm calls when it begins to ring, and again after every ten steps that it goes on. A call within `due` steps of the first bad step is in
time. A call before that step, or in a run without one, is false, also after a harmless change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fixtures.recording.artifacts import BadArtifact, read_json

BAD = ("data", "lr", "opt", "hw")
AGAIN = 10
"""Steps after which an alarm that is still ringing calls again."""


def recompute(evidence: Path, truth: dict[str, Any]) -> dict[str, Any]:
    """Return measurements by name; raises BadArtifact when answers are missing."""
    runs = truth["runs"]
    rings, raised = _probed(evidence, [run["num_steps"] for run in runs])
    called = [calls(ring) for ring in rings]
    found = [_in_time(run, steps, truth["due"]) for run, steps in zip(runs, called, strict=True)]
    bad = [n for n, run in enumerate(runs) if run["kind"] in BAD]
    benign = [n for n, run in enumerate(runs) if run["kind"] == "benign"]
    caught = [n for n in bad if found[n] is not None]
    false = {n: [s for s in called[n] if n not in bad or s < runs[n]["onset"]] for n in range(len(runs))}
    num_false = sum(map(len, false.values()))
    calm = sum(run["onset"] if n in bad else run["num_steps"] for n, run in enumerate(runs))
    recall = {kind: float(np.mean([n in caught for n in bad if runs[n]["kind"] == kind])) for kind in BAD}
    worst = min(recall, key=lambda kind: recall[kind])
    disturbed = [n for n in benign if any(s >= runs[n]["onset"] for s in called[n])]
    pairs = [(n, run["twin"]) for n, run in enumerate(runs) if run["twin"] is not None and run["kind"] != "clean"]
    early = [n for n in caught if _before_the_curve(found[n], runs[n]["onset"], truth["every"])]
    return {
        "recall": len(caught) / len(bad),
        "worst_recall": recall[worst],
        "worst_kind": BAD.index(worst),
        "recall_by_kind": [recall[kind] for kind in BAD],
        "precision": len(caught) / max(len(caught) + num_false, 1),
        "false_calls": num_false,
        "false_by_place": [
            sum(len(false[n]) for n in bad),
            sum(len(false[n]) for n, run in enumerate(runs) if run["kind"] == "clean"),
            sum(len(false[n]) for n in benign),
        ],
        "calm_steps": calm,
        "false_per_10000": 1e4 * num_false / calm,
        "benign_disturbed": len(disturbed) / len(benign),
        "before_the_curve": len(early) / len(bad),
        "mean_delay": float(np.mean([found[n] - runs[n]["onset"] for n in caught])) if caught else float("nan"),
        "same_past": float(np.mean([rings[n][: runs[n]["onset"]] == rings[m][: runs[n]["onset"]] for n, m in pairs])),
        "num_bad": len(bad),
        "raised": raised,
    }


def calls(ring: list[bool]) -> list[int]:
    """Return the steps in which an alarm calls."""
    steps: list[int] = []
    for step, on in enumerate(ring):
        began = on and (step == 0 or not ring[step - 1])
        if began or (on and step - steps[-1] >= AGAIN):
            steps.append(step)
    return steps


def _in_time(run: dict[str, Any], called: list[int], due: int) -> int | None:
    """Return the first call that is in time, or None."""
    after = [step for step in called if run["onset"] <= step <= run["onset"] + due]
    return after[0] if after else None


def _before_the_curve(step: int, onset: int, every: int) -> bool:
    """Return whether a call came before the dashboard's first mean with at least half bad steps, two to six steps after the first bad one."""
    shown = onset // every * every + every - 1
    return step < (shown if 2 * (shown - onset + 1) >= every else shown + every)


def _probed(evidence: Path, lengths: list[int]) -> tuple[list[list[bool]], list[Any]]:
    rings, found = read_json(evidence, "in_turn"), read_json(evidence, "probe")
    if [len(ring) for ring in rings] != lengths:
        raise BadArtifact(f"the alarm answered {sum(map(len, rings))} of {sum(lengths)} steps")
    if not all(type(answer) is bool for ring in rings for answer in ring):
        raise BadArtifact("an answer is neither true nor false")
    raised = found.get("raised") if isinstance(found, dict) else None
    return rings, raised if isinstance(raised, list) else []
