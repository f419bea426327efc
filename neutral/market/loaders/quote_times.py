"""Reads times of the day in columns and in names of files, in UTC."""

import re
import reprlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import DataError
from .csv_table import numbers
from .table import Table

SECONDS = 1e9  # from 1970 to 2001; the same in ms, us and ns is 10^3, 10^6 and 10^9 times as large
FIRST = pd.Timestamp("2001-01-01", tz="UTC")
LAST = pd.Timestamp("2200-01-01", tz="UTC")


def parse_times(table: Table, values: pd.Series, name: str) -> pd.Series:
    """Parse a column of times: numbers since 1970, whose size determines the unit, or text.

    Args:
        table: The file.
        values: Text; a blank becomes NaT.
        name: The file's name of the column, for the error.

    Raises:
        DataError: A value has no accepted form or another unit than the others, or is outside 2001 to 2199.
    """
    missing = values.isna().to_numpy()
    number = numbers(values).to_numpy()
    if (number >= SECONDS).any():
        with np.errstate(invalid="ignore", divide="ignore"):
            unit = np.floor(np.log10(number / SECONDS) / 3)  # 0 for seconds, 1 for ms, 2 for us, 3 for ns
        first = unit[np.argmax(~missing)]
        _refuse(table, values, name, ~missing & ~((unit == first) & (unit >= 0) & (unit <= 3)))
        micros = np.round(np.where(missing, 0.0, number) * 10.0 ** (6 - 3 * first)).astype("int64")
        times = pd.Series(micros.astype("datetime64[us]"), values.index).dt.tz_localize("UTC").mask(missing)
    else:
        times = table.dates(values, name)
    _refuse(table, values, name, ~missing & ~times.between(FIRST, LAST).to_numpy())
    return times


def _refuse(table: Table, values: pd.Series, name: str, wrong: np.ndarray) -> None:
    """Refuse a column of times with a wrong value, naming the first."""
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(
            f"{table.path}: row {first + 1}: {name} {reprlib.repr(values[first])} is no time between "
            f"{FIRST:%Y} and {LAST:%Y} of the form of the others. Accepted are seconds, milliseconds, "
            "microseconds or nanoseconds since 1970, and ISO times such as 2024-04-01T12:00:00Z, one form in "
            "a column."
        )


def time_in(path: Path) -> datetime | None:
    """Return the time in a file name, such as btc_20240401T120000Z.json, or None; a date alone is no time."""
    for day, time in re.findall(r"(?<!\d)(\d{8})[T_-]?(\d{6})(?!\d)", path.name):
        try:
            return datetime.strptime(day + time, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:  # the digits are no time
            continue
    return None
