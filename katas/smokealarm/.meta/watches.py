"""Watches: runs of any length in which something happens at any step, or nothing, each cut a few steps later.

They are made from the parts of `fixtures.incidents`. The number of calm steps before the fault is free; a run ends soon after the call is due.

    plan = [Watch(0, "hw", "lane", onset=70, num_steps=78), Watch(0, "clean", "lane", onset=70, num_steps=78)]
    telemetry = watch(windows.world(7), plan)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fixtures.faults import spikes
from fixtures.faults.course import Course, Fault
from fixtures.incidents import scenarios, windows
from fixtures.incidents.scenarios import BASE_STEPS, NUM_SHARDS, STEPS, WORLD_SIZE
from fixtures.incidents.windows import EVERY, World

HORIZON = 45
"""Steps from its onset for which a fault's profile is drawn, whatever the run's length."""


@dataclass(frozen=True)
class Watch:
    """One run. Two with the same number are equal up to the step before the onset; a `clean` one continues without a fault."""

    number: int
    kind: str
    variant: str
    onset: int
    num_steps: int

    @property
    def first_bad_step(self) -> int | None:
        """In the run's own count of steps, or None."""
        return None if self.kind in ("clean", "benign") else BASE_STEPS + self.onset


def watch(home: World, plan: Sequence[Watch]) -> list[dict[str, Any]]:
    """Run the plan as forks of one healthy run; return each one's telemetry, cut to its steps."""
    torch.set_num_threads(1)
    num_steps = -(-max(w.num_steps for w in plan) // EVERY) * EVERY
    courses = [course_of(home, w, num_steps) for w in plan]
    _, found = windows.run(home, courses)
    drawn = [windows.telemetry_of(home, course, rows) for course, rows in zip(courses, found, strict=True)]
    by_number = {w.number: telemetry for w, telemetry in zip(plan, drawn, strict=True) if w.kind != "clean"}
    for w, telemetry in zip(plan, drawn, strict=True):
        if w.kind == "clean" and w.number in by_number:
            _begin_alike(telemetry, by_number[w.number], w.onset)
    return [cut(telemetry, w.num_steps) for w, telemetry in zip(plan, drawn, strict=True)]


def course_of(home: World, w: Watch, num_steps: int) -> Course:
    """Draw a run's fault, decoys and noise."""
    course = scenarios.healthy_course(home.near, num_steps, np.random.default_rng([home.seed, 55, w.number]))
    fault, rng = _fault_of(home.seed, w, num_steps), np.random.default_rng([home.seed, 52, w.number])
    for middle in range(w.onset % STEPS, num_steps, STEPS):
        meant = scenarios.announcement(fault, home.names) if middle == w.onset and w.kind != "clean" else ""
        scenarios.add_decoys(course, middle, meant, home.names, rng)
    if w.kind != "clean":
        spikes.OPERATORS[w.kind, w.variant](course, fault, home.near, np.random.default_rng([home.seed, 53, w.number]))
    return course


def _fault_of(seed: int, w: Watch, num_steps: int) -> Fault:
    rng = np.random.default_rng([seed, 51, w.number])
    profile = np.zeros(max(num_steps, w.onset + HORIZON))
    profile[: w.onset + HORIZON] = spikes.profile(w.onset + HORIZON, w.onset, rng)
    return Fault(
        w.kind,
        w.variant,
        spikes.severity(rng),
        w.onset,
        profile[:num_steps],
        int(rng.integers(WORLD_SIZE)),
        bool(rng.random() < 0.5),
        int(rng.integers(NUM_SHARDS)),
        bool(rng.random() < 0.3),
    )


def _begin_alike(telemetry: dict[str, Any], other: dict[str, Any], num_steps: int) -> None:
    """Copy the other run's first steps: stacked products can differ in their last bits."""
    for name, values in telemetry.items():
        if isinstance(values, np.ndarray):
            same = num_steps // EVERY if name.startswith("public_") else num_steps
            values[:same] = other[name][:same]


def cut(telemetry: dict[str, Any], num_steps: int) -> dict[str, Any]:
    """Return the telemetry after so many steps."""
    last = int(telemetry["step"][num_steps - 1])
    whole = num_steps // EVERY
    short = {
        name: values[: whole if name.startswith("public_") else num_steps] if isinstance(values, np.ndarray) else values
        for name, values in telemetry.items()
    }
    return short | {"log": [line for line in telemetry["log"] if int(line.split(maxsplit=2)[1]) <= last]}
