"""Reads CSV and JSON files as tables of typed columns; every fault of a file is an error naming the place."""

import dataclasses
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from ...errors import DataError
from ..quotes import column
from .file_content import FileContent, read_content
from .json_records import json_frame

ISO = "YYYY-MM-DD"
DATE_FORMATS = {  # for each form its regular expression, and the format as pandas writes it
    ISO: (r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?", "ISO8601"),
    "YYYYMMDD": (r"\d{8}", "%Y%m%d"),
}

Names = Mapping[str, tuple[str, ...]]
"""The names that files use for each column, in lower case; if a file has two of them, the first counts."""


@dataclasses.dataclass(frozen=True, eq=False)
class CsvTable:
    """A parsed CSV file. Column names are in lower case, without surrounding blanks and brackets."""

    frame: pd.DataFrame  # pandas infers the types of its columns
    path: Path
    sha256: str  # of the uncompressed bytes

    def select(self, names: Names, required: tuple[str, ...], text: tuple[str, ...]) -> pd.DataFrame:
        """Select the columns of `names` that the file has, under the keys of `names`.

        Args:
            names: Accepted names of each column.
            required: Keys of the columns that the file must have.
            text: Keys of the columns that become text. All others become float64, nan where the file has no
                finite number.

        Returns:
            A new table; columns that the file does not have are absent.

        Raises:
            DataError: A required column is missing.
        """
        missing = [" or ".join(map(repr, names[key])) for key in required if self.name_of(key, names) is None]
        if missing:
            plural = "s" if len(missing) > 1 else ""
            raise DataError(
                f"{self.path}: required column{plural} missing: {', '.join(missing)}. "
                f"The file has the columns {', '.join(self.frame)}. Add each missing column, or rename the "
                "column that holds its values."
            )
        columns = {}
        for key in names:
            name = self.name_of(key, names)
            if name is not None:
                values = column(self.frame, name)
                columns[key] = texts(values) if key in text else _finite(values)
        return pd.DataFrame(columns)

    def name_of(self, key: str, names: Names) -> str | None:
        """Return the file's name of the column `key`, or None if it has no such column."""
        return next((name for name in names[key] if name in self.frame), None)

    def dates(self, values: pd.Series, name: str) -> pd.Series:
        """Parse a column of dates as UTC times; a blank becomes NaT.

        Args:
            values: Dates as text, all in the same one of `DATE_FORMATS`.
            name: The file's name of the column, for the error.

        Raises:
            DataError: A value has no accepted form, or another form than the others.
        """
        codes, distinct = pd.factorize(texts(values))  # a file repeats few dates, so each is parsed once
        # pandas reads a column of whole numbers and blanks as floats
        text = pd.Series(distinct, dtype="str").str.strip().str.removesuffix(".0")
        style = next(
            (name for name, (pattern, _) in DATE_FORMATS.items() if text.str.fullmatch(pattern).any()), ISO
        )
        pattern, form = DATE_FORMATS[style]
        accepted = text.where(text.str.fullmatch(pattern))
        times = pd.to_datetime(accepted, utc=True, errors="coerce", format=form)
        wrong = (times.isna() & (text != "")).to_numpy()
        if wrong.any():
            first = int(wrong.argmax())
            raise DataError(
                f"{self.path}: line {int((codes == first).argmax()) + 2}: {name} {text[first]!r} is not a "
                f"date of the form {style}. Accepted forms are {' and '.join(DATE_FORMATS)}; all dates of a "
                "column must have the same form."
            )
        return times.dt.as_unit("us").reindex(codes).set_axis(values.index)  # code -1, missing, becomes NaT

    def refuse_blanks(self, values: pd.Series, name: str) -> None:
        """Refuse blanks in a column that says to which snapshot each row belongs.

        Args:
            values: The column.
            name: The file's name of the column, for the error.

        Raises:
            DataError: A value is missing; the message names the first line.
        """
        blank = values.isna().to_numpy()
        if blank.any():
            raise DataError(
                f"{self.path}: line {int(blank.argmax()) + 2}: {name} is blank (in {int(blank.sum())} of "
                f"{len(blank)} rows), so it is unknown which snapshot the row belongs to. Fill the column, "
                "or remove these rows."
            )


def read_csv(file: str | Path | FileContent, decimal_comma: bool = False) -> CsvTable:
    """Read a CSV or JSON file, plain or gzip; CSV is separated by `;` if the header has one, else by commas.

    Args:
        file: The file, or its content if it has been read already.
        decimal_comma: Whether numbers have a decimal comma where the separator is `;`.

    Raises:
        DataError: The file cannot be read, is damaged, is empty, is neither CSV nor JSON, or names a column
            twice.
    """
    content = read_content(file)
    path = content.path
    data = content.text
    if content.is_json:
        frame = json_frame(path, data.decode("utf-8"))
        check_unique(path, [_plain(str(name)) for name in frame.columns])
    else:
        separator, names = header_names(data)
        check_unique(path, [name for name in names if name])
        frame = parse(path, data, separator, "," if decimal_comma and separator == ";" else ".")
    frame.columns = [_plain(str(name)) for name in frame.columns]
    check_rows(path, frame)
    return CsvTable(frame, path, hashlib.sha256(data).hexdigest())


def column_names(content: FileContent) -> list[str]:
    """Return the column names of a file, or the fields of its records, as `CsvTable` writes them.

    Raises:
        DataError: The file is damaged or empty, or is JSON without records.
    """
    if content.is_json:
        return list(read_csv(content).frame)
    return header_names(content.text)[1]


def header_of(data: bytes) -> str:
    """Return the first line, without the byte order mark."""
    return data.split(b"\n", 1)[0].decode("utf-8-sig").strip("\r")


def header_names(data: bytes) -> tuple[str, list[str]]:
    """Return the separator of a file, and its column names as `CsvTable` writes them."""
    header = header_of(data)
    separator = ";" if ";" in header else ","
    return separator, [_plain(name) for name in header.split(separator)]


def check_unique(path: Path, names: list[str]) -> None:
    """Refuse a header that names a column twice.

    Raises:
        DataError: A name occurs twice; the message lists such names.
    """
    repeated = sorted({name for name in names if names.count(name) > 1})
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


def texts(values: pd.Series) -> pd.Series:
    """Convert a column to text; a column of text is returned unchanged."""
    return values if isinstance(values.dtype, pd.StringDtype) else values.astype("str")


def numbers(values: pd.Series) -> pd.Series:
    """Convert a column to float64, nan where it has no number; a float64 column is returned unchanged."""
    if values.dtype == np.float64:
        return values
    if pd.api.types.is_bool_dtype(values):
        return pd.Series(np.nan, index=values.index)
    if values.dtype == object:  # whole numbers of more digits than a number has
        values = texts(values)
    return cast(pd.Series, pd.to_numeric(values, errors="coerce")).astype("float64")


def _finite(values: pd.Series) -> pd.Series:
    parsed = numbers(values)
    return parsed.where(np.isfinite(parsed))


def _plain(name: str) -> str:
    words = name.strip().strip('"').strip().strip("[]").lower().split()
    return " ".join(words)  # on one line, even if a stray quotation mark extends a name over several lines
