"""How steady the parameters of a model are from day to day."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError
from ..typing import Values

_NEAR = 0.02  # share of the range between the bounds that counts as near one
_LEAST = 3  # days it takes to tell a spread
_SAME_LOSS = 1e-3  # relative difference of losses that count as the same
_ROUNDING = 4.0 * np.finfo(float).eps  # relative deviation that counts as rounding


class StartAgreement(NamedTuple):
    """Agreement of fits from several starts.

    Attributes:
        converged: Number of fits that have converged.
        spread: Largest relative range of a parameter among these.
        parameter: The parameter with this range.
        share: Share of the converged fits whose loss is within 0.1 % of the least.
        reason: Why spread and share are nan; "" where they are not.
    """

    converged: int
    spread: float
    parameter: str
    share: float
    reason: str = ""


@dataclass(frozen=True)
class Stability:
    """Steadiness of a history of parameters; nan where there are too few days to tell.

    Attributes:
        names: Names of the parameters, n.
        changes: Changes from day to day, natural units.
        relative_changes: Changes over the absolute value of the day before; nan where that is 0.
        roughness: Median absolute step over interquartile range.
        drift: Mean step in its standard errors, the steps taken as independent.
        z_scores: Last day less the mean of the days before, in their standard deviations.
        near_bound: Share of days that are nearer to a bound than 2 % of the range between the bounds.
        reason: Why nothing can be determined; "" where it can.
    """

    names: tuple[str, ...]
    changes: Float[np.ndarray, "steps n"]
    relative_changes: Float[np.ndarray, "steps n"]
    roughness: Float[np.ndarray, " n"]
    drift: Float[np.ndarray, " n"]
    z_scores: Float[np.ndarray, " n"]
    near_bound: Float[np.ndarray, " n"]
    reason: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """One row per parameter, with the last of its changes."""
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


def stability(path: Values, names: Sequence[str] | None = None, bounds: Values | None = None) -> Stability:
    """Steps, roughness, drift and bounds of a history of parameters.

    Args:
        path: Parameters in natural units, (days, n) or (days,); a day that has no fit is nan and is left out,
            so that its neighbours follow one another.
        names: Names of the parameters; "0", "1", ... where None.
        bounds: Lower and upper bounds, (n, 2); near-bound shares are nan where None or infinite.

    Raises:
        ArgumentError: shapes disagree.
    """
    days = np.asarray(path, float)
    days = days[:, None] if days.ndim == 1 else days
    if days.ndim != 2:
        raise ArgumentError(f"path must have shape (days, parameters), got {days.shape}.")
    count = days.shape[1]
    named = tuple(str(i) for i in range(count)) if names is None else tuple(names)
    ends = np.full((count, 2), np.nan) if bounds is None else np.asarray(bounds, float)
    if len(named) != count or ends.shape != (count, 2):
        raise ArgumentError(
            f"{count} parameters need as many names and bounds, got {len(named)}, {ends.shape}."
        )
    days = days[np.all(np.isfinite(days), axis=1)]
    if len(days) < 2:
        nothing = np.full(count, np.nan)
        return Stability(
            names=named,
            changes=days[:0],
            relative_changes=days[:0],
            roughness=nothing,
            drift=nothing,
            z_scores=nothing,
            near_bound=nothing,
            reason=f"a history of {len(days)} days with a fit has no steps; it takes 2.",
        )
    steps = np.diff(days, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = _finite(steps / np.abs(days[:-1]))
        quartiles = np.percentile(days, [25.0, 75.0], axis=0)
        spread = quartiles[1] - quartiles[0] if len(days) >= _LEAST else np.nan
        rough = _finite(np.median(np.abs(steps), axis=0) / spread)
    size = np.max(np.abs(days), axis=0)
    return Stability(
        names=named,
        changes=steps,
        relative_changes=relative,
        roughness=rough,
        drift=np.mean(steps, axis=0) / _deviation(steps, size) * np.sqrt(len(steps)),
        z_scores=(days[-1] - np.mean(days[:-1], axis=0)) / _deviation(days[:-1], size),
        near_bound=_near(days, ends),
    )


def start_agreement(ends: Values, losses: Values, names: Sequence[str] | None = None) -> StartAgreement:
    """Compare the ends of fits of one surface that started in different places.

    Args:
        ends: Fitted parameters, natural units, (starts, n).
        losses: Losses of the fits, (starts,); nan for a start that has not converged. A start whose end is
            not finite has not converged either.
        names: Names of the parameters; "0", "1", ... where None.

    Returns:
        The largest relative range of a parameter among all that have converged, whatever their losses.

    Raises:
        ArgumentError: shapes disagree.
    """
    points = np.asarray(ends, float)
    costs = np.asarray(losses, float)
    if points.ndim != 2 or costs.shape != points.shape[:1]:
        raise ArgumentError(
            f"ends must be (starts, parameters), losses (starts,), got {points.shape}, {costs.shape}."
        )
    done = np.isfinite(costs) & np.all(np.isfinite(points), axis=1)
    if done.sum() < 2:
        reason = f"{done.sum()} of {done.size} starts have converged; it takes 2 to agree."
        return StartAgreement(int(done.sum()), np.nan, "", np.nan, reason)
    points = points[done]
    costs = costs[done]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.nan_to_num(np.ptp(points, axis=0) / np.abs(points[np.argmin(costs)]), posinf=np.inf)
    worst = int(np.argmax(spread))
    parameter = str(worst) if names is None else names[worst]
    near = float(np.mean(costs <= costs.min() * (1.0 + _SAME_LOSS)))
    return StartAgreement(int(done.sum()), float(spread[worst]), parameter, near)


def _deviation(values: Float[np.ndarray, "days n"], size: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Standard deviation over days; nan with too few days, or where it is rounding beside `size`."""
    if len(values) < _LEAST:
        return np.full(values.shape[1], np.nan)
    deviation = np.std(values, axis=0, ddof=1)
    return np.where(deviation > _ROUNDING * size, deviation, np.nan)


def _finite(values: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """The values, nan in place of infinite ones."""
    return np.where(np.isfinite(values), values, np.nan)


def _near(path: Float[np.ndarray, "days n"], ends: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Share of days that are near a bound; nan without finite bounds."""
    reach = _NEAR * (ends[:, 1] - ends[:, 0])
    near = (path - ends[:, 0] <= reach) | (ends[:, 1] - path <= reach)
    return np.where(np.isfinite(reach), np.mean(near, axis=0), np.nan)
