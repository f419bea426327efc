"""Computes the implied volatilities of the prices in a table of quotes, all columns with one compilation."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...pricing import implied_vol

CHUNK = 1 << 16  # prices that are inverted together
TERMS = ("forward", "strike", "maturity", "discount")


def volatilities(quotes: pd.DataFrame, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the implied volatilities of columns of prices.

    Args:
        quotes: Rows of `quotes.parquet` of any snapshots.
        columns: Names of columns of prices, in the unit of the quotes.

    Returns:
        Volatilities as decimals by column, (rows,); nan where a price has none, or its unit is unknown.
    """
    found = {name: np.full(len(quotes), np.nan) for name in columns}
    for settlement in quotes["settlement"].dropna().unique():
        rows = (quotes["settlement"] == settlement).to_numpy(bool, na_value=False)
        part = quotes.loc[rows]
        prices = np.concatenate([part[name].to_numpy(float) for name in columns])
        terms = {name: np.tile(part[name].to_numpy(float), len(columns)) for name in TERMS}
        is_call = np.tile((part["option_type"] == "call").to_numpy(bool), len(columns))
        vols = _inverted(prices, terms, is_call, str(settlement)).reshape(len(columns), -1)
        for name, vol in zip(columns, vols, strict=True):
            found[name][rows] = vol
    return found


def _inverted(
    prices: np.ndarray, terms: dict[str, np.ndarray], is_call: np.ndarray, settlement: str
) -> np.ndarray:
    """Invert prices in chunks of one size, so that there is one program for all of them."""
    size = min(CHUNK, 1 << max(8, int(np.ceil(np.log2(max(1, prices.size))))))
    vols = [
        _chunk(prices, terms, is_call, settlement, np.arange(first, min(first + size, prices.size)), size)
        for first in range(0, prices.size, size)
    ]
    return np.concatenate(vols) if vols else np.zeros(0)


def _chunk(
    prices: np.ndarray,
    terms: dict[str, np.ndarray],
    is_call: np.ndarray,
    settlement: str,
    rows: np.ndarray,
    size: int,
) -> np.ndarray:
    padded = np.resize(rows, size)  # repeats its rows up to the size
    forward, strike, maturity, discount = (terms[name][padded] for name in TERMS)
    options = {"kind": is_call[padded], "discount": discount, "settlement": settlement}
    return np.asarray(implied_vol(prices[padded], forward, strike, maturity, **options))[: rows.size]


def out_of_the_money(quotes: pd.DataFrame) -> np.ndarray:
    """Return whether each quote is a call at or above the forward, or a put below it, bool, (rows,)."""
    is_call = (quotes["option_type"] == "call").to_numpy(bool)
    return is_call == (quotes["log_moneyness"] >= 0).to_numpy(bool)
