"""The curve of a run, laid out once for every page that draws it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.course.kata import Kata

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Plot:
    """A plot in pixels, with the text of its axes."""

    width: ClassVar[int] = 760
    height: ClassVar[int] = 260
    margin: ClassVar[int] = 40
    yours: str
    broken: str
    healthy: str
    """A polygon; empty when the kata has no healthy band."""
    ticks_x: list[tuple[float, str]]
    ticks_y: list[tuple[float, str]]
    summary: str


def plot(kata: Kata, yours: Points) -> Plot | None:
    """Lay out a run's curve over the healthy band and over the shipped run; None when there is no curve to draw."""
    if len(yours) < 2:
        return None
    band = _band(kata)
    broken = [(s, y) for s, y in zip(band["step"], band["broken"], strict=True) if y is not None]
    low = list(zip(band["step"], band["healthy_low"], strict=True))
    high = list(zip(band["step"], band["healthy_high"], strict=True))
    points = [*yours, *broken, *high]
    right, top = max(s for s, _ in points), max(y for _, y in points) * 1.05

    def pixels(line: Points) -> str:
        return " ".join(f"{_x(s, right):.1f},{_y(y, top):.1f}" for s, y in line)

    return Plot(
        pixels(yours),
        pixels(broken),
        pixels([*low, *reversed(high)]),
        [(_x(s, right), f"{s:g}") for s in _round_ticks(right)],
        [(_y(y, top), f"{y:g}") for y in _round_ticks(top)],
        _summary(kata.toml.curve, yours),
    )


def _summary(column: str, yours: Points) -> str:
    last, highest = yours[-1], max(yours, key=lambda point: point[1])
    return f"{column} over {len(yours)} steps; highest {highest[1]:.2f} at step {highest[0]}, last {last[1]:.2f} at step {last[0]}"


def _band(kata: Kata) -> dict[str, list[Any]]:
    path = kata.meta / "baseline.json"
    empty: dict[str, list[Any]] = {"step": [], "healthy_low": [], "healthy_high": [], "broken": []}
    return empty | (json.loads(path.read_text(encoding="utf-8")).get("curve", {}) if path.exists() else {})


def _x(step: float, right: float) -> float:
    return Plot.margin + step / max(right, 1) * (Plot.width - 2 * Plot.margin)


def _y(value: float, top: float) -> float:
    return Plot.height - Plot.margin - value / top * (Plot.height - 2 * Plot.margin) if top > 0 else Plot.height - Plot.margin


def _round_ticks(end: float) -> list[float]:
    """About five round numbers from 0 to `end`."""
    raw = max(end, 1e-9) / 5
    size = 10 ** math.floor(math.log10(raw))
    pace = next(size * m for m in (1, 2, 5, 10) if size * m >= raw)
    return [round(pace * i, 10) for i in range(int(end / pace) + 1)]
