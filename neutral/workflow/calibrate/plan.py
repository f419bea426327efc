"""Plans a run, which is a list of snapshots and a configuration, and reads its blocks."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from ..inputs.archive import (
    SnapshotFile,
    list_archive,
    market_files,
    nothing_readable,
    only_deribit,
    underlyings_of,
)
from ..inputs.markets import Market, Place, read_snapshot_markets
from ..progress import doing
from .config import Config, load_config, shipped_config

KEPT_BLOCKS = 4  # blocks that stay in memory

Inputs = str | Path | Iterable[str | Path]
"""A folder or a file, or several of them."""


class LoadedSnapshot(NamedTuple):
    """A snapshot that has been read."""

    file: SnapshotFile  # with the digest of the bytes that were read
    markets: Mapping[str, Market]  # by underlying; those that the file does not list are absent


Load = Callable[[SnapshotFile, Config], LoadedSnapshot]


@dataclass(frozen=True)
class Plan:
    """The snapshots of a run with their positions, and its configuration, which names the underlyings."""

    archive: tuple[SnapshotFile, ...]
    config: Config


def make_plan(inputs: Inputs, config: Config | str | Path | None = None, **changes: Any) -> Plan:
    """List the files of a run, and complete its configuration.

    Args:
        inputs: Folders and files.
        config: A configuration, or its TOML file; None takes the shipped one for the kind of the files, which
            is that for Deribit snapshots unless another file can be read. The underlyings "all" are replaced
            by those of all files, including files beyond the limit, so that a limit does not change results;
            where files are not opened for their underlyings, by those that `run.currencies` names.
        changes: Settings to change, as for `Config.replaced`.

    Raises:
        DataError: A file does not exist, or no file can be read.
        ArgumentError: The configuration cannot be read, or a value is not accepted.
    """
    files = market_files([inputs] if isinstance(inputs, str | Path) else inputs)
    reading = _reading(config, changes)
    archive = list_archive(files, reading.column_map, reading.data.symbol)
    if all(file.reason for file in archive):
        raise nothing_readable([file.reason for file in archive])
    resolved = _configuration(archive, config).replaced(**changes).resolved(underlyings_of(archive))
    data = resolved.data
    snapshots = archive[: data.limit]
    numbered = [replace(file, position=data.first_index + file.position) for file in snapshots]
    return Plan(tuple(_with_earlier(numbered, data.max_unchanged)), resolved)


def _with_earlier(files: Sequence[SnapshotFile], count: int | None) -> list[SnapshotFile]:
    """Tell each snapshot which ones come just before it, if unchanged quotes are refused."""
    if count is None:
        return list(files)
    return [replace(file, earlier=tuple(files[max(0, i - count) : i])) for i, file in enumerate(files)]


def config_for(inputs: Inputs, path: str | Path | None = None) -> Config:
    """Return the configuration of a run on some inputs; their underlyings replace the word "all".

    Args:
        inputs: Folders and files.
        path: A TOML file; None takes the shipped one for the kind of the files.

    Raises:
        NeutralError: As for `make_plan`.
    """
    return make_plan(inputs, path).config


def _configuration(archive: Sequence[SnapshotFile], config: Config | str | Path | None) -> Config:
    """Return or read the configuration, or choose a shipped one by the kind of the files."""
    if config is None:
        return shipped_config("deribit" if only_deribit(archive) else "equity chain")
    return config if isinstance(config, Config) else load_config(config)


def _reading(config: Config | str | Path | None, changes: Mapping[str, Any]) -> Config:
    """Return the configuration by which files are opened for their underlyings: that of their columns."""
    about_reading = {name: changes[name] for name in ("columns", "data") if name in changes}
    return _configuration((), config).replaced(**about_reading)


def load_snapshot(file: SnapshotFile, config: Config) -> LoadedSnapshot:
    """Read the markets of a snapshot; a fault of the file becomes the reason why they are refused."""
    splits = {
        name: config.split.build(config.seed(name, file.position))
        for name in config.underlyings
        if file.underlyings is None or name in file.underlyings
    }
    earlier = [Place(before.path, before.date) for before in file.earlier]
    digest, markets = read_snapshot_markets(file.path, file.date, config, splits, earlier)
    return LoadedSnapshot(replace(file, digest=digest), markets)


class BlockReader:
    """Reads whole blocks in a separate thread, each block once for all underlyings."""

    def __init__(self, blocks: Mapping[int, Sequence[SnapshotFile]], config: Config, load: Load):
        self._blocks = blocks
        self._config = config
        self._load = load
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._futures: OrderedDict[int, Future[list[LoadedSnapshot]]] = OrderedDict()
        self._lock = Lock()

    def snapshots(self, block: int, following: int | None = None) -> list[LoadedSnapshot]:
        """Return the snapshots of a block, and start to read the following block."""
        future = self._start(block)
        if following is not None:
            self._start(following)
        return future.result()

    def close(self) -> None:
        """Stop reading."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, block: int) -> "Future[list[LoadedSnapshot]]":
        """Start to read a block, unless it is in memory or being read."""
        with self._lock:
            if block not in self._futures:
                self._futures[block] = self._pool.submit(self._read, block)
            self._futures.move_to_end(block)
            # an underlying that is far behind needs a dropped block again, which is then read again
            while len(self._futures) > KEPT_BLOCKS:
                self._futures.popitem(last=False)
            return self._futures[block]

    def _read(self, block: int) -> list[LoadedSnapshot]:
        return [self._load_one(file) for file in self._blocks[block]]

    def _load_one(self, file: SnapshotFile) -> LoadedSnapshot:
        with doing(f"reading {file.path.name}"):
            return self._load(file, self._config)
