"""Build the scene of `whodunit`: fifteen incidents with their answers, and sixty that only the probe sees.

Both are real runs (`fixtures.incidents.windows`). The public ones are of known variants; half of the hidden ones are of new variants.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fixtures.faults.spikes import HELD_OUT
from fixtures.incidents import scenarios, windows
from fixtures.incidents.casebook import save_case

NUM_RUNS, EACH_RUN = 4, 3
"""Healthy runs that the hidden incidents fork from; incidents of each kind per run"""
FIELDS = ("cause", "first_bad_step", "place", "action")

Plan = list[tuple[str, str | None]]


def run_seeds(seed: int) -> list[int]:
    """Return the seeds of the healthy runs: the public one first, then the hidden ones."""
    return [int(s) for s in np.random.default_rng([seed, 20261124]).integers(2**31, size=1 + NUM_RUNS)]


def shuffled(plan: Plan, seed: int) -> Plan:
    return [plan[i] for i in np.random.default_rng([seed, 1]).permutation(len(plan))]


def public_plan(seed: int) -> Plan:
    """Return three incidents of each kind, of variants that are not held out."""
    plan = []
    for kind in scenarios.KINDS:
        known = [v for v in scenarios.VARIANTS[kind] if v not in HELD_OUT]
        plan += [(kind, known[i % len(known)]) for i in range(EACH_RUN)]
    return shuffled(plan, seed)


def hidden_plans(seed: int) -> list[Plan]:
    """Return three incidents of each kind for each healthy run; every second one is of a held-out variant, the variants in turn."""
    plans: list[Plan] = [[] for _ in range(NUM_RUNS)]
    for kind in scenarios.KINDS:
        sides = [[v for v in scenarios.VARIANTS[kind] if (v in HELD_OUT) == held] for held in (False, True)]
        for n in range(NUM_RUNS * EACH_RUN):
            side = sides[n % 2]
            plans[n // EACH_RUN].append((kind, side[n // 2 % len(side)]))
    return [shuffled(plan, seed + n) for n, plan in enumerate(plans)]


def order(seed: int) -> list[tuple[int, int]]:
    """Return the order of the hidden incidents: (run, number in its plan)."""
    pairs = [(run, n) for run, plan in enumerate(hidden_plans(seed)) for n in range(len(plan))]
    return [pairs[i] for i in np.random.default_rng([seed, 2]).permutation(len(pairs))]


def build(seed: int, world: Path) -> None:
    """Write the public incidents and their answers."""
    folder = world / "incidents"
    folder.mkdir(parents=True)
    drawn = windows.draw_many(run_seeds(seed)[0], public_plan(seed))
    for n, incident in enumerate(drawn):
        save_case(incident.telemetry, folder / f"{n:02d}.npz")
    answers = [{field: incident.truth[field] for field in FIELDS} for incident in drawn]
    (world / "answers.json").write_text("[\n" + ",\n".join(json.dumps(a) for a in answers) + "\n]\n")
    columns = "".join(f"{name:20} {text}\n" for name, text in windows.COLUMNS.items())
    (world / "COLUMNS.md").write_text(
        "# Columns of an incident\n\nS steps, R = 2 ranks, G = 2 parameter groups, K sources\n\n```\n" + columns + "```\n"
    )


def inputs(seed: int, folder: Path) -> None:
    """Write the hidden incidents, without their answers and in random order."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [windows.draw_many(s, plan) for s, plan in zip(run_seeds(seed)[1:], hidden_plans(seed), strict=True)]
    for n, (run, number) in enumerate(order(seed)):
        save_case(drawn[run][number].telemetry, folder / f"{n:02d}.npz")


def truth(seed: int) -> dict[str, Any]:
    """Return what only the judge knows: the true diagnosis of each hidden incident, in the order of `order`."""
    seeds, plans = run_seeds(seed)[1:], hidden_plans(seed)
    asked = []
    for run, number in order(seed):
        kind, variant = plans[run][number]
        fault = scenarios.fault_of(seeds[run], number, kind, variant)
        asked.append(scenarios.truth_of(fault, scenarios.names_of(seeds[run])) | {"run_seed": seeds[run], "number": number})
    return {
        "incidents": asked,
        "diagnosis": {
            "rows_or_machine": ["loss_swap"],
            "rate_or_optimizer": ["lr_applied", "optimizer_checksum", "optimizer_manifest"],
            "bad_or_new": ["hash_ok", "repeat_fraction"],
            "not_to_be_trusted": ["lr_logged", "optimizer_manifest"],
        },
    }
