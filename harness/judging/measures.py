"""The field's measurements of a run, as pure functions on telemetry columns.

Every function takes arrays over steps and treats NaN as it says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]


def running_median(values: Column, window: int) -> Column:
    """Return, for each step, the median of up to `window` steps before it, [step]; the first has itself."""
    return np.array([np.median(values[max(0, i - window) : max(i, 1)]) for i in range(len(values))])


def relative_difference(value: float, target: float) -> float:
    """Return |value - target| / |target|."""
    return abs(value - target) / abs(target)


def updates_made(updates: Column, num_rows_written: int) -> float:
    """Return how many optimizer updates a run made, those included that a later one went back on.

    updates: of each row that led to the final state, [step]. Every other row that was written counts as one update: a run that
    writes a step twice has trained twice, and shows the second time only.
    """
    return float(updates.sum()) + num_rows_written - len(updates)
