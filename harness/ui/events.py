"""An attempt as JSON lines on standard output, for programs that show it: harness.magic, in a notebook."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any

import click

from fixtures.recording.artifacts import number
from harness.check.attempt import checks_hidden
from harness.check.examine import Examined, Listener
from harness.course.kata import Kata
from harness.sandbox.watchdog import Row

EVERY_S = 0.25
"""At most one row of a seed in so many seconds."""


class Events(Listener):
    """Writes `seeds`, `row` and `examined` events; whoever runs the attempt writes `done` at its end."""

    def __init__(self, kata: Kata) -> None:
        self._kata, self._curve = kata, kata.toml.curve
        self._told: dict[int, float] = {}

    def on_seeds(self, seeds: Sequence[int]) -> None:
        """Write which seeds run."""
        tell("seeds", seeds=list(seeds))

    def on_row(self, seed: int, row: Row) -> None:
        """Write a telemetry row's step and curve, a few times a second."""
        total, step, now = row.get("num_steps"), row.get("step"), time.monotonic()
        if isinstance(total, int):
            tell("length", seed=seed, num_steps=total)
        if isinstance(step, int) and now - self._told.get(seed, -math.inf) > EVERY_S:
            self._told[seed] = now
            value = number(row.get(self._curve))
            tell("row", seed=seed, step=step, column=self._curve, value=value if math.isfinite(value) else None)

    def on_examined(self, examined: Examined) -> None:
        """Write a seed's verdict in short: no checks while they are hidden."""
        checks = examined.verdict.checks if examined.verdict and not checks_hidden(self._kata, examined) else ()
        passed = sum(check.status == "pass" for check in checks)
        outcome = examined.execution.outcome
        tell("examined", seed=examined.seed, passed=passed, checks=len(checks), outcome=outcome)


def tell(event: str, **content: Any) -> None:
    """Write one event."""
    click.echo(json.dumps({"event": event} | content))
