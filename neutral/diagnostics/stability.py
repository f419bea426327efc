"""Stability of the parameters of a model from day to day, and agreement of fits from several starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError
from ..presentation.frame import Tabular, frame_of_rows
from ..typing import Values

if TYPE_CHECKING:
    import pandas as pd


_NEAR = 0.02  # distance to a bound, as a share of the range between the bounds, that counts as near
_LEAST = 3  # least number of days for a standard deviation
_SAME_LOSS = 1e-3  # largest relative difference of losses that count as equal
_ROUNDING = 4.0 * np.finfo(float).eps  # largest relative deviation that counts as rounding


class StartAgreement(NamedTuple):
    """Agreement of fits from several starts.

    Attributes:
        converged: Number of fits that have converged.
        spread: Largest relative range of a parameter among these fits.
        parameter: Name of the parameter with this range.
        share: Share of the converged fits whose loss is within 0.1 % of the least.
        reason: Why spread and share are nan; "" if they are not.
    """

    converged: int
    spread: float
    parameter: str
    share: float
    reason: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with these fields as columns."""
        return frame_of_rows([self._asdict()])


@dataclass(frozen=True)
class Stability(Tabular):
    """Stability of a history of parameters; nan if there are too few days.

    Attributes:
        names: Names of the n parameters.
        changes: Changes from day to day, natural units.
        relative_changes: Changes over the absolute value of the day before; nan where that is 0.
        roughness: Median absolute change over interquartile range.
        drift: Mean change over its standard error, for independent changes.
        z_scores: Last day less the mean of the days before, over their standard deviation.
        near_bound: Share of days whose distance to a bound is at most 2 % of the range between the bounds.
        reason: Why nothing can be determined; "" if it can.
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
        """Return one row per parameter, with the last of its changes."""
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
        """Write one line per parameter."""
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
    """Compute changes, roughness, drift and distances to bounds of a history of parameters.

    Args:
        path: Parameters in natural units in order of time, (days, n) or (days,). Days without a fit are nan
            and are left out, so that a change then spans several days.
        names: Names of the parameters; "0", "1", ... if None.
        bounds: Lower and upper bounds, (n, 2); `near_bound` is nan for bounds that are None or infinite.

    Returns:
        The stability, or a reason if there are fewer than two days with a fit.

    Raises:
        ArgumentError: the shapes of path, names and bounds do not match.
    """
    days = np.asarray(path, float)
    days = days[:, None] if days.ndim == 1 else days
    if days.ndim != 2:
        raise ArgumentError(f"path must have shape (days, parameters), got {days.shape}.")
    count = days.shape[1]
    parameter_names = tuple(str(i) for i in range(count)) if names is None else tuple(names)
    ends = np.full((count, 2), np.nan) if bounds is None else np.asarray(bounds, float)
    if len(parameter_names) != count or ends.shape != (count, 2):
        raise ArgumentError(
            f"{count} parameters need as many names and bounds, got {len(parameter_names)} names and bounds "
            f"of shape {ends.shape}."
        )
    days = days[np.all(np.isfinite(days), axis=1)]
    if len(days) < 2:
        all_nan = np.full(count, np.nan)
        return Stability(
            names=parameter_names,
            changes=days[:0],
            relative_changes=days[:0],
            roughness=all_nan,
            drift=all_nan,
            z_scores=all_nan,
            near_bound=all_nan,
            reason=f"at least 2 days with a fit are needed, got {len(days)}.",
        )
    steps = np.diff(days, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = _finite(steps / np.abs(days[:-1]))
        quartiles = np.percentile(days, [25.0, 75.0], axis=0)
        spread = quartiles[1] - quartiles[0] if len(days) >= _LEAST else np.nan
        rough = _finite(np.median(np.abs(steps), axis=0) / spread)
    size = np.max(np.abs(days), axis=0)
    return Stability(
        names=parameter_names,
        changes=steps,
        relative_changes=relative,
        roughness=rough,
        drift=np.mean(steps, axis=0) / _deviation(steps, size) * np.sqrt(len(steps)),
        z_scores=(days[-1] - np.mean(days[:-1], axis=0)) / _deviation(days[:-1], size),
        near_bound=_near(days, ends),
    )


def start_agreement(ends: Values, losses: Values, names: Sequence[str] | None = None) -> StartAgreement:
    """Compare the results of fits of one surface from different starts.

    Args:
        ends: Fitted parameters in natural units, (starts, n).
        losses: Losses of the fits, (starts,); nan for a fit that has not converged. A fit whose parameters
            are not finite counts as not converged.
        names: Names of the parameters; "0", "1", ... if None.

    Returns:
        The largest relative range of a parameter among all converged fits, whatever their losses.

    Raises:
        ArgumentError: the shapes of ends and losses do not match.
    """
    points = np.asarray(ends, float)
    costs = np.asarray(losses, float)
    if points.ndim != 2 or costs.shape != points.shape[:1]:
        raise ArgumentError(
            f"ends must be (starts, parameters) and losses (starts,), got {points.shape} and {costs.shape}."
        )
    is_converged = np.isfinite(costs) & np.all(np.isfinite(points), axis=1)
    if is_converged.sum() < 2:
        reason = f"at least 2 starts must converge, got {is_converged.sum()} of {is_converged.size}."
        return StartAgreement(int(is_converged.sum()), np.nan, "", np.nan, reason)
    points = points[is_converged]
    costs = costs[is_converged]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.nan_to_num(np.ptp(points, axis=0) / np.abs(points[np.argmin(costs)]), posinf=np.inf)
    worst = int(np.argmax(spread))
    parameter = str(worst) if names is None else names[worst]
    near = float(np.mean(costs <= costs.min() * (1.0 + _SAME_LOSS)))
    return StartAgreement(int(is_converged.sum()), float(spread[worst]), parameter, near)


def _deviation(values: Float[np.ndarray, "days n"], size: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Compute the standard deviation over days; nan with too few days, or if it is rounding of `size`."""
    if len(values) < _LEAST:
        return np.full(values.shape[1], np.nan)
    deviation = np.std(values, axis=0, ddof=1)
    return np.where(deviation > _ROUNDING * size, deviation, np.nan)


def _finite(values: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Replace infinite values by nan."""
    return np.where(np.isfinite(values), values, np.nan)


def _near(path: Float[np.ndarray, "days n"], ends: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Compute the share of days that are near a bound; nan without finite bounds."""
    reach = _NEAR * (ends[:, 1] - ends[:, 0])
    near = (path - ends[:, 0] <= reach) | (ends[:, 1] - path <= reach)
    return np.where(np.isfinite(reach), np.mean(near, axis=0), np.nan)
