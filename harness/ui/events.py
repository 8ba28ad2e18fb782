"""A check told as JSON lines on standard output, for whoever shows it elsewhere: harness.magic, in a notebook."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import Any

import click

from fixtures.recording.artifacts import number
from harness.check.examine import Examined
from harness.sandbox.watchdog import Row

EVERY_S = 0.25
"""At most one row of a seed in so many seconds."""


class Events:
    """What runs now, as `seeds`, `row` and `examined` events; the last one is `done`."""

    def __init__(self, curve: str) -> None:
        self._curve = curve
        self._told: dict[int, float] = {}

    def start(self, seeds: Sequence[int]) -> None:
        """Tell which seeds run."""
        tell("seeds", seeds=list(seeds))

    def row(self, seed: int, row: Row) -> None:
        """Tell a telemetry row's step and curve, now and then."""
        total, step, now = row.get("num_steps"), row.get("step"), time.monotonic()
        if isinstance(total, int):
            tell("length", seed=seed, num_steps=total)
        if isinstance(step, int) and now - self._told.get(seed, -math.inf) > EVERY_S:
            self._told[seed] = now
            value = number(row.get(self._curve))
            tell("row", seed=seed, step=step, column=self._curve, value=value if math.isfinite(value) else None)

    def examined(self, one: Examined) -> None:
        """Tell a night's verdict in short."""
        checks = one.verdict.checks if one.verdict else ()
        passed = sum(check.status == "pass" for check in checks)
        tell("examined", seed=one.seed, fixed=one.fixed, passed=passed, checks=len(checks), outcome=one.execution.outcome)


def tell(event: str, **content: Any) -> None:
    """Write one event."""
    click.echo(json.dumps({"event": event} | content))
