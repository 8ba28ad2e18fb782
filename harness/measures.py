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
