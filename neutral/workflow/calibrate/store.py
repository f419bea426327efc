"""Stores a run: parts in Parquet, which a manifest commits one by one, and the tables made of them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from ... import durable
from ...errors import DataError
from ...shipped import CODE_VERSION
from ..inputs.archive import Entry, SnapshotFile
from ..recipes import RECIPES
from .config import Config
from .parquet import KINDS, StoredFile, read_parquet, schema_of, write_parquet

FORMAT = 4
READABLE = (3, 4)  # manifests of format 3 have no digest
MANIFEST = "manifest.json"
PARTS = "parts"
LOG = "run_log.jsonl"
LOCK = ".lock"
_KEY = re.compile(r".*-\d{5,9}", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REMEDY = "Restore the file from a copy, or use another --out, or --no-resume, which moves the folder aside."


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
    def models(self) -> list[str]:
        """The names of the models of the configuration."""
        return self.config["models"]

    @property
    def underlyings(self) -> list[str]:
        """The underlyings in the order of the tables."""
        return self._manifest["currencies"]

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
        return read_parquet(self._path(kind, underlying, block), part.files[kind])

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
            return read_parquet(self.folder / f"{kind}.parquet", StoredFile(**stored))
        parts = list(self.batches(kind))
        return pa.concat_tables(parts) if parts else self._schema(kind).empty_table()

    def batches(self, kind: str) -> Iterator[pa.Table]:
        """Read and verify all rows of a kind, a part at a time and in the order of the table."""
        for underlying in self.underlyings:
            for block in self.parts(underlying):
                yield self.read_part(kind, underlying, block)

    def log(self, **event: object) -> None:
        """Add a line to the run log, which holds times and counts that are not in the tables."""
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

    def _path(self, kind: str, underlying: str, block: int) -> Path:
        return self.folder / PARTS / f"{kind}-{durable.file_name(_key(underlying, block))}.parquet"


def open_store(folder: str | Path) -> Store:
    """Open the store in a folder.

    Raises:
        DataError: The folder has no store, or its manifest is damaged or of another format.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{folder}: holds no results of `neutral calibrate`, because {MANIFEST} is missing."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}. {_REMEDY}") from error
    if not isinstance(manifest, dict) or manifest.get("format") not in READABLE:
        raise DataError(
            f"{path}: is not a manifest of format {FORMAT}, which this version of neutral writes; use "
            "another --out, or --no-resume, which moves the folder aside."
        )
    durable.check_seal(path, manifest, required=manifest["format"] == FORMAT)
    wrong = [name for name, is_whole in _ENTRIES.items() if not is_whole(manifest.get(name))]
    if wrong:
        raise DataError(f"{path}: is damaged: {', '.join(wrong)} cannot be read. {_REMEDY}")
    return Store(Path(folder), manifest)


def _is_config(x: object) -> bool:
    if not isinstance(x, dict) or not _are_texts(x.get("models")):
        return False
    return set() < set(x["models"]) <= set(RECIPES)


def _is_digest(x: object) -> bool:
    """Whether an entry is a SHA-256, hexadecimal."""
    return isinstance(x, str) and bool(_DIGEST.fullmatch(x))


def _are_texts(x: object) -> bool:
    return isinstance(x, list) and all(isinstance(name, str) for name in x)


def _are_files(x: object) -> bool:
    """Whether an entry lists files of some kinds."""
    return isinstance(x, dict) and all(kind in KINDS and _is_file(file) for kind, file in x.items())


def _is_file(x: object) -> bool:
    if not isinstance(x, dict) or set(x) != set(StoredFile._fields):
        return False
    return _is_digest(x["sha256"]) and isinstance(x["rows"], int)


def _are_parts(x: object) -> bool:
    return isinstance(x, dict) and all(_KEY.fullmatch(key) and _is_part(part) for key, part in x.items())


def _is_part(x: object) -> bool:
    if not isinstance(x, dict) or set(x) != {"inputs", "warm_start", *KINDS}:
        return False
    files = {kind: x[kind] for kind in KINDS}
    return _is_digest(x["warm_start"]) and _are_inputs(x["inputs"]) and _are_files(files)


def _are_inputs(x: object) -> bool:
    return isinstance(x, list) and all(isinstance(entry, list) and len(entry) == 3 for entry in x)


_ENTRIES: Mapping[str, Callable[[object], bool]] = {
    "config": _is_config,
    "config_hash": _is_digest,
    "currencies": _are_texts,
    "parts": _are_parts,
    "tables": _are_files,
}
"""The entries of a manifest, and whether each is whole."""


def create_store(folder: Path, config: Config) -> Store:
    """Create a store in a folder, and the folder if it is missing."""
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
    store = Store(folder, content)
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
