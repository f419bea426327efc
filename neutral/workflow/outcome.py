"""What became of a snapshot: the statuses that are no status of a solver, and the errors of fitted prices."""

from typing import NamedTuple

import numpy as np

from ..numerics.root_mean_square import root_mean_square

REFUSED = "refused"
"""Status of a snapshot whose quotes could not be used."""

LOST = "error"
"""Status of a fit that an error prevented."""

ENOUGH_PRICES = 0.8  # share of finite prices below which errors are not stated


class PriceErrors(NamedTuple):
    """Errors of model prices; all nan where too few prices are finite."""

    rmse: float  # root mean square
    mae: float  # mean absolute value
    inside: float  # share of quotes with an error of at most half the spread


def price_errors(error: np.ndarray, half_spread: np.ndarray, rows: np.ndarray) -> PriceErrors:
    """Errors of the prices of some quotes; nan where less than four fifths of the prices are finite.

    Args:
        error: Model price less mid price, in the unit of the quotes, shape (n,).
        half_spread: Half of ask less bid, in the same unit, shape (n,).
        rows: Which quotes count, shape (n,).
    """
    finite = rows & np.isfinite(error)
    if not rows.any() or finite.sum() < ENOUGH_PRICES * rows.sum():
        return PriceErrors(np.nan, np.nan, np.nan)
    size = np.abs(error[finite])
    inside = np.sum(size <= half_spread[finite]) / rows.sum()  # a price that is not finite is not inside
    return PriceErrors(root_mean_square(size), float(np.mean(size)), float(inside))
