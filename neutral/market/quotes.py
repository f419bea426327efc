"""Defines the result of every loader: one table of quotes, and from which file, when and how it was read."""

import dataclasses
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast

import pandas as pd

from ..options.kinds import Settlement

Exercise = Literal["european", "american"]

UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)
"""Date from which the expiries of a file are counted that states maturities in years and no date."""


@dataclasses.dataclass(frozen=True, eq=False)
class Quotes:
    """The quotes of one underlying at one time, before any filter.

    `frame` has one row per listed option, in the order of the file, and an index that counts from 0. Every
    loader fills the columns timestamp, expiry_datetime (both UTC), option_type, strike, maturity (years of
    the day count named by `day_count`), bid_price, ask_price, futures_price (the forward, nan where the file
    states none) and underlying_name. Tables of Deribit files keep all columns of the file. Those of all other
    files add discount (nan where unknown), implied_volatility (the vendor's, decimal) and refused (why the
    row cannot be used, or ""), and open_interest, volume and vega if the file has them. Prices are in coin,
    or discounted in the payment currency; `settlement` says which.
    """

    frame: pd.DataFrame
    currency: str  # the underlying: BTC, SPX, AAPL, EURUSD, ...
    snapshot_ts: datetime  # UTC; `UNKNOWN_DATE`, with timestamps NaT, if neither file nor caller states it
    path: Path
    day_count: str  # "365" or "365.25" days per year; "file" if maturities are those that the file states
    sha256: str  # of the uncompressed bytes of the file
    settlement: Settlement = "coin"
    exercise: Exercise = "european"
    spot: float = math.nan  # price of the underlying, nan if the file has none
    assumed_spread: float = math.nan  # bid-ask spread in volatility, decimal, if the file has only a mid
    forward_agreement: float = 0.0  # least band of parity forwards, where `Filters` has a narrower one

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def clock_gap(self) -> float:
        """Largest distance in seconds between a row's timestamp and `snapshot_ts`; nan without timestamps.

        Deribit file names drop the fraction of the second, so gaps below one second are normal.
        """
        times = pd.to_datetime(self.frame["timestamp"], utc=True)
        gap = (times - pd.Timestamp(self.snapshot_ts)).abs().max()
        return float(gap.total_seconds()) if gap is not pd.NaT else float("nan")


def column(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return one column of a table; to type checkers `frame[name]` might also be a table."""
    return cast(pd.Series, frame[name])
