"""Influence of each quote on a fit: leave-one-out figures from the Jacobian at its solution."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from .identifiability import noise_of
from .linearisation import Fit

_FAR = 3.0  # studentised residuals beyond this are outliers
_STRONG = 4.0  # Cook's distances beyond this over the number of quotes are strong
_LEAST_FREE = 1e-12


@dataclass(frozen=True)
class Influence:
    """Influence of the quotes that were fitted, nan elsewhere (Cook and Weisberg 1982).

    Attributes:
        leverage: Hat values of the quotes: how much a quote's fitted value follows the quote, 0 to 1.
        studentised: Residuals over the standard deviation that the fit without the quote gives them.
        cook: Cook's distances: squared move of all fitted values without the quote, over the number of
            parameters and the variance.
        without: Change of the moving parameters where the quote is left out, natural units.
        names: Names of these parameters.
        reason: Why the figures are nan; "" where they are not.
    """

    leverage: Float[np.ndarray, "2 T K"]
    studentised: Float[np.ndarray, "2 T K"]
    cook: Float[np.ndarray, "2 T K"]
    without: Float[np.ndarray, "2 T K n"]
    names: tuple[str, ...] = ()
    reason: str = ""

    @property
    def outliers(self) -> Bool[np.ndarray, "2 T K"]:
        """Quotes more than 3 standard deviations off the fit without them."""
        return np.abs(np.nan_to_num(self.studentised)) > _FAR

    @property
    def influential(self) -> Bool[np.ndarray, "2 T K"]:
        """Quotes with a Cook's distance above 4 over the number of quotes."""
        return np.nan_to_num(self.cook) > _STRONG / max(int(np.sum(np.isfinite(self.cook))), 1)

    def __str__(self) -> str:
        """One line."""
        if self.reason:
            return f"influence cannot be determined: {self.reason}"
        far, strong = (float(np.max(np.nan_to_num(np.abs(x)))) for x in (self.studentised, self.cook))
        return (
            f"influence: {int(self.outliers.sum())} outliers (largest studentised residual {far:.3g}), "
            f"{int(self.influential.sum())} influential quotes (largest Cook's distance {strong:.2g})"
        )


def influence(fit: Fit) -> Influence:
    """Leave-one-out figures of every quote of a fit, by one Gauss-Newton step from its solution."""
    shape = np.shape(fit.surface.prices)
    reason = fit.undetermined()
    if reason:
        return _unknown(shape, reason)
    at = fit.at
    moving = fit.moving
    rows = np.asarray(at.bend) > 0.0
    root = np.sqrt(at.bend[rows])
    slopes = np.broadcast_to(np.asarray(at.slopes)[moving][:, None], (moving.size, *shape))[:, rows]
    jacobian = (slopes * root).T
    residuals = np.asarray(at.pull[rows] / root)
    left = residuals.size - moving.size
    total = jacobian.T @ jacobian + np.asarray(at.prior)[np.ix_(moving, moving)]
    if left < 2 or np.linalg.cond(total) > 1.0 / np.finfo(float).eps:
        reason = (
            f"{residuals.size} quotes for {moving.size} parameters determine nothing without one of them."
        )
        return _unknown(shape, reason)
    solved = np.linalg.solve(total, jacobian.T).T
    hat = np.sum(solved * jacobian, axis=1)
    rest = np.maximum(1.0 - hat, _LEAST_FREE)
    variance = noise_of(residuals, moving.size) ** 2
    others = (variance * left - residuals**2 / rest) / (left - 1)
    studentised = residuals / np.sqrt(np.where(others > 0.0, others, np.nan) * rest)
    cook = residuals**2 * hat / (moving.size * variance * rest**2)

    def grid(values: np.ndarray) -> np.ndarray:
        """Values of the quotes that were fitted in their places, nan elsewhere."""
        out = np.full((*shape, *values.shape[1:]), np.nan)
        out[rows] = values
        return out

    moves = (solved * (residuals / rest)[:, None]) @ np.asarray(at.chain)[np.ix_(moving, moving)].T
    return Influence(
        leverage=grid(hat),
        studentised=grid(studentised),
        cook=grid(cook),
        without=grid(moves),
        names=fit.names,
    )


def _unknown(shape: tuple[int, ...], reason: str) -> Influence:
    """Figures that are all nan, with the reason."""
    empty = np.full(shape, np.nan)
    return Influence(
        leverage=empty, studentised=empty, cook=empty, without=np.zeros((*shape, 0)), reason=reason
    )


def strongest(influence: Influence, fit: Fit, count: int = 5) -> list[dict[str, Any]]:
    """Rows of the quotes with the largest Cook's distances: their places and their figures."""
    cook = np.nan_to_num(influence.cook)
    order = np.argsort(-cook, axis=None)[: min(count, int(np.sum(cook > 0.0)))]
    rows = []
    for kind, row, slot in zip(*np.unravel_index(order, cook.shape), strict=True):
        place = (kind, row, slot)
        moves = dict(zip(influence.names, influence.without[place], strict=True))
        rows.append(
            {
                "kind": ("call", "put")[kind],
                "t": float(fit.surface.t[row]),
                "k": float(fit.surface.k[row, slot]),
            }
            | {"index": int(fit.surface.index[place]), "cook": float(cook[place])}
            | {"leverage": float(influence.leverage[place])}
            | {"studentised": float(influence.studentised[place])}
            | {f"without_{name}": float(x) for name, x in moves.items()}
        )
    return rows
