"""A parsed file with every underlying and date in it, of which one is picked."""

import dataclasses
import re
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path

import pandas as pd

from ...errors import ArgumentError, DataError
from ..quotes import column
from .choices import as_moment, choose, choose_time, midnight, snapshots_in
from .column_map import how_to_ignore, how_to_map
from .file_content import IN_MEMORY
from .option_table import rows_where
from .symbols import plain_symbol
from .table import Names, Table
from .unknown_columns import refuse_unknown

DATES = ("date", "expiry")  # columns of dates
LEAST_ROWS = 4  # of a file that counts as having another underlying in every row
VENDORS = frozenset(
    "CBOE DOLTHUB NSE OPENBB OPRA OPTIONMETRICS OPTIONSDX ORATS POLYGON THETA THETADATA TRADIER YAHOO "
    "YFINANCE".split()
)
"""Names of files that are not those of underlyings."""


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """A parsed file with every underlying and date in it."""

    frame: pd.DataFrame  # columns underlying, date and snapshot (UTC or NaT), and those of the layout
    path: Path
    sha256: str  # of the uncompressed bytes
    named: bool  # whether the rows state their underlying; otherwise the file name gives it
    timezone: str | None = None  # of the times of day, where the layout states it; None for UTC

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each underlying with each of its times, in time order; the time is None where it is unknown.

        The time is midnight of the day, unless the file has several snapshots of a day.
        """
        return snapshots_in(self.frame)

    def pick(
        self, word: str, name: str | None, date: str | Date | None
    ) -> tuple[pd.DataFrame, str, datetime | None]:
        """Select the rows of one underlying on one date.

        Args:
            word: The caller's name of the argument `name`, for messages.
            name: The underlying, compared as `plain_symbol`; None takes the only one. A file that states no
                underlying has this one.
            date: The quote date or time; None takes the only one. A date chooses the only snapshot of its
                day. A file that states no date has this one.

        Returns:
            The rows, the underlying, and the time of the snapshot, None if it is unknown.

        Raises:
            ArgumentError: The file has several underlyings or dates and the argument that chooses one is
                None, or `date` is not a date.
            DataError: There are no such rows.
        """
        rows = self.frame.reset_index(drop=True)
        moment = as_moment(date)
        wanted = None if name is None else plain_symbol(name)
        if self.named or wanted is None:
            names = sorted(column(rows, "underlying").unique())
            if names == [""]:
                raise ArgumentError(
                    f"{self.path}: the table states no underlying; pass {word}=, such as {word}='SPX', or "
                    f"map the column that has it: {how_to_map('underlying', '...')}."
                )
            wanted = str(choose(self.path, word, wanted, names))
            rows = rows_where(rows, column(rows, "underlying") == wanted)
        times = column(rows, "snapshot")
        if times.notna().any():
            chosen = choose_time(self.path, moment, times)
            rows = rows_where(rows, times == chosen)
            return rows, wanted, chosen
        return rows, wanted, None if moment is None else midnight(moment)


def listing(table: Table, frame: pd.DataFrame, names: Names) -> Listing:
    """Make a listing of typed columns. The file name gives an underlying or a date that no row has.

    Args:
        table: The parsed file.
        frame: Its typed columns.
        names: The accepted names of each column.

    Raises:
        DataError: A date has no accepted form, or a row has no underlying or date although others have.
    """
    parse_date_columns(table, frame, names)
    refuse_unknown(table, frame, names)
    for key in ("date", "underlying"):
        if key in frame and bool(frame[key].notna().any()):
            table.refuse_blanks(column(frame, key), table.name_of(key, names) or key)
    if "date" not in frame:
        frame["date"] = pd.Series(date_in(table.path), index=frame.index, dtype="datetime64[us, UTC]")
    if "snapshot" not in frame:
        frame["snapshot"] = column(frame, "date").dt.normalize()
    named = "underlying" in frame and bool(frame["underlying"].notna().any())
    if named:
        _refuse_contracts(table, column(frame, "underlying"), table.name_of("underlying", names))
    else:
        frame["underlying"] = table.symbol or name_in(table.path)
    frame["stated_underlying"] = frame["underlying"]
    frame["underlying"] = column(frame, "underlying").map(plain_symbol)
    return Listing(frame, table.path, table.sha256, named)


def _refuse_contracts(table: Table, values: pd.Series, name: str | None) -> None:
    """Refuse a column of underlyings with another value in every row, which are names of contracts.

    Raises:
        DataError: There are such values.
    """
    if len(values) < LEAST_ROWS or not values.is_unique:
        return
    raise DataError(
        f"{table.path}: the column {name!r} has another value in every row, such as {values.iloc[0]!r}, so "
        "it names contracts in an unknown form, and no underlyings. Say which column names the underlying: "
        f"{how_to_map('underlying', '...')}; or that the file has only one: {how_to_ignore(str(name))}. The "
        f"file has the columns {table.listed}."
    )


def parse_date_columns(table: Table, frame: pd.DataFrame, names: Names) -> None:
    """Parse the columns of dates, in place; what one column does not show of their form another one may.

    Raises:
        DataError: A date has no accepted form, or can be read in two ways.
    """
    stated = {key: column(frame, key) for key in DATES if key in frame}
    for key, values in stated.items():
        others = [other for name, other in stated.items() if name != key]
        frame[key] = table.dates(values, table.name_of(key, names) or key, others)


def name_in(path: Path) -> str:
    """Return the underlying in a file name: the part before the first `_` or dot, in upper case.

    It is "" for a table in memory, and for a file that is named after a vendor.
    """
    name = re.split(r"[_.]", path.name, maxsplit=1)[0].upper()
    return "" if path == IN_MEMORY or name in VENDORS else name


def date_in(path: Path) -> datetime | None:
    """Return the date of eight digits in a file name, or None if there is none."""
    for digits in re.findall(r"(?<!\d)\d{8}(?!\d)", path.name):
        try:
            return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:  # the digits are not a date
            continue
    return None
