"""Reads histories of money-market rates, and turns rates of all kinds into discount factors."""

import dataclasses
from datetime import date as Date

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ...errors import ArgumentError, DataError
from ...times import DAYS_A_MONEY_MARKET_YEAR, DAYS_A_YEAR, SECONDS_A_DAY
from ..quotes import column
from .choices import midnight
from .file_content import MarketData
from .table import Table, read_table

LARGEST_EXPONENT = 700.0  # exp overflows at 709.8
LARGEST_PERCENT = 1e4  # of a history, in which hyperinflations occur
LARGEST_RATE = 1.0  # decimal; larger flat rates are taken to be in percent
LONGEST_SINGLE_PAYMENT = 1.01  # years; a tenor of one year may be a day longer
NAMES = {
    "date": ("date", "observation_date"),
    "percent": ("fed_funds_pct", "rate", "dff", "percent", "value"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Rates:
    """An overnight rate on every calendar day, linear in time between the dates of its history.

    Before the first date the rate is the first one, and after the last date the last one. `covers` reports
    whether a date is between them.
    """

    day: np.ndarray  # days since 1970-01-01, ascending, shape (dates,)
    percent: np.ndarray  # overnight money-market rate, act/360, shape (dates,)

    def rate(self, date: str | Date | pd.Timestamp) -> float:
        """Return the continuously compounded rate per year of 365 days, decimal.

        The overnight rate of r percent compounds daily: exp(rate / 365) = 1 + r / 36000.
        """
        percent = float(np.interp(_day(date), self.day, self.percent))
        return DAYS_A_YEAR * float(np.log1p(percent / 100 / DAYS_A_MONEY_MARKET_YEAR))

    def discount(self, date: str | Date | pd.Timestamp, maturity: ArrayLike) -> np.ndarray:
        """Return discount factors exp(-rate(date) t) for maturities t of any shape, in years of 365 days.

        They are nan where they overflow, as at a negative rate over the years to a mistyped date.
        """
        exponent = -self.rate(date) * np.asarray(maturity, float)
        return np.exp(np.where(exponent < LARGEST_EXPONENT, exponent, np.nan))

    def covers(self, date: str | Date | pd.Timestamp) -> bool:
        """Whether the date lies between the first and the last date of the history."""
        return bool(self.day[0] <= _day(date) <= self.day[-1])


def flat_rate(rate: float) -> Rates:
    """Make rates that are the same on all dates.

    Args:
        rate: Continuously compounded rate per year of 365 days, decimal.

    Raises:
        ArgumentError: The rate is not a finite number.
    """
    if not isinstance(rate, int | float | np.number) or not np.isfinite(rate):
        raise ArgumentError(f"rate={rate!r} is not a finite number; write 0.03 for 3 %.")
    if abs(rate) > LARGEST_RATE:
        raise ArgumentError(
            f"rate={rate!r} is {100 * rate:g} %, more than any market's; a rate is a decimal, so write "
            f"{rate / 100:g} for {rate:g} %."
        )
    percent = 100 * DAYS_A_MONEY_MARKET_YEAR * np.expm1(rate / DAYS_A_YEAR)
    return Rates(np.zeros(1), np.array([percent]))


def load_rates(path: MarketData) -> Rates:
    """Read a history of an overnight money-market rate in percent, act/360.

    Args:
        path: CSV file, plain or gzip, Parquet file or table, with a date and a rate column. A CSV file is
            separated by commas with decimal points, or by semicolons with decimal commas. `NAMES`
            lists the accepted names of the columns.

    Raises:
        DataError: The file cannot be read, a column is missing, a date is wrong or occurs twice, or a rate is
            not a number. The message names the file, and the line or column.
    """
    table = read_table(path, decimal=",")
    frame = table.select(NAMES, required=("date", "percent"), text=("date",))
    dates = table.dates(column(frame, "date"), "date")
    _check_complete(table, dates, column(frame, "percent"))
    day = dates.dt.as_unit("us").astype("int64").to_numpy() / (SECONDS_A_DAY * 1e6)
    order = np.argsort(day)
    day = day[order]
    repeated = np.diff(day) == 0
    if repeated.any():
        date = dates.iloc[order[1:][repeated][0]]
        raise DataError(f"{table.path}: the date {date:%Y-%m-%d} occurs twice; remove one of its lines.")
    return Rates(day, frame["percent"].to_numpy()[order])


def _check_complete(table: Table, dates: pd.Series, percent: pd.Series) -> None:
    """Refuse a line without a date or a rate."""
    incomplete = (dates.isna() | percent.isna()).to_numpy()
    if incomplete.any():
        raise DataError(
            f"{table.path}: line {int(incomplete.argmax()) + 2} has no date, or a rate that is not a number; "
            "complete or remove the line."
        )
    beyond = (percent.abs() > LARGEST_PERCENT).to_numpy()
    if beyond.any():
        line = int(beyond.argmax())
        raise DataError(
            f"{table.path}: line {line + 2} has the rate {percent.iloc[line]:g} %, more than any market's; "
            "correct or remove the line."
        )


def discount_factors(
    rates: Rates | float | None, date: str | Date | pd.Timestamp, maturity: np.ndarray
) -> np.ndarray:
    """Return discount factors on a date, of the shape of `maturity`; nan if the rates are None.

    Args:
        rates: A history of rates, or one continuously compounded rate; None gives nan.
        date: The date whose rate in the history is used.
        maturity: Years of 365 days, any shape.
    """
    if rates is None:
        return np.full(np.shape(maturity), np.nan)
    history = rates if isinstance(rates, Rates) else flat_rate(rates)
    return history.discount(date, maturity)


def swap_discounts(quoted: np.ndarray, percent: np.ndarray, maturity: np.ndarray) -> np.ndarray | np.floating:
    """Bootstrap discount factors from par rates of overnight swaps.

    A swap of up to a year pays once, a longer one every year: 1 - D(n) = coupon x (D(1) + ... + D(n)). Par
    rates are linear between tenors. Logarithms of discount factors are linear between the tenors of up to a
    year, and between whole years beyond.

    Args:
        quoted: Tenors in years of 365 days, ascending, shape (tenors,).
        percent: Par rates in percent, act/360, shape (tenors,).
        maturity: Years of 365 days, any shape.

    Returns:
        Discount factors of the shape of `maturity`; constant beyond the last tenor.
    """
    count = max(1, round(float(quoted[-1])))
    year = quoted[-1] / count  # the average year, leap days included
    grid = year * np.arange(1, count + 1)
    factors: list[float] = []
    for rate in np.interp(grid, quoted, percent):
        coupon = rate / 100 * year * DAYS_A_YEAR / DAYS_A_MONEY_MARKET_YEAR
        factors.append((1 - coupon * sum(factors)) / (1 + coupon))
    short = quoted <= LONGEST_SINGLE_PAYMENT
    single = percent[short] / 100 * quoted[short] * DAYS_A_YEAR / DAYS_A_MONEY_MARKET_YEAR
    later = grid > np.max(quoted[short], initial=0.0) + LONGEST_SINGLE_PAYMENT - 1.0
    times = np.concatenate([[0.0], quoted[short], grid[later]])
    logarithms = np.concatenate([[0.0], -np.log1p(single), np.log(np.array(factors)[later])])
    return np.exp(np.interp(maturity, times, logarithms))


def _day(date: str | Date | pd.Timestamp) -> float:
    """Return the days from 1970-01-01 to a date in UTC."""
    return midnight(date).timestamp() / SECONDS_A_DAY
