"""Quoted volatilities become prices here, at the edge: discount x forward x Black (JAX loads when called)."""

from typing import NamedTuple

import numpy as np

from ...errors import ArgumentError

SPREAD = 0.005
"""Default distance in volatility, decimal, between the bid and ask laid around a quoted mid."""


class OptionTerms(NamedTuple):
    """What a Black price depends on besides the volatility, shape (rows,) each."""

    forward: np.ndarray  # payment currency per unit
    discount: np.ndarray  # 1 for prices as of expiry
    strike: np.ndarray  # as forward
    maturity: np.ndarray  # years; a value of 0 or less gives the intrinsic value
    is_call: np.ndarray  # bool


def check_spread(spread: float) -> None:
    """Refuse a spread that is no volatility.

    Raises:
        ArgumentError: The spread is negative or not finite.
    """
    if not 0 <= spread < np.inf:
        raise ArgumentError(
            f"spread={spread!r} is not a volatility; expected a finite number of at least 0, for example "
            f"{SPREAD}."
        )


def bid_ask_around(vol: np.ndarray, spread: float, terms: OptionTerms) -> tuple[np.ndarray, np.ndarray]:
    """Cash prices half of a spread in volatility below and above a volatility, shape (rows,) each."""
    return cash_price(np.maximum(vol - 0.5 * spread, 0.0), terms), cash_price(vol + 0.5 * spread, terms)


@np.errstate(all="ignore")  # numbers that no market has, refused later
def cash_price(vol: np.ndarray, terms: OptionTerms) -> np.ndarray:
    """Black price in the payment currency, nan where an input is nan or the volatility is negative.

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


@np.errstate(all="ignore")  # as above
def cash_vega(price: np.ndarray, terms: OptionTerms) -> np.ndarray:
    """Derivative of a price in its own Black volatility, 0 where it has none, as below intrinsic value.

    Args:
        price: In the payment currency, shape (rows,).
        terms: The options.
    """
    from ...options import black
    from ...options.inversion import implied_stdev
    from ...options.terms import unit

    forward, discount, strike, maturity, is_call = terms
    money = np.asarray(unit(discount, forward, "cash"))
    k = np.log(strike / forward)
    relative = price / money
    vega = np.asarray(black.vega(k, implied_stdev(relative, k, is_call)))
    return np.nan_to_num(money * vega * np.sqrt(np.maximum(maturity, 0.0)))
