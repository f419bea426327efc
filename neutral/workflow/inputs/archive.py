"""Lists an archive: input files, the snapshots in them with their positions, and blocks of snapshots."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from ...durable import sha256
from ...errors import DataError, NeutralError
from ...market import list_snapshots
from ...market.loaders.column_map import NO_COLUMNS, ColumnMap
from ...market.loaders.deribit import NAME, snapshot_time
from ...market.loaders.file_content import SUFFIXES, read_content
from ...market.loaders.sources import Source, open_source
from ...market.quotes import UNKNOWN_DATE
from ...times import time_text

UNREADABLE = "unreadable"  # replaces the SHA-256 of a file that cannot be read
Entry = tuple[int, str, str]  # position, `SnapshotFile.name`, SHA-256 of the file


class OpenedFile(NamedTuple):
    """A file that has been read once: its content, or the reason why it cannot be used."""

    sha256: str  # of the bytes that were parsed, as on the disk
    source: Source | None
    reason: str = ""


@dataclass(frozen=True)
class SnapshotFile:
    """A file, or one date of it, and its position in the archive, which seeds the split of its quotes."""

    path: Path
    position: int
    date: datetime | None = None  # UTC; None if the file name states the time
    underlyings: tuple[str, ...] | None = None  # None if the file has not been opened
    digest: str | None = None  # SHA-256 of the bytes that were read; None if the file has not been opened

    @property
    def time(self) -> datetime:
        """The UTC time of the snapshot."""
        return self.date or snapshot_time(self.path)

    @property
    def timestamp(self) -> str:
        """The time as text in the format of results."""
        return time_text(self.time)

    @property
    def name(self) -> str:
        """The name of the file, with the date if the file may have several, and the time if it is stated."""
        if self.date is None:
            return self.path.name
        at_midnight = self.date.time() == time.min
        return f"{self.path.name}@{self.date:{'%Y-%m-%d' if at_midnight else '%Y-%m-%dT%H:%M:%S'}}"

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that were read, or of those on the disk if the file was never opened."""
        if self.digest is not None:
            return self.digest
        try:  # a pipe could be waited for without end
            return sha256(self.path) if self.path.is_file() else UNREADABLE
        except OSError:  # the file is refused when its block is loaded
            return UNREADABLE

    @property
    def entry(self) -> Entry:
        """The identity of the input: snapshots with equal entries have equal results."""
        return self.position, self.name, self.sha256


def market_files(inputs: Iterable[str | Path]) -> list[Path]:
    """List files, and the files of folders that have an ending of `SUFFIXES`, by name.

    Raises:
        DataError: A file does not exist, or a folder has no such file.
    """
    return [file for path in map(Path, inputs) for file in _files(path)]


def open_file(path: Path, columns: ColumnMap = NO_COLUMNS, symbol: str | None = None) -> OpenedFile:
    """Read a file of market data, hashing and parsing the same bytes.

    The last four files stay in memory, because the snapshots of one file are often used one after another.
    A file that cannot be used raises no error; the result says why. The other arguments are those of
    `open_source`.
    """
    try:
        state = path.stat()
    except OSError:
        return _open(path, columns, symbol)  # the result says what is wrong
    version = (state.st_mtime_ns, state.st_size)
    return _open_state(path.resolve(), version, columns, symbol)


@lru_cache(maxsize=4)
def _open_state(path: Path, version: tuple[int, int], columns: ColumnMap, symbol: str | None) -> OpenedFile:
    """Open a file; the cache keys on time of modification and size, so a changed file is read again."""
    return _open(path, columns, symbol)


def _open(path: Path, columns: ColumnMap, symbol: str | None) -> OpenedFile:
    try:
        content = read_content(path)
    except NeutralError as error:
        return OpenedFile(UNREADABLE, None, without_folder(error, path))
    try:
        return OpenedFile(content.sha256, open_source(content, columns, symbol))
    except NeutralError as error:
        return OpenedFile(content.sha256, None, without_folder(error, path))


def without_folder(error: NeutralError, path: Path) -> str:
    """Return the message without the folder of the file, so that results do not depend on the folder."""
    return str(error).replace(os.path.realpath(path), path.name).replace(str(path), path.name)


def is_deribit(files: Iterable[Path]) -> bool:
    """Whether files are Deribit snapshots; they are if at least one has the name of a Deribit snapshot."""
    return any(NAME.fullmatch(path.name) for path in files)


def list_archive(
    files: Sequence[Path], columns: ColumnMap = NO_COLUMNS, symbol: str | None = None
) -> list[SnapshotFile]:
    """List the snapshots in files by time; the position of each is its index in the list.

    Deribit snapshots are not opened, because there may be many, their names state the time, and the
    configuration names the underlyings. Any other file is opened for its dates and underlyings, and each of
    its dates is a snapshot. A file that cannot be read is a snapshot as well, which is refused later. The
    content of files does not stay in memory, so a file is opened again when its block is loaded; the stored
    digest is that of the bytes that were parsed then.

    Args:
        files: As `market_files` lists them.
        columns: The map of their columns.
        symbol: The underlying of files that state none.

    Raises:
        DataError: There is no Deribit snapshot among the files, or the name of a file states no time.
    """
    if is_deribit(files):
        snapshots = [SnapshotFile(path, 0) for path in list_snapshots(_without_notes(files))]
    else:
        dated = (snapshot for path in files for snapshot in _dates(path, columns, symbol))
        snapshots = sorted(dated, key=lambda snapshot: (snapshot.time, snapshot.name))
    return [replace(snapshot, position=i) for i, snapshot in enumerate(snapshots)]


def _without_notes(files: Sequence[Path]) -> list[Path]:
    """Return the files without text files, which are no Deribit snapshots but may lie beside them."""
    return [path for path in files if not path.name.endswith((".txt", ".txt.gz"))]


def underlyings_of(archive: Sequence[SnapshotFile]) -> list[str]:
    """Return the underlyings in the files that have been opened, sorted by name."""
    return sorted({name for file in archive for name in file.underlyings or ()})


def blocks_of(archive: Sequence[SnapshotFile], size: int) -> dict[int, list[SnapshotFile]]:
    """Divide an archive into blocks, by number; blocks begin at positions that are multiples of the size."""
    blocks: dict[int, list[SnapshotFile]] = {}
    for file in archive:
        blocks.setdefault(file.position // size, []).append(file)
    return blocks


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder.")
    tables = [file for file in path.iterdir() if file.name.endswith(SUFFIXES)]
    files = sorted(file for file in tables if not file.name.startswith("._"))
    if not files:
        raise DataError(
            f"{path}: there is no snapshot in it; expected files named "
            f"{', '.join('*' + ending for ending in SUFFIXES)}."
        )
    return files


def _dates(path: Path, columns: ColumnMap, symbol: str | None) -> list[SnapshotFile]:
    """List the dates of a file as snapshots; a file that cannot be read has one unknown date."""
    opened = open_file(path, columns, symbol)
    if opened.source is None:
        return [SnapshotFile(path, 0, UNKNOWN_DATE, digest=opened.sha256)]
    by_date: dict[datetime, list[str]] = {}
    for underlying, date in opened.source.snapshots:
        by_date.setdefault(date or UNKNOWN_DATE, []).append(underlying)
    return [
        SnapshotFile(path, 0, date, tuple(underlyings), opened.sha256)
        for date, underlyings in by_date.items()
    ]
