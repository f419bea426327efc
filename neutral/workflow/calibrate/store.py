"""The store of a run: parts in Parquet, committed one by one through a manifest, and tables made of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ... import durable
from ...errors import DataError
from ...shipped import CODE_VERSION
from ..config import Config
from ..inputs.archive import Entry, SnapshotFile
from . import parquet as tables
from .parquet import Stored

FORMAT = 3
MANIFEST, PARTS, LOG, LOCK = "manifest.json", "parts", "run_log.jsonl", ".lock"
KINDS = ("fits", "quotes")


@dataclass(frozen=True)
class Part:
    """A committed block of one currency: its inputs, what it started from, and its two files."""

    inputs: tuple[Entry, ...]
    warm_start: str
    files: Mapping[str, Stored]  # by kind

    def covers(self, block: Sequence[SnapshotFile]) -> bool:
        """Whether every file of the block is in it."""
        return {file.entry for file in block} <= set(self.inputs)


class Store:
    """A folder with the results of one configuration."""

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        self.folder = folder
        self._manifest = manifest

    @classmethod
    def open(cls, folder: str | Path) -> "Store":
        """Open the store in a folder.

        Raises:
            DataError: there is none, or its manifest is damaged.
        """
        path = Path(folder) / MANIFEST
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{folder}: holds no results of `neutral calibrate` ({MANIFEST} is missing)"
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise DataError(
                f"{path}: is not a manifest of format {FORMAT}, the one this version of neutral writes; "
                "give another --out, or --no-resume, which moves what is there aside."
            )
        return cls(Path(folder), manifest)

    @classmethod
    def create(cls, folder: Path, config: Config) -> "Store":
        """Begin a store in a folder, made if missing."""
        with durable.writing(folder):
            (folder / PARTS).mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "config": config.content,
            "config_hash": config.hash,
            "currencies": [],
            "parts": {},
            "tables": {},
        }
        store = cls(folder, content)
        store._save()
        return store

    @property
    def config(self) -> dict[str, Any]:
        """The configuration its results were made with, by section."""
        return self._manifest["config"]

    @property
    def config_hash(self) -> str:
        """The hash of that configuration."""
        return self._manifest["config_hash"]

    @property
    def models(self) -> list[str]:
        """Names of the models of that configuration."""
        return self.config["models"]

    @property
    def currencies(self) -> list[str]:
        """Currencies in the order of the tables."""
        return self._manifest["currencies"]

    def part(self, currency: str, block: int) -> Part | None:
        """A committed block, or None."""
        content = self._manifest["parts"].get(_key(currency, block))
        if content is None:
            return None
        inputs = tuple((position, name, digest) for position, name, digest in content["inputs"])
        return Part(inputs, content["warm_start"], {kind: Stored(**content[kind]) for kind in KINDS})

    def parts(self, currency: str) -> dict[int, Part]:
        """The committed blocks of a currency in their order."""
        numbers = [
            int(key.rsplit("-", 1)[1]) for key in self._manifest["parts"] if key.startswith(f"{currency}-")
        ]
        return {number: part for number in sorted(numbers) if (part := self.part(currency, number))}

    def is_complete(self, currency: str, block: int) -> bool:
        """Whether the two files of a committed block are there; reading verifies what is in them."""
        return all(self._path(kind, currency, block).exists() for kind in KINDS)

    def read_part(self, kind: str, currency: str, block: int) -> pa.Table:
        """A part, verified."""
        part = self.part(currency, block)
        if part is None:
            raise DataError(f"{self.folder}: has no block {block} of {currency}")
        return tables.read(self._path(kind, currency, block), part.files[kind])

    def commit(self, currency: str, block: int, part: Part, fits: pa.Table, quotes: pa.Table) -> None:
        """Add a block, or replace it: it counts once the manifest names it."""
        key, content = _key(currency, block), {"fits": fits, "quotes": quotes}
        others = {name: one for name, one in self._manifest["parts"].items() if name != key}
        if len(others) < len(self._manifest["parts"]):  # never name files that are being replaced
            self._save(parts=others, tables={})
        files = {
            kind: tables.write(self._path(kind, currency, block), self._schema(kind), [content[kind]])
            for kind in KINDS
        }
        self._save(parts=others | {key: _part_content(replace(part, files=files))}, tables={})

    def list_currencies(self, names: Sequence[str]) -> None:
        """Set which currencies the tables have, and their order."""
        if list(names) != self.currencies:
            self._save(currencies=list(names), tables={})

    def consolidate(self) -> None:
        """Write `fits.parquet` and `quotes.parquet` from all parts, by currency and time."""
        if self._manifest["tables"]:
            return
        written = {
            kind: tables.write(self.folder / f"{kind}.parquet", self._schema(kind), self._all_parts(kind))
            for kind in KINDS
        }
        self._save(tables={kind: stored._asdict() for kind, stored in written.items()})

    def read(self, kind: str) -> pa.Table:
        """All rows of a kind, verified; from the parts where a run was killed before it wrote the table.

        Raises:
            DataError: a file is damaged or missing; names it.
        """
        stored = self._manifest["tables"].get(kind)
        if stored:
            return tables.read(self.folder / f"{kind}.parquet", Stored(**stored))
        parts = list(self._all_parts(kind))
        return pa.concat_tables(parts) if parts else self._schema(kind).empty_table()

    def batches(self, kind: str) -> Iterator[pa.Table]:
        """All rows of a kind, verified, a part at a time and in the order of the table."""
        return self._all_parts(kind)

    def log(self, **event: Any) -> None:
        """Add a line to the run log: times and counts, which the tables leave out."""
        durable.append_line(self.folder / LOG, json.dumps(event))

    def _schema(self, kind: str) -> pa.Schema:
        return tables.schema_of(kind, self.models)

    def _all_parts(self, kind: str) -> Iterator[pa.Table]:
        for currency in self.currencies:
            for block in self.parts(currency):
                yield self.read_part(kind, currency, block)

    def _path(self, kind: str, currency: str, block: int) -> Path:
        return self.folder / PARTS / f"{kind}-{_key(currency, block)}.parquet"

    def _save(self, **changes: Any) -> None:
        manifest = self._manifest | changes | {"code_version": CODE_VERSION}
        text = json.dumps(manifest, indent=1, sort_keys=True)
        durable.write_text(self.folder / MANIFEST, text + "\n")
        self._manifest = json.loads(text)


open_store = Store.open


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a second run out of the folder while this one writes to it."""
    with durable.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a")
    with file:
        try:
            _lock(file)
        except OSError:
            raise DataError(
                f"{folder}: another run is writing to it; wait for it, or take another --out"
            ) from None
        yield


def _lock(file: Any) -> None:
    """Lock a file until it is closed or the process ends, where the system can."""
    try:
        import fcntl
    except ModuleNotFoundError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _key(currency: str, block: int) -> str:
    return f"{currency}-{block:05d}"


def _part_content(part: Part) -> dict[str, Any]:
    files = {kind: stored._asdict() for kind, stored in part.files.items()}
    return {"inputs": list(part.inputs), "warm_start": part.warm_start, **files}
