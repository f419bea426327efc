"""Static arbitrage in call prices, and Durrleman's condition for a smile.

Prices are normalised: undiscounted, over the forward of their expiry, as functions of moneyness
x = K / F = e^k. Expiries are compared at equal x, because a comparison at equal strikes is wrong where their
forwards differ. Equation numbers refer to docs/mathematics.md.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError
from ..numerics.normal import as_float64
from ..typing import Real, Values


def durrleman(k: Values, w: Values, slope: Values, curvature: Values) -> Real:
    """Compute Durrleman's function g: the density of log(F_T / F) over Black's density at the same point.

    A smile is free of butterfly arbitrage if g >= 0 everywhere and w(k) stays below 2 k on the far right wing
    (Gatheral and Jacquier 2014, lemma 2.2).

    Args:
        k: Log-forward moneyness, any shape; all arguments broadcast.
        w: Total variance, > 0.
        slope: First derivative dw/dk.
        curvature: Second derivative d2w/dk2.

    Returns:
        The values of g, in the broadcast shape.
    """
    k, w, slope, curvature = as_float64(k, w, slope, curvature)
    # (55)
    return (1.0 - 0.5 * k * slope / w) ** 2 - 0.25 * slope**2 * (1.0 / w + 0.25) + 0.5 * curvature


class Violations(NamedTuple):
    """Size of each call's violations of the no-arbitrage conditions, in normalised price; 0 for none.

    Every field has the shape (T, K) of the prices.
    """

    bounds: np.ndarray
    """Distance of the price from the interval [max(0, 1 - x), 1]."""
    slope: np.ndarray
    """Excess of the price over that of the left neighbour; the call of strike 0 is the first one."""
    butterfly: np.ndarray
    """Excess of the price over the chord of its two neighbours."""
    calendar: np.ndarray
    """Shortfall of the price below the lowest price that calls of earlier expiries allow."""

    def count(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, tolerance: float = 0.0
    ) -> dict[str, int]:
        """Count the violations of each condition.

        Args:
            tolerance: Size in normalised price up to which a violation does not count.

        Returns:
            Number of calls in violation, by the name of the condition.
        """
        return {name: int(np.sum(size > tolerance)) for name, size in self._asdict().items()}


def violations(k: Values, call: Values, mask: Values = True) -> Violations:
    """Measure static arbitrage among call prices, within and across expiries, without interpolation.

    Within an expiry the conditions on bounds, slopes and convexity are necessary and sufficient (Carr and
    Madan 2005; Davis and Hobson 2007). Across expiries a call may not be worth less than the least value that
    a convex function through the prices of an earlier expiry can have at its moneyness: the price there, or
    the extended chord of two neighbours (Cousot 2007).

    Args:
        k: Log-forward moneyness, (T, K), one row per expiry; it ascends along each row. Rows ascend in
            maturity. Strikes need not be aligned between rows.
        call: Normalised undiscounted prices of calls, (T, K).
        mask: True where a price exists; broadcast against `call`.

    Returns:
        The violations of each call.

    Raises:
        ArgumentError: `call` does not have two axes, or k does not ascend along a row.
    """
    call = np.asarray(call, np.float64)
    if call.ndim != 2:
        raise ArgumentError(f"call must have shape (maturities, strikes), got {call.shape}.")
    x, mask = (np.broadcast_to(np.asarray(a), call.shape) for a in (np.exp(np.asarray(k)), mask))
    sizes = np.zeros((4, *call.shape))
    rows = [np.nonzero(row)[0] for row in mask]
    for i, pick in enumerate(rows):
        # the call of strike 0 is worth the forward, so its normalised price is 1
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
    """Measure the violations of (53) within one expiry; the m = n + 1 points begin at x = 0."""
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
    """Compute the lower bound (54), at least 0, of a convex function through points (x, price)."""
    slopes = np.diff(price) / np.diff(x)
    chords = price[:-1] + slopes * (at[:, None] - x[:-1])
    outside = (at[:, None] <= x[:-1]) | (at[:, None] >= x[1:])
    return np.maximum(np.max(np.where(outside, chords, 0.0), axis=-1, initial=0.0), 0.0)
