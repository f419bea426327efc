"""Stores the records of the pipeline: one JSON file for each fit of a market, and a table of all records."""

import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import durable
from ...errors import DataError
from ...times import TIME
from ..csv_files import write_csv
from ..outcome import REFUSED
from ..table_files import write_tables

FOLDER = "records"
ALWAYS = ("asset", "timestamp", "file", "config_hash", "code_version", "model", "status", "converged")
OF_A_FIT = (
    "sha256",
    "parameters",
    "loss",
    "iv_rmse",
    "iv_rmse_per_maturity",
    "largest_iv_error",
    "condition_number",
    "n_options",
    "n_maturities",
    "maturities",
    "steps",
)
NESTED = ("parameters", "standard_errors")
UNLISTED = ("covariance", "covariance_names", "stages", "gates", "log", *NESTED)  # not in the table


class Records:
    """The records in a folder, by file name."""

    def __init__(self, folder: Path) -> None:
        """Read the records in a folder of results.

        Args:
            folder: The folder of the results, which is created if it is missing.

        Raises:
            DataError: A record is damaged.
            WriteError: The folder cannot be created.
        """
        self.folder = folder / FOLDER
        with durable.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.all = {path.name: _read(path) for path in sorted(self.folder.glob("*.json"))}

    def before(self, underlying: str, timestamp: str, model: str, days: float) -> Mapping[str, Any] | None:
        """Find the last converged fit of a model to an underlying in the days before a time.

        Args:
            underlying: The underlying.
            timestamp: The time as `time_text` writes it; no fit is earlier than "", an unknown time.
            model: The name of the model.
            days: Number of days to look back.

        Returns:
            The record of the fit; None if there is none.
        """
        if not timestamp:
            return None
        since = (datetime.fromisoformat(timestamp) - timedelta(days=days)).strftime(TIME)
        earlier = [
            record
            for record in self.all.values()
            if (record["asset"], record["model"]) == (underlying, model) and record["converged"]
            if since <= record["timestamp"] < timestamp
        ]
        return max(earlier, key=lambda record: record["timestamp"], default=None)

    def of_fit(
        self, file: str, underlying: str, timestamp: str, sha256: str, config_hash: str
    ) -> Mapping[str, Any] | None:
        """Return the record of the fit with this configuration to this data; None if there is none."""
        wanted = {
            "file": file,
            "asset": underlying,
            "timestamp": timestamp,
            "sha256": sha256,
            "config_hash": config_hash,
        }
        fits = (record for record in self.all.values() if record.get("parameters"))
        same = (record for record in fits if all(record.get(key) == x for key, x in wanted.items()))
        return next(same, None)

    def history(self) -> list[Mapping[str, Any]]:
        """Return all records with a fit, in order of time."""
        fits = [record for record in self.all.values() if record.get("parameters")]
        return sorted(fits, key=lambda record: (record["timestamp"], record["asset"]))

    def store(self, record: Mapping[str, Any], refused: pd.DataFrame | None = None) -> dict[str, float]:
        """Write a record, read it back, and write the refused quotes with their reasons beside it.

        Args:
            record: The record.
            refused: The refused quotes with their column `reason`; None writes no such file.

        Returns:
            Metrics: `write_failures`, `missing_fields`, and `clock_skew_seconds`, which is the larger of two
            times: by how much the clocks of the disk and of this machine differ, and by how much the time of
            the market is ahead of this machine.

        Raises:
            WriteError: The disk is full, or writing is not allowed.
        """
        plain = as_plain(record)
        path = self.folder / _name(plain)
        if refused is not None and len(refused):
            write_csv(path.with_suffix(".refused.csv"), refused)
        durable.write_text(path, json.dumps(durable.sealed(plain), indent=1, allow_nan=False) + "\n")
        now = time.time()
        written = path.stat().st_mtime
        self.all[path.name] = plain
        required = ALWAYS if plain["status"] == REFUSED else (*ALWAYS, *OF_A_FIT)
        missing = [name for name in required if plain.get(name) is None]
        return {
            "write_failures": float(_read(path) != plain),
            "missing_fields": float(len(missing)),
            "clock_skew_seconds": max(abs(now - written), _ahead(plain["timestamp"], now)),
        }

    def write_table(self) -> Path:
        """Write the table `records`, with a row for each record and columns of parameters and their errors.

        Returns:
            The path of the Parquet file; a CSV file is beside it.

        Raises:
            WriteError: The file cannot be written.
        """
        frame = pd.DataFrame([_row(record) for record in self.all.values()])
        if len(frame):
            frame = frame.sort_values(["asset", "timestamp", "model"], kind="stable")
            frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True, format="ISO8601")
        (path,) = write_tables(self.folder.parent, {"records": frame})
        return path


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record as a row of the table."""
    errors = {f"{name}_se": error for name, error in (record.get("standard_errors") or {}).items()}
    plain = {key: x for key, x in record.items() if key not in UNLISTED and not isinstance(x, list)}
    return plain | (record.get("parameters") or {}) | errors


def as_plain(x: object) -> Any:
    """Convert a value to the numbers, texts, lists and dictionaries of JSON; nan and inf become None."""
    if isinstance(x, Mapping):
        return {str(key): as_plain(value) for key, value in x.items()}
    if isinstance(x, list | tuple | np.ndarray):
        return [as_plain(value) for value in x]
    if isinstance(x, bool | np.bool_):
        return bool(x)
    if isinstance(x, int | np.integer):
        return int(x)
    if isinstance(x, float | np.floating):
        return float(x) if np.isfinite(x) else None
    return x


def _name(record: Mapping[str, Any]) -> str:
    """Make a file name of underlying, time (or file), model and configuration; equal work has equal names."""
    when = record["timestamp"].replace(":", "") or durable.file_name(record["file"])
    asset = durable.file_name(record["asset"])
    return f"{asset}_{when}_{durable.file_name(record['model'])}_{record['config_hash'][:8]}.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: is damaged: {error}; move it out of the folder.") from error
    missing = [name for name in ALWAYS if name not in record] if isinstance(record, dict) else list(ALWAYS)
    if missing:
        raise DataError(
            f"{path}: is not a record of the pipeline, because it lacks {', '.join(missing)}; move it out of "
            "the folder."
        )
    durable.check_seal(path, record)
    record.pop(durable.DIGEST, None)
    wrong = _unreadable(record)
    if wrong:
        raise DataError(f"{path}: is damaged: {', '.join(wrong)} cannot be read; move it out of the folder.")
    return record


def _unreadable(record: Mapping[str, Any]) -> list[str]:
    """Return the names of the entries whose values are of another kind than records have."""
    texts = [name for name in ALWAYS if name != "converged" and not isinstance(record[name], str)]
    flags = [] if isinstance(record["converged"], bool) else ["converged"]
    nested = [name for name in NESTED if not isinstance(record.get(name) or {}, dict)]
    times = [] if texts or _is_time(record["timestamp"]) else ["timestamp"]
    return [*texts, *flags, *nested, *times]


def _is_time(text: str) -> bool:
    """Whether a text is a time as `time_text` writes it, or "" for an unknown one."""
    try:
        return not text or bool(datetime.strptime(text, TIME))
    except ValueError:
        return False


def _ahead(timestamp: str, now: float) -> float:
    """Return the seconds by which the time of a market is in the future."""
    if not timestamp:
        return 0.0
    return max(0.0, datetime.fromisoformat(timestamp).timestamp() - now)
