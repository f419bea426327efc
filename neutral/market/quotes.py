"""What a loader returns: one table of quotes with where, when and how it was read."""

import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd


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

    `frame` has the columns of the file plus `maturity`, in years of the day count named by `day_count`.
    Rows are in the order of the file and the index counts from 0. Columns that `prepare` reads: timestamp,
    expiry_datetime (UTC), option_type ("call" or "put"), strike, maturity, bid_price, ask_price,
    futures_price (nan where the file states no forward), underlying_name; where the source has them also
    open_interest, vega, discount (discount factor to the expiry, nan where unknown) and refused (a reason to
    refuse the row that the loader knows, "" where there is none).
    """

    frame: pd.DataFrame
    currency: str  # name of the underlying: BTC, SPX, EURUSD ...
    snapshot_ts: datetime  # UTC; from the file name where it tells, else the earliest timestamp of the rows
    path: Path
    day_count: str  # "file", "365" or "365.25"
    sha256: str  # of the uncompressed bytes of the file
    settlement: Literal["coin", "cash"] = "coin"
    exercise: Literal["european", "american"] = "european"
    spot: float = float("nan")  # price of the underlying, nan where the file does not state it

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def clock_gap(self) -> float:
        """Largest distance in seconds of a row's timestamp from `snapshot_ts`; nan without timestamps.

        Below one second the file name merely drops the fraction.
        """
        gap = (self.frame["timestamp"] - pd.Timestamp(self.snapshot_ts)).abs().max()
        return float(gap.total_seconds()) if gap is not pd.NaT else float("nan")
