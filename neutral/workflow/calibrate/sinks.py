"""Reports in other formats, rebuilt from the store's rows: a workbook and a database."""

import math
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from ... import durable
from ...errors import ArgumentError, NeutralError
from ...times import TIME
from .rows import FIT_COLUMNS, MODELS, PRICE_COLUMNS, QUOTE_COLUMNS, SHIFT
from .store import Store

COMMON = (
    "timestamp", "currency", "success", "message", "nfev", "rmse_fit", "mae_fit", "rmse_train", "mae_train",
    "rmse_test", "mae_test", "n_options_total", "n_train", "n_test", "random_seed",
)  # fmt: skip
RENAMED = {
    "snapshot_ts": "timestamp", "converged": "success", "steps": "nfev", "mu_y": "ell_y", "mu_v": "ell_v",
}  # fmt: skip
SHEETS = {
    "black": "black_params",
    "heston": "heston_params",
    "svcj": "svcj_params",
    "svcj++": "svcjpp_params",
}
_HESTON = ("kappa", "theta", "sigma_v", "rho", "v0")
_SVCJ = (*_HESTON, "lam", "ell_y", "sigma_y", "ell_v", "rho_j")
SHEET_PARAMETERS = {"black": ("sigma",), "heston": _HESTON, "svcj": _SVCJ, "svcj++": (*_SVCJ, *SHIFT)}
QUOTE_FRONT = (
    "snapshot_ts", "currency", "instrument_name", "option_type", "strike", "expiry_datetime",
    "time_to_maturity", "futures_price", "bid_price", "ask_price", "mid_price_clean", "rel_spread",
    "open_interest", "vega", "random_seed", *PRICE_COLUMNS.values(),
)  # fmt: skip
LAST_ROW = 1_048_576
FORMULA = ("=", "+", "-", "@")


def write_reports(store: Store, kinds: list[str]) -> list[Path]:
    """Write the reports asked for beside the store's tables; the files made.

    Raises:
        ArgumentError: an unknown kind.
        NeutralError: a package that the report needs is not installed, or a file cannot be written.
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
    """Refuse unknown kinds of report."""
    unknown = [kind for kind in kinds if kind not in SINKS]
    if unknown:
        raise ArgumentError(f"report {unknown[0]!r} is not known; there are {', '.join(SINKS)}.")


def write_xlsx(store: Store, path: Path) -> None:
    """The workbook: a sheet of parameters per model, the train quotes, the test quotes."""
    try:
        import xlsxwriter
    except ModuleNotFoundError:
        raise NeutralError("the workbook needs xlsxwriter: pip install 'neutral[excel]'") from None
    fits = store.read("fits").to_pandas()
    options = {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        for model in MODELS:
            _write_sheet(book, SHEETS[model], [*COMMON, *SHEET_PARAMETERS[model]], [_parameters(fits, model)])
        rest = sorted(set(QUOTE_COLUMNS) - set(QUOTE_FRONT))
        for split in ("train", "test"):
            _write_sheet(book, f"{split}_data", [*QUOTE_FRONT, *rest], _quotes(store, fits, split))


def write_sqlite(store: Store, path: Path) -> None:
    """The database: tables `fits` and `quotes`."""
    path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            for kind, columns in (("fits", FIT_COLUMNS), ("quotes", QUOTE_COLUMNS)):
                _write_table(connection, kind, columns, store)
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


def _parameters(fits: Any, model: str) -> pd.DataFrame:
    return fits[fits["model"] == model].rename(columns=RENAMED)


def _quotes(store: Store, fits: pd.DataFrame, split: str) -> Iterator[pd.DataFrame]:
    """The quotes of one side, a part at a time, with the seed that drew them."""
    seeds = fits.drop_duplicates(["snapshot_ts", "currency"])[["snapshot_ts", "currency", "random_seed"]]
    for part in store.batches("quotes"):
        frame = part.to_pandas()
        yield frame[frame["split"] == split].merge(seeds, on=["snapshot_ts", "currency"], how="left")


def _write_sheet(book: Any, name: str, columns: Sequence[str], frames: Iterable[pd.DataFrame]) -> None:
    """Rows of tables under one header; where a sheet is full, another goes on."""
    sheet, row, number = _new_sheet(book, name, columns), 1, 1
    for frame in frames:
        for values in _rows(frame, columns):
            if row == LAST_ROW:
                number += 1
                sheet, row = _new_sheet(book, f"{name}_{number}", columns), 1
            for column, value in enumerate(values):
                _write_cell(sheet, row, column, value)
            row += 1


def _new_sheet(book: Any, name: str, columns: Sequence[str]) -> Any:
    sheet = book.add_worksheet(name)
    for column, title in enumerate(columns):
        sheet.write_string(0, column, title)
    return sheet


def _write_cell(sheet: Any, row: int, column: int, value: Any) -> None:
    """Numbers as numbers, what is absent as an empty cell, all else as text that is no formula."""
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
    types = {"real": "REAL", "count": "INTEGER", "flag": "INTEGER"}
    declared = ", ".join(f'"{name}" {types.get(of, "TEXT")}' for name, of in columns.items())
    connection.execute(f"CREATE TABLE {kind} ({declared})")
    marks = ", ".join("?" * len(columns))
    for part in store.batches(kind):
        connection.executemany(f"INSERT INTO {kind} VALUES ({marks})", _rows(part.to_pandas(), list(columns)))


def _rows(frame: Any, columns: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """Rows as every format knows them: numbers, text, True and False; None where absent or nan."""
    return zip(*(_plain(frame[name]) for name in columns), strict=True)


def _plain(column: pd.Series) -> list[Any]:
    kind = KINDS_OF[str(column.name)]
    if pd.api.types.is_datetime64_any_dtype(column):
        codes, times = pd.factorize(column)  # a handful of times repeats
        text = [*pd.DatetimeIndex(times).strftime(TIME), None]
        return [text[code] for code in codes]
    absent = column.isna().to_numpy()
    if kind == "reals":
        return [
            None if no else ", ".join(repr(float(x)) for x in one)
            for one, no in zip(column, absent, strict=True)
        ]
    convert = {"count": int, "flag": bool, "real": float}.get(kind, str)
    return [None if no else convert(one) for one, no in zip(column.tolist(), absent, strict=True)]


KINDS_OF = FIT_COLUMNS | QUOTE_COLUMNS | {new: FIT_COLUMNS[old] for old, new in RENAMED.items()}
