"""The content of a file or table, read once, so that the bytes that are hashed are those that are parsed."""

import dataclasses
import gzip
import hashlib
import io
import re
import zlib
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ...quotes.frames import AnyTable, is_table, pandas_frame, table_sha256
from .column_map import NO_COLUMNS, ColumnMap, Columns, column_map
from .json_records import json_frame

PARQUET_MAGIC = b"PAR1"
IN_MEMORY = Path("<table>")  # in place of the path of a table that is no file
GZIP_MAGIC = b"\x1f\x8b"
LARGEST = 1 << 30
"""Bytes of the largest file that is read, unpacked; tables take several times that in memory."""
SUFFIXES = (".csv", ".csv.gz", ".txt", ".txt.gz", ".parquet", ".json", ".json.gz")
"""The endings of files of market data in a folder."""
LONGEST_LINE = 100_000  # bytes; JSON has no lines
# a CSV header may begin with [QUOTE_DATE]
JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{|\[\s*[\[\]{])")
_TOO_LARGE = f"at most {LARGEST:,} are read; divide it into smaller files, such as one for each day."


@dataclasses.dataclass(frozen=True, eq=False)
class FileContent:
    """A file or table in memory, and the caller's map of its columns."""

    path: Path
    stored: bytes  # as on the disk: CSV, gzip or Parquet; b"" for a table in memory
    columns: ColumnMap = NO_COLUMNS
    table: pd.DataFrame | None = None  # of a table in memory
    symbol: str | None = None  # the underlying where the rows state none, according to the caller

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the stored bytes or of the content of the table, hexadecimal."""
        return hashlib.sha256(self.stored).hexdigest() if self.table is None else table_sha256(self.table)

    @cached_property
    def frame(self) -> pd.DataFrame | None:
        """The table in memory, in a Parquet file or in JSON; None for a CSV file.

        Raises:
            DataError: The file is damaged or too large, or is JSON without records.
        """
        if self.table is None and self._is_parquet:
            return _parquet_frame(self.path, self.stored)
        return json_frame(self.path, self.text.decode("utf-8")) if self.is_json else self.table

    @cached_property
    def text(self) -> bytes:
        """The uncompressed bytes, which are UTF-8 text.

        Raises:
            DataError: The file is empty, is damaged, or is not UTF-8 text.
        """
        if self.path.suffix == ".parquet" and not self._is_parquet:
            raise DataError(
                f"{self.path}: this is not a Parquet file, or is damaged. Write it again, as with "
                "table.to_parquet, or give a CSV file its ending .csv."
            )
        return _checked_text(self.path, self.stored)

    @property
    def is_json(self) -> bool:
        """Whether the text is JSON, recognised by its first characters."""
        return self.table is None and not self._is_parquet and JSON_START.match(self.text) is not None

    @property
    def _is_parquet(self) -> bool:
        return self.stored.startswith(PARQUET_MAGIC)


MarketData: TypeAlias = str | Path | FileContent | AnyTable
"""A path, the content of a file, or a table of pandas, polars, pyarrow or another library."""


def read_content(
    data: MarketData, columns: Columns | ColumnMap | None = None, symbol: str | None = None
) -> FileContent:
    """Read a file or table into memory; content that has been read already is returned as it is.

    Args:
        data: A path, a table of any library, or content that has been read already.
        columns: The caller's map of columns; None maps none.
        symbol: The underlying of a file or table that states none; None takes the name of the file.

    Raises:
        DataError: The file cannot be read.
        ArgumentError: The data is neither a path nor a table, or the map of columns is not accepted.
    """
    checked = column_map(columns)
    if isinstance(data, FileContent):
        return dataclasses.replace(data, columns=checked, symbol=symbol) if columns or symbol else data
    if is_table(data):
        return FileContent(IN_MEMORY, b"", checked, pandas_frame(data), symbol)
    if not isinstance(data, str | Path):
        raise ArgumentError(
            f"expected a path, or a table of pandas, polars or pyarrow, got {type(data).__name__}."
        )
    return _read_file(Path(data), checked, symbol)


def _read_file(path: Path, columns: ColumnMap, symbol: str | None) -> FileContent:
    try:
        if not path.is_file() and path.exists():
            what = "a folder" if path.is_dir() else "no regular file"
            raise DataError(
                f"{path}: the file cannot be read: it is {what}; expected a CSV, Parquet or JSON file."
            )
        size = path.stat().st_size
        if size > LARGEST:
            raise DataError(f"{path}: the file has {size:,} bytes; {_TOO_LARGE}")
        return FileContent(path, path.read_bytes(), columns, symbol=symbol)
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read: {error.strerror or error}.") from error


def _parquet_frame(path: Path, data: bytes) -> pd.DataFrame:
    """Read a Parquet file, the unpacked size of which is limited."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise DataError(f"{path}: Parquet files need pyarrow; run pip install 'neutral[io]'.") from error
    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
        groups = range(file.metadata.num_row_groups)
        size = sum(file.metadata.row_group(group).total_byte_size for group in groups)
        if size > LARGEST or file.metadata.num_rows * file.metadata.num_columns > LARGEST // 8:
            raise DataError(f"{path}: the file unpacks to more than {LARGEST:,} bytes; {_TOO_LARGE}")
        return pandas_frame(file.read())
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: this is a damaged Parquet file: {error}. Copy the file again.") from error


def _checked_text(path: Path, data: bytes) -> bytes:
    """Uncompress the bytes of a file if they are gzip, and check that they are UTF-8 text."""
    try:
        if data.startswith(GZIP_MAGIC):
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST + 1)
            if len(data) > LARGEST:
                raise DataError(f"{path}: the file unpacks to more than {LARGEST:,} bytes; {_TOO_LARGE}")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: this is a damaged gzip file: {error}. Copy the file again.") from error
    if not data.strip():
        raise DataError(f"{path}: the file is empty; expected a CSV file with a header and rows, or JSON.")
    if not JSON_START.match(data):
        _check_lines(path, data)
    nul = data.find(b"\0")
    if nul >= 0:
        raise DataError(
            f"{path}: line {_line(data, nul)} has zero bytes, so this is not a CSV file; expected UTF-8 "
            "text, plain or gzip."
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: line {_line(data, error.start)} is not UTF-8 text; save the file in UTF-8."
        ) from error
    return data


def _check_lines(path: Path, data: bytes) -> None:
    """Refuse a table with a line that is too long for one."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    lengths = np.diff(ends, prepend=-1, append=len(data))
    if lengths.max() > LONGEST_LINE:
        raise DataError(
            f"{path}: line {int(lengths.argmax()) + 1} has {lengths.max():,} bytes, so this is no table of "
            f"options; expected a header and a line for each row, each of at most {LONGEST_LINE:,} bytes."
        )


def _line(data: bytes, position: int) -> int:
    """Return the line of a byte, counted from 1."""
    return data.count(b"\n", 0, position) + 1
