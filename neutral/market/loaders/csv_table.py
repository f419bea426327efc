"""Parses CSV files; every fault of a file is an error that names the place."""

import io
import re
from collections import Counter
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from ...errors import DataError

LARGEST_NUMBER = 1e100  # no market has a larger one, and sums of a few larger ones overflow
MARKED = r"[-+]?\s*\$?\s*(\d{1,3}(,\d{3})+|\d+)(\.\d*)?"  # a number as people write it
# fields between semicolons: a comma that separates no thousands, and a decimal point
DECIMAL_COMMA = re.compile(rb'[;\n]"?[-+]?(0\d*,\d+|\d+,\d{1,2}|\d+,\d{4,}|\d{4,},\d+)"?(?=[;\r\n]|\Z)')
DECIMAL_POINT = re.compile(rb'[;\n]"?[-+]?[\d,]*\.\d+"?(?=[;\r\n]|\Z)')


def header_of(data: bytes) -> str:
    """Return the first line, without the byte order mark."""
    return data.split(b"\n", 1)[0].decode("utf-8-sig").strip("\r")


def header_names(data: bytes) -> tuple[str, list[str]]:
    """Return the separator of a file, and its column names as `Table` writes them."""
    header = header_of(data)
    separator = next((mark for mark in (";", "\t") if mark in header), ",")
    return separator, [plain_name(name) for name in header.split(separator)]


def check_unique(path: Path, names: list[str]) -> None:
    """Refuse a header that names a column twice.

    Raises:
        DataError: A name occurs twice; the message lists such names.
    """
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise DataError(
            f"{path}: the header names a column twice: {', '.join(repeated)}. Remove or rename one of them."
        )


def check_rows(path: Path, frame: pd.DataFrame) -> None:
    """Refuse a file without rows.

    Raises:
        DataError: There is no row.
    """
    if frame.empty:
        raise DataError(f"{path}: the file has a header and no rows; expected a row for each option or date.")


def parse(path: Path, data: bytes, separator: str = ",", decimal: str = ".") -> pd.DataFrame:
    """Parse the rows of a CSV file; pandas infers the types of the columns.

    Args:
        path: The file, for messages.
        data: Its uncompressed bytes.
        separator: Between fields.
        decimal: The decimal point or comma.

    Raises:
        DataError: The bytes are not a CSV file, or rows have more fields than the header.
    """
    try:  # low_memory would read in chunks, which could give one column several types
        frame = pd.read_csv(io.BytesIO(data), sep=separator, decimal=decimal, low_memory=False)
    except ValueError as error:  # the base class of pandas' ParserError
        raise DataError(
            f"{path}: this is not a readable CSV file: {str(error).strip()}. Every row needs the fields that "
            "the header names, and quotation marks in pairs."
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas makes an index of a field too many in every row
        raise DataError(
            f"{path}: line 2 has more fields than the header has columns; name every column in the header."
        )
    return frame


def decimal_mark(data: bytes) -> str:
    """Return the decimal mark of a file separated by semicolons: a comma if numbers show it, else a point.

    Commas separate thousands as well: 1,250 shows nothing, while 12,5 or 0,125 shows a decimal comma, unless
    other numbers have a decimal point.
    """
    return "," if DECIMAL_COMMA.search(data) and not DECIMAL_POINT.search(data) else "."


def texts(values: pd.Series) -> pd.Series:
    """Convert a column to text; a column of text is returned unchanged."""
    return values if isinstance(values.dtype, pd.StringDtype) else values.astype("str")


def numbers(values: pd.Series) -> pd.Series:
    """Convert a column to float64, nan where it has no number or one beyond `LARGEST_NUMBER`."""
    parsed = _parsed(values)
    too_large = parsed.abs() > LARGEST_NUMBER
    return parsed.mask(too_large) if too_large.any() else parsed


def _parsed(values: pd.Series) -> pd.Series:
    if values.dtype == np.float64:
        return values
    if pd.api.types.is_bool_dtype(values):
        return pd.Series(np.nan, index=values.index)
    if values.dtype == object:  # whole numbers of more digits than a number has
        values = texts(values)
    if isinstance(values.dtype, pd.StringDtype):
        values = _without_marks(values)
    return cast(pd.Series, pd.to_numeric(values, errors="coerce")).astype("float64")


def _without_marks(values: pd.Series) -> pd.Series:
    """Remove signs of dollars and separators of thousands from numbers: $1,234.50 becomes 1234.50.

    A comma that separates no thousands, such as that of 1,5, stays, and the text is then no number.
    """
    plain = values.str.strip()
    marked = plain.str.fullmatch(MARKED, na=False)
    if not marked.any():
        return plain
    return plain.mask(marked, plain.str.replace(r"[$,\s]", "", regex=True))


def plain_name(name: str) -> str:
    """Return the name of a column in lower case, without blanks, quotation marks and brackets around it."""
    words = name.strip().strip('"').strip().strip("[]").lower().split()
    return " ".join(words)  # on one line, even if a stray quotation mark extends a name over several lines
