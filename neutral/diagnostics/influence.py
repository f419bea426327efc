"""Influence of each quote on a fit: leave-one-out statistics from the Jacobian at its solution."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ..presentation.frame import Tabular
from .identifiability import noise_of
from .linearisation import Fit

_FAR = 3.0  # absolute studentised residual above which a quote is an outlier
_STRONG = 4.0  # Cook's distance times the number of quotes above which a quote is influential
_LEAST_FREE = 1e-12  # least value of 1 - leverage


@dataclass(frozen=True)
class Influence(Tabular):
    """Influence of each fitted quote; nan for other quotes (Cook and Weisberg 1982).

    Attributes:
        leverage: Hat values: derivative of a quote's fitted value in the quote, 0 to 1.
        studentised: Residuals over their standard deviation according to the fit without the quote.
        cook: Cook's distances: sum of squared changes of all fitted values without the quote, over the number
            of parameters times the variance.
        without: Change of the free parameters without the quote, natural units.
        names: Names of these n parameters.
        reason: Why the statistics are nan; "" if they are not.
    """

    leverage: Float[np.ndarray, "2 T K"]
    studentised: Float[np.ndarray, "2 T K"]
    cook: Float[np.ndarray, "2 T K"]
    without: Float[np.ndarray, "2 T K n"]
    names: tuple[str, ...] = ()
    reason: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per fitted quote, on the grid: kind, expiry and strike by position, statistics."""
        columns = ("leverage", "studentised", "cook")
        return [
            {"kind": ("call", "put")[cell[0]], "t_index": int(cell[1]), "k_index": int(cell[2])}
            | {name: float(getattr(self, name)[tuple(cell)]) for name in columns}
            | dict(zip((f"without_{name}" for name in self.names), self.without[tuple(cell)], strict=True))
            for cell in np.argwhere(np.isfinite(self.cook))
        ]

    @property
    def outliers(self) -> Bool[np.ndarray, "2 T K"]:
        """True for quotes more than 3 standard deviations from the fit without them."""
        return np.abs(np.nan_to_num(self.studentised)) > _FAR

    @property
    def influential(self) -> Bool[np.ndarray, "2 T K"]:
        """True for quotes with a Cook's distance above 4 over the number of quotes."""
        return np.nan_to_num(self.cook) > _STRONG / max(int(np.sum(np.isfinite(self.cook))), 1)

    def __str__(self) -> str:
        """Write one line."""
        if self.reason:
            return f"influence cannot be determined: {self.reason}"
        worst_residual, worst_distance = (
            float(np.max(np.nan_to_num(np.abs(x)))) for x in (self.studentised, self.cook)
        )
        return (
            f"influence: {int(self.outliers.sum())} outliers (largest studentised residual "
            f"{worst_residual:.3g}), {int(self.influential.sum())} influential quotes (largest Cook's "
            f"distance {worst_distance:.2g})"
        )


def influence(fit: Fit) -> Influence:
    """Compute leave-one-out statistics of every quote, by one Gauss-Newton step from the solution."""
    shape = np.shape(fit.surface.prices)
    reason = fit.undetermined()
    if reason:
        return _all_nan(shape, reason)
    at = fit.at
    moving = fit.moving
    rows = np.asarray(at.bend) > 0.0
    root = np.sqrt(at.bend[rows])
    slopes = np.broadcast_to(np.asarray(at.slopes)[moving][:, None], (moving.size, *shape))[:, rows]
    jacobian = (slopes * root).T
    residuals = np.asarray(at.pull[rows] / root)
    degrees_of_freedom = residuals.size - moving.size
    total = jacobian.T @ jacobian + np.asarray(at.prior)[np.ix_(moving, moving)]
    if degrees_of_freedom < 2 or np.linalg.cond(total) > 1.0 / np.finfo(float).eps:
        reason = (
            f"{residuals.size} quotes do not determine {moving.size} parameters if one quote is left out."
        )
        return _all_nan(shape, reason)
    gains = np.linalg.solve(total, jacobian.T).T
    hat = np.sum(gains * jacobian, axis=1)
    one_less_hat = np.maximum(1.0 - hat, _LEAST_FREE)
    variance = noise_of(residuals, moving.size) ** 2
    variance_without = (variance * degrees_of_freedom - residuals**2 / one_less_hat) / (
        degrees_of_freedom - 1
    )
    studentised = residuals / np.sqrt(
        np.where(variance_without > 0.0, variance_without, np.nan) * one_less_hat
    )
    cook = residuals**2 * hat / (moving.size * variance * one_less_hat**2)

    def grid(values: np.ndarray) -> np.ndarray:
        """Place one value per fitted quote on the grid, with nan in all other cells."""
        out = np.full((*shape, *values.shape[1:]), np.nan)
        out[rows] = values
        return out

    moves = (gains * (residuals / one_less_hat)[:, None]) @ np.asarray(at.chain)[np.ix_(moving, moving)].T
    return Influence(
        leverage=grid(hat),
        studentised=grid(studentised),
        cook=grid(cook),
        without=grid(moves),
        names=fit.names,
    )


def _all_nan(shape: tuple[int, ...], reason: str) -> Influence:
    """Return statistics that are all nan, with the reason."""
    empty = np.full(shape, np.nan)
    return Influence(
        leverage=empty, studentised=empty, cook=empty, without=np.zeros((*shape, 0)), reason=reason
    )


def strongest(influence: Influence, fit: Fit, count: int = 5) -> list[dict[str, Any]]:
    """Return rows of the quotes with the largest Cook's distances: their positions and statistics."""
    cook = np.nan_to_num(influence.cook)
    order = np.argsort(-cook, axis=None)[: min(count, int(np.sum(cook > 0.0)))]
    rows = []
    for kind, row, slot in zip(*np.unravel_index(order, cook.shape), strict=True):
        cell = (kind, row, slot)
        moves = dict(zip(influence.names, influence.without[cell], strict=True))
        rows.append(
            {
                "kind": ("call", "put")[kind],
                "t": float(fit.surface.t[row]),
                "k": float(fit.surface.k[row, slot]),
            }
            | {"index": int(fit.surface.index[cell]), "cook": float(cook[cell])}
            | {"leverage": float(influence.leverage[cell])}
            | {"studentised": float(influence.studentised[cell])}
            | {f"without_{name}": float(x) for name, x in moves.items()}
        )
    return rows
