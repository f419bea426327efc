"""Is one model better than another on a series of snapshots: Diebold and Mariano's test."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError


class Comparison(NamedTuple):
    """Mean difference of two loss series, its statistic and two-sided normal probability; else a reason."""

    mean: float
    statistic: float
    probability: float
    reason: str = ""


def diebold_mariano(first: Any, second: Any, lags: int | None = None) -> Comparison:
    """Diebold and Mariano (1995): are two series of losses equal on average?

    The variance of the mean difference is Newey and West's (1987), with Bartlett weights.

    Args:
        first: Losses of one model, one per snapshot in order of time.
        second: Of the other, on the same snapshots; snapshots where either is not finite are left out.
        lags: Autocorrelations that count; floor(4 (n/100)^{2/9}) where None.

    Returns:
        The mean of first less second, positive where the second is better; nan statistic, with a reason,
        where the differences vary by no more than rounding, or there are fewer than three.

    Raises:
        ArgumentError: the series differ in length, or lags are negative.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape or first.ndim != 1:
        raise ArgumentError(f"losses must be two series of one length, got {first.shape} and {second.shape}.")
    if lags is not None and lags < 0:
        raise ArgumentError(f"lags must not be negative, got {lags}.")
    known = np.isfinite(first) & np.isfinite(second)
    difference = first[known] - second[known]
    n = difference.size
    if n < 3:
        why = f"{n} snapshots have a loss of both; it takes 3."
        return Comparison(np.nan, np.nan, np.nan, why)
    lags = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    away = difference - difference.mean()
    variance = away @ away + 2.0 * sum(
        (1.0 - j / (lags + 1.0)) * (away[j:] @ away[:-j]) for j in range(1, min(lags, n - 1) + 1)
    )
    mean = float(difference.mean())
    rounding = np.finfo(float).eps * max(np.abs(first[known]).max(), np.abs(second[known]).max())
    if not variance > n * rounding**2:
        return Comparison(mean, np.nan, np.nan, "the differences do not vary.")
    statistic = mean * n / math.sqrt(variance)
    return Comparison(mean, statistic, math.erfc(abs(statistic) / math.sqrt(2.0)))
