"""Writes the rows of a store to other formats: an Excel workbook and an SQLite database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pandas as pd

from ... import durable
from ...errors import ArgumentError
from ...times import TIME
from .rows import columns_of
from .store import Store
from .workbook import Cell, plain, write_xlsx


def write_reports(store: Store, kinds: list[str]) -> list[Path]:
    """Write reports beside the store's tables.

    Args:
        store: Results of a run.
        kinds: Kinds of reports: "xlsx", "sqlite".

    Returns:
        The paths of the files.

    Raises:
        ArgumentError: A kind is unknown.
        NeutralError: A package that the report needs is not installed, or a file cannot be written.
    """
    check_kinds(kinds)
    paths = []
    for kind in dict.fromkeys(kinds):
        name, write = SINKS[kind]
        path = store.folder / name
        durable.replace(path, lambda partial, write=write: write(store, partial))
        paths.append(path)
    return paths


def check_kinds(kinds: list[str]) -> None:
    """Refuse unknown kinds of report.

    Raises:
        ArgumentError: A kind is unknown; the message names it and lists the accepted kinds.
    """
    unknown = [kind for kind in kinds if kind not in SINKS]
    if unknown:
        raise ArgumentError(f"report {unknown[0]!r} is unknown; expected one of {', '.join(SINKS)}.")


def write_sqlite(store: Store, path: Path) -> None:
    """Write the database, with the tables `fits` and `quotes`."""
    path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            for kind in ("fits", "quotes"):
                _write_table(connection, kind, columns_of(kind, store.models), store)
            for kind in ("fits", "quotes"):
                connection.execute(f"CREATE INDEX {kind}_snapshot ON {kind} (currency, snapshot_ts)")
            connection.commit()
    except sqlite3.Error as error:
        raise durable.WriteError(f"cannot write {path}: {error}") from error


Sink = Callable[[Store, Path], None]
SINKS: dict[str, tuple[str, Sink]] = {
    "xlsx": ("calibration_results.xlsx", write_xlsx),
    "sqlite": ("calibration_results.sqlite", write_sqlite),
}


def _write_table(connection: sqlite3.Connection, kind: str, columns: dict[str, str], store: Store) -> None:
    """Create a table of the database and fill it with the rows of the store."""
    types = {"real": "REAL", "count": "INTEGER", "flag": "INTEGER"}
    declared = ", ".join(f'"{name}" {types.get(of, "TEXT")}' for name, of in columns.items())
    connection.execute(f"CREATE TABLE {kind} ({declared})")
    marks = ", ".join("?" * len(columns))
    for part in store.batches(kind):
        frame = part.to_pandas()
        rows = zip(*(_texts(frame[name], of) for name, of in columns.items()), strict=True)
        connection.executemany(f"INSERT INTO {kind} VALUES ({marks})", rows)


def _texts(column: pd.Series, kind: str) -> list[Cell]:
    """Convert a column as `plain` does, with times as text in the format `TIME`."""
    if kind != "time":
        return plain(column, kind)
    codes, times = pd.factorize(column)  # few times repeat, so each is formatted once
    text = [*pd.DatetimeIndex(times).strftime(TIME), None]
    return [text[code] for code in codes]
