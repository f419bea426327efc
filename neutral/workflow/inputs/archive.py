"""The archive: input files, the snapshots in them with their positions, and which of those make a block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from ...durable import sha256
from ...errors import ArgumentError, DataError, NeutralError
from ...market import list_snapshots
from ...market.loaders.deribit import NAME, snapshot_time
from ...market.loaders.sources import Source, open_source
from ...market.quotes import UNKNOWN_DATE

UNREADABLE = "unreadable"
TIME = "%Y-%m-%dT%H:%M:%SZ"  # of timestamps in results: as texts they are in order
Entry = tuple[int, str, str]  # position, file name, SHA-256 of the file


@dataclass(frozen=True)
class SnapshotFile:
    """A file, or one date of it, and its place in the archive, which seeds the split of its quotes."""

    path: Path
    position: int
    sha256: str
    date: datetime | None = None  # UTC; None where the file's name tells the time
    assets: tuple[str, ...] | None = None  # underlyings in it; None where only reading tells

    @property
    def time(self) -> datetime:
        """The UTC time of the snapshot."""
        return self.date or snapshot_time(self.path)

    @property
    def timestamp(self) -> str:
        """That time, ISO 8601 with a trailing Z."""
        return self.time.strftime(TIME)

    @property
    def name(self) -> str:
        """The file's name, with the date where the file may have several."""
        return f"{self.path.name}@{self.date:%Y-%m-%d}" if self.date else self.path.name

    @property
    def entry(self) -> Entry:
        """What identifies the input: equal entries mean equal work."""
        return self.position, self.name, self.sha256


def market_files(inputs: Iterable[str | Path]) -> list[Path]:
    """The files that folders and files stand for: every `.csv` and `.csv.gz` of a folder, by name.

    Raises:
        DataError: there is no such file, or a folder has none of them.
    """
    return [file for one in map(Path, inputs) for file in _files(one)]


def opened(path: Path) -> Source:
    """A file of market data, read once while it is worked on."""
    try:
        state = path.stat()
    except OSError:
        return open_source(path)  # which says what is wrong
    return _opened(path.resolve(), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int, size: int) -> Source:
    return open_source(path)


def read_archive(
    inputs: str | Path | Iterable[str | Path], first_index: int = 0, limit: int | None = None
) -> list[SnapshotFile]:
    """The snapshots in folders and files, by time, with their positions.

    Deribit snapshots are known by their names; where there is none among the files, each date of each file is
    a snapshot, and a file that cannot be read is one too, to be refused.

    Args:
        inputs: Folders, files, or both.
        first_index: Position of the first snapshot, where earlier ones of the archive lie elsewhere.
        limit: Keep only so many, the first ones.

    Raises:
        DataError: no such file, no snapshot among them, or a name among Deribit's that tells no time.
        ArgumentError: a negative first_index, or a limit below 1.
    """
    if first_index < 0:
        raise ArgumentError(f"first_index={first_index}: expected 0 or more.")
    if limit is not None and limit < 1:
        raise ArgumentError(f"limit={limit}: expected 1 or more.")
    files = market_files([inputs] if isinstance(inputs, str | Path) else inputs)
    if is_deribit(files):
        found = [SnapshotFile(path, 0, _digest(path)) for path in list_snapshots(files)[:limit]]
    else:
        found = sorted((one for path in files for one in _dates(path)), key=lambda one: (one.time, one.name))
    return [replace(one, position=first_index + i) for i, one in enumerate(found[:limit])]


def assets_of(archive: Sequence[SnapshotFile]) -> list[str]:
    """The underlyings that the files are known to have, by name."""
    return sorted({name for file in archive for name in file.assets or ()})


def is_deribit(files: Iterable[Path]) -> bool:
    """Whether files are Deribit snapshots, as the name of any of them tells."""
    return any(NAME.fullmatch(path.name) for path in files)


def blocks_of(archive: Sequence[SnapshotFile], size: int) -> dict[int, list[SnapshotFile]]:
    """Blocks of consecutive positions, with edges at multiples of the size, by number."""
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
    """The dates of a file; one that is not known for a file that cannot be read."""
    digest = _digest(path)
    try:
        snapshots = opened(path).snapshots
    except NeutralError:
        return [SnapshotFile(path, 0, digest, UNKNOWN_DATE)]
    by_date: dict[datetime, list[str]] = {}
    for asset, date in snapshots:
        by_date.setdefault(date or UNKNOWN_DATE, []).append(asset)
    return [SnapshotFile(path, 0, digest, date, tuple(assets)) for date, assets in by_date.items()]


def _digest(path: Path) -> str:
    """The SHA-256 of a file; a file that cannot be read is refused later, in its row."""
    try:
        return sha256(path)
    except OSError:
        return UNREADABLE
