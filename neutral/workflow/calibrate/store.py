"""Stores a run: parts in Parquet, which a manifest commits one by one, and the tables made of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from ... import durable
from ...errors import DataError
from ...shipped import CODE_VERSION
from ..inputs.archive import Entry, SnapshotFile
from ..recipes import in_order
from .config import Config
from .manifest import FORMAT, MANIFEST, new_manifest, read_manifest
from .parquet import KINDS, StoredFile, as_schema, read_parquet, schema_of, write_parquet

PARTS = "parts"
LOG = "run_log.jsonl"
LOCK = ".lock"


@dataclass(frozen=True)
class Part:
    """A committed block of one underlying: its inputs, its starting state, and its two files."""

    inputs: tuple[Entry, ...]
    warm_start: str  # digest of the starting state
    files: Mapping[str, StoredFile]  # by kind: "fits" and "quotes"

    def covers(self, block: Sequence[SnapshotFile]) -> bool:
        """Whether every file of a block is among the inputs."""
        return {file.entry for file in block} <= set(self.inputs)


class Store:
    """A folder with the results of one configuration."""

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        self.folder = folder
        self._manifest = manifest

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the results, by section."""
        return self._manifest["config"]

    @property
    def config_hash(self) -> str:
        """The hash of the configuration."""
        return self._manifest["config_hash"]

    @property
    def is_imported(self) -> bool:
        """Whether all results are imported, so that there is no configuration of theirs."""
        return "imported" in self._manifest and not self.config_hash

    @property
    def models(self) -> list[str]:
        """The names of the models of the configuration, and of those of an imported workbook."""
        return in_order([*self.config["models"], *self._manifest.get("imported_models", [])])

    @property
    def underlyings(self) -> list[str]:
        """The underlyings in the order of the tables."""
        return self._manifest["currencies"]

    @property
    def units(self) -> dict[str, str]:
        """The unit of the prices of each underlying, coin or cash; absent if no quote states it."""
        units = {}
        for underlying in self.underlyings:
            for table in self._tables_of("quotes", underlying):
                stated = table["settlement"].drop_null()
                if len(stated):
                    units[underlying] = stated[0].as_py()
                    break
        return units

    @property
    def tables(self) -> list[Path]:
        """The paths of the tables of all results."""
        return [self.folder / f"{kind}.parquet" for kind in KINDS]

    def part(self, underlying: str, block: int) -> Part | None:
        """Return a committed block, or None if it is not committed."""
        content = self._manifest["parts"].get(_key(underlying, block))
        if content is None:
            return None
        inputs = tuple((position, name, digest) for position, name, digest in content["inputs"])
        files = {kind: StoredFile(**content[kind]) for kind in KINDS}
        return Part(inputs, content["warm_start"], files)

    def parts(self, underlying: str) -> dict[int, Part]:
        """Return the committed blocks of an underlying, by number in order."""
        keys = [key.rsplit("-", 1) for key in self._manifest["parts"]]
        numbers = sorted(int(number) for name, number in keys if name == underlying)
        return {number: part for number in numbers if (part := self.part(underlying, number))}

    def is_complete(self, underlying: str, block: int) -> bool:
        """Whether the two files of a committed block exist; reading them verifies their content."""
        return all(self._path(kind, underlying, block).exists() for kind in KINDS)

    def read_part(self, kind: str, underlying: str, block: int) -> pa.Table:
        """Read and verify a table of a committed block.

        Args:
            kind: "fits" or "quotes".
            underlying: The underlying.
            block: The number of the block.

        Raises:
            DataError: The block is not committed, or its file is damaged or missing.
        """
        part = self.part(underlying, block)
        if part is None:
            raise DataError(f"{self.folder}: the store has no block {block} of {underlying}.")
        table = read_parquet(self._path(kind, underlying, block), part.files[kind])
        return as_schema(table, self._schema(kind))

    def commit(self, underlying: str, block: int, part: Part, fits: pa.Table, quotes: pa.Table) -> None:
        """Add or replace a block; it is committed when the manifest names it.

        Args:
            underlying: The underlying.
            block: The number of the block.
            part: Its inputs and starting state; `files` are replaced by those that are written.
            fits: The table of its fits.
            quotes: The table of its quotes.

        Raises:
            WriteError: A file cannot be written.
        """
        key = _key(underlying, block)
        others = {name: content for name, content in self._manifest["parts"].items() if name != key}
        if len(others) < len(self._manifest["parts"]):  # never list files that are being replaced
            self.save(parts=others, tables={})
        files = {
            kind: write_parquet(self._path(kind, underlying, block), self._schema(kind), [table])
            for kind, table in (("fits", fits), ("quotes", quotes))
        }
        self.save(parts=others | {key: _part_content(replace(part, files=files))}, tables={})

    def list_underlyings(self, names: Sequence[str]) -> None:
        """Set the underlyings of the tables and their order."""
        if list(names) != self.underlyings:
            self.save(currencies=list(names), tables={})

    def consolidate(self) -> None:
        """Write `fits.parquet` and `quotes.parquet` from all parts, by underlying and time."""
        if self._manifest["tables"]:
            return
        written = {
            kind: write_parquet(self.folder / f"{kind}.parquet", self._schema(kind), self.batches(kind))
            for kind in KINDS
        }
        self.save(tables={kind: stored._asdict() for kind, stored in written.items()})

    def read(self, kind: str) -> pa.Table:
        """Read and verify all rows of a kind, from the parts if the run ended before it wrote the table.

        Args:
            kind: "fits" or "quotes".

        Raises:
            DataError: A file is damaged or missing; the message names it.
        """
        stored = self._manifest["tables"].get(kind)
        if stored:
            table = read_parquet(self.folder / f"{kind}.parquet", StoredFile(**stored))
            return as_schema(table, self._schema(kind))
        parts = list(self.batches(kind))
        return pa.concat_tables(parts) if parts else self._schema(kind).empty_table()

    def batches(self, kind: str) -> Iterator[pa.Table]:
        """Read and verify all rows of a kind, a part at a time and in the order of the table."""
        for underlying in self.underlyings:
            yield from self._tables_of(kind, underlying)

    def _tables_of(self, kind: str, underlying: str) -> Iterator[pa.Table]:
        """Read and verify the rows of an underlying, a part at a time."""
        table = self.imported(kind, underlying)
        if table is not None:
            yield table
        for block in self.parts(underlying):
            yield self.read_part(kind, underlying, block)

    def imported(self, kind: str, underlying: str) -> pa.Table | None:
        """Read and verify the rows of an underlying that were imported; None if there are none."""
        stored = self._manifest.get("imported", {}).get(underlying)
        if stored is None:
            return None
        table = read_parquet(self._imported_path(kind, underlying), StoredFile(**stored[kind]))
        return as_schema(table, self._schema(kind))

    def latest_imported(self, underlying: str) -> datetime | None:
        """Return the time of the last imported snapshot of an underlying; None if there is none."""
        fits = self.imported("fits", underlying)
        return None if fits is None else max(fits["snapshot_ts"].to_pylist())

    def log(self, **event: object) -> None:
        """Add a line to the run log, which has times and counts that are not in the tables."""
        durable.append_line(self.folder / LOG, json.dumps(event))

    def save(self, **changes: object) -> None:
        """Write the manifest with some entries changed."""
        manifest = self._manifest | changes | {"code_version": CODE_VERSION, "format": FORMAT}
        text = json.dumps(durable.sealed(manifest), indent=1, sort_keys=True)
        durable.write_text(self.folder / MANIFEST, text + "\n")
        self._manifest = json.loads(text)

    def _schema(self, kind: str) -> pa.Schema:
        """Return the columns of a kind of table, which depend on the models of the run."""
        return schema_of(kind, self.models)

    def _imported_path(self, kind: str, underlying: str) -> Path:
        return self.folder / PARTS / f"{kind}-{durable.file_name(underlying)}-imported.parquet"

    def _path(self, kind: str, underlying: str, block: int) -> Path:
        return self.folder / PARTS / f"{kind}-{durable.file_name(_key(underlying, block))}.parquet"


def open_store(folder: str | Path) -> Store:
    """Open the store in a folder.

    Raises:
        DataError: The folder has no store, or its manifest is damaged or of another format.
    """
    return Store(Path(folder), read_manifest(Path(folder)))


def create_imported(
    folder: Path,
    models: Sequence[str],
    fits: Mapping[str, pa.Table],
    quotes: Mapping[str, pa.Table],
) -> Store:
    """Create a store of results that were not calibrated here, which has no configuration yet.

    Args:
        folder: The folder.
        models: The names of the models.
        fits: The table of the fits of each underlying, in order of time.
        quotes: The table of the quotes of each underlying.
    """
    with durable.writing(folder):
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
    store = Store(folder, new_manifest({"models": list(models)}, "") | {"imported_models": list(models)})
    written = {}
    for name in fits:
        tables = {"fits": fits[name], "quotes": quotes[name]}
        written[name] = {
            kind: write_parquet(store._imported_path(kind, name), table.schema, [table])._asdict()
            for kind, table in tables.items()
        }
    store.save(imported=written, currencies=list(fits))
    return store


def create_store(folder: Path, config: Config) -> Store:
    """Create a store in a folder, and the folder if it is missing."""
    with durable.writing(folder):
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
    store = Store(folder, new_manifest(config.content, config.hash))
    store.save()
    return store


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder while this one writes to it.

    Raises:
        DataError: Another run is writing to the folder.
        WriteError: The folder cannot be created or written to.
    """
    with durable.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    with file:
        try:
            _lock(file)
        except OSError:
            raise DataError(
                f"{folder}: another run is writing to this folder; wait until it ends, or use another --out."
            ) from None
        yield


def _lock(file: TextIO) -> None:
    """Lock a file until it is closed or the process ends, on systems that have `fcntl`."""
    try:
        import fcntl
    except ModuleNotFoundError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _key(underlying: str, block: int) -> str:
    return f"{underlying}-{block:05d}"


def _part_content(part: Part) -> dict[str, Any]:
    files = {kind: stored._asdict() for kind, stored in part.files.items()}
    return {"inputs": list(part.inputs), "warm_start": part.warm_start, **files}
