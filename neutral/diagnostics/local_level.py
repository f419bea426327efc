"""A parameter as a random walk seen through noise: Kalman's filter and the smoother."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError
from ..typing import Values

_REACH = (1e-10, 1e2)  # state variances searched, over the mean square step
_POINTS = 121  # of the search grid


@dataclass(frozen=True)
class LocalLevel:
    """A path y = level + noise, level a random walk (Durbin and Koopman 2012, chapter 2).

    Attributes:
        filtered: Expected level given the days up to each.
        filtered_variance: Variance of the filtered level.
        smoothed: Expected level given all days.
        smoothed_variance: Variance of the smoothed level.
        innovations: Standardised surprises, unit normal under the model; nan on the first day and where there
            is no fit.
        state_variance: Variance of a day's step of the level.
        log_likelihood: Log-likelihood of all days after the first, whose level is diffuse.
        reason: Why the level is nan; "" where it is not.
    """

    filtered: Float[np.ndarray, " days"]
    filtered_variance: Float[np.ndarray, " days"]
    smoothed: Float[np.ndarray, " days"]
    smoothed_variance: Float[np.ndarray, " days"]
    innovations: Float[np.ndarray, " days"]
    state_variance: float
    log_likelihood: float
    reason: str = ""

    def __str__(self) -> str:
        """One line: the last level with its standard deviation."""
        if self.reason:
            return f"the level cannot be determined: {self.reason}"
        return (
            f"level {self.filtered[-1]:.5g} +- {np.sqrt(self.filtered_variance[-1]):.2g}, a day's step "
            f"{np.sqrt(self.state_variance):.2g}, last surprise {self.innovations[-1]:+.2f}"
        )


class _Filter(NamedTuple):
    """Output of the filter, for state variances of any shape (...)."""

    level: Float[np.ndarray, "days ..."]
    variance: Float[np.ndarray, "days ..."]
    innovations: Float[np.ndarray, "days ..."]
    log_likelihood: Float[np.ndarray, "..."]


def local_level(path: Values, standard_errors: Values, state_variance: float | None = None) -> LocalLevel:
    """Filter and smooth the path of one parameter.

    Args:
        path: Fitted values in order of time, (days,); nan where there is no fit.
        standard_errors: Standard errors of the fits, (days,) or a number, at least 0; nan counts as a day
            without a fit.
        state_variance: Variance of a day's step of the level; that of maximum likelihood where None.

    Returns:
        The level; with a reason, and nan, where fewer than two days have a fit.

    Raises:
        ArgumentError: shapes disagree, a standard error or variance is negative, or all noise is 0.
    """
    y = np.asarray(path, float)
    noise = np.broadcast_to(np.asarray(standard_errors, float), y.shape) ** 2 if y.ndim == 1 else None
    if noise is None or np.any(np.asarray(standard_errors) < 0.0):
        raise ArgumentError(f"path must be one series, standard errors not negative, got shape {y.shape}.")
    fitted = np.isfinite(y) & np.isfinite(noise)
    if fitted.sum() < 2:
        nothing = np.full(y.shape, np.nan)
        return LocalLevel(
            filtered=nothing,
            filtered_variance=nothing,
            smoothed=nothing,
            smoothed_variance=nothing,
            innovations=nothing,
            state_variance=np.nan,
            log_likelihood=np.nan,
            reason=f"{fitted.sum()} days have a fit and a standard error; it takes 2.",
        )
    y = np.where(fitted, y, np.nan)
    noise = np.where(fitted, noise, np.inf)
    variance = _most_likely(y, noise) if state_variance is None else float(state_variance)
    if not variance >= 0.0 or (variance == 0.0 and np.any(noise == 0.0)):
        raise ArgumentError(
            f"state variance {variance}: must not be negative, nor 0 where a standard error is 0."
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
    """Kalman's filter for each state variance; before the first fit the level is nan, its variance inf."""
    level = np.full((y.size, *variance.shape), np.nan)
    spread = np.full(level.shape, np.inf)
    surprise = np.full(level.shape, np.nan)
    likelihood = np.zeros(variance.shape)
    now = level[0]
    wide = spread[0]
    for i, (value, error) in enumerate(zip(y, noise, strict=True)):
        wide = wide + variance
        if np.isfinite(error) and np.all(np.isinf(wide)):
            now = np.full(variance.shape, value)
            wide = np.full(variance.shape, error)
        elif np.isfinite(error):
            total = wide + error
            surprise[i] = (value - now) / np.sqrt(total)
            likelihood = likelihood - 0.5 * (np.log(2.0 * np.pi * total) + surprise[i] ** 2)
            now = now + wide / total * (value - now)
            wide = wide * error / total
        level[i] = now
        spread[i] = wide
    return _Filter(level=level, variance=spread, innovations=surprise, log_likelihood=np.asarray(likelihood))


def _smooth(
    filtered: _Filter, variance: float
) -> tuple[Float[np.ndarray, " days"], Float[np.ndarray, " days"]]:
    """The smoother of Rauch, Tung and Striebel (1965); days before the first fit share its level."""
    level = filtered.level.copy()
    spread = filtered.variance.copy()
    for i in range(level.size - 2, -1, -1):
        ahead = filtered.variance[i] + variance
        if np.isinf(ahead):
            level[i] = level[i + 1]
            spread[i] = spread[i + 1] + variance
        elif ahead > 0.0:
            gain = filtered.variance[i] / ahead
            level[i] += gain * (level[i + 1] - filtered.level[i])
            spread[i] += gain**2 * (spread[i + 1] - ahead)
    return level, spread


def _most_likely(y: Float[np.ndarray, " days"], noise: Float[np.ndarray, " days"]) -> float:
    """The state variance of the largest likelihood: the best of a wide grid, refined beside it; or 0."""
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
