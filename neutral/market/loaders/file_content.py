"""The bytes of a file, read once and checked, so that the bytes that are hashed are those that are parsed."""

import dataclasses
import gzip
import hashlib
import io
import re
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np

from ...errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
LARGEST = 1 << 30
"""Bytes of the largest file that is read, unpacked; tables take several times that in memory."""
LONGEST_LINE = 100_000  # bytes; JSON has no lines
# a CSV header may begin with [QUOTE_DATE]
JSON_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{|\[\s*[\[\]{])")
_TOO_LARGE = f"at most {LARGEST:,} are read; divide it into smaller files, such as one for each day."


@dataclasses.dataclass(frozen=True, eq=False)
class FileContent:
    """A file read into memory once, so that the bytes that are hashed are the bytes that are parsed."""

    path: Path
    stored: bytes  # as on the disk, plain or gzip

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

    @property
    def is_json(self) -> bool:
        """Whether the text is JSON, which its first characters tell."""
        return JSON_START.match(self.text) is not None


def read_content(file: str | Path | FileContent) -> FileContent:
    """Read a file into memory; content that has been read already is returned unchanged.

    Raises:
        DataError: The file cannot be read.
    """
    if isinstance(file, FileContent):
        return file
    path = Path(file)
    try:
        if not path.is_file() and path.exists():
            what = "a folder" if path.is_dir() else "no regular file"
            raise DataError(f"{path}: the file cannot be read: it is {what}; expected a CSV or JSON file.")
        size = path.stat().st_size
        if size > LARGEST:
            raise DataError(f"{path}: the file has {size:,} bytes; {_TOO_LARGE}")
        return FileContent(path, path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: the file cannot be read: {error.strerror or error}.") from error


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
