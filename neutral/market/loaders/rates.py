"""Interest rates by date: money-market histories and flat rates, as continuous rates and discount factors."""

import dataclasses
from datetime import date as Date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from .csv_table import read_csv

YEAR = 365.0
MONEY_MARKET_YEAR = 360.0
LONGEST_SINGLE_PAYMENT = 1.01  # years: a tenor of a year may have a day more
NAMES = {
    "date": ("date", "observation_date"),
    "percent": ("fed_funds_pct", "rate", "dff", "percent", "value"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Rates:
    """An overnight rate on every calendar day: linear in time between the dates that are known.

    Before the first date the first rate is taken, after the last the last: ask `covers`.
    """

    day: np.ndarray  # days since 1970-01-01, ascending, shape (dates,)
    percent: np.ndarray  # overnight money-market rate, act/360, shape (dates,)

    def rate(self, date: str | Date | pd.Timestamp) -> float:
        """Continuously compounded rate per year of 365 days, decimal.

        The overnight rate of r percent compounds daily: exp(rate / 365) = 1 + r / 36000.
        """
        percent = float(np.interp(_day(date), self.day, self.percent))
        return YEAR * float(np.log1p(percent / 100 / MONEY_MARKET_YEAR))

    def discount(self, date: str | Date | pd.Timestamp, maturity: Any) -> np.ndarray:
        """Discount factors exp(-rate(date) t) for maturities of any shape, in years of 365 days."""
        return np.exp(-self.rate(date) * np.asarray(maturity, float))

    def covers(self, date: str | Date | pd.Timestamp) -> bool:
        """Whether the date lies between the first and the last that are known."""
        return bool(self.day[0] <= _day(date) <= self.day[-1])


def flat_rate(rate: float) -> Rates:
    """The same continuously compounded rate (decimal) on all dates.

    Raises:
        ArgumentError: The rate is not a finite number.
    """
    if not np.isfinite(rate):
        raise ArgumentError(f"rate={rate!r}: expected a finite number, 0.03 for 3 %")
    return Rates(np.zeros(1), np.array([100 * MONEY_MARKET_YEAR * np.expm1(rate / YEAR)]))


def load_rates(path: str | Path) -> Rates:
    """Read a history of an overnight money-market rate in percent, act/360.

    Args:
        path: CSV file, plain or gzip, with a date and a rate column: separated by commas with decimal points,
            or by semicolons with decimal commas.

    Raises:
        DataError: The file cannot be read, a column is missing, a date is wrong or comes twice, or a rate is
            no number; names the file, and the line or column.
    """
    table = read_csv(path, decimal_comma=True)
    frame = table.select(NAMES, required=("date", "percent"), text=("date",))
    dates = table.dates(frame["date"], "date")
    bad = (dates.isna() | frame["percent"].isna()).to_numpy()
    if bad.any():
        raise DataError(f"{path}: line {int(bad.argmax()) + 2}: no date, or a rate that is no number")
    day = dates.dt.as_unit("us").astype("int64").to_numpy() / 86_400e6
    order = np.argsort(day)
    day = day[order]
    if (np.diff(day) == 0).any():
        twice = dates.iloc[order[1:][np.diff(day) == 0][0]]
        raise DataError(f"{path}: the date {twice:%Y-%m-%d} comes twice")
    return Rates(day, frame["percent"].to_numpy()[order])


def discount_factors(
    rates: Rates | float | None, date: str | Date | pd.Timestamp, maturity: np.ndarray
) -> np.ndarray:
    """Discount factors from what a caller may give as rates, nan from None; shape of `maturity`."""
    if rates is None:
        return np.full(np.shape(maturity), np.nan)
    known = rates if isinstance(rates, Rates) else flat_rate(rates)
    return known.discount(date, maturity)


def swap_discounts(quoted: np.ndarray, percent: np.ndarray, maturity: np.ndarray) -> np.ndarray:
    """Discount factors bootstrapped from par rates of overnight swaps.

    To a year a swap pays once, beyond every year: 1 - D(n) = coupon x (D(1) + ... + D(n)). Par rates are
    linear between tenors; so are logarithms of discount factors, between tenors to a year and whole years
    beyond.

    Args:
        quoted: Tenors in years of 365 days, ascending, shape (tenors,).
        percent: Par rates, act/360, shape (tenors,).
        maturity: Years, any shape.

    Returns:
        Shape of maturity; constant beyond the last tenor.
    """
    count = max(1, round(float(quoted[-1])))
    year = quoted[-1] / count  # with its leap days
    grid = year * np.arange(1, count + 1)
    factors: list[float] = []
    for rate in np.interp(grid, quoted, percent):
        coupon = rate / 100 * year * YEAR / MONEY_MARKET_YEAR
        factors.append((1 - coupon * sum(factors)) / (1 + coupon))
    short = quoted <= LONGEST_SINGLE_PAYMENT
    single = percent[short] / 100 * quoted[short] * YEAR / MONEY_MARKET_YEAR
    times = np.concatenate([[0.0], quoted[short], grid[1:]])
    return np.exp(np.interp(maturity, times, np.concatenate([[0.0], -np.log1p(single), np.log(factors[1:])])))


def _day(date: Any) -> float:
    when: Any = pd.Timestamp(date)
    when = when.tz_localize(None) if when.tzinfo is None else when.tz_convert(None)
    return (when.normalize() - pd.Timestamp(0)) / pd.Timedelta(days=1)
