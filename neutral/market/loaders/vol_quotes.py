"""Quoted volatilities become prices here, at the edge: discount x forward x Black (JAX loads when called)."""

import numpy as np

from ...errors import ArgumentError

SPREAD = 0.005
"""Volatility between bid and ask, decimal, that is laid around a quoted middle."""


def check_spread(spread: float) -> None:
    """A spread is a volatility, at least 0; ArgumentError otherwise."""
    if not 0 <= spread < np.inf:
        raise ArgumentError(f"spread={spread!r}: expected a volatility, at least 0, for example {SPREAD}")


def bid_ask_around(vol: np.ndarray, spread: float, *unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cash prices half of a spread below and above a volatility; `unit` as the other args of `cash_price`."""
    return cash_price(np.maximum(vol - 0.5 * spread, 0.0), *unit), cash_price(vol + 0.5 * spread, *unit)


def cash_price(
    vol: np.ndarray,
    forward: np.ndarray,
    discount: np.ndarray,
    strike: np.ndarray,
    maturity: np.ndarray,
    is_call: np.ndarray,
) -> np.ndarray:
    """Black price in the payment currency, nan where an input is nan or the volatility negative.

    Args:
        vol: Decimal, per year, shape (rows,) like all others.
        forward: Payment currency per unit.
        discount: Discount factor; 1 for prices as of expiry.
        strike: As forward.
        maturity: Years; from 0 down the price is the intrinsic value.
        is_call: False for a put.
    """
    from ...options import black
    from ...options.terms import unit

    with np.errstate(divide="ignore", invalid="ignore"):  # strikes and forwards <= 0, refused later
        k, stdev = np.log(strike / forward), vol * np.sqrt(np.maximum(maturity, 0.0))
    return np.asarray(unit(discount, forward, "cash")) * np.asarray(black.price(k, stdev, is_call))


def cash_vega(
    price: np.ndarray,
    forward: np.ndarray,
    discount: np.ndarray,
    strike: np.ndarray,
    maturity: np.ndarray,
    is_call: np.ndarray,
) -> np.ndarray:
    """Derivative of a price in its own Black volatility; 0 where there is none, as below intrinsic value.

    Args as `cash_price`, with `price` in the payment currency.
    """
    from ...options import black
    from ...options.inversion import implied_stdev
    from ...options.terms import unit

    money = np.asarray(unit(discount, forward, "cash"))
    with np.errstate(divide="ignore", invalid="ignore"):  # as above
        k, relative = np.log(strike / forward), price / money
    vega = np.asarray(black.vega(k, implied_stdev(relative, k, is_call)))
    return np.nan_to_num(money * vega * np.sqrt(np.maximum(maturity, 0.0)))
