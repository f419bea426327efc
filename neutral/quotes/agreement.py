"""Refuses tables of options of which two columns state one thing differently."""

from collections.abc import Mapping

import numpy as np

from ..errors import ArgumentError

Columns = Mapping[str, np.ndarray]

RATIO = 0.005  # of forwards and discount factors; compounding and rounding differ by less for years
DAYS = 5.0 / 365.0  # of maturities, beside a share; weekends and times of settlement
SHARE = 0.05  # of maturities; trading days against days, 360 against 365
PRICE_SHARE = 0.25  # median; vendors compute volatilities of prices of other times


def refuse_different_terms(columns: Columns, terms: Columns, expiry_years: np.ndarray | None) -> None:
    """Refuse a table with two different forwards, discount factors or maturities.

    Args:
        columns: As `option_columns` returns them.
        terms: The terms that follow from the columns that count, as `terms_of` computes them.
        expiry_years: Years to the dates of the column expiry, where the column maturity counts; or None.

    Raises:
        ArgumentError: Columns differ by more than conventions of markets do; the message has both values.
    """
    maturity = terms["maturity"]
    if expiry_years is not None:
        bound = DAYS + SHARE * np.abs(maturity)
        _refuse("maturity", "years to the column expiry", maturity, expiry_years, bound)
    if {"discount", "rate"} <= set(columns):
        implied = np.exp(-columns["rate"] * maturity)
        _refuse("discount", "e^(-rate maturity)", columns["discount"], implied, RATIO * implied)
    if {"forward", "spot", "rate", "dividend"} <= set(columns):
        implied = columns["spot"] * np.exp((columns["rate"] - columns["dividend"]) * maturity)
        name = "spot e^((rate - dividend) maturity)"
        _refuse("forward", name, columns["forward"], implied, RATIO * implied)


def refuse_different_prices(price: np.ndarray, price_of_vol: np.ndarray) -> None:
    """Refuse a table whose prices are not those of its volatilities.

    Args:
        price: The column of prices, shape (rows,).
        price_of_vol: Black's prices of the column of volatilities, in the same unit.

    Raises:
        ArgumentError: They differ by more than a quarter for more than half of the options.
    """
    known = np.isfinite(price) & (price_of_vol > 0.0)
    if not known.any():
        return
    share = np.abs(price / np.where(known, price_of_vol, 1.0) - 1.0)
    if np.median(share[known]) > PRICE_SHARE:
        row = int(np.argmax(np.where(known, share, -1.0)))
        raise ArgumentError(
            f"the columns vol and price disagree: row {row} has the price {price[row]:.6g}, and its "
            f"volatility gives {price_of_vol[row]:.6g}. Leave out the one that is not of these quotes."
        )


def _refuse(name: str, other: str, values: np.ndarray, implied: np.ndarray, bound: np.ndarray) -> None:
    different = np.abs(values - implied) > bound
    if different.any():
        row = int(different.argmax())
        raise ArgumentError(
            f"the table states {name} twice, and {np.sum(different)} of {different.size} rows differ: row "
            f"{row} has {name} {values[row]:.6g}, and {other} is {implied[row]:.6g}. Leave one of them out."
        )
