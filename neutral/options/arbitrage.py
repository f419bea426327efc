"""Static arbitrage in prices of calls, and Durrleman's condition for a smile.

Prices are normalised: undiscounted, over the forward of their own expiry, as functions of moneyness
x = K / F = e^k. Expiries are compared at equal x; at equal strikes the comparison is wrong as soon as
forwards differ. Equation numbers refer to docs/mathematics.md.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError
from ..numerics.normal import as_float64
from ..typing import Real, Values


def durrleman(k: Values, w: Values, slope: Values, curvature: Values) -> Real:
    """Durrleman's function g of a smile: density of log(F_T / F) over that of Black at the same point.

    A smile is free of butterfly arbitrage where g >= 0 everywhere and its right wing grows less than 2 k
    (Gatheral and Jacquier 2014, lemma 2.2).

    Args:
        k: Log-forward moneyness, any shape; all arguments broadcast.
        w: Total variance, > 0.
        slope: dw/dk.
        curvature: d2w/dk2.

    Returns:
        The function g, broadcast shape.
    """
    k, w, slope, curvature = as_float64(k, w, slope, curvature)
    # (55)
    return (1.0 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25) + 0.5 * curvature


class Violations(NamedTuple):
    """By how much each call violates a condition of no arbitrage, in normalised price; 0 where it does not.

    Every field has the shape (T, K) of the prices.
    """

    bounds: np.ndarray
    """Distance to the interval [max(0, 1 - x), 1]."""
    slope: np.ndarray
    """Excess of the price over that of the left neighbour; the call of strike 0 is one."""
    butterfly: np.ndarray
    """Excess of the price over the chord of its two neighbours."""
    calendar: np.ndarray
    """Shortfall of the price below the lowest price that calls of earlier expiries allow."""

    def count(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, tolerance: float = 0.0
    ) -> dict[str, int]:
        """Number of violations larger than a tolerance in price, by name."""
        return {name: int(np.sum(size > tolerance)) for name, size in self._asdict().items()}


def violations(k: Values, call: Values, mask: Values = True) -> Violations:
    """Measure static arbitrage among call prices, within and across expiries, without interpolation.

    Within an expiry the conditions on bounds, slopes and convexity are necessary and sufficient (Carr and
    Madan 2005; Davis and Hobson 2007). Across expiries a call may not be worth less than the least value that
    a convex function through the prices of an earlier expiry can have there: the price at the same moneyness,
    or the extended chord of two neighbours (Cousot 2007).

    Args:
        k: Log-forward moneyness, (T, K), each row by its own forward; ascending along a row. Rows ascend in
            maturity. Strikes need not be aligned between rows.
        call: Normalised undiscounted prices of calls, (T, K).
        mask: True where a price exists, broadcast.

    Returns:
        The violations of each call.

    Raises:
        ArgumentError: shapes are not (T, K), or strikes do not ascend.
    """
    call = np.asarray(call, np.float64)
    if call.ndim != 2:
        raise ArgumentError(f"call must have shape (maturities, strikes), got {call.shape}.")
    x, mask = (np.broadcast_to(np.asarray(a), call.shape) for a in (np.exp(np.asarray(k)), mask))
    sizes = np.zeros((4, *call.shape))
    rows = [np.nonzero(row)[0] for row in mask]
    for i, pick in enumerate(rows):
        # the call of strike 0 is worth the forward
        at = np.append(0.0, x[i, pick])
        price = np.append(1.0, call[i, pick])
        if np.any(np.diff(at) <= 0.0):
            raise ArgumentError(f"k must ascend along each row; row {i} does not.")
        sizes[:3, i, pick] = _within(at, price)
        floors = [
            _floor(np.append(0.0, x[j, earlier]), np.append(1.0, call[j, earlier]), at[1:])
            for j, earlier in enumerate(rows[:i])
        ]
        sizes[3, i, pick] = np.maximum(np.max(floors, axis=0, initial=-np.inf) - price[1:], 0.0)
    return Violations._make(sizes)


def _within(x: Float[np.ndarray, "m"], price: Float[np.ndarray, "m"]) -> Float[np.ndarray, "3 n"]:
    """Violations of bounds, slope and convexity (53) of one expiry; its m = n + 1 points begin at x = 0."""
    bounds = np.maximum(np.maximum(1.0 - x, 0.0) - price, 0.0) + np.maximum(price - 1.0, 0.0)
    rise = np.maximum(np.diff(price), 0.0)
    butterfly = np.zeros_like(rise)
    if rise.size > 1:
        share = np.diff(x)[:-1] / (x[2:] - x[:-2])
        butterfly[:-1] = np.maximum(price[1:-1] - (1.0 - share) * price[:-2] - share * price[2:], 0.0)
    return np.stack([bounds[1:], rise, butterfly])


def _floor(
    x: Float[np.ndarray, "m"], price: Float[np.ndarray, "m"], at: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Least value, at least 0, that a convex function through the given points has at others: (54)."""
    slopes = np.diff(price) / np.diff(x)
    chords = price[:-1] + slopes * (at[:, None] - x[:-1])
    outside = (at[:, None] <= x[:-1]) | (at[:, None] >= x[1:])
    return np.maximum(np.max(np.where(outside, chords, 0.0), axis=-1, initial=0.0), 0.0)
