"""Diebold and Mariano's test of whether one model is better than another on a series of snapshots."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..errors import ArgumentError
from ..presentation.frame import frame_of_rows
from ..typing import Values

if TYPE_CHECKING:
    import pandas as pd


class Comparison(NamedTuple):
    """Comparison of two series of losses.

    Attributes:
        mean: Mean difference of the losses.
        statistic: Mean difference over its standard error.
        probability: Two-sided p-value of the statistic under the normal distribution.
        reason: Why the statistic is nan; "" if it is not.
    """

    mean: float
    statistic: float
    probability: float
    reason: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with these fields as columns."""
        return frame_of_rows([self._asdict()])


def diebold_mariano(first: Values, second: Values, lags: int | None = None) -> Comparison:
    """Test whether two series of losses are equal on average (Diebold and Mariano 1995).

    The variance of the mean difference is that of Newey and West (1987), with Bartlett weights.

    Args:
        first: Losses of one model, one per snapshot in order of time.
        second: Losses of the other model on the same snapshots. Snapshots where a loss is not finite are left
            out.
        lags: Number of autocorrelations in the variance; floor(4 (n / 100)^{2/9}) for n snapshots if None.

    Returns:
        The comparison. Its mean is that of first less second, positive if the second is better. The statistic
        is nan, with a reason, if there are fewer than three snapshots or differences vary only by rounding.

    Raises:
        ArgumentError: the series differ in length, or lags is negative.
    """
    x = np.asarray(first, float)
    y = np.asarray(second, float)
    if x.shape != y.shape or x.ndim != 1:
        raise ArgumentError(f"losses must be two series of one length, got shapes {x.shape} and {y.shape}.")
    if lags is not None and lags < 0:
        raise ArgumentError(f"lags must not be negative, got {lags}.")
    finite = np.isfinite(x) & np.isfinite(y)
    x = x[finite]
    y = y[finite]
    difference = x - y
    n = difference.size
    if n < 3:
        why = f"at least 3 snapshots with a finite loss of both models are needed, got {n}."
        return Comparison(np.nan, np.nan, np.nan, why)
    lags = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    deviation = difference - difference.mean()
    variance = deviation @ deviation + 2.0 * sum(
        (1.0 - j / (lags + 1.0)) * (deviation[j:] @ deviation[:-j]) for j in range(1, min(lags, n - 1) + 1)
    )
    mean = float(difference.mean())
    rounding = np.finfo(float).eps * max(np.abs(x).max(), np.abs(y).max())
    if not variance > n * rounding**2:
        return Comparison(mean, np.nan, np.nan, "the differences do not vary.")
    statistic = mean * n / math.sqrt(variance)
    return Comparison(mean, statistic, math.erfc(abs(statistic) / math.sqrt(2.0)))
