"""Resumes an earlier run: checks that it agrees, finds its finished blocks, and restores starting values."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from ...durable import writing
from ...errors import ArgumentError, DataError
from ..inputs.archive import SnapshotFile
from ..recipes import RECIPES, value_columns
from .config import Config
from .rows import Parameters
from .store import MANIFEST, Part, Store, create_store, locked, open_store

State = dict[str, Parameters]
"""The parameters of the last converged fit, by model."""

REMEDY = "Use another --out, or --no-resume, which moves the earlier results aside and starts afresh."


def resume_or_create(folder: Path, config: Config, archive: Sequence[SnapshotFile]) -> Store:
    """Open the store in a folder to continue its run, or create a store if there is none.

    Raises:
        ArgumentError: The results come from another configuration, or from other files at the same positions.
    """
    if not (folder / MANIFEST).exists():
        return create_store(folder, config)
    store = open_store(folder)
    if store.is_imported:  # and has no configuration yet
        store.save(config=config.content, config_hash=config.hash, tables={})
    if store.config_hash != config.hash:
        changes = "; ".join(_differences(store.config, config.content)) or "it is of another version"
        raise ArgumentError(f"{folder} has results of another configuration: {changes}. {REMEDY}")
    check_inputs(store, archive)
    return store


def move_aside(folder: Path) -> Path | None:
    """Rename a folder with results, so that a new run starts afresh.

    Returns:
        The new name of the folder; None if it has no results.
    """
    if not (folder / MANIFEST).exists():
        return None
    number = 1
    while (aside := folder.with_name(f"{folder.name}.previous-{number}")).exists():
        number += 1
    with locked(folder), writing(aside):
        folder.rename(aside)
    return aside


def check_inputs(store: Store, archive: Sequence[SnapshotFile]) -> None:
    """Refuse an archive in which a calibrated file has changed or now has another position.

    Only the calibrated files are hashed here; the others are hashed when they are read.

    Raises:
        ArgumentError: A file differs; the message names it.
    """
    by_position = {file.position: file for file in archive}
    for underlying in store.underlyings:
        for part in store.parts(underlying).values():
            for position, name, digest in part.inputs:
                file = by_position.get(position)
                if file is None or file.entry == (position, name, digest):
                    continue
                raise ArgumentError(f"{store.folder}: {_what_changed(file, name)} {REMEDY}")


def is_done(store: Store, underlying: str, block: int, files: Sequence[SnapshotFile], state: State) -> bool:
    """Whether a block is committed, with these files and this starting state.

    Raises:
        DataError: The block is committed with a file that is not among the inputs now.
    """
    part = store.part(underlying, block)
    if part is None:
        return False
    if part.covers(files):
        return part.warm_start == digest(state) and store.is_complete(underlying, block)
    _check_none_missing(store, part, block, files)
    return False


def last_converged(fits: pa.Table) -> State:
    """Return the parameters of each model's last converged row."""
    state: State = {}
    models = fits["model"].unique().to_pylist()
    names = [name for name in value_columns(models) if name in fits.column_names]
    for row in fits.select(["model", "converged", *names]).to_pylist():
        if row["converged"]:
            state[row["model"]] = {name: row[name] for name in names if row[name] is not None}
    return state


def earlier_state(store: Store, underlying: str, first_block: int) -> State:
    """Return the state after imported results and the committed blocks before the first block of a run."""
    imported = store.imported("fits", underlying)
    state = {} if imported is None else _whole(last_converged(imported))
    for block in store.parts(underlying):
        if block < first_block:
            state |= last_converged(store.read_part("fits", underlying, block))
    return state


def _whole(state: State) -> State:
    """Return the models of which every parameter is known; a workbook may lack some."""
    return {model: values for model, values in state.items() if set(RECIPES[model].values) <= set(values)}


def digest(state: Mapping[str, Parameters]) -> str:
    """Return the SHA-256 of a state, which depends on every digit of its numbers."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


def _check_none_missing(store: Store, part: Part, block: int, files: Sequence[SnapshotFile]) -> None:
    """Refuse inputs that lack a file of a committed block."""
    positions = {file.position for file in files}
    missing = [name for position, name, _ in part.inputs if position not in positions]
    if missing:
        raise DataError(
            f"{store.folder}: block {block} was calibrated with {missing[0]}, which is not among the input "
            "files now, so the block cannot be extended; pass the whole archive."
        )


def _what_changed(file: SnapshotFile, name: str) -> str:
    """Describe how a file differs from the calibrated file of this name."""
    if file.path.name == name:
        return f"{name} has changed since it was calibrated (its SHA-256 differs)."
    return (
        f"position {file.position} of the archive is {file.path.name} now, and was {name} when it was "
        "calibrated. Positions seed the splits, so no file may be added or removed before another. Pass the "
        "same files as before (--first-index states how many earlier ones are left out)."
    )


def _differences(old: object, new: object, where: str = "") -> list[str]:
    """Return the keys that differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        changes = []
        for key in dict.fromkeys([*old, *new]):
            changes += _differences(old.get(key), new.get(key), f"{where}.{key}" if where else key)
        return changes
    return [] if old == new else [f"{where} was {json.dumps(old)}, is {json.dumps(new)}"]
