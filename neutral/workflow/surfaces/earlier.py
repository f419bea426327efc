"""Finds what an earlier run, which may have been interrupted, has stored about the same markets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..inputs.markets import Market
from ..table_files import read_table

Row = dict[str, Any]
Key = tuple[str, str, str, str]


class EarlierRows:
    """The rows of a table of markets that were fitted with the same settings and converged."""

    def __init__(self, path: Path, labels: Mapping[str, str] | None):
        """Read the rows.

        Args:
            path: The Parquet file; a missing file has no rows.
            labels: Columns and their values that identify the settings; None ignores what is there.

        Raises:
            DataError: The file is damaged.
        """
        rows = read_table(path).to_dict("records") if labels is not None and path.is_file() else []
        wanted = {**(labels or {}), "converged": True}
        same = [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]
        self._rows: dict[Key, Row] = {_key(row): row for row in same}

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, market: Market) -> Row | None:
        """Return the row about a market, if the file has the same data as then."""
        row = {"file": market.file, "currency": market.underlying, "snapshot_ts": market.timestamp}
        return self._rows.get(_key(row | {"data_sha256": market.data_sha256}))


def _key(row: Mapping[str, Any]) -> Key:
    """Return the identity of a market: file, underlying, time and digest of the data."""
    time = row["snapshot_ts"]
    when = "" if pd.isna(time) else pd.Timestamp(time).isoformat()
    return str(row["file"]), str(row["currency"]), when, str(row.get("data_sha256"))
