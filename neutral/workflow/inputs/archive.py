"""The archive: input files, the snapshots in them with their positions, and the blocks that these form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from ...durable import sha256
from ...errors import DataError, NeutralError
from ...market import list_snapshots
from ...market.loaders.csv_table import read_content
from ...market.loaders.deribit import NAME, snapshot_time
from ...market.loaders.sources import Source, open_source
from ...market.quotes import UNKNOWN_DATE
from ...times import time_text

UNREADABLE = "unreadable"  # in the place of the SHA-256 of a file that cannot be read
Entry = tuple[int, str, str]  # position, file name, SHA-256 of the file


class OpenedFile(NamedTuple):
    """A file that has been read once: what it holds, or the reason why it cannot be used."""

    sha256: str  # of the bytes that were parsed, as they are on the disk
    source: Source | None
    reason: str = ""


@dataclass(frozen=True)
class SnapshotFile:
    """A file, or one date of it, and its position in the archive, which seeds the split of its quotes."""

    path: Path
    position: int
    date: datetime | None = None  # UTC; None where the file's name tells the time
    underlyings: tuple[str, ...] | None = None  # None where the file has not been opened
    digest: str | None = None  # SHA-256 of the bytes that were read; None where the file has not been opened

    @property
    def time(self) -> datetime:
        """The UTC time of the snapshot."""
        return self.date or snapshot_time(self.path)

    @property
    def timestamp(self) -> str:
        """The time as results write it."""
        return time_text(self.time)

    @property
    def name(self) -> str:
        """The file's name, with the date where the file may have several."""
        return f"{self.path.name}@{self.date:%Y-%m-%d}" if self.date else self.path.name

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that were read, or of those on the disk if the file was never opened."""
        if self.digest is not None:
            return self.digest
        try:
            return sha256(self.path)
        except OSError:  # the file is refused when its block is loaded
            return UNREADABLE

    @property
    def entry(self) -> Entry:
        """What identifies the input: equal entries mean equal work."""
        return self.position, self.name, self.sha256


def market_files(inputs: Iterable[str | Path]) -> list[Path]:
    """List the files in folders and files: of a folder every `.csv` and `.csv.gz` file, sorted by name.

    Raises:
        DataError: A file does not exist, or a folder has no such file.
    """
    return [file for given in map(Path, inputs) for file in _files(given)]


def open_file(path: Path) -> OpenedFile:
    """Read a file of market data, hashing and parsing the same bytes.

    The last four files stay in memory, because the snapshots of one file are often used one after another.
    Nothing is raised for a file that cannot be used.
    """
    try:
        state = path.stat()
    except OSError:
        return _open(path)  # reading it says what is wrong
    return _open_state(path.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _open_state(path: Path, modified: int, size: int) -> OpenedFile:
    return _open(path)


def _open(path: Path) -> OpenedFile:
    try:
        content = read_content(path)
    except NeutralError as error:
        return OpenedFile(UNREADABLE, None, without_folder(error, path))
    try:
        return OpenedFile(content.sha256, open_source(content))
    except NeutralError as error:
        return OpenedFile(content.sha256, None, without_folder(error, path))


def without_folder(error: NeutralError, path: Path) -> str:
    """The message with the file's name alone, so that results do not tell where the file was."""
    return str(error).replace(str(path.resolve()), path.name).replace(str(path), path.name)


def is_deribit(files: Iterable[Path]) -> bool:
    """Whether files are Deribit snapshots: at least one has the name of one."""
    return any(NAME.fullmatch(path.name) for path in files)


def list_archive(files: Sequence[Path]) -> list[SnapshotFile]:
    """The snapshots in files, by time; the position of each is its place in the list.

    Deribit snapshots are not opened, however many there are: their names carry the time, and the
    configuration names the underlyings. Any other file has to be opened to know its dates and underlyings.
    Each of its dates is a snapshot; a file that cannot be read is a snapshot as well, to be refused. What
    other files hold is not kept in memory, so a file is opened once more when the block it is in is loaded;
    the digest that is stored is then that of the bytes that were parsed.

    Args:
        files: As `market_files` lists them.

    Raises:
        DataError: There is no snapshot among the files, or the name of a Deribit file tells no time.
    """
    if is_deribit(files):
        snapshots = [SnapshotFile(path, 0) for path in list_snapshots(files)]
    else:
        dated = (snapshot for path in files for snapshot in _dates(path))
        snapshots = sorted(dated, key=lambda snapshot: (snapshot.time, snapshot.name))
    return [replace(snapshot, position=i) for i, snapshot in enumerate(snapshots)]


def underlyings_of(archive: Sequence[SnapshotFile]) -> list[str]:
    """The underlyings that the opened files have, sorted by name."""
    return sorted({name for file in archive for name in file.underlyings or ()})


def blocks_of(archive: Sequence[SnapshotFile], size: int) -> dict[int, list[SnapshotFile]]:
    """Blocks of consecutive positions, by number; the edges lie at multiples of the size."""
    blocks: dict[int, list[SnapshotFile]] = {}
    for file in archive:
        blocks.setdefault(file.position // size, []).append(file)
    return blocks


def _files(given: Path) -> list[Path]:
    if given.is_file():
        return [given]
    if not given.is_dir():
        raise DataError(f"{given}: no such file or folder")
    names = [path for path in given.iterdir() if path.name.endswith((".csv", ".csv.gz"))]
    files = sorted(path for path in names if not path.name.startswith("._"))
    if not files:
        raise DataError(f"{given}: no snapshot in it; it holds no .csv or .csv.gz file")
    return files


def _dates(path: Path) -> list[SnapshotFile]:
    """The dates of a file; a file that cannot be read has one unknown date."""
    opened = open_file(path)
    if opened.source is None:
        return [SnapshotFile(path, 0, UNKNOWN_DATE, digest=opened.sha256)]
    by_date: dict[datetime, list[str]] = {}
    for underlying, date in opened.source.snapshots:
        by_date.setdefault(date or UNKNOWN_DATE, []).append(underlying)
    return [
        SnapshotFile(path, 0, date, tuple(underlyings), opened.sha256)
        for date, underlyings in by_date.items()
    ]
