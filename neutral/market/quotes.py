"""Defines the result of every loader: one table of quotes, and from which file, when and how it was read."""

import dataclasses
import math
from datetime import UTC, datetime
from datetime import date as Date
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import pandas as pd

from ..errors import ArgumentError
from ..options.kinds import Settlement

if TYPE_CHECKING:
    from ..quotes.frames import AnyTable
    from .clock import VarianceClock
    from .loaders.column_map import Columns
    from .loaders.rates import Rates
    from .loaders.sources import Source

LONGEST_COLLECTION = pd.Timedelta(hours=1)
"""The times of the rows of one snapshot are at most so far apart."""

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
    row cannot be used, or ""), and open_interest, volume, vega and quote_time (UTC) if the file has them.
    Prices are in coin, or discounted in the payment currency; `settlement` states which. With a `clock` other
    than calendar time there is also variance_time (years of that clock), by which surfaces and fits measure
    time.
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
    clock: "VarianceClock | None" = None  # of the column variance_time; None for calendar time
    forward_agreement: float = 0.0  # least band of parity forwards, where `Filters` has a narrower one

    @classmethod
    def from_frame(
        cls,
        frame: "AnyTable",
        date: str | Date | None = None,
        rates: "Rates | float | None" = None,
        columns: "Columns | None" = None,
        symbol: str | None = None,
        **options: object,
    ) -> Self:
        """Make quotes of a table in memory, which has the columns of the files of any loader.

        Args:
            frame: A table of pandas, polars (eager or lazy), pyarrow or another library, or a mapping of
                columns: an option chain, a surface, volatilities by delta or a Deribit snapshot. Names of
                columns and what is refused are those of files; see `open_source`.
            date: Quote date; a table that states a date needs it only to choose one of several.
            rates: Rate of the discount factors: a continuously compounded rate or a history of rates.
            columns: A map from the names of this package to the table's, for columns with other names; see
                `Columns`.
            symbol: The underlying; a table that states one needs it only to choose one of several.
            options: Further options of the loader, such as exercise, settlement, root or spread.

        Returns:
            The quotes of one underlying at one time; `path` is `<table>`, and `sha256` is that of the content
            of the table, whichever library it comes from.

        Raises:
            ArgumentError: The frame is no table, states neither date nor underlying and the argument is
                missing, or there are several and nothing chooses one.
            DataError: The columns fit no kind of table, or their values cannot be used.
        """
        # by its name, because every loader imports this module
        loaders = import_module(".loaders.sources", __package__)
        source: Source = loaders.open_source(frame, columns, symbol)
        given: dict[str, Any] = dict(options) if rates is None else {"rates": rates, **options}
        if date is None and all(time is None for _, time in source.snapshots):
            raise ArgumentError(
                "the table states no quote date; pass date=, such as date='2024-03-04', or map the column "
                'that has it: columns={"date": "..."}.'
            )
        return cast(Self, source.quotes(symbol, date, **given))

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


def refusals(frame: pd.DataFrame) -> pd.Series:
    """Return why the loader refused each row, "" where it did not; shape (rows,)."""
    return column(frame, "refused").fillna("") if "refused" in frame else pd.Series("", index=frame.index)
