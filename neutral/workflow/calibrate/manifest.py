"""Reads the manifest of a store, and refuses one that is damaged or of another format."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ... import durable
from ...errors import DataError
from ..recipes import RECIPES
from .parquet import KINDS, StoredFile

FORMAT = 5
READABLE = (3, 4, 5)  # manifests of format 3 have no digest; tables before format 5 have times as text
MANIFEST = "manifest.json"
_KEY = re.compile(r".*-\d{5,9}", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REMEDY = "Restore the file from a copy, or use another --out, or --no-resume, which moves the folder aside."


def new_manifest(config: Mapping[str, Any], config_hash: str) -> dict[str, Any]:
    """Return the manifest of a store without results."""
    return {
        "format": FORMAT,
        "config": config,
        "config_hash": config_hash,
        "currencies": [],
        "parts": {},
        "tables": {},
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest in a folder; errors are those of `open_store`."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{folder}: has no results of `neutral calibrate`, because {MANIFEST} is missing."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read: {error}. {_REMEDY}") from error
    if not isinstance(manifest, dict) or manifest.get("format") not in READABLE:
        raise DataError(
            f"{path}: is not a manifest of format {FORMAT}, which this version of neutral writes; use "
            "another --out, or --no-resume, which moves the folder aside."
        )
    durable.check_seal(path, manifest, required=manifest["format"] > 3)
    wrong = [name for name, is_whole in _ENTRIES.items() if not is_whole(manifest.get(name))]
    if manifest.get("config_hash") == "" and "imported" in manifest:  # imported results have none yet
        wrong.remove("config_hash")
    optional = {name: is_whole for name, is_whole in _OPTIONAL.items() if name in manifest}
    wrong += [name for name, is_whole in optional.items() if not is_whole(manifest[name])]
    if wrong:
        raise DataError(f"{path}: is damaged: {', '.join(wrong)} cannot be read. {_REMEDY}")
    return manifest


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


_OPTIONAL: Mapping[str, Callable[[object], bool]] = {
    "imported": lambda x: (
        isinstance(x, dict) and all(_are_files(files) and set(files) == set(KINDS) for files in x.values())
    ),
    "imported_models": lambda x: _are_texts(x) and _is_config({"models": x}),
}
"""The entries of a manifest after an import, and whether each is whole."""
