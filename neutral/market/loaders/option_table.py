"""Builds the common table of options from files of any layout: its columns, dates and refused rows."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...options.kinds import KINDS
from ..filters import EXPIRED, EXPIRES_TODAY, NON_STANDARD, REPEATED, first_reason
from ..quotes import column
from .column_map import how_to_ignore, how_to_map
from .file_content import IN_MEMORY
from .symbols import plain_symbol
from .table import Names, Table
from .unknown_columns import refuse_unknown

ALWAYS = (
    "timestamp",
    "expiry_datetime",
    "option_type",
    "strike",
    "maturity",
    "bid_price",
    "ask_price",
    "futures_price",
    "discount",
    "implied_volatility",
    "underlying_name",
)
WHERE_PRESENT = ("open_interest", "volume", "vega", "quote_time", "root", "settlement_time")
DAY = pd.Timedelta(days=1)
DATES = ("date", "expiry")  # columns of dates
SHOWN = 10  # largest number of values that a message lists
LEAST_ROWS = 4  # of a file that can be said to have another underlying in every row
ON_FUTURES = ("VIX", "VIXW", "VSTOXX", "V2X")  # indices that are not traded; forwards do not follow from them

VENDORS = frozenset(
    "CBOE DOLTHUB NSE OPENBB OPRA OPTIONMETRICS OPTIONSDX ORATS POLYGON THETA THETADATA TRADIER YAHOO "
    "YFINANCE".split()
)
"""Names of files that are not those of underlyings."""

Value = pd.Series | np.ndarray | str | float | pd.Timestamp | pd.api.typing.NaTType
"""A column of a table: one value for each row, or one value for all rows."""
Choice = TypeVar("Choice", str, datetime)


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """A parsed file with every underlying and date in it."""

    frame: pd.DataFrame  # columns underlying, date and snapshot (UTC or NaT), and those of the layout
    path: Path
    sha256: str  # of the uncompressed bytes
    named: bool  # whether the rows state their underlying; otherwise the file name gives it
    timezone: str | None = None  # of the times of day, where the layout tells; None for UTC

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each underlying with each of its times, in time order; the time is None where it is unknown.

        The time is midnight of the day, unless the file has several snapshots of a day.
        """
        pairs = pd.DataFrame({"time": self.frame["snapshot"], "name": self.frame["underlying"]})
        pairs = pairs.drop_duplicates().sort_values(["time", "name"])
        times = [None if time is pd.NaT else time.to_pydatetime() for time in pairs["time"]]
        return tuple(zip(pairs["name"], times, strict=True))

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
                    f"{self.path}: the table states no underlying; pass {word}=, such as "
                    f"{word}='SPX', or map "
                    'the column that has it: columns={"underlying": "..."}.'
                )
            wanted = str(choose(self.path, word, wanted, names))
            rows = rows_where(rows, column(rows, "underlying") == wanted)
        times = column(rows, "snapshot")
        if times.notna().any():
            available = [time.to_pydatetime() for time in sorted(times.unique())]
            chosen = choose(self.path, "date", _of_the_day(moment, available), available)
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
    """Parse the columns of dates, in place; what one column does not tell of their form another one may.

    Raises:
        DataError: A date has no accepted form, or can be read in two ways.
    """
    stated = {key: column(frame, key) for key in DATES if key in frame}
    for key, values in stated.items():
        others = [other for name, other in stated.items() if name != key]
        frame[key] = table.dates(values, table.name_of(key, names) or key, others)


def option_table(
    columns: Mapping[str, Value],
    rows: int,
    non_standard: np.ndarray | bool = False,
    repeated: np.ndarray | bool = False,
) -> pd.DataFrame:
    """Make the frame of `Quotes`, with the reasons of refused rows.

    Args:
        columns: Arrays of shape (rows,) or single values, by the names in `ALWAYS` and `WHERE_PRESENT`. A
            missing column of `ALWAYS` is nan.
        rows: Number of rows.
        non_standard: Whether each row is a contract on another number of shares, bool, shape (rows,).
        repeated: Whether each row repeats an earlier one, bool, shape (rows,).
    """
    names = [*ALWAYS, *(name for name in WHERE_PRESENT if name in columns)]
    frame = pd.DataFrame({name: columns.get(name, np.nan) for name in names}, index=pd.RangeIndex(rows))
    maturity = frame["maturity"].to_numpy()
    frame["refused"] = first_reason(
        [
            (NON_STANDARD, np.broadcast_to(non_standard, rows)),
            (EXPIRED, maturity < 0),
            (EXPIRES_TODAY, maturity == 0),
            (REPEATED, np.broadcast_to(repeated, rows)),
        ],
        rows,
    )
    return frame


def check_exercise(exercise: str | None) -> None:
    """Refuse an unknown exercise.

    Raises:
        ArgumentError: The exercise is neither "european" nor "american" nor None.
    """
    if exercise not in (None, "european", "american"):
        raise ArgumentError(f"exercise={exercise!r} is unknown; expected 'european' or 'american', or None.")


def spot_of(rows: pd.DataFrame, name: str) -> float:
    """Return the median price of the underlying; nan if it is unknown or not the price of an asset."""
    if "spot" not in rows or name in ON_FUTURES:
        return np.nan
    stated = rows["spot"].dropna().to_numpy(float)
    return float(np.median(stated)) if len(stated) else np.nan


def option_types(values: pd.Series) -> pd.Series:
    """Convert kinds such as C or Put to call and put; other text stays, and the filters refuse it."""
    plain = values.str.strip().str.lower()
    return plain.map(KINDS).fillna(plain)


def quote_times(values: pd.Series) -> pd.Series:
    """Convert the ISO times of quotes to UTC; without a zone they are UTC, and other texts become NaT."""
    return pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601").dt.as_unit("us")


def rows_where(frame: pd.DataFrame, chosen: pd.Series | np.ndarray) -> pd.DataFrame:
    """Return the rows where `chosen` (bool, shape (rows,)) is true, with an index that counts from 0."""
    return cast(pd.DataFrame, frame[chosen]).reset_index(drop=True)


def choose(path: Path, name: str, choice: Choice | None, available: Sequence[Choice]) -> Choice:
    """Return the value that the caller wants, or the only one in the file.

    Args:
        path: The file, for messages.
        name: The argument by which the caller chooses, for messages.
        choice: The caller's choice; None takes the only value.
        available: The values in the file.

    Raises:
        ArgumentError: There are several values and `choice` is None.
        DataError: The value is not in the file, or the file has no value.
    """
    if not available:
        raise DataError(f"{path}: no row has a {name}; fill the column, or remove it.")
    if choice is None and len(available) > 1:
        raise ArgumentError(
            f"{path}: the file holds {_listed(available)}; say which one, for example "
            f"{name}={_shown(available[0])!r}."
        )
    if choice is None:
        return available[0]
    if choice not in available:
        raise DataError(
            f"{path}: there are no rows for {name}={_shown(choice)!r}; the file has {_listed(available)}."
        )
    return choice


def as_moment(value: str | Date | None) -> datetime | None:
    """Return a date or time as a time in UTC, in any form that pandas reads; None if the value is None.

    Raises:
        ArgumentError: The value is not a date.
    """
    day = as_date(value)
    if day is None or value is None:
        return None
    time = timestamp_of(value)
    utc = time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")
    return cast(pd.Timestamp, utc).to_pydatetime()


def _of_the_day(moment: datetime | None, available: Sequence[datetime]) -> datetime | None:
    """Return the only snapshot on the day of a time; the time itself if it is one, or there is no such day.

    Several snapshots on that day leave the choice to the caller, so the result is then None.
    """
    if moment is None or moment in available:
        return moment
    same = [time for time in available if time.date() == moment.date()]
    if moment == midnight(moment) and len(same) > 1:
        return None
    return same[0] if len(same) == 1 and midnight(same[0]) in (same[0], moment) else moment


def as_date(value: str | Date | None) -> datetime | None:
    """Return midnight UTC of a date in any form that pandas reads; None if the value is None.

    Raises:
        ArgumentError: The value is not a date.
    """
    if value is None:
        return None
    try:
        when = pd.Timestamp(value)
    except ValueError:
        when = pd.NaT
    if not isinstance(when, pd.Timestamp):
        raise ArgumentError(f"date={value!r} is not a date; expected one such as '2021-03-12'.")
    return midnight(when)


def timestamp_of(when: str | Date) -> pd.Timestamp:
    """Convert a date or time to pandas; the type of `pd.Timestamp(when)` would allow a missing time."""
    return cast(pd.Timestamp, pd.Timestamp(when))


def midnight(when: str | Date) -> datetime:
    """Return midnight UTC of a date or time; a time without a time zone is in UTC."""
    time = timestamp_of(when)
    utc = cast(pd.Timestamp, time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC"))
    return utc.normalize().to_pydatetime()


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


def _shown(value: str | datetime) -> str:
    if not isinstance(value, datetime):
        return str(value)
    return f"{value:%Y-%m-%d}" if value == midnight(value) else f"{value:%Y-%m-%dT%H:%M:%S}"


def _listed(values: Sequence[str | datetime]) -> str:
    if len(values) > SHOWN:
        return f"{_shown(values[0])} to {_shown(values[-1])}, {len(values)} in all"
    return ", ".join(map(_shown, values)) or "none"
