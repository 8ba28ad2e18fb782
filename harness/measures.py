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


def spikes(loss: Column, *, ratio: float, window: int = 30, after: int = 0) -> NDArray[np.int64]:
    """Return the indices at which a loss exceeds `ratio` times its running median, from index `after` on.

    A step that is not finite is a spike. The definition follows the alert that on-call teams use; see the loss patterns in
    https://github.com/stas00/ml-engineering/blob/master/training/instabilities/training-loss-patterns.md
    """
    if not len(loss):
        return np.array([], dtype=np.int64)
    high = ~(loss <= ratio * running_median(np.nan_to_num(loss, nan=np.inf), window))
    return np.flatnonzero(high & (np.arange(len(loss)) >= after))


def nonfinite_steps(values: Column) -> NDArray[np.int64]:
    """Return the indices at which any entry of a column, [step] or [step, ...], is NaN or infinite."""
    return np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))


def relative_difference(value: float, target: float) -> float:
    """Return |value - target| / |target|."""
    return abs(value - target) / abs(target)
