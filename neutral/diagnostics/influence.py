"""What each quote does to a fit: leave-one-out figures from the Jacobian at its solution."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .identifiability import noise_of
from .linearisation import Fit

_FAR = 3.0  # studentised residuals beyond this are outliers
_STRONG = 4.0  # Cook's distances beyond this over the number of quotes are strong
_LEAST_FREE = 1e-12


@dataclass(frozen=True)
class Influence:
    """Of quotes that were fitted, (2, T, K), nan elsewhere (Cook and Weisberg 1982).

    Attributes:
        leverage: Hat values: how much a quote's fitted value follows the quote, 0 to 1.
        studentised: Residuals over the standard deviation that the fit without the quote gives them.
        cook: Cook's distances: squared move of all fitted values without the quote, over parameters and
            variance.
        without: Change of the moving parameters where the quote is left out, natural units, (2, T, K, n).
        names: Of them.
        reason: Why there is none; "" where there is.
    """

    leverage: np.ndarray
    studentised: np.ndarray
    cook: np.ndarray
    without: np.ndarray
    names: tuple[str, ...] = ()
    reason: str = ""

    @property
    def outliers(self) -> np.ndarray:
        """Quotes more than 3 standard deviations off the fit without them, (2, T, K)."""
        return np.abs(np.nan_to_num(self.studentised)) > _FAR

    @property
    def influential(self) -> np.ndarray:
        """Quotes with a Cook's distance above 4 / number of quotes, (2, T, K)."""
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
    empty = np.full(shape, np.nan)
    reason = fit.undetermined()
    if reason:
        return Influence(empty, empty, empty, np.zeros((*shape, 0)), (), reason)
    at, moving = fit.at, fit.moving
    rows = at.bend > 0.0
    root = np.sqrt(at.bend[rows])
    slopes = np.broadcast_to(at.slopes[moving][:, None], (moving.size, *shape))[:, rows]
    jacobian, residuals = (slopes * root).T, at.pull[rows] / root
    left = residuals.size - moving.size
    total = jacobian.T @ jacobian + at.prior[np.ix_(moving, moving)]
    if left < 2 or np.linalg.cond(total) > 1.0 / np.finfo(float).eps:
        reason = (
            f"{residuals.size} quotes for {moving.size} parameters determine nothing without one of them."
        )
        return Influence(empty, empty, empty, np.zeros((*shape, 0)), (), reason)
    solved = np.linalg.solve(total, jacobian.T).T
    hat = np.sum(solved * jacobian, axis=1)
    rest = np.maximum(1.0 - hat, _LEAST_FREE)
    variance = noise_of(residuals, moving.size) ** 2
    others = (variance * left - residuals**2 / rest) / (left - 1)
    studentised = residuals / np.sqrt(np.where(others > 0.0, others, np.nan) * rest)
    cook = residuals**2 * hat / (moving.size * variance * rest**2)

    def grid(values: np.ndarray) -> np.ndarray:
        out = np.full((*shape, *values.shape[1:]), np.nan)
        out[rows] = values
        return out

    moves = (solved * (residuals / rest)[:, None]) @ at.chain[np.ix_(moving, moving)].T
    return Influence(grid(hat), grid(studentised), grid(cook), grid(moves), fit.names)


def strongest(influence: Influence, fit: Fit, count: int = 5) -> list[dict[str, Any]]:
    """Rows of the quotes with the largest Cook's distances: where they are, and what they do."""
    cook = np.nan_to_num(influence.cook)
    order = np.argsort(-cook, axis=None)[: min(count, int(np.sum(cook > 0.0)))]
    found = []
    for kind, row, slot in zip(*np.unravel_index(order, cook.shape), strict=True):
        place = (kind, row, slot)
        moves = dict(zip(influence.names, influence.without[place], strict=True))
        found.append(
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
    return found
