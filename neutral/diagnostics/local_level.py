"""A parameter as a random walk observed with noise: Kalman filter and smoother."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError
from ..presentation.frame import Tabular
from ..typing import Values

_REACH = (1e-10, 1e2)  # range of state variances that is searched, over the mean square step
_POINTS = 121  # number of points of the search grid


@dataclass(frozen=True)
class LocalLevel(Tabular):
    """The model y = level + noise, where the level is a random walk (Durbin and Koopman 2012, chapter 2).

    Attributes:
        filtered: Expected level given all days up to each day.
        filtered_variance: Variance of the filtered level.
        smoothed: Expected level given all days.
        smoothed_variance: Variance of the smoothed level.
        innovations: Standardised one-day-ahead errors, standard normal under the model; nan on the first day
            with a fit and on days without.
        state_variance: Variance of the daily step of the level.
        log_likelihood: Log-likelihood of all days after the first fit, whose level has a diffuse prior.
        reason: Why the level is nan; "" if it is not.
    """

    filtered: Float[np.ndarray, " days"]
    filtered_variance: Float[np.ndarray, " days"]
    smoothed: Float[np.ndarray, " days"]
    smoothed_variance: Float[np.ndarray, " days"]
    innovations: Float[np.ndarray, " days"]
    state_variance: float
    log_likelihood: float
    reason: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per day: filtered and smoothed level with their variances, and the innovation."""
        columns = ("filtered", "filtered_variance", "smoothed", "smoothed_variance", "innovations")
        days = zip(*(getattr(self, name) for name in columns), strict=True)
        return [{name: float(x) for name, x in zip(columns, day, strict=True)} for day in days]

    def __str__(self) -> str:
        """Write one line: the last level with its standard deviation, the daily step, the last innovation."""
        if self.reason:
            return f"the level cannot be determined: {self.reason}"
        return (
            f"level {self.filtered[-1]:.5g} +- {np.sqrt(self.filtered_variance[-1]):.2g}, daily step "
            f"{np.sqrt(self.state_variance):.2g}, last innovation {self.innovations[-1]:+.2f}"
        )


class _Filter(NamedTuple):
    """Results of the filter, for state variances of any shape (...)."""

    level: Float[np.ndarray, "days ..."]
    variance: Float[np.ndarray, "days ..."]
    innovations: Float[np.ndarray, "days ..."]
    log_likelihood: Float[np.ndarray, "..."]


def local_level(path: Values, standard_errors: Values, state_variance: float | None = None) -> LocalLevel:
    """Filter and smooth the path of one parameter.

    Args:
        path: Fitted values in order of time, (days,); nan on days without a fit.
        standard_errors: Standard errors of the fits, >= 0, (days,) or a number; nan counts as a day without a
            fit.
        state_variance: Variance of the daily step of the level; the maximum-likelihood estimate if None.

    Returns:
        The level; it is nan, with a reason, if fewer than two days have a fit.

    Raises:
        ArgumentError: path is not one series, a standard error or the state variance is negative, or the
            state variance and a standard error are both 0.
    """
    y = np.asarray(path, float)
    noise = np.broadcast_to(np.asarray(standard_errors, float), y.shape) ** 2 if y.ndim == 1 else None
    if noise is None or np.any(np.asarray(standard_errors) < 0.0):
        raise ArgumentError(
            "path must be one series of shape (days,) and standard errors not negative, got a path of shape "
            f"{y.shape} and standard errors {standard_errors}."
        )
    has_fit = np.isfinite(y) & np.isfinite(noise)
    if has_fit.sum() < 2:
        all_nan = np.full(y.shape, np.nan)
        return LocalLevel(
            filtered=all_nan,
            filtered_variance=all_nan,
            smoothed=all_nan,
            smoothed_variance=all_nan,
            innovations=all_nan,
            state_variance=np.nan,
            log_likelihood=np.nan,
            reason=f"at least 2 days with a fit and a standard error are needed, got {has_fit.sum()}.",
        )
    y = np.where(has_fit, y, np.nan)
    noise = np.where(has_fit, noise, np.inf)
    variance = _estimate_variance(y, noise) if state_variance is None else float(state_variance)
    if not variance >= 0.0 or (variance == 0.0 and np.any(noise == 0.0)):
        raise ArgumentError(
            f"state_variance must not be negative, nor 0 where a standard error is 0, got {variance}."
        )
    filtered = _filter(y, noise, np.asarray(variance))
    smooth, smooth_variance = _smooth(filtered, variance)
    return LocalLevel(
        filtered=filtered.level,
        filtered_variance=filtered.variance,
        smoothed=smooth,
        smoothed_variance=smooth_variance,
        innovations=filtered.innovations,
        state_variance=variance,
        log_likelihood=float(filtered.log_likelihood),
    )


def _filter(
    y: Float[np.ndarray, " days"], noise: Float[np.ndarray, " days"], variance: Float[np.ndarray, "..."]
) -> _Filter:
    """Run the Kalman filter for each state variance; levels before the first fit are nan."""
    level = np.full((y.size, *variance.shape), np.nan)
    variances = np.full(level.shape, np.inf)
    innovations = np.full(level.shape, np.nan)
    likelihood = np.zeros(variance.shape)
    current = level[0]
    current_variance = variances[0]
    for i, (value, error) in enumerate(zip(y, noise, strict=True)):
        current_variance = current_variance + variance
        if np.isfinite(error) and np.all(np.isinf(current_variance)):
            current = np.full(variance.shape, value)
            current_variance = np.full(variance.shape, error)
        elif np.isfinite(error):
            total = current_variance + error
            innovations[i] = (value - current) / np.sqrt(total)
            likelihood = likelihood - 0.5 * (np.log(2.0 * np.pi * total) + innovations[i] ** 2)
            current = current + current_variance / total * (value - current)
            current_variance = current_variance * error / total
        level[i] = current
        variances[i] = current_variance
    return _Filter(
        level=level, variance=variances, innovations=innovations, log_likelihood=np.asarray(likelihood)
    )


def _smooth(
    filtered: _Filter, variance: float
) -> tuple[Float[np.ndarray, " days"], Float[np.ndarray, " days"]]:
    """Run the smoother of Rauch, Tung and Striebel (1965); days before the first fit have its level."""
    level = filtered.level.copy()
    variances = filtered.variance.copy()
    for i in range(level.size - 2, -1, -1):
        predicted = filtered.variance[i] + variance
        if np.isinf(predicted):
            level[i] = level[i + 1]
            variances[i] = variances[i + 1] + variance
        elif predicted > 0.0:
            gain = filtered.variance[i] / predicted
            level[i] += gain * (level[i + 1] - filtered.level[i])
            variances[i] += gain**2 * (variances[i + 1] - predicted)
    return level, variances


def _estimate_variance(y: Float[np.ndarray, " days"], noise: Float[np.ndarray, " days"]) -> float:
    """Estimate the state variance by maximum likelihood, from the best point of a wide grid; it may be 0."""
    from scipy.optimize import minimize_scalar

    scale = float(np.mean(np.diff(y[np.isfinite(y)]) ** 2))
    if not scale > 0.0:
        return 0.0
    grid = np.log(scale * np.geomspace(*_REACH, _POINTS))
    score = _filter(y, noise, np.exp(grid)).log_likelihood
    i = int(np.clip(np.argmax(score), 1, _POINTS - 2))
    best: Any = minimize_scalar(
        lambda x: -_filter(y, noise, np.asarray(np.exp(x))).log_likelihood,
        bounds=(grid[i - 1], grid[i + 1]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    constant = -np.inf if np.any(noise == 0.0) else _filter(y, noise, np.asarray(0.0)).log_likelihood
    return 0.0 if constant >= -best.fun else float(np.exp(best.x))
