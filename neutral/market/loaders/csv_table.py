"""CSV files as tables of typed columns; every fault of a file as one error that names the place."""

import dataclasses
import gzip
import hashlib
import io
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
ISO = "YYYY-MM-DD"
DATE_FORMATS = {  # pattern, and the format by which pandas knows it
    ISO: (r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?", "ISO8601"),
    "YYYYMMDD": (r"\d{8}", "%Y%m%d"),
}

Names = Mapping[str, tuple[str, ...]]
"""For each column the names by which files call it, in lower case; where a file has two the first counts."""


@dataclasses.dataclass(frozen=True, eq=False)
class FileContent:
    """A file read into memory once, so that the bytes that are hashed are the bytes that are parsed."""

    path: Path
    stored: bytes  # as they are on the disk, plain or gzip

    @property
    def sha256(self) -> str:
        """The SHA-256 of the stored bytes, hexadecimal."""
        return hashlib.sha256(self.stored).hexdigest()

    @cached_property
    def text(self) -> bytes:
        """The uncompressed bytes, which are UTF-8 text.

        Raises:
            DataError: The file is empty, is damaged, or is not UTF-8 text.
        """
        return _checked_text(self.path, self.stored)


@dataclasses.dataclass(frozen=True, eq=False)
class CsvTable:
    """A file as read: names in lower case without blanks and brackets around them, values untyped."""

    frame: pd.DataFrame
    path: Path
    sha256: str  # of the uncompressed bytes

    def select(self, names: Names, required: tuple[str, ...], text: tuple[str, ...]) -> Any:
        """The columns of `names` that the file has, under the keys of `names`.

        Columns named in `text` become text, all others float64 with nan for what is no finite number.

        Raises:
            DataError: A required column is missing.
        """
        missing = [" or ".join(map(repr, names[key])) for key in required if self.name_of(key, names) is None]
        if missing:
            plural = "s" if len(missing) > 1 else ""
            raise DataError(
                f"{self.path}: required column{plural} missing: {', '.join(missing)}; "
                f"the file has {', '.join(self.frame)}"
            )
        columns = {}
        for key in names:
            name = self.name_of(key, names)
            if name is not None:
                columns[key] = texts(self.frame[name]) if key in text else _finite(self.frame[name])
        return pd.DataFrame(columns)

    def name_of(self, key: str, names: Names) -> str | None:
        """What this file calls the column `key`, None where it has none."""
        return next((name for name in names[key] if name in self.frame), None)

    def dates(self, values: Any, column: str) -> Any:
        """A column of dates to UTC; what is blank becomes NaT.

        Raises:
            DataError: A value is in none of the accepted formats, or in another one than the rest.
        """
        return dates(values, self.path, column)


def read_csv(file: str | Path | FileContent, decimal_comma: bool = False) -> CsvTable:
    """Read a CSV file, plain or gzip; the separator is `;` where the header has one, else a comma.

    Args:
        file: The file, or its content where it has been read already.
        decimal_comma: Whether numbers between semicolons have a decimal comma.

    Raises:
        DataError: The file cannot be read, is damaged, empty, or no CSV, or names a column twice.
    """
    content = read_content(file)
    path = content.path
    data = content.text
    separator, names = header_names(data)
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: column twice: {', '.join(twice)}")
    frame = parse(path, data, separator, "," if decimal_comma and separator == ";" else ".")
    frame.columns = [_plain(str(name)) for name in frame.columns]
    if frame.empty:
        raise DataError(f"{path}: has a header and no rows")
    return CsvTable(frame, path, hashlib.sha256(data).hexdigest())


def read_content(file: str | Path | FileContent) -> FileContent:
    """Read a file into memory; a file that has been read already is returned as it is.

    Raises:
        DataError: The file cannot be read.
    """
    if isinstance(file, FileContent):
        return file
    path = Path(file)
    try:
        return FileContent(path, path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _checked_text(path: Path, data: bytes) -> bytes:
    """The uncompressed bytes of a file, which are UTF-8 text."""
    try:
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file: {error}") from error
    if not data.strip():
        raise DataError(f"{path}: is empty")
    nul = data.find(b"\0")
    if nul >= 0:
        raise DataError(f"{path}: line {_line(data, nul)}: zero bytes; this is not a CSV file")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line {_line(data, error.start)}: not UTF-8 text") from error
    return data


def header_of(data: bytes) -> str:
    """The first line."""
    return data.split(b"\n", 1)[0].decode("utf-8-sig").strip("\r")


def header_names(data: bytes) -> tuple[str, list[str]]:
    """The separator of a file, and its column names as `CsvTable` has them."""
    header = header_of(data)
    separator = ";" if ";" in header else ","
    return separator, [_plain(name) for name in header.split(separator)]


def parse(path: Path, data: bytes, separator: str = ",", decimal: str = ".") -> Any:
    """The rows of a CSV file, columns as pandas types them."""
    try:  # in one piece: one type per column
        frame: Any = pd.read_csv(io.BytesIO(data), sep=separator, decimal=decimal, low_memory=False)
    except ValueError as error:  # with pandas' ParserError
        raise DataError(f"{path}: not a readable CSV file: {str(error).strip()}") from error
    if not isinstance(frame.index, pd.RangeIndex):  # how pandas takes one field too many in every row
        raise DataError(f"{path}: line 2: more fields than the header has columns")
    return frame


def texts(values: Any) -> Any:
    """A column as text; itself if it is."""
    return values if isinstance(values.dtype, pd.StringDtype) else values.astype("str")


def numbers(values: Any) -> Any:
    """A column as float64, itself if it is; what is no number becomes nan."""
    if values.dtype == np.float64:
        return values
    if pd.api.types.is_bool_dtype(values):
        return pd.Series(np.nan, index=values.index)
    found: Any = pd.to_numeric(values, errors="coerce")
    return found.astype("float64")


def _finite(values: Any) -> Any:
    found = numbers(values)
    return found.where(np.isfinite(found))


def dates(values: Any, path: Path, column: str) -> Any:
    """As `CsvTable.dates`."""
    codes, distinct = pd.factorize(texts(values))  # a file repeats a handful of dates
    # whole numbers beside blanks are read as floats
    text = pd.Series(distinct, dtype="str").str.strip().str.removesuffix(".0")
    style = next((name for name, form in DATE_FORMATS.items() if text.str.fullmatch(form[0]).any()), ISO)
    pattern, form = DATE_FORMATS[style]
    known: Any = pd.to_datetime(
        text.where(text.str.fullmatch(pattern)), utc=True, errors="coerce", format=form
    )
    wrong = (known.isna() & (text != "")).to_numpy()
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(
            f"{path}: line {int((codes == at).argmax()) + 2}: {column} {text[at]!r} is not of the form "
            f"{style}; accepted are {' or '.join(DATE_FORMATS)}, one form in a column"
        )
    return known.dt.as_unit("us").reindex(codes).set_axis(values.index)  # code -1, missing, becomes NaT


def _plain(name: str) -> str:
    words = name.strip().strip('"').strip().strip("[]").lower().split()
    return " ".join(words)  # one line, also of a name that a stray quote drew over several


def _line(data: bytes, position: int) -> int:
    """The line, counted from 1, of a byte."""
    return data.count(b"\n", 0, position) + 1
