"""Lists an archive: input files, the snapshots in them with their positions, and blocks of snapshots."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
from ..messages import Once

MIDNIGHT = "T00:00:00"
RESULTS = ("manifest.json", "report.html", "surfaces.parquet", "records.parquet")
"""A folder that has one of these files is a folder of results."""
SHOWN_REASONS = 5
UNREADABLE = "unreadable"  # replaces the SHA-256 of a file that cannot be read
Entry = tuple[int, str, str]  # position, `SnapshotFile.name`, SHA-256 of the file


class OpenedFile(NamedTuple):
    """A file that has been read once: its content, or the reason why it cannot be used."""

    sha256: str  # of the bytes that were parsed, as on the disk
    source: Source | None
    reason: str = ""


@dataclass(frozen=True)
class SnapshotFile:
    """A file, or one time of it, and its position in the archive, which seeds the split of its quotes."""

    path: Path
    position: int
    date: datetime | None = None  # UTC; None if the file name states the time
    underlyings: tuple[str, ...] | None = None  # None if the file has not been opened
    digest: str | None = None  # SHA-256 of the bytes that were read; None if the file has not been opened
    reason: str = ""  # why the file cannot be used, if it has been opened
    earlier: "tuple[SnapshotFile, ...]" = ()  # the snapshots just before, if unchanged quotes are refused

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
        """The name of the file, with the date, and the time unless it is midnight, if it may have several."""
        if self.date is None:
            return self.path.name
        text = self.date.replace(tzinfo=None).isoformat()
        return f"{self.path.name}@{text.removesuffix(MIDNIGHT)}"

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
    """List files, and the files of folders and their subfolders that have an ending of `SUFFIXES`, by name.

    Files and folders whose names begin with a dot are left out, and so are subfolders in which a command has
    written results.

    Raises:
        DataError: A file does not exist, or a folder has no such file.
    """
    return [file for path in map(Path, inputs) for file in _files(path)]


def open_file(path: Path, columns: ColumnMap = NO_COLUMNS, symbol: str | None = None) -> OpenedFile:
    """Read a file of market data, hashing and parsing the same bytes.

    The last four files stay in memory, because the snapshots of one file are often used one after another.
    A file that cannot be used raises no error; the result states why. The other arguments are those of
    `open_source`.
    """
    try:
        state = path.stat()
    except OSError:
        return _open(path, columns, symbol)  # the result states what is wrong
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


def only_deribit(archive: Iterable[SnapshotFile]) -> bool:
    """Whether an archive has Deribit snapshots, and no other file that can be read."""
    return any(file.date is None for file in archive) and all(file.underlyings is None for file in archive)


def list_archive(
    files: Sequence[Path], columns: ColumnMap = NO_COLUMNS, symbol: str | None = None
) -> list[SnapshotFile]:
    """List the snapshots in files by time; the position of each is its index in the list.

    Deribit snapshots are not opened, because there may be many, their names state the time, and the
    configuration names the underlyings; beside other files they are opened for their underlyings. Any other
    file is opened for its times and underlyings, and each of its times is a snapshot. A file that cannot be
    read is a snapshot as well, which is refused later. The content of files does not stay in memory, so a
    file is opened again when its block is loaded; the stored digest is that of the bytes that were parsed
    then.

    Args:
        files: As `market_files` lists them.
        columns: The map of their columns.
        symbol: The underlying of files that state none.

    Raises:
        DataError: A Deribit snapshot is listed twice.
    """
    deribit = [path for path in files if NAME.fullmatch(path.name)]
    snapshots = [SnapshotFile(path, 0) for path in list_snapshots(deribit)] if deribit else []
    others = [snapshot for path in files if path not in deribit for snapshot in _dates(path, columns, symbol)]
    if any(snapshot.underlyings is not None for snapshot in others):
        snapshots = [_with_underlyings(snapshot) for snapshot in snapshots]
    if others:

        def place(snapshot: SnapshotFile) -> tuple[bool, datetime, str]:
            """Sort by time; a file that cannot be read does not move the Deribit snapshots beside it."""
            unreadable = snapshot.underlyings is None and snapshot.date is not None
            return bool(deribit) and unreadable, snapshot.time, snapshot.name

        snapshots = sorted([*snapshots, *others], key=place)
    return [replace(snapshot, position=i) for i, snapshot in enumerate(snapshots)]


def _with_underlyings(snapshot: SnapshotFile) -> SnapshotFile:
    """Open a Deribit snapshot for its underlyings; one that cannot be read stays as it is."""
    opened = open_file(snapshot.path)
    if opened.source is None:
        return snapshot
    names = dict.fromkeys(name for name, _ in opened.source.snapshots)
    return replace(snapshot, underlyings=tuple(names), digest=opened.sha256)


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
    try:
        files = list(_tables_in(path))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read: {error.strerror or error}.") from error
    if not files:
        raise DataError(
            f"{path}: there is no snapshot in it; expected files named "
            f"{', '.join('*' + ending for ending in SUFFIXES)}, in the folder or its subfolders."
        )
    return files


def _tables_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of its subfolders with an ending of `SUFFIXES`, sorted by name."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):  # "._x" is the companion of a file on macOS
            continue
        if path.is_dir():
            if not path.is_symlink() and not any((path / name).exists() for name in RESULTS):
                yield from _tables_in(path)
        elif path.name.endswith(SUFFIXES):
            yield path


def nothing_readable(reasons: Sequence[str]) -> DataError:
    """Return the error for inputs of which no file can be read; each reason names its file."""
    shown = list(map(Once(), dict.fromkeys(reasons)))
    more = f" And {len(shown) - SHOWN_REASONS} more files." if len(shown) > SHOWN_REASONS else ""
    return DataError(f"no input file can be read: {' '.join(shown[:SHOWN_REASONS])}{more}")


def _dates(path: Path, columns: ColumnMap, symbol: str | None) -> list[SnapshotFile]:
    """List the dates of a file as snapshots; a file that cannot be read has one unknown date."""
    opened = open_file(path, columns, symbol)
    if opened.source is None:
        return [SnapshotFile(path, 0, UNKNOWN_DATE, digest=opened.sha256, reason=opened.reason)]
    by_date: dict[datetime, list[str]] = {}
    for underlying, date in opened.source.snapshots:
        by_date.setdefault(date or UNKNOWN_DATE, []).append(underlying)
    return [
        SnapshotFile(path, 0, date, tuple(underlyings), opened.sha256)
        for date, underlyings in by_date.items()
    ]
