"""What a loader returns: one table of quotes with where, when and how it was read."""

import dataclasses
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pandas as pd

Settlement = Literal["coin", "cash"]
Exercise = Literal["european", "american"]
UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a file of maturities in years has no date, expiries are counted from here."""


@dataclasses.dataclass(frozen=True, eq=False)
class Snapshot:
    """One file as read, all currencies together, before a day count is chosen."""

    frame: pd.DataFrame  # one row per listed option, in the order of the file
    path: Path
    snapshot_ts: datetime  # UTC
    sha256: str  # of the uncompressed bytes

    @property
    def currencies(self) -> tuple[str, ...]:
        """Currencies present, in alphabetical order."""
        return tuple(sorted(self.frame["currency"].unique()))


@dataclasses.dataclass(frozen=True, eq=False)
class Quotes:
    """The quotes of one underlying at one time; nothing is filtered out yet.

    `frame` has one row per listed option, in the order of the file, the index counting from 0. All files
    give it the columns timestamp, expiry_datetime (both UTC), option_type, strike, maturity (years of the day
    count named by `day_count`), bid_price, ask_price, futures_price (the forward, nan where the file has
    none) and underlying_name; Deribit files all of theirs. All others give it discount (nan where unknown),
    implied_volatility (the vendor's, decimal) and refused (why the row is no quote, "" where it is one), and
    open_interest, volume and vega only where the file has them. Prices are in coin or, discounted as traded,
    in the payment currency: see `settlement`.
    """

    frame: pd.DataFrame
    currency: str  # the underlying: BTC, SPX, AAPL, EURUSD, ...
    snapshot_ts: datetime  # UTC; `UNKNOWN_DATE` where neither file nor caller tell, and timestamp is NaT then
    path: Path
    day_count: str  # "365" or "365.25" days a year; "file": as the file states maturities
    sha256: str  # of the uncompressed bytes of the file
    settlement: Settlement = "coin"
    exercise: Exercise = "european"
    spot: float = math.nan  # of the underlying, nan where the file has none
    assumed_spread: float = math.nan  # of volatility, where the file has a middle and no bid and ask

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def clock_gap(self) -> float:
        """Largest distance in seconds of a row's timestamp from `snapshot_ts`; nan without timestamps.

        Below one second the file name merely drops the fraction.
        """
        gap = (self.frame["timestamp"] - pd.Timestamp(self.snapshot_ts)).abs().max()
        return float(gap.total_seconds()) if gap is not pd.NaT else float("nan")
