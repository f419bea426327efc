"""Rows with odd text and odd numbers survive Parquet, the workbook and the database."""

import math
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from neutral.times import TIME as TIME_FORMAT
from neutral.workflow.calibrate import sinks
from neutral.workflow.calibrate.config import Config
from neutral.workflow.calibrate.parquet import (
    fits_table,
    quotes_table,
    read_parquet,
    schema_of,
    write_parquet,
)
from neutral.workflow.calibrate.rows import columns_of
from neutral.workflow.calibrate.store import Part, Store, create_store
from neutral.workflow.calibrate.workbook_columns import COMMON
from neutral.workflow.csv_files import FORMULA, write_csv

MODELS = ["black", "piecewise_heston"]
FIT_COLUMNS = columns_of("fits", MODELS)
QUOTE_COLUMNS = columns_of("quotes", MODELS)
TIME = datetime(2026, 1, 1, tzinfo=UTC)
LONG = "x" * 40_000  # longer than a cell of a workbook

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["", "=1+1", "+cmd", "-2", "@x", "'", 'a"b', "a,b\nc", "Ünïcödé ☃ 𝔘", "http://x", "nan", "None", "\x01"]
)
numbers = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308])
KINDS = {
    "text": texts,
    "flag": st.booleans(),
    "count": st.none() | st.integers(-(2**53), 2**53),
    "real": numbers,
    "reals": st.none() | st.lists(st.floats(allow_nan=False), min_size=1, max_size=3),
    "time": st.none()
    | st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),
}
fit_rows = st.fixed_dictionaries({name: KINDS[kind] for name, kind in FIT_COLUMNS.items()})
quote_rows = st.fixed_dictionaries({name: KINDS[kind] for name, kind in QUOTE_COLUMNS.items()})

quick = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def frame_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A table of quotes as `quote_rows` gives it."""
    columns = {name: [row[name] for row in rows] for name in QUOTE_COLUMNS}
    frame = pd.DataFrame(columns)
    for name, kind in QUOTE_COLUMNS.items():
        if kind == "time":
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        if kind == "real":
            frame[name] = frame[name].astype(float)
    return frame


def stored(folder: Path, fits: list[dict[str, Any]], quotes: list[dict[str, Any]]) -> Store:
    """A store with these rows."""
    store = create_store(folder, Config(models=MODELS))
    store.list_underlyings(["BTC"])
    frames = [frame_of(quotes)] if quotes else []
    store.commit("BTC", 0, Part((), "", {}), fits_table(fits, MODELS), quotes_table(frames, MODELS))
    return store


def same(value: Any, other: Any, signed_zero: bool = True) -> bool:
    """Whether a value came back: nan is stored as null, everything else digit for digit."""
    if isinstance(value, float) and math.isnan(value):
        return other is None or (isinstance(other, float) and math.isnan(other))
    if isinstance(value, float) and isinstance(other, float):
        signs = math.copysign(1.0, value) == math.copysign(1.0, other)
        return value == other and (signs or not signed_zero)
    return value == other


@quick
@given(st.lists(fit_rows, max_size=3), st.lists(quote_rows, max_size=3))
def test_parquet_keeps_every_value(fits, quotes):
    with tempfile.TemporaryDirectory() as folder:
        for kind, rows, table in (
            ("fits", fits, fits_table(fits, MODELS)),
            ("quotes", quotes, quotes_table([frame_of(quotes)] if quotes else [], MODELS)),
        ):
            path = Path(folder) / f"{kind}.parquet"
            back = read_parquet(path, write_parquet(path, schema_of(kind, MODELS), [table])).to_pylist()
            assert len(back) == len(rows)
            for row, other in zip(rows, back, strict=True):
                for name in row:
                    assert same(row[name], other[name]), (kind, name, row[name], other[name])


@quick
@given(st.lists(fit_rows, min_size=1, max_size=3))
@example([{name: LONG if kind == "text" else None for name, kind in FIT_COLUMNS.items()}])
def test_the_database_keeps_every_value(fits):
    with tempfile.TemporaryDirectory() as folder:
        store = stored(Path(folder), fits, [])
        (path,) = sinks.write_reports(store, ["sqlite"])
        with closing(sqlite3.connect(path)) as connection:
            connection.row_factory = sqlite3.Row
            rows = [dict(row) for row in connection.execute("SELECT * FROM fits")]
    for row, other in zip(fits, rows, strict=True):
        for name, kind in FIT_COLUMNS.items():
            expected = row[name]
            if kind == "reals" and expected is not None:
                expected = ", ".join(map(repr, expected))
            if kind == "time" and expected is not None:
                expected = expected.strftime(TIME_FORMAT)
            # SQLite keeps whole numbers as integers, which have one zero
            assert same(expected, other[name], signed_zero=False), (name, row[name], other[name])


@settings(quick, max_examples=6)
@given(st.lists(fit_rows, min_size=1, max_size=2))
def test_the_workbook_has_no_formulas_and_every_text(fits):
    pytest.importorskip("xlsxwriter")
    openpyxl = pytest.importorskip("openpyxl")
    fits = [row | {"model": "black", "snapshot_ts": TIME, "currency": "BTC"} for row in fits]
    with tempfile.TemporaryDirectory() as folder:
        (path,) = sinks.write_reports(stored(Path(folder), fits, []), ["xlsx"])
        sheet = openpyxl.load_workbook(path)["black_params"]
        cells = list(sheet.iter_rows(min_row=2))
    header = [*COMMON]
    for row, line in zip(fits, cells, strict=True):
        message = line[header.index("message")]
        assert message.data_type != "f"
        expected = row["message"]
        if expected.startswith(FORMULA):
            expected = f"'{expected}"
        plain = "".join(c for c in expected if c.isprintable() or c == "\n")
        if plain == expected:
            assert (message.value or "") == expected


def test_csv_files_have_no_formulas(tmp_path):
    frame = pd.DataFrame({"name": ["=1+1", "@x", "BTC"], "number": [-1.0, 2.0, None], "=A1": 3})
    write_csv(tmp_path / "table.csv", frame)
    assert (tmp_path / "table.csv").read_text() == "name,number,'=A1\n'=1+1,-1.0,3\n'@x,2.0,3\nBTC,,3\n"
