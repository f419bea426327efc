"""The path of a parameter under a random walk: Kalman's filter and the smoother, noise from the fits."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError

_REACH = (1e-10, 1e2)  # state variances searched, over the mean square step
_POINTS = 121


@dataclass(frozen=True)
class LocalLevel:
    """A path y = level + noise, level a random walk (Durbin and Koopman 2012, chapter 2).

    Attributes:
        filtered: Expected level given the days up to each, (days,).
        filtered_variance: Its variance, (days,).
        smoothed: Expected level given all days, (days,).
        smoothed_variance: Its variance, (days,).
        innovations: Standardised surprises, (days,), unit normal under the model; nan on the first day and
            where there is no fit.
        state_variance: Of a day's step of the level.
        log_likelihood: Of all days after the first, whose level is diffuse.
        reason: Why there are none; "" where there are.
    """

    filtered: np.ndarray
    filtered_variance: np.ndarray
    smoothed: np.ndarray
    smoothed_variance: np.ndarray
    innovations: np.ndarray
    state_variance: float
    log_likelihood: float
    reason: str = ""

    def __str__(self) -> str:
        """Where the level is."""
        if self.reason:
            return f"the level cannot be determined: {self.reason}"
        return (
            f"level {self.filtered[-1]:.5g} +- {np.sqrt(self.filtered_variance[-1]):.2g}, a day's step "
            f"{np.sqrt(self.state_variance):.2g}, last surprise {self.innovations[-1]:+.2f}"
        )


class _Filter(NamedTuple):
    level: np.ndarray  # (days, ...) filtered, as are the variances
    variance: np.ndarray
    innovations: np.ndarray
    log_likelihood: np.ndarray  # (...)


def local_level(path: Any, standard_errors: Any, state_variance: float | None = None) -> LocalLevel:
    """Filter and smooth the path of one parameter.

    Args:
        path: Fitted values in order of time, (days,); nan where there is no fit.
        standard_errors: Of the fits, (days,) or a number, >= 0; nan counts as a day without a fit.
        state_variance: Of a day's step; that of maximum likelihood where None.

    Returns:
        The level; with a reason, and nan, where fewer than two days have a fit.

    Raises:
        ArgumentError: shapes disagree, a standard error or variance is negative, or all noise is 0.
    """
    y = np.asarray(path, float)
    noise = np.broadcast_to(np.asarray(standard_errors, float), y.shape) ** 2 if y.ndim == 1 else None
    if noise is None or np.any(np.asarray(standard_errors) < 0.0):
        raise ArgumentError(f"path must be one series, standard errors not negative, got shape {y.shape}.")
    known = np.isfinite(y) & np.isfinite(noise)
    if known.sum() < 2:
        nothing = np.full(y.shape, np.nan)
        reason = f"{known.sum()} days have a fit and a standard error; it takes 2."
        return LocalLevel(nothing, nothing, nothing, nothing, nothing, np.nan, np.nan, reason)
    y, noise = np.where(known, y, np.nan), np.where(known, noise, np.inf)
    variance = _most_likely(y, noise) if state_variance is None else float(state_variance)
    if not variance >= 0.0 or (variance == 0.0 and np.any(noise == 0.0)):
        raise ArgumentError(
            f"state variance {variance}: must not be negative, nor 0 where a standard error is 0."
        )
    found = _filter(y, noise, np.asarray(variance))
    smooth, smooth_variance = _smooth(found, variance)
    return LocalLevel(
        found.level, found.variance, smooth, smooth_variance, found.innovations, variance,
        float(found.log_likelihood),
    )  # fmt: skip


def _filter(y: np.ndarray, noise: np.ndarray, variance: np.ndarray) -> _Filter:
    """The filter for each state variance, (...); before the first fit the level is not known: nan, inf."""
    level = np.full((y.size, *variance.shape), np.nan)
    spread = np.full(level.shape, np.inf)
    surprise = np.full(level.shape, np.nan)
    likelihood = np.zeros(variance.shape)
    now, wide = level[0], spread[0]
    for i, (value, own) in enumerate(zip(y, noise, strict=True)):
        wide = wide + variance
        if np.isfinite(own) and np.all(np.isinf(wide)):
            now, wide = np.full(variance.shape, value), np.full(variance.shape, own)
        elif np.isfinite(own):
            total = wide + own
            surprise[i] = (value - now) / np.sqrt(total)
            likelihood = likelihood - 0.5 * (np.log(2.0 * np.pi * total) + surprise[i] ** 2)
            now, wide = now + wide / total * (value - now), wide * own / total
        level[i], spread[i] = now, wide
    return _Filter(level, spread, surprise, likelihood)


def _smooth(found: _Filter, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Backwards, after Rauch, Tung and Striebel (1965); days before the first fit share its level."""
    level, spread = found.level.copy(), found.variance.copy()
    for i in range(level.size - 2, -1, -1):
        ahead = found.variance[i] + variance
        if np.isinf(ahead):
            level[i], spread[i] = level[i + 1], spread[i + 1] + variance
        elif ahead > 0.0:
            gain = found.variance[i] / ahead
            level[i] += gain * (level[i + 1] - found.level[i])
            spread[i] += gain**2 * (spread[i + 1] - ahead)
    return level, spread


def _most_likely(y: np.ndarray, noise: np.ndarray) -> float:
    """The state variance of the largest likelihood: the best of a wide grid, refined beside it; or 0."""
    from scipy.optimize import minimize_scalar

    scale = float(np.mean(np.diff(y[np.isfinite(y)]) ** 2))
    if not scale > 0.0:
        return 0.0
    grid = np.log(scale * np.geomspace(*_REACH, _POINTS))
    score = _filter(y, noise, np.exp(grid)).log_likelihood
    i = int(np.clip(np.argmax(score), 1, _POINTS - 2))
    best: Any = minimize_scalar(
        lambda x: -_filter(y, noise, np.exp(np.asarray(x))).log_likelihood,
        bounds=(grid[i - 1], grid[i + 1]), method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    still = -np.inf if np.any(noise == 0.0) else _filter(y, noise, np.asarray(0.0)).log_likelihood
    return 0.0 if still >= -best.fun else float(np.exp(best.x))
