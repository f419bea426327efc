"""Writes the rows of a store to other formats: an Excel workbook and an SQLite database."""

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ... import durable
from ...errors import ArgumentError, NeutralError
from ...times import TIME
from ..recipes import RECIPES, SHIFT, in_order, price_columns, standard_models
from .rows import columns_of
from .store import Store

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.worksheet import Worksheet

Cell = float | int | str | bool | None

COMMON = (
    "timestamp",
    "currency",
    "success",
    "message",
    "nfev",
    "rmse_fit",
    "mae_fit",
    "rmse_train",
    "mae_train",
    "rmse_test",
    "mae_test",
    "n_options_total",
    "n_train",
    "n_test",
    "random_seed",
)  # columns of a sheet of parameters before the parameters
RENAMED = {
    "snapshot_ts": "timestamp",
    "converged": "success",
    "steps": "nfev",
    "mu_y": "ell_y",
    "mu_v": "ell_v",
}  # columns that have another name in the workbook
FIRST = ("kappa", "theta", "sigma_v", "rho", "v0")  # parameters in the published order; all others follow
QUOTE_FRONT = (
    "snapshot_ts",
    "currency",
    "instrument_name",
    "option_type",
    "strike",
    "expiry_datetime",
    "time_to_maturity",
    "futures_price",
    "bid_price",
    "ask_price",
    "mid_price_clean",
    "rel_spread",
    "open_interest",
    "vega",
    "random_seed",
)  # columns of a sheet of quotes before the prices of models
LAST_ROW = 1_048_576  # rows of a sheet in Excel
FORMULA = ("=", "+", "-", "@")  # with which text begins that Excel might read as a formula


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


def write_xlsx(store: Store, path: Path) -> None:
    """Write the workbook: a sheet of parameters for each model, the train quotes and the test quotes."""
    try:
        import xlsxwriter
    except ModuleNotFoundError:
        raise NeutralError("the workbook needs xlsxwriter; run pip install 'neutral[excel]'.") from None
    fits = store.read("fits").to_pandas()
    options = {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        kinds = kinds_of(store.models)
        for model in in_order([*standard_models(), *store.models]):
            title = RECIPES[model].sheet
            _write_sheet(book, title, sheet_columns(model), [_parameters(fits, model)], kinds)
        columns = quote_sheet_columns(store.models)
        for split in ("train", "test"):
            _write_sheet(book, f"{split}_data", columns, _quotes(store, fits, split), kinds)


def sheet_columns(model: str) -> list[str]:
    """Return the columns of the sheet of a model's parameters."""
    recipe = RECIPES[model]
    rank = {name: i for i, name in enumerate(FIRST)}
    parameters = sorted(recipe.columns.values(), key=lambda name: rank.get(name, len(FIRST)))
    shift = SHIFT if recipe.shifted else ()
    return [*COMMON, *(RENAMED.get(name, name) for name in parameters), *shift]


def quote_sheet_columns(models: Sequence[str]) -> list[str]:
    """Return the columns of the sheets of quotes: `QUOTE_FRONT`, the prices of models, the rest by name."""
    front = [*QUOTE_FRONT, *price_columns(models).values()]
    return [*front, *sorted(set(columns_of("quotes", models)) - set(front))]


def kinds_of(models: Sequence[str]) -> dict[str, str]:
    """Return the kinds of all columns of reports, by name."""
    fits = columns_of("fits", models)
    renamed = {new: fits[old] for old, new in RENAMED.items()}
    return fits | columns_of("quotes", models) | renamed


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


def _parameters(fits: pd.DataFrame, model: str) -> pd.DataFrame:
    """Return the rows of one model, with the column names of the workbook."""
    return fits.loc[fits["model"] == model].rename(columns=RENAMED)


def _quotes(store: Store, fits: pd.DataFrame, split: str) -> Iterator[pd.DataFrame]:
    """Read the train or the test quotes, a part of the store at a time, with the seed of their split."""
    seeds = fits.drop_duplicates(["snapshot_ts", "currency"])[["snapshot_ts", "currency", "random_seed"]]
    for part in store.batches("quotes"):
        frame = part.to_pandas()
        yield frame[frame["split"] == split].merge(seeds, on=["snapshot_ts", "currency"], how="left")


def _write_sheet(
    book: "xlsxwriter.Workbook",
    name: str,
    columns: Sequence[str],
    frames: Iterable[pd.DataFrame],
    kinds: Mapping[str, str],
) -> None:
    """Write rows of tables under one header; when a sheet is full, another one takes the remaining rows."""
    sheet = _new_sheet(book, name, columns)
    row = 1
    number = 1
    for frame in frames:
        for values in _rows(frame, columns, kinds):
            if row == LAST_ROW:
                number += 1
                sheet = _new_sheet(book, f"{name}_{number}", columns)
                row = 1
            for column, value in enumerate(values):
                _write_cell(sheet, row, column, value)
            row += 1


def _new_sheet(book: "xlsxwriter.Workbook", name: str, columns: Sequence[str]) -> "Worksheet":
    sheet = book.add_worksheet(name)
    for column, title in enumerate(columns):
        sheet.write_string(0, column, title)
    return sheet


def _write_cell(sheet: "Worksheet", row: int, column: int, value: Cell) -> None:
    """Write a number as a number, nothing for None, and anything else as text that is not a formula."""
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float) and math.isfinite(value):
        sheet.write_number(row, column, value)
    else:
        text = str(value)
        sheet.write_string(row, column, f"'{text}" if text.startswith(FORMULA) else text)


def _write_table(connection: sqlite3.Connection, kind: str, columns: dict[str, str], store: Store) -> None:
    """Create a table of the database and fill it with the rows of the store."""
    types = {"real": "REAL", "count": "INTEGER", "flag": "INTEGER"}
    declared = ", ".join(f'"{name}" {types.get(of, "TEXT")}' for name, of in columns.items())
    connection.execute(f"CREATE TABLE {kind} ({declared})")
    marks = ", ".join("?" * len(columns))
    for part in store.batches(kind):
        rows = _rows(part.to_pandas(), list(columns), columns)
        connection.executemany(f"INSERT INTO {kind} VALUES ({marks})", rows)


def _rows(
    frame: pd.DataFrame, columns: Sequence[str], kinds: Mapping[str, str]
) -> Iterable[tuple[Cell, ...]]:
    """Convert rows to values that every format has: numbers, text and booleans; None for nan or no value."""
    return zip(*(_plain(pd.Series(frame[name]), kinds[name]) for name in columns), strict=True)


def _plain(column: pd.Series, kind: str) -> list[Cell]:
    """Convert a column for `_rows`; times and lists of numbers become text."""
    if pd.api.types.is_datetime64_any_dtype(column):
        codes, times = pd.factorize(column)  # few times repeat, so each is formatted once
        text = [*pd.DatetimeIndex(times).strftime(TIME), None]
        return [text[code] for code in codes]
    absent = column.isna().to_numpy()
    if kind == "reals":
        return [
            None if missing else ", ".join(repr(float(x)) for x in numbers)
            for numbers, missing in zip(column, absent, strict=True)
        ]
    convert = {"count": int, "flag": bool, "real": float}.get(kind, str)
    return [None if missing else convert(x) for x, missing in zip(column.tolist(), absent, strict=True)]
