"""The table in which files of listed options end, whatever their layout: columns, dates, refusals."""

import dataclasses
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ..filters import first_reason
from .csv_table import CsvTable, Names

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
WHERE_PRESENT = ("open_interest", "volume", "vega")
KINDS = {"c": "call", "call": "call", "calls": "call", "p": "put", "put": "put", "puts": "put"}
DAY = pd.Timedelta(days=1)
SHOWN = 10
ON_FUTURES = ("VIX", "VIXW", "VSTOXX", "V2X")  # options on futures of an index that is no asset


def spot_of(rows: pd.DataFrame, name: str) -> float:
    """Price of the underlying, the median over rows; nan where there is none, or it is not the underlying."""
    known = "spot" in rows and name not in ON_FUTURES
    return float(np.nanmedian(rows["spot"].to_numpy(float))) if known else np.nan


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """One file as read: every underlying and date together."""

    frame: pd.DataFrame  # underlying; date, UTC or NaT; and what the layout has
    path: Path
    sha256: str
    named: bool  # whether the file says what the underlying is; else the file's own name does

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each underlying with each of its days, in time order; the day is None where none is known."""
        days = self.frame["date"].dt.normalize()
        pairs = pd.DataFrame({"day": days, "name": self.frame["underlying"]}).drop_duplicates()
        pairs = pairs.sort_values(["day", "name"])
        known = [None if day is pd.NaT else day.to_pydatetime() for day in pairs["day"]]
        return tuple(zip(pairs["name"], known, strict=True))

    def pick(self, word: str, name: str | None, date: Any) -> tuple[Any, str, datetime | None]:
        """The rows of one underlying on one date, the underlying, and the date, None where it is unknown.

        Args:
            word: What the caller's argument for the underlying is called.
            name: None takes the only one; where the file does not say, this is its name.
            date: None takes the only one; where the file does not say, this is its date.

        Raises:
            ArgumentError: There are several and none is asked for, or `date` is no date.
            DataError: There are no such rows.
        """
        rows: Any = self.frame
        wanted = as_date(date)
        if self.named or name is None:
            name = str(choose(self.path, word, name, sorted(rows["underlying"].dropna().unique())))
            rows = rows[rows["underlying"] == name]
        days = rows["date"].dt.normalize()
        if days.notna().any():
            present = [day.to_pydatetime() for day in sorted(days.dropna().unique())]
            wanted = choose(self.path, "date", wanted, present)
            rows = rows[days == wanted]
        return rows.reset_index(drop=True), name, wanted


def listing(table: CsvTable, frame: Any, names: Names) -> Listing:
    """Typed columns as a listing: dates are read, underlying and date come from the file name if need be."""
    for key in ("date", "expiry"):
        if key in frame:
            frame[key] = table.dates(frame[key], table.name_of(key, names) or key)
    if "date" not in frame:
        frame["date"] = pd.Series(date_in(table.path), index=frame.index, dtype="datetime64[us, UTC]")
    named = "underlying" in frame
    if not named:
        frame["underlying"] = name_in(table.path)
    return Listing(frame, table.path, table.sha256, named)


def option_table(columns: dict[str, Any], rows: int, non_standard: Any = False) -> pd.DataFrame:
    """The frame of `Quotes`: columns as given, nan where one is not, and the reasons of refused rows.

    Args:
        columns: Arrays or single values by name, those of `ALWAYS` and `WHERE_PRESENT`.
        rows: Number of rows.
        non_standard: Rows that are contracts on another number of shares, shape (rows,).
    """
    names = [*ALWAYS, *(name for name in WHERE_PRESENT if name in columns)]
    frame = pd.DataFrame({name: columns.get(name, np.nan) for name in names}, index=pd.RangeIndex(rows))
    maturity = frame["maturity"].to_numpy()
    frame["refused"] = first_reason(
        [
            ("non-standard contract", np.broadcast_to(non_standard, rows)),
            ("expired before the quote date", maturity < 0),
            ("maturity of zero days", maturity == 0),
        ],
        rows,
    )
    return frame


def option_types(values: Any) -> Any:
    """The kinds as call and put, from C, Put, ...; what is neither stays, for the filters to refuse."""
    plain = values.str.strip().str.lower()
    return plain.map(KINDS).fillna(plain)


def whole_days(expiry: Any, date: Any) -> np.ndarray:
    """Calendar days from date to expiry, shape (rows,); nan where one is missing."""
    return ((expiry.dt.normalize() - date.normalize()) / DAY).to_numpy(float)


def choose(path: Path, name: str, wanted: Any, present: Sequence[Any]) -> Any:
    """The one that is asked for, or the only one.

    Raises:
        ArgumentError: There are several and none is asked for.
        DataError: It is not there.
    """
    if wanted is None and len(present) > 1:
        raise ArgumentError(
            f"{path}: holds {_listed(present)}; say which, for example {name}={_shown(present[0])!r}"
        )
    if wanted is None:
        return present[0]
    if wanted not in present:
        raise DataError(f"{path}: no rows for {name}={_shown(wanted)!r}; the file has {_listed(present)}")
    return wanted


def as_date(value: Any) -> datetime | None:
    """Midnight UTC of a date in any form that pandas reads; None of None.

    Raises:
        ArgumentError: It is no date.
    """
    if value is None:
        return None
    try:
        when: Any = pd.Timestamp(value)
    except ValueError:
        when = pd.NaT
    if when is pd.NaT:
        raise ArgumentError(f"date={value!r}: expected a date, for example '2021-03-12'")
    when = when.tz_localize("UTC") if when.tzinfo is None else when.tz_convert("UTC")
    return when.normalize().to_pydatetime()


def name_in(path: Path) -> str:
    """What comes before the first `_` or dot in the name of a file, in upper case: its underlying."""
    return re.split(r"[_.]", path.name, maxsplit=1)[0].upper()


def date_in(path: Path) -> datetime | None:
    """The date of eight digits in the name of a file, None where there is none."""
    for digits in re.findall(r"(?<!\d)\d{8}(?!\d)", path.name):
        try:
            return datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
        except ValueError:  # digits that are no date
            continue
    return None


def _shown(value: Any) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, datetime) else str(value)


def _listed(values: Sequence[Any]) -> str:
    if len(values) > SHOWN:
        return f"{_shown(values[0])} to {_shown(values[-1])}, {len(values)} in all"
    return ", ".join(map(_shown, values)) or "none"
