"""Where a threshold is and how far a value is from it, in standard deviations of the reference fix."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fixtures.recording.artifacts import number
from harness.course.errors import KataError
from harness.course.kata import shown


@dataclass(frozen=True)
class Margin:
    """A measured value and how far inside its threshold it lies; negative means refused."""

    measure: str
    value: float
    threshold: float
    sd: float
    """Distance to the threshold in standard deviations of the reference; inf where the reference does not scatter."""


@dataclass
class Bands:
    """Hands out the bands of one judgement and keeps what was measured against them."""

    baseline: Mapping[str, Mapping[str, float]]
    path: Path
    calibrating: bool = False
    margins: list[Margin] = field(default_factory=list)

    def __call__(
        self,
        measure: str,
        *,
        low: float | None = None,
        high: float | None = None,
        low_sd: float | None = None,
        high_sd: float | None = None,
    ) -> Band:
        """Return the band of a measure: `low` and `high` are thresholds that the task itself sets, `low_sd` and `high_sd` are
        that many standard deviations from the mean of the reference fix."""
        entry = self.baseline.get(measure)
        if entry is None and not self.calibrating:
            raise KataError(f"{shown(self.path)}: no measure `{measure}`; run make calibrate KATA={self.path.parent.parent.name}")
        mean, sd = (entry["mean"], entry["sd"]) if entry else (0.0, math.inf)
        bottom = low if low is not None else mean - low_sd * sd if low_sd is not None else -math.inf
        top = high if high is not None else mean + high_sd * sd if high_sd is not None else math.inf
        return Band(self, measure, bottom, top, sd)


@dataclass(frozen=True)
class Band:
    """The values of one measure that a right run may have."""

    bands: Bands
    measure: str
    low: float
    high: float
    sd: float

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"at most {self.high:.4g}"
        return f"at least {self.low:.4g}" if math.isinf(self.high) else f"{self.low:.4g} to {self.high:.4g}"

    def admits(self, value: Any) -> bool:
        """Whether a value lies inside; NaN, infinities and anything that is not a number do not."""
        x = number(value)
        threshold = self.low if abs(x - self.low) < abs(self.high - x) else self.high
        distance = min(x - self.low, self.high - x)
        self.bands.margins.append(Margin(self.measure, x, threshold, _in_sd(distance, self.sd)))
        return self.bands.calibrating or (math.isfinite(x) and self.low <= x <= self.high)


def _in_sd(distance: float, sd: float) -> float:
    if math.isnan(distance):
        return -math.inf
    return distance / sd if sd > 0 else math.copysign(math.inf, distance)


def read_baseline(path: Path) -> dict[str, dict[str, float]]:
    """Return the measures of baseline.json; empty if the kata was never calibrated."""
    if not path.exists():
        return {}
    measures: dict[str, dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))["measures"]
    return measures
