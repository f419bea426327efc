"""Reads the cells of a sheet of a workbook as the columns of a table of results."""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pandas as pd

from ...errors import DataError
from ..csv_files import FORMULA

if TYPE_CHECKING:
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

ABSENT = ("", "nan", "none", "null", "nat", "n/a")  # texts for a missing value, in small letters
COMPACT_TIME = "%Y%m%dT%H%M%SZ"  # as in the names of snapshot files
TRUTHS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
DTYPES = {"real": "float64", "count": "Int64", "time": "datetime64[us, UTC]", "flag": "boolean"}
NEEDED = ("snapshot_ts", "currency")  # columns of which every row has a value
MOST_ROWS = 1 << 20  # of a sheet, by the definition of the format
LONGEST = 60  # characters of a value that a message shows
ALSO = {"F0": "forward"}  # other names of columns in workbooks


def read_cells(
    place: str, sheet: "ReadOnlyWorksheet", columns: Mapping[str, str], names: Mapping[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """Read a sheet whose first row has the names of its columns; empty rows are left out.

    Args:
        place: The file and the sheet, for messages.
        sheet: The sheet.
        columns: The kind of each column that is wanted, by name; others are left out.
        names: The name of a column by the name in the sheet, where these differ.

    Returns:
        The table, without the columns that the sheet does not have, and the names that are left out.

    Raises:
        DataError: A column is there twice, or a value is not of the kind of its column.
    """
    sheet.reset_dimensions()  # programs that write row by row state wrong ones
    rows = sheet.iter_rows(values_only=True)
    header = [str(x).strip() if x is not None else "" for x in next(rows, ())]
    titles = {i: _column(title, columns, names) for i, title in enumerate(header) if title}
    known = {i: name for i, name in titles.items() if name in columns}
    if len(set(known.values())) < len(known):
        twice = next(name for name in known.values() if list(known.values()).count(name) > 1)
        raise DataError(f"{place}: has the column {twice} twice; remove one of them.")
    content = [row for row in _numbered(place, rows) if any(x is not None and x != "" for x in row[1])]
    table = {
        name: _values(place, header[i], content, i, columns[name], is_needed=name in NEEDED)
        for i, name in known.items()
    }
    frame = pd.DataFrame(table, index=range(len(content)))
    return frame, [header[i] for i in titles if i not in known]


def _numbered(place: str, rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Number the rows after the header; a damaged sheet may claim more rows than anyone can wait for."""
    for number, row in enumerate(rows, 2):
        if number > MOST_ROWS:
            raise DataError(f"{place}: is damaged: it has more rows than the {MOST_ROWS} of a sheet.")
        yield number, row


def _column(title: str, columns: Mapping[str, str], names: Mapping[str, str]) -> str:
    """Return the name of the column with a title; capital letters do not matter where they are not needed."""
    if title in names and names[title] in columns:
        return names[title]
    if title in columns or title in ALSO:
        return ALSO.get(title, title)
    small = title.lower()
    return names.get(small, small) if names.get(small, small) in columns else title


def _values(
    place: str, title: str, content: list[tuple[int, Any]], i: int, kind: str, is_needed: bool
) -> pd.Series:
    """Convert the cells of a column; where the column is needed, none may be missing."""
    convert = CONVERSIONS.get(kind, _text)
    values = []
    for number, row in content:
        value = row[i] if i < len(row) else None
        is_absent = value is None or (isinstance(value, str) and value.strip().lower() in ABSENT)
        try:
            values.append(None if is_absent else convert(value))
        except (ValueError, TypeError, KeyError, OverflowError):
            raise DataError(
                f"{place}, row {number}: {title} is {str(value)[:LONGEST]!r}; expected {EXPECTED[kind]}."
            ) from None
        if is_absent and is_needed:
            raise DataError(f"{place}, row {number}: {title} is missing; expected {EXPECTED[kind]}.")
    return typed(values, kind)


def typed(values: list[Any], kind: str) -> pd.Series:
    """Return values of a kind, of which None is missing, as a column of its type."""
    return pd.Series(values, dtype=DTYPES.get(kind, "object"))


def _time(value: object) -> datetime:
    """Read a time of the workbook or a text; a time without a zone is UTC."""
    if isinstance(value, str):
        text = value.strip()
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            when = datetime.strptime(text, COMPACT_TIME)
    elif isinstance(value, datetime):
        when = value
    elif isinstance(value, date):
        when = datetime.combine(value, time())
    else:
        raise ValueError(value)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _count(value: object) -> int:
    number = float(str(value))
    if not number.is_integer():
        raise ValueError(value)
    return int(number)


def _flag(value: object) -> bool:
    return value if isinstance(value, bool) else TRUTHS[str(value).strip().lower().removesuffix(".0")]


def _text(value: object) -> str:
    """Return text, without the apostrophe that keeps it from being a formula."""
    text = str(value)
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _real(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError(value)
    return float(str(value)) if isinstance(value, str) else float(value)  # pyright: ignore[reportArgumentType]


def _reals(value: object) -> list[float]:
    numbers = [float(part) for part in str(value).split(",")]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(value)
    return numbers


CONVERSIONS: dict[str, Callable[[object], Any]] = {
    "real": _real,
    "reals": _reals,
    "count": _count,
    "flag": _flag,
    "time": _time,
}
EXPECTED = {
    "real": "a number",
    "reals": "numbers separated by commas",
    "count": "a whole number",
    "flag": "true or false",
    "time": "a UTC time such as 2026-01-14T15:34:05Z",
    "text": "a text",
}
