"""Announced dividends by ex-date, from a file or a table, and those that lie ahead of a market's quotes."""

import dataclasses
from collections.abc import Mapping
from datetime import date as Date
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import pandas as pd

from ..errors import ArgumentError, DataError
from ..times import DAY_COUNTS, DAYS_A_YEAR, SECONDS_A_DAY
from .loaders.choices import midnight
from .loaders.column_map import Columns
from .loaders.file_content import MarketData, read_content
from .loaders.table import Table, read_table
from .quotes import UNKNOWN_DATE, Quotes, column

DividendModel = Literal["spot", "escrowed"]
NAMES = {
    "ex_date": ("ex_date", "ex-date", "exdate", "ex_dividend_date", "date"),
    "cash": ("cash", "amount", "dividend", "dividends"),
    "proportional": ("proportional", "fraction"),
    "underlying": ("underlying", "symbol", "ticker"),
}


class Upcoming(NamedTuple):
    """Dividends ahead of a market's quotes, in the order of their times; shape (dividends,) each."""

    times: np.ndarray  # years to the ex-dates, > 0
    cash: np.ndarray  # in the unit of the spot
    proportional: np.ndarray  # fractions of the price
    model: DividendModel

    def until(self, t: float) -> "Upcoming":
        """The dividends up to a maturity."""
        near = self.times <= t + LEAST_GAP
        return Upcoming(self.times[near], self.cash[near], self.proportional[near], self.model)


LEAST_GAP = 1e-9  # years; times closer than this are the same moment


@dataclasses.dataclass(frozen=True, eq=False)
class DividendSchedule:
    """Dividends by ex-date.

    Attributes:
        frame: Columns ex_date (midnight UTC), cash (in the unit of the spot), proportional (fraction of the
            price) and underlying (upper case; "" for every underlying), one row per dividend.
        model: Whose volatility quotes are turned into: "spot" or "escrowed", as in
            `neutral.options.american.Dividends`.
    """

    frame: pd.DataFrame
    model: DividendModel = "spot"

    def __post_init__(self) -> None:
        """Check the model.

        Raises:
            ArgumentError: The model is unknown.
        """
        if self.model not in ("spot", "escrowed"):
            raise ArgumentError(f"the dividend model must be 'spot' or 'escrowed', got {self.model!r}.")

    def upcoming(self, quotes: Quotes) -> Upcoming:
        """The dividends of the underlying of quotes, after the day of the quotes.

        Times are whole calendar days over the days of the year that the quotes' maturities have. A dividend
        on the day of the quotes has been paid: the spot is without it.

        Raises:
            DataError: The quotes have no date.
        """
        if quotes.snapshot_ts == UNKNOWN_DATE:
            raise DataError(
                f"{quotes.path}: the quotes have no date, so dividends cannot be placed; pass date=."
            )
        today = midnight(quotes.snapshot_ts)
        named = self.frame["underlying"].isin(["", quotes.currency.upper()])
        ahead = cast(pd.DataFrame, self.frame[named & (self.frame["ex_date"] > today)])
        rows = ahead.sort_values("ex_date", kind="stable")
        days = (rows["ex_date"] - today).dt.total_seconds().to_numpy() / SECONDS_A_DAY
        year = DAY_COUNTS.get(quotes.day_count, DAYS_A_YEAR)
        return Upcoming(
            times=days / year,
            cash=rows["cash"].to_numpy(float),
            proportional=rows["proportional"].to_numpy(float),
            model=self.model,
        )


Dividends = DividendSchedule | Mapping[str | Date, float] | str | Path
"""A schedule, cash dividends by ex-date, or the path of a file of dividends."""


def load_dividends(
    path: MarketData, model: DividendModel = "spot", columns: Columns | None = None
) -> DividendSchedule:
    """Read dividends from a file.

    Args:
        path: CSV file, plain or gzip, Parquet file or table: `ex_date`, `cash` or `proportional` (or both; an
            empty cell is 0), and `underlying` where the file is of several. `NAMES` lists other accepted
            names.
        model: As in `DividendSchedule`.
        columns: A map from the names of this package to the file's, for columns with other names; see
            `Columns`. None maps none.

    Raises:
        DataError: The file cannot be read, a column is missing, or a row has no date or no possible amount.
            The message names the file, and the line or column.
        ArgumentError: The model is unknown.
    """
    table = read_table(read_content(path, columns))
    frame = table.select(NAMES, required=("ex_date",), text=("ex_date", "underlying"))
    if "cash" not in frame and "proportional" not in frame:
        accepted = ", ".join([*NAMES["cash"], *NAMES["proportional"]])
        raise DataError(
            f"{path}: the file has no column of amounts; expected one of {accepted}. "
            f"The file has the columns {', '.join(table.frame)}."
        )
    dates = table.dates(column(frame, "ex_date"), "ex_date")
    filled = {
        key: column(frame, key).where(frame[key].notna() | ~_blank(table, key), 0.0)
        if key in frame
        else pd.Series(0.0, index=frame.index)
        for key in ("cash", "proportional")
    }
    named = column(frame, "underlying").str.strip().str.upper() if "underlying" in frame else ""
    return DividendSchedule(_checked(str(path), dates, filled, named), model)


def as_schedule(dividends: Dividends) -> DividendSchedule:
    """Turn what a caller may give into a schedule.

    Raises:
        ArgumentError: It is none of the accepted forms, or a date or an amount is wrong.
        DataError: As `load_dividends`.
    """
    if isinstance(dividends, DividendSchedule):
        return dividends
    if isinstance(dividends, str | Path):
        return load_dividends(dividends)
    if not isinstance(dividends, Mapping):
        raise ArgumentError(
            f"dividends={dividends!r} is none; expected cash amounts by ex-date ({{'2024-05-10': 0.25}}), "
            "load_dividends(path), or the path."
        )
    try:
        dates = pd.Series([pd.Timestamp(midnight(day)) for day in dividends], dtype="datetime64[us, UTC]")
        amounts = pd.Series([float(amount) for amount in dividends.values()], dtype=float)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"dividends={dict(dividends)!r}: expected cash amounts by ex-date, for example "
            "{'2024-05-10': 0.25}."
        ) from error
    none = pd.Series(0.0, index=amounts.index)
    try:
        return DividendSchedule(_checked("dividends", dates, {"cash": amounts, "proportional": none}, ""))
    except DataError as error:
        raise ArgumentError(str(error)) from error


def _blank(table: Table, key: str) -> pd.Series:
    """Mark the rows whose cell under a key of `NAMES` is empty."""
    cells = column(table.frame, table.name_of(key, NAMES) or key)
    return cells.isna() | (cells.astype(str).str.strip() == "")


def _checked(
    source: str, dates: pd.Series, amounts: Mapping[str, pd.Series], underlying: pd.Series | str
) -> pd.DataFrame:
    """The table of a schedule.

    Raises:
        DataError: A row has no date, or an amount that no dividend has.
    """
    frame = pd.DataFrame({"ex_date": dates, **amounts}).assign(underlying=underlying)
    cash = frame["cash"].to_numpy(float)
    share = frame["proportional"].to_numpy(float)
    wrong = frame["ex_date"].isna().to_numpy() | ~(cash >= 0) | ~np.isfinite(cash)
    wrong |= ~((share >= 0) & (share < 1))
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{source}: dividend {row + 1} has the date {frame['ex_date'].iloc[row]}, cash {cash[row]} and "
            f"proportional {share[row]}; expected a date, cash >= 0 in the unit of the spot, and a fraction "
            "of the price in [0, 1)."
        )
    return frame
