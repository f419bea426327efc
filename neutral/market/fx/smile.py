"""Smiles of one expiry from volatility at the money, risk reversals and strangles."""

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ArgumentError
from .conventions import FxConventions
from .points import FxSmile, WingQuotes
from .strangle import butterflies_of_strangles


def fx_smile(
    atm: float,
    deltas: ArrayLike,
    risk_reversals: ArrayLike,
    butterflies: ArrayLike,
    forward: float,
    maturity: float,
    conventions: FxConventions | None = None,
    foreign_discount: float = 1.0,
) -> FxSmile:
    """Compute strikes and volatilities of one expiry from volatility at the money, risk reversals, strangles.

    Call and put volatilities are atm + b + rr / 2 and atm + b - rr / 2. For a smile strangle b is the quote.
    For a market strangle b is such that the put and the call with this delta at the volatility atm + quote
    together cost as much at that volatility as on the smile. Between its points the smile is Clark's: the
    logarithm of the volatility is the polynomial through all points in N(ln(F / K) / (atm sqrt(t))).

    Args:
        atm: Volatility at the money, decimal like all volatilities here.
        deltas: Absolute deltas such as [0.25, 0.1], > 0, shape (n,).
        risk_reversals: Volatility of each call less that of the put, shape (n,).
        butterflies: Strangle quotes, shape (n,).
        forward: Domestic currency per unit of foreign.
        maturity: Years.
        conventions: None takes the defaults of `FxConventions`.
        foreign_discount: Discount factor of the foreign currency, for spot deltas.

    Returns:
        The smile of 2 n + 1 points.

    Raises:
        ArgumentError: The quotes have different numbers or no finite ones, a volatility is not between 0 and
            10, a delta has no strike, or no smile reproduces the market strangles; the message then states
            which of the quotes have a smile.
        PrecisionError: Double precision is off, and strangles are market strangles.
    """
    conventions = conventions or FxConventions()
    sizes, reversals, strangles = (np.asarray(x, float) for x in (deltas, risk_reversals, butterflies))
    _check(sizes, reversals, strangles, (atm, forward, maturity, foreign_discount))
    quotes = WingQuotes(
        atm=float(atm),
        deltas=sizes,
        reversals=reversals,
        forward=float(forward),
        maturity=float(maturity),
        conventions=conventions,
        foreign_discount=float(foreign_discount),
    )
    if conventions.butterfly == "smile" or not len(sizes):
        return quotes.smile(strangles)
    return quotes.smile(butterflies_of_strangles(quotes, strangles))


def _check(
    deltas: np.ndarray, reversals: np.ndarray, strangles: np.ndarray, numbers: tuple[float, ...]
) -> None:
    """Refuse quotes of different numbers, and numbers that are not finite and positive."""
    if not (deltas.ndim == 1 and deltas.shape == reversals.shape == strangles.shape):
        raise ArgumentError(
            f"deltas, risk_reversals and butterflies have shapes {deltas.shape}, {reversals.shape} and "
            f"{strangles.shape}; expected one number of each for every delta, in lists of equal length."
        )
    names = ("atm", "forward", "maturity", "foreign_discount")
    for name, number in zip(names, numbers, strict=True):
        if not (np.isfinite(number) and number > 0):
            raise ArgumentError(f"{name}={number!r} is not possible; expected a finite number above 0.")
    if not np.isfinite([*deltas, *reversals, *strangles]).all():
        raise ArgumentError(
            f"deltas={deltas.tolist()}, risk_reversals={reversals.tolist()} or butterflies="
            f"{strangles.tolist()} have no finite number; leave out the deltas that are not quoted."
        )
    if len(set(deltas.tolist())) < len(deltas):
        raise ArgumentError(f"deltas={deltas.tolist()} has a delta twice; give each delta once.")
