"""Defines the statuses in tables of results, and computes the errors of fitted prices."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..numerics.root_mean_square import root_mean_square

if TYPE_CHECKING:
    from ..calibration import CalibrationStatus

REFUSED = "refused"
"""Status of a snapshot whose quotes could not be used."""

LOST = "error"
"""Status of a fit that an error prevented."""

CONVERGED = "converged"
"""Status of a fit that converged; equal to the name of the status of a calibration."""

FAILED = "not_converged"
"""Status of a fit of a workbook that did not converge, for a reason that only its message states."""

BEYOND_ENGINE = "engine_refused"
"""Status of a fit that ends at a model that the engine cannot price."""

ENOUGH_PRICES = 0.8  # share of finite prices below which errors are nan


def status_text(status: "CalibrationStatus") -> str:
    """Return the status of a fit as tables of results write it.

    It is the name of the status, except for a model that the engine refuses to price, because "refused" in
    tables means a snapshot that was not fitted.
    """
    return BEYOND_ENGINE if status.name == REFUSED else status.name


class PriceErrors(NamedTuple):
    """Errors of model prices; all nan where too few prices are finite."""

    rmse: float  # root mean square
    mae: float  # mean absolute value
    inside: float  # share of quotes with an error of at most half the spread


def price_errors(error: np.ndarray, half_spread: np.ndarray, rows: np.ndarray) -> PriceErrors:
    """Compute the errors of the prices of some quotes; nan if less than four fifths of the prices are finite.

    Args:
        error: Model price less mid price, in the unit of the quotes, shape (n,).
        half_spread: Half of ask less bid, in the same unit, shape (n,).
        rows: Whether each quote counts, bool, shape (n,).
    """
    finite = rows & np.isfinite(error)
    if not rows.any() or finite.sum() < ENOUGH_PRICES * rows.sum():
        return PriceErrors(np.nan, np.nan, np.nan)
    size = np.abs(error[finite])
    inside = np.sum(size <= half_spread[finite]) / rows.sum()  # a price that is not finite counts as outside
    return PriceErrors(root_mean_square(size), float(np.mean(size)), float(inside))
