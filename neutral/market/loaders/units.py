"""Recognises numbers in another unit: volatilities and rates in percent, strikes and prices times 1000."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...errors import DataError
from ..quotes import column
from .column_map import how_to_map
from .table import Names, Table

LARGEST_VOL = 3.0  # the median of volatilities above which they are in percent, decimal
LARGEST_RATE = 0.5  # the same for rates and dividend yields
FEWEST_PAIRS = 3  # call-put pairs of an expiry that determine a slope
POWERS = (1000.0, 100.0, 10.0)
TOLERANCE = 1.6  # factor within which a slope or ratio counts as a power of ten
PAIR = ["expiry", "strike"]


class Decimal(NamedTuple):
    """A column that has to be decimal, the role of its form in percent, and the largest plausible median."""

    role: str
    percent: str
    largest: float


DECIMALS = (
    Decimal("implied_volatility", "vol_percent", LARGEST_VOL),
    Decimal("vol", "vol_percent", LARGEST_VOL),
    Decimal("bid_vol", "bid_vol_percent", LARGEST_VOL),
    Decimal("ask_vol", "ask_vol_percent", LARGEST_VOL),
    Decimal("rate", "rate_percent", LARGEST_RATE),
    Decimal("dividend", "dividend_percent", LARGEST_RATE),
)


def from_percent(frame: pd.DataFrame, names: Names) -> None:
    """Fill columns that the file states in percent alone, in place, as decimals."""
    for role, percent, _ in DECIMALS:
        if role in names and role not in frame and percent in frame:
            frame[role] = column(frame, percent) / 100


def refuse_percent(table: Table, frame: pd.DataFrame, names: Names) -> None:
    """Refuse volatilities and rates that can only be in percent.

    A column that the caller's map gives the name of a decimal is taken as decimal.

    Args:
        table: The parsed file.
        frame: Its typed columns, by role.
        names: The accepted names of each column.

    Raises:
        DataError: The median of a column is implausible for decimals; the message names the factor 100.
    """
    for role, percent, largest in DECIMALS:
        name = table.name_of(role, names) if role in names else None
        if name is None or role in table.columns.mapped or role not in frame:
            continue
        values = column(frame, role).abs()
        median = float(values.where(values > 0).median())
        if median > largest:
            raise DataError(
                f"{table.path}: the column {name!r} has the median {median:g}, which is {100 * median:.0f} "
                f"%: its numbers seem to be in percent, 100 times the decimals that are expected. Write "
                f"{how_to_map(percent, name)} to divide them by 100, or {how_to_map(role, name)} if they are "
                "decimals."
            )


def refuse_scaled(path: Path, rows: pd.DataFrame, spot: float) -> None:
    """Refuse strikes that are in another unit than the prices or the spot.

    C - P = D (F - K), so over the strikes the difference of a call and a put falls by the discount factor,
    and by a thousandth of it where strikes are given times 1000.

    Args:
        path: The file, for messages.
        rows: The rows of one underlying at one time, with prices in cash.
        spot: Price of the underlying, nan if unknown.

    Raises:
        DataError: Slope or spot are off by a power of ten; the message names the factor.
    """
    usable = rows.loc[~column(rows, "non_standard")]
    slope = -_slope(usable)
    for power in POWERS:
        if _near(slope, 1.0 / power) or (np.isnan(slope) and _near(_ratio(usable, spot), power)):
            fix = (
                f" For strikes times 1000 write {how_to_map('strike_x1000', '...')}." if power == 1000 else ""
            )
            raise DataError(
                f"{path}: the strikes are {power:g} times too large for the prices, so they are in another "
                f"unit; divide them by {power:g}.{fix}"
            )
        if _near(slope, power):
            raise DataError(
                f"{path}: the prices are {power:g} times too large for the strikes, so they are in another "
                f"unit; divide them by {power:g}."
            )


def _near(value: float, power: float) -> bool:
    return bool(power / TOLERANCE < value < power * TOLERANCE)


def _ratio(rows: pd.DataFrame, spot: float) -> float:
    """Return the median strike over the spot."""
    with np.errstate(over="ignore"):  # a spot of next to nothing
        return float(column(rows, "strike").median() / np.float64(spot)) if spot > 0 else np.nan


def _slope(rows: pd.DataFrame) -> float:
    """Return the median over expiries of the slope of C - P over the strikes; nan if no expiry has pairs."""
    bid = column(rows, "bid")
    ask = column(rows, "ask")
    quoted = rows.assign(mid=0.5 * (bid + ask)).loc[(bid > 0) & (ask >= bid) & column(rows, "expiry").notna()]
    sides = [
        quoted.loc[column(quoted, "option_type") == kind].drop_duplicates(PAIR).set_index(PAIR)["mid"]
        for kind in ("call", "put")
    ]
    difference = (sides[0] - sides[1]).dropna().reset_index()
    slopes = []
    for _, pairs in difference.groupby("expiry"):
        strike = column(pairs, "strike").to_numpy()
        if len(pairs) >= FEWEST_PAIRS and np.ptp(strike) > 0:
            slopes.append(_median_step(strike, column(pairs, "mid").to_numpy()))
    return float(np.median(slopes)) if slopes else np.nan


def _median_step(strike: np.ndarray, difference: np.ndarray) -> float:
    """Return the median slope between each strike and the one half a list further (Theil 1950)."""
    order = np.argsort(strike)
    half = len(strike) // 2
    rise = difference[order][half:] - difference[order][: len(strike) - half]
    run = strike[order][half:] - strike[order][: len(strike) - half]
    return float(np.median(rise / run))
