"""The result of every loader: one table of quotes, and where, when and how it was read."""

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

import pandas as pd

Settlement = Literal["coin", "cash"]
Exercise = Literal["european", "american"]

SECONDS_A_DAY = 86_400.0
DAYS_A_YEAR = 365.0
"""The year of maturities, rates and discount factors, act/365."""
DAYS_A_JULIAN_YEAR = 365.25
DAYS_A_MONEY_MARKET_YEAR = 360.0
"""The year over which money-market and swap rates accrue, act/360."""
DAY_COUNTS: Mapping[str, float] = {"365": DAYS_A_YEAR, "365.25": DAYS_A_JULIAN_YEAR}
"""Days of the year, by the name of the day count in which a loader can state maturities."""

UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)
"""A file of maturities in years may have no date; its expiries are then counted from this one."""


@dataclasses.dataclass(frozen=True, eq=False)
class Quotes:
    """The quotes of one underlying at one time, before any filter.

    `frame` has one row per listed option, in the order of the file, and an index that counts from 0. Every
    loader fills the columns timestamp, expiry_datetime (both UTC), option_type, strike, maturity (years of
    the day count named by `day_count`), bid_price, ask_price, futures_price (the forward, nan where the file
    states none) and underlying_name. Deribit files keep all their other columns. All other files add
    discount (nan where unknown), implied_volatility (the vendor's, decimal) and refused (why the row is no
    quote, "" where it is one); open_interest, volume and vega are there only if the file has them. Prices
    are in coin, or discounted in the payment currency; `settlement` says which.
    """

    frame: pd.DataFrame
    currency: str  # the underlying: BTC, SPX, AAPL, EURUSD, ...
    snapshot_ts: datetime  # UTC; `UNKNOWN_DATE`, with timestamps NaT, where neither file nor caller state it
    path: Path
    day_count: str  # "365" or "365.25" days a year; "file" where maturities are those that the file states
    sha256: str  # of the uncompressed bytes of the file
    settlement: Settlement = "coin"
    exercise: Exercise = "european"
    spot: float = math.nan  # of the underlying, nan where the file has none
    assumed_spread: float = math.nan  # in volatility, where the file has a mid but no bid and ask

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def clock_gap(self) -> float:
        """Largest distance in seconds between a row's timestamp and `snapshot_ts`; nan without timestamps.

        Deribit file names drop the fraction of the second, so gaps below one second are normal.
        """
        gap = (self.frame["timestamp"] - pd.Timestamp(self.snapshot_ts)).abs().max()
        return float(gap.total_seconds()) if gap is not pd.NaT else float("nan")


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column of a table; type checkers take `frame[name]` for a table as well."""
    return cast(pd.Series, frame[name])
