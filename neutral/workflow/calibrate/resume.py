"""Going on where an earlier run stopped: what must agree, what is done, what the next block starts from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...durable import writing
from ...errors import ArgumentError, DataError
from ..config import Config
from ..inputs.archive import SnapshotFile
from ..recipes import value_columns
from .rows import Parameters
from .store import MANIFEST, Part, Store, locked

State = dict[str, Parameters]  # by model: parameters of the last converged fit
WAYS_ON = "Take another --out, or --no-resume, which moves the earlier results aside and begins afresh."


def resume_or_create(folder: Path, config: Config, archive: Sequence[SnapshotFile]) -> Store:
    """The store in a folder, to go on with; a new one where there is none.

    Raises:
        ArgumentError: its results come from another configuration, or from other files at the same positions.
    """
    if not (folder / MANIFEST).exists():
        return Store.create(folder, config)
    store = Store.open(folder)
    if store.config_hash != config.hash:
        changes = "; ".join(_differences(store.config, config.content)) or "keys of another version"
        raise ArgumentError(f"{folder} holds results of another configuration: {changes}. {WAYS_ON}")
    check_inputs(store, archive)
    return store


def move_aside(folder: Path) -> Path | None:
    """Rename a folder with results, so that a new run begins afresh; its new name, None if there was none."""
    if not (folder / MANIFEST).exists():
        return None
    number = 1
    while (aside := folder.with_name(f"{folder.name}.previous-{number}")).exists():
        number += 1
    with locked(folder), writing(aside):
        folder.rename(aside)
    return aside


def check_inputs(store: Store, archive: Sequence[SnapshotFile]) -> None:
    """Refuse an archive in which a file that was calibrated has changed, or has another position now.

    Raises:
        ArgumentError: names the file.
    """
    now = {file.position: file for file in archive}
    for currency in store.currencies:
        for part in store.parts(currency).values():
            for position, name, digest in part.inputs:
                file = now.get(position)
                if file is None or file.entry == (position, name, digest):
                    continue
                raise ArgumentError(f"{store.folder}: {_what_changed(file, name)} {WAYS_ON}")


def is_done(store: Store, currency: str, block: int, files: Sequence[SnapshotFile], state: State) -> bool:
    """Whether a block is committed, from these files and this start.

    Raises:
        ArgumentError: it is committed with files of which some are not given now.
    """
    part = store.part(currency, block)
    if part is None:
        return False
    if part.covers(files):
        return part.warm_start == digest(state) and store.is_complete(currency, block)
    _check_not_less(store, part, block, files)
    return False


def last_converged(fits: pa.Table) -> State:
    """For each model the parameters of its last converged row."""
    state: State = {}
    models = fits["model"].unique().to_pylist()
    names = [name for name in value_columns(models) if name in fits.column_names]
    for row in fits.select(["model", "converged", *names]).to_pylist():
        if row["converged"]:
            state[row["model"]] = {name: row[name] for name in names if row[name] is not None}
    return state


def earlier_state(store: Store, currency: str, first_block: int) -> State:
    """What the blocks before the first one given leave to start from."""
    state: State = {}
    for block in store.parts(currency):
        if block < first_block:
            state |= last_converged(store.read_part("fits", currency, block))
    return state


def digest(state: Mapping[str, Parameters]) -> str:
    """SHA-256 of a state; numbers count with every digit."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _check_not_less(store: Store, part: Part, block: int, files: Sequence[SnapshotFile]) -> None:
    given = {file.position for file in files}
    missing = [name for position, name, _ in part.inputs if position not in given]
    if missing:
        raise DataError(
            f"{store.folder}: block {block} was calibrated with {missing[0]}, which is not among the files "
            "given now, and cannot be extended without it; give the whole archive."
        )


def _what_changed(file: SnapshotFile, name: str) -> str:
    if file.path.name == name:
        return f"{name} has changed since it was calibrated (its SHA-256 differs)."
    return (
        f"position {file.position} of the archive is {file.path.name} now and was {name} when it was "
        "calibrated; positions seed the splits, so files must not appear or vanish before others. Give the "
        "files as they were (--first-index says how many earlier ones are left out)."
    )


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Keys that differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        changes = []
        for key in dict.fromkeys([*old, *new]):
            changes += _differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
        return changes
    return [] if old == new else [f"{where} was {json.dumps(old)}, is {json.dumps(new)}"]
