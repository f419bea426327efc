"""How steady the parameters of a model are from day to day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError

_NEAR = 0.02  # of the range between the bounds
_LEAST = 3  # days it takes to tell a spread
_SAME_LOSS = 1e-3
_ROUNDING = 4.0 * np.finfo(float).eps


class StartAgreement(NamedTuple):
    """Of fits from several starts: how many have converged, and how far apart they end; else a reason.

    `share` is that of the converged ones whose loss is within 0.1 % of the least.
    """

    converged: int
    spread: float
    parameter: str
    share: float
    reason: str = ""


@dataclass(frozen=True)
class Stability:
    """What a history of parameters says; nan where there are too few days to tell.

    Attributes:
        names: Parameters, n.
        changes: Day over day, natural units, (days - 1, n).
        relative_changes: Over the absolute value of the day before, (days - 1, n); nan from 0.
        roughness: Median absolute step over interquartile range, (n,).
        drift: Mean step in its standard errors, the steps taken as independent, (n,).
        z_scores: Last day less the mean of the days before, in their standard deviations, (n,).
        near_bound: Share of days within 2 % of the range of a bound, (n,).
        reason: Why nothing can be said; "" where it can.
    """

    names: tuple[str, ...]
    changes: np.ndarray
    relative_changes: np.ndarray
    roughness: np.ndarray
    drift: np.ndarray
    z_scores: np.ndarray
    near_bound: np.ndarray
    reason: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """One row per parameter; of the changes the last."""
        if self.reason:
            return []
        return [
            {"parameter": name, "change": float(self.changes[-1, i])}
            | {"relative_change": float(self.relative_changes[-1, i])}
            | {
                kind: float(getattr(self, kind)[i])
                for kind in ("roughness", "drift", "z_scores", "near_bound")
            }
            for i, name in enumerate(self.names)
        ]

    def __str__(self) -> str:
        """One line per parameter."""
        if self.reason:
            return f"stability cannot be determined: {self.reason}"
        lines = [f"stability over {len(self.changes) + 1} days:"]
        for row in self.rows():
            near = "" if np.isnan(row["near_bound"]) else f", near a bound {row['near_bound']:.0%}"
            lines.append(
                f"  {row['parameter']}: last change {row['change']:.3g} ({row['relative_change']:+.1%}), "
                f"roughness {row['roughness']:.3g}, drift {row['drift']:+.2f}, z {row['z_scores']:+.2f}{near}"
            )
        return "\n".join(lines)


def stability(path: Any, names: Sequence[str] | None = None, bounds: Any = None) -> Stability:
    """Steps, roughness, drift and bounds of a history of parameters.

    Args:
        path: Natural units, (days, n) or (days,); a day that has no fit is nan and is left out, so that its
            neighbours follow one another.
        names: Of the parameters.
        bounds: Lower and upper, (n, 2); near-bound shares are nan where None or infinite.

    Raises:
        ArgumentError: shapes disagree.
    """
    path = np.asarray(path, float)
    path = path[:, None] if path.ndim == 1 else path
    if path.ndim != 2:
        raise ArgumentError(f"path must have shape (days, parameters), got {path.shape}.")
    count = path.shape[1]
    named = tuple(str(i) for i in range(count)) if names is None else tuple(names)
    ends = np.full((count, 2), np.nan) if bounds is None else np.asarray(bounds, float)
    if len(named) != count or ends.shape != (count, 2):
        raise ArgumentError(
            f"{count} parameters need as many names and bounds, got {len(named)}, {ends.shape}."
        )
    path = path[np.all(np.isfinite(path), axis=1)]
    if len(path) < 2:
        nothing = np.full(count, np.nan)
        reason = f"a history of {len(path)} days with a fit has no steps; it takes 2."
        return Stability(named, path[:0], path[:0], nothing, nothing, nothing, nothing, reason)
    steps = np.diff(path, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = _finite(steps / np.abs(path[:-1]))
        quartiles = np.percentile(path, [25.0, 75.0], axis=0)
        spread = quartiles[1] - quartiles[0] if len(path) >= _LEAST else np.nan
        rough = _finite(np.median(np.abs(steps), axis=0) / spread)
    size = np.max(np.abs(path), axis=0)
    drift = np.mean(steps, axis=0) / _deviation(steps, size) * np.sqrt(len(steps))
    z = (path[-1] - np.mean(path[:-1], axis=0)) / _deviation(path[:-1], size)
    return Stability(named, steps, relative, rough, drift, z, _near(path, ends))


def start_agreement(ends: Any, losses: Any, names: Sequence[str] | None = None) -> StartAgreement:
    """How far apart fits of one surface end that started in different places.

    Args:
        ends: Fitted parameters, natural units, (starts, n).
        losses: Of the fits, (starts,); nan for a start that has not converged, as one whose end is not finite
            has not.
        names: Of the parameters.

    Returns:
        The largest relative range of a parameter among all that have converged, whatever their losses.

    Raises:
        ArgumentError: shapes disagree.
    """
    ends, losses = np.asarray(ends, float), np.asarray(losses, float)
    if ends.ndim != 2 or losses.shape != ends.shape[:1]:
        raise ArgumentError(
            f"ends must be (starts, parameters), losses (starts,), got {ends.shape}, {losses.shape}."
        )
    done = np.isfinite(losses) & np.all(np.isfinite(ends), axis=1)
    if done.sum() < 2:
        reason = f"{done.sum()} of {done.size} starts have converged; it takes 2 to agree."
        return StartAgreement(int(done.sum()), np.nan, "", np.nan, reason)
    found, cost = ends[done], losses[done]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.nan_to_num(np.ptp(found, axis=0) / np.abs(found[np.argmin(cost)]), posinf=np.inf)
    worst = int(np.argmax(spread))
    parameter = str(worst) if names is None else names[worst]
    near = float(np.mean(cost <= cost.min() * (1.0 + _SAME_LOSS)))
    return StartAgreement(int(done.sum()), float(spread[worst]), parameter, near)


def _deviation(values: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Standard deviation over days; nan where it is the rounding of numbers of a size, or of too few days."""
    if len(values) < _LEAST:
        return np.full(values.shape[1], np.nan)
    found = np.std(values, axis=0, ddof=1)
    return np.where(found > _ROUNDING * size, found, np.nan)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _near(path: np.ndarray, ends: np.ndarray) -> np.ndarray:
    reach = _NEAR * (ends[:, 1] - ends[:, 0])
    near = (path - ends[:, 0] <= reach) | (ends[:, 1] - path <= reach)
    return np.where(np.isfinite(reach), np.mean(near, axis=0), np.nan)
