"""What is known about a run: `Reported` is what the run says of itself, `Recomputed` what the judge found.

A check's signature shows which of the two it rests on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.recording.artifacts import BadArtifact, number, read_bytes, read_json
from fixtures.recording.journal import history, steps_written, telemetry_name

MAX_RANKS = 64
FLAGS = ("unrecorded_change",)
"""Columns that the Recorder writes as true or false."""


class MissingEvidence(Exception):
    """A check asked for something that the run did not leave; the check fails with this message."""


class Reported:
    """Telemetry and artifacts as the run wrote them: true only if the run is honest."""

    def __init__(self, folder: Path, rank: int = 0) -> None:
        self._folder = folder
        try:
            content = read_bytes(folder, telemetry_name(rank))
        except BadArtifact:
            content = b""
        self.rows = history(content)
        self.rows_written = steps_written(content)
        """Also those that the run went back on."""

    def __getitem__(self, column: str) -> NDArray[np.float64]:
        """Return a telemetry column over the steps, [step]: NaN where there is not a number."""
        # true and false are no measurements, but a flag can be counted.
        flags = column in FLAGS
        return _frozen([float(v) if flags and isinstance(v, bool) else number(v) for v in self._values(column)])

    def _values(self, column: str) -> list[Any]:
        if not any(column in row for row in self.rows):
            raise MissingEvidence(f"the run's telemetry has no column `{column}`")
        return [row.get(column) for row in self.rows]

    def curve(self, column: str) -> list[tuple[int, float]]:
        """Return (step, value) where the column holds a number that can be drawn: beyond 1e12 plotting arithmetic overflows."""
        points = [(row["step"], number(row.get(column))) for row in self.rows]
        return [(step, x) for step, x in points if abs(x) < 1e12 and abs(step) < 1e12]

    def rank(self, rank: int) -> Reported:
        """Return what one rank reported, in a run whose ranks are processes; the run's own telemetry is that of rank 0."""
        return Reported(self._folder, rank)

    def per_rank(self, column: str) -> NDArray[np.float64]:
        """Return a column whose rows hold a list with an entry for each rank, [step, rank]; MissingEvidence when they do not."""
        values = self._values(column)
        width = max((len(v) for v in values if isinstance(v, list)), default=0)
        if not 0 < width <= MAX_RANKS:
            raise MissingEvidence(f"the telemetry's column `{column}` holds no list of up to {MAX_RANKS} ranks")
        return _frozen([_numbers(v, width) for v in values])

    def artifact(self, name: str) -> Any:
        """Return the content of NAME.json; MissingEvidence when the run left none that can be read."""
        try:
            return read_json(self._folder, name)
        except BadArtifact as e:
            raise MissingEvidence(str(e)) from None


class Recomputed(Mapping[str, Any]):
    """Measurements that the judge made outside the learner's process, by name."""

    def __init__(self, values: Mapping[str, Any], unreadable: str | None = None) -> None:
        self._values, self._unreadable = values, unreadable

    def __getitem__(self, name: str) -> Any:
        if self._unreadable is not None:
            raise MissingEvidence(f"nothing could be recomputed: {self._unreadable}")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _frozen(values: list[Any]) -> NDArray[np.float64]:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _numbers(value: Any, width: int) -> list[float]:
    values = value if isinstance(value, list) else []
    return [number(v) for v in values] + [math.nan] * (width - len(values))
