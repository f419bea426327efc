"""Records of the pipeline: one JSON file per fit of a market, and a table of all of them."""

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
from ..calibrate.rows import REFUSED
from ..inputs.archive import TIME

FOLDER = "records"
ALWAYS = ("asset", "timestamp", "file", "config_hash", "code_version", "model", "status", "converged")
OF_A_FIT = (
    "sha256", "parameters", "loss", "iv_rmse", "iv_rmse_per_maturity", "largest_iv_error",
    "condition_number", "n_options", "n_maturities", "maturities", "steps",
)  # fmt: skip
NESTED = ("parameters", "standard_errors")
UNLISTED = ("covariance", "covariance_names", "stages", "gates", "log", *NESTED)  # not in the table


class Records:
    """The records in a folder, in order of asset and time."""

    def __init__(self, folder: Path) -> None:
        """Read what the folder holds.

        Args:
            folder: Of the results; made if missing.

        Raises:
            DataError: a record is damaged.
            WriteError: the folder cannot be made.
        """
        self.folder = folder / FOLDER
        with durable.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.all = {path.name: _read(path) for path in sorted(self.folder.glob("*.json"))}

    def before(self, asset: str, timestamp: str, model: str, days: float) -> Mapping[str, Any] | None:
        """The last converged fit of a model to a market in the days before a time; None where there is none.

        Args:
            asset: Underlying.
            timestamp: ISO text; "" where it is not known, and so is what came before.
            model: Name.
            days: How far back.
        """
        if not timestamp:
            return None
        since = (datetime.fromisoformat(timestamp) - timedelta(days=days)).strftime(TIME)
        earlier = [
            one
            for one in self.all.values()
            if (one["asset"], one["model"]) == (asset, model) and one["converged"]
            if since <= one["timestamp"] < timestamp
        ]
        return max(earlier, key=lambda one: one["timestamp"], default=None)

    def history(self) -> list[Mapping[str, Any]]:
        """All records with a fit, in order of time."""
        fits = [one for one in self.all.values() if one.get("parameters")]
        return sorted(fits, key=lambda one: (one["timestamp"], one["asset"]))

    def store(self, record: Mapping[str, Any], refused: pd.DataFrame | None = None) -> dict[str, float]:
        """Write a record, and read it back; beside it the quotes that are refused, with their reasons.

        Returns:
            write_failures, missing_fields and clock_skew_seconds: how far the clock of the disk is from this
            machine's, or the market's time ahead of it.

        Raises:
            WriteError: the disk is full, or writing is not allowed.
        """
        plain = as_plain(record)
        path = self.folder / _name(plain)
        if refused is not None and len(refused):
            durable.write_text(path.with_suffix(".refused.csv"), refused.to_csv(index=False))
        durable.write_text(path, json.dumps(plain, indent=1, allow_nan=False) + "\n")
        now, written = time.time(), path.stat().st_mtime
        self.all[path.name] = plain
        required = ALWAYS if plain["status"] == REFUSED else (*ALWAYS, *OF_A_FIT)
        missing = [name for name in required if plain.get(name) is None]
        return {
            "write_failures": float(_read(path) != plain),
            "missing_fields": float(len(missing)),
            "clock_skew_seconds": max(abs(now - written), _ahead(plain["timestamp"], now)),
        }

    def write_table(self) -> Path:
        """`records.csv`: a row per record, parameters and their standard errors as columns."""
        rows = []
        for one in self.all.values():
            errors = {f"{name}_se": x for name, x in (one.get("standard_errors") or {}).items()}
            lists = {key: x for key, x in one.items() if key not in UNLISTED and not isinstance(x, list)}
            rows.append(lists | (one.get("parameters") or {}) | errors)
        path = self.folder.parent / "records.csv"
        table = pd.DataFrame(rows)
        if len(table):
            table = table.sort_values(["asset", "timestamp", "model"], kind="stable")
        durable.write_text(path, table.to_csv(index=False))
        return path


def as_plain(x: Any) -> Any:
    """Numbers, texts, lists and dictionaries as JSON has them; what is not finite is None."""
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
    """Asset, time (else file), model and configuration: the same work has the same name."""
    when = record["timestamp"] or record["file"]
    name = f"{record['asset']}_{when}_{record['model']}_{record['config_hash'][:8]}"
    return "".join(c if c.isalnum() or c in "-_.+" else "" for c in name) + ".json"


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = [name for name in ALWAYS if name not in record]
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: damaged: {error}; move it out of the folder.") from error
    if missing:
        raise DataError(f"{path}: no record of the pipeline: it lacks {', '.join(missing)}; move it away.")
    return record


def _ahead(timestamp: str, now: float) -> float:
    """Seconds by which a market's time lies in the future."""
    if not timestamp:
        return 0.0
    return max(0.0, datetime.fromisoformat(timestamp).timestamp() - now)
