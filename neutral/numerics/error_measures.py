"""Measures of the errors of fitted prices, in NumPy alone, so that callers on the host need no JAX."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..typing import Values


class ErrorMeasures(NamedTuple):
    """Measures of prices against those of a market, over the last axis; nan where there are too few prices.

    Attributes:
        nobs: Number of finite pairs.
        rmse: Root mean square of model less market, in the unit of the prices.
        mae: Mean absolute value of model less market, in the unit of the prices.
        rsquared: 1 less the sum of squared errors over that of the deviations of the market prices from their
            mean; nan where the market prices are all equal.
        smape: Symmetric mean absolute percentage error as a share between 0 and 2, the mean of
            2 |model - market| / (|model| + |market|) (Makridakis 1993).
        rmse_over_mean: `rmse` over the mean market price.
    """

    nobs: np.ndarray
    rmse: np.ndarray
    mae: np.ndarray
    rsquared: np.ndarray
    smape: np.ndarray
    rmse_over_mean: np.ndarray


def error_measures(
    model: Float[np.ndarray, "*rows n"],
    market: Float[np.ndarray, "*rows n"],
    chosen: Bool[np.ndarray, "*rows n"] | bool = True,
) -> ErrorMeasures:
    """Compute measures of the errors of prices.

    Args:
        model: Prices of a model.
        market: Prices of the market, in the same unit.
        chosen: True for prices that count; prices that are not finite never do.

    Returns:
        The measures, each with the leading axes alone.
    """
    finite = np.isfinite(model) & np.isfinite(market) & chosen
    count = np.sum(finite, axis=-1)
    model = np.where(finite, model, 0.0)
    market = np.where(finite, market, 0.0)
    error = model - market
    mean = _over(np.sum(market, axis=-1), count)
    deviation = np.where(finite, market - np.expand_dims(mean, -1), 0.0)
    square = np.sum(error**2, axis=-1)
    size = np.abs(model) + np.abs(market)
    relative = 2.0 * np.abs(error) / np.where(size > 0.0, size, 1.0)
    rmse = np.sqrt(_over(square, count))
    return ErrorMeasures(
        nobs=count,
        rmse=rmse,
        mae=_over(np.sum(np.abs(error), axis=-1), count),
        rsquared=1.0 - _over(square, np.sum(deviation**2, axis=-1)),
        smape=_over(np.sum(relative, axis=-1), count),
        rmse_over_mean=_over(rmse, mean),
    )


def _over(numerator: Values, denominator: Values) -> np.ndarray:
    """Divide where the denominator is above 0, and return nan elsewhere."""
    numerator, denominator = np.asarray(numerator), np.asarray(denominator)
    positive = denominator > 0
    return np.where(positive, numerator / np.where(positive, denominator, 1), np.nan)
