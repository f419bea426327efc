"""Converts quoted volatilities to prices: discount x forward x Black. JAX is loaded at the first call."""

from typing import NamedTuple

import numpy as np

from ...errors import ArgumentError

SPREAD = 0.005
"""Default distance between bid and ask around a quoted mid, in volatility, decimal."""


class OptionTerms(NamedTuple):
    """The inputs of a Black price besides the volatility, shape (rows,) each."""

    forward: np.ndarray  # payment currency per unit of the underlying
    discount: np.ndarray  # discount factor; 1 gives undiscounted prices
    strike: np.ndarray  # in the unit of the forward
    maturity: np.ndarray  # years; at 0 or below the price is the intrinsic value
    is_call: np.ndarray  # bool


def check_spread(spread: float) -> None:
    """Refuse a spread that is not a volatility.

    Raises:
        ArgumentError: The spread is negative or not finite.
    """
    if not 0 <= spread < np.inf:
        raise ArgumentError(
            f"spread={spread!r} is not a volatility; expected a finite number of at least 0, for example "
            f"{SPREAD}."
        )


def bid_ask_around(
    vol: np.ndarray, spread: float | np.ndarray, terms: OptionTerms
) -> tuple[np.ndarray, np.ndarray]:
    """Return cash prices at half a spread in volatility below and above a volatility, shape (rows,) each."""
    return cash_price(np.maximum(vol - 0.5 * spread, 0.0), terms), cash_price(vol + 0.5 * spread, terms)


@np.errstate(all="ignore")  # impossible quotes give nan; the rows are refused later
def cash_price(vol: np.ndarray, terms: OptionTerms) -> np.ndarray:
    """Return Black prices in the payment currency, nan where an input is nan or the volatility is negative.

    Args:
        vol: Decimal, per year, shape (rows,).
        terms: The options.
    """
    from ...options import black
    from ...options.terms import unit

    forward, discount, strike, maturity, is_call = terms
    k = np.log(strike / forward)
    stdev = vol * np.sqrt(np.maximum(maturity, 0.0))
    return np.asarray(unit(discount, forward, "cash")) * np.asarray(black.price(k, stdev, is_call))


@np.errstate(all="ignore")  # impossible quotes give nan, which becomes 0
def cash_vega(price: np.ndarray, terms: OptionTerms) -> np.ndarray:
    """Return the vega of prices, 0 where a price has no volatility, for example below intrinsic value.

    Args:
        price: In the payment currency, shape (rows,).
        terms: The options.

    Returns:
        Derivatives of the prices in their Black volatilities, shape (rows,).
    """
    from ...options import black
    from ...options.inversion import implied_stdev
    from ...options.terms import unit

    forward, discount, strike, maturity, is_call = terms
    price_unit = np.asarray(unit(discount, forward, "cash"))
    k = np.log(strike / forward)
    normalised = price / price_unit
    vega = np.asarray(black.vega(k, implied_stdev(normalised, k, is_call)))
    return np.nan_to_num(price_unit * vega * np.sqrt(np.maximum(maturity, 0.0)))
