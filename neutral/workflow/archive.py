"""The archive of snapshots: which position a file has in it, and which positions make a block."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..errors import ArgumentError
from ..market import list_snapshots
from ..market.deribit import snapshot_time
from .durable import sha256

UNREADABLE = "unreadable"
Entry = tuple[int, str, str]  # position, file name, SHA-256 of the file


@dataclass(frozen=True)
class SnapshotFile:
    """A file and its place in the archive, which seeds the split of its quotes."""

    path: Path
    position: int
    sha256: str

    @property
    def time(self) -> datetime:
        """The UTC time in the file's name."""
        return snapshot_time(self.path)

    @property
    def timestamp(self) -> str:
        """The time in the file's name, ISO 8601 with a trailing Z."""
        return self.time.strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def entry(self) -> Entry:
        """What identifies the input: equal entries mean equal work."""
        return self.position, self.path.name, self.sha256


def read_archive(
    inputs: str | Path | Iterable[str | Path], first_index: int = 0, limit: int | None = None
) -> list[SnapshotFile]:
    """The snapshot files of folders and files, by time, with their positions.

    Args:
        inputs: Folders, files, or both.
        first_index: Position of the first file, where earlier ones of the archive lie elsewhere.
        limit: Keep only so many, the first ones.

    Raises:
        DataError: no such file, no snapshot among them, or a name that tells no time.
        ArgumentError: a negative first_index, or a limit below 1.
    """
    if first_index < 0:
        raise ArgumentError(f"first_index={first_index}: expected 0 or more.")
    if limit is not None and limit < 1:
        raise ArgumentError(f"limit={limit}: expected 1 or more.")
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    files: list[Path] = []
    for one in map(Path, given):
        files += [one] if one.is_file() else list_snapshots(one)
    paths = list_snapshots(files)[:limit]
    return [SnapshotFile(path, first_index + i, _digest(path)) for i, path in enumerate(paths)]


def blocks_of(archive: Sequence[SnapshotFile], size: int) -> dict[int, list[SnapshotFile]]:
    """Blocks of consecutive positions, with edges at multiples of the size, by number."""
    blocks: dict[int, list[SnapshotFile]] = {}
    for file in archive:
        blocks.setdefault(file.position // size, []).append(file)
    return blocks


def _digest(path: Path) -> str:
    """The SHA-256 of a file; a file that cannot be read is refused later, in its row."""
    try:
        return sha256(path)
    except OSError:
        return UNREADABLE
