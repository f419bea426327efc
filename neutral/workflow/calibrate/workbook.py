"""Writes the workbook of a run: a summary with charts, then tables of parameters and of quotes."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ... import durable
from ..csv_files import as_text
from ..extras import require
from ..recipes import RECIPES, in_order, standard_models
from .column_notes import COUNT, PRICE, SHARE, Note, notes_of
from .store import Store
from .workbook_columns import (
    HEADER_STYLE,
    RENAMED,
    SPLITS,
    days,
    kinds_of,
    quote_sheet,
    quote_sheet_columns,
    sheet_columns,
)
from .workbook_summary import write_summary

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.worksheet import Worksheet

Cell = float | int | str | bool | None

LAST_ROW = 1_048_576  # rows of a sheet in Excel
COLUMNS_SHEET = "columns"
TIME_FORMAT = "yyyy-mm-dd hh:mm:ss"
FORMATS = {COUNT: "#,##0", SHARE: "0.0%", PRICE: "0.000000"}
"""Formats of numbers, by the unit of their column."""
FORMATS_OF_KINDS = {"time": TIME_FORMAT, "count": "0", "real": "0.0000##"}
"""Formats of the other columns, by their kind."""
AS_IT_IS = ("strike", "open_interest", "volume")  # columns of numbers with few digits
WIDTHS = {"time": 19, "text": 14, "flag": 9, "count": 9, "real": 12, "reals": 24}  # characters
WIDE = {"message": 48, "instrument_name": 26, "futures_instrument_name": 18}


@dataclass(frozen=True)
class Column:
    """A column of a sheet."""

    name: str
    kind: str
    note: Note

    @property
    def number_format(self) -> str:
        """The format of its cells as Excel writes it."""
        if self.kind in ("real", "count") and self.note.unit in FORMATS:
            return FORMATS[self.note.unit]
        return "General" if self.name in AS_IT_IS else FORMATS_OF_KINDS.get(self.kind, "General")

    @property
    def width(self) -> int:
        """The width in characters, which has room for the name and the button of the filter."""
        return max(WIDE.get(self.name, WIDTHS[self.kind]), len(self.name) + 3)


def write_xlsx(store: Store, path: Path) -> None:
    """Write the workbook: a summary, the parameters of each model, the train and the test quotes, units."""
    require(["xlsx"])
    import xlsxwriter
    import xlsxwriter.exceptions

    options = {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}
    try:
        with xlsxwriter.Workbook(str(path), options) as book:
            _write_sheets(book, store)
    except xlsxwriter.exceptions.XlsxWriterException as error:
        raise durable.WriteError(f"cannot write {path}: {error}") from error


def _write_sheets(book: "xlsxwriter.Workbook", store: Store) -> None:
    """Write the summary, a sheet of each model's parameters, one for each split of the quotes, the units."""
    fits = store.read("fits").to_pandas()
    models = in_order([*standard_models(), *store.models])
    parameters = {model: fits.loc[fits["model"] == model].rename(columns=RENAMED) for model in models}
    write_summary(book, store, fits, parameters)
    kinds = kinds_of(store.models)
    notes = notes_of("fits", store.models)
    notes |= {new: notes[old] for old, new in RENAMED.items()}
    for model, frame in parameters.items():
        columns = [Column(name, kinds[name], notes[name]) for name in sheet_columns(model)]
        _write_sheet(book, RECIPES[model].sheet, columns, [frame])
    notes_of_quotes = notes_of("quotes", store.models)
    columns = [Column(name, kinds[name], notes_of_quotes[name]) for name in quote_sheet_columns(store.models)]
    for split in SPLITS:
        _write_sheet(book, quote_sheet(split), columns, _quotes(store, fits, split))
    _write_notes(book, notes_of_quotes | notes)


def _quotes(store: Store, fits: pd.DataFrame, split: str) -> Iterator[pd.DataFrame]:
    """Read the train or the test quotes, a part of the store at a time, with the seed of their split."""
    seeds = fits.drop_duplicates(["snapshot_ts", "currency"])[["snapshot_ts", "currency", "random_seed"]]
    for part in store.batches("quotes"):
        frame = part.to_pandas()
        yield frame[frame["split"] == split].merge(seeds, on=["snapshot_ts", "currency"], how="left")


def _write_sheet(
    book: "xlsxwriter.Workbook", name: str, columns: Sequence[Column], frames: Iterable[pd.DataFrame]
) -> None:
    """Write rows of tables under one header; when a sheet is full, another one takes the remaining rows."""
    sheet = _new_sheet(book, name, columns)
    row = 1
    number = 1
    for frame in frames:
        for values in rows_of(frame, {column.name: column.kind for column in columns}):
            if row == LAST_ROW:
                _filter(sheet, row, columns)
                number += 1
                sheet = _new_sheet(book, f"{name}_{number}", columns)
                row = 1
            for column, value in enumerate(values):
                _write_cell(sheet, row, column, value)
            row += 1
    _filter(sheet, row, columns)


def _new_sheet(book: "xlsxwriter.Workbook", name: str, columns: Sequence[Column]) -> "Worksheet":
    """Add a sheet with a bold header that stays in view; hovering over a name shows its unit and meaning."""
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 2)
    bold = book.add_format(HEADER_STYLE)
    for i, column in enumerate(columns):
        sheet.set_column(i, i, column.width, book.add_format({"num_format": column.number_format}))
        sheet.write_string(0, i, column.name, bold)
        sheet.write_comment(0, i, str(column.note), {"x_scale": 1.6, "y_scale": 0.5})
    return sheet


def _filter(sheet: "Worksheet", rows: int, columns: Sequence[Column]) -> None:
    """Let readers filter and sort a sheet by every column; rows include the header."""
    sheet.autofilter(0, 0, max(rows - 1, 1), len(columns) - 1)


def _write_notes(book: "xlsxwriter.Workbook", notes: Mapping[str, Note]) -> None:
    """Write the sheet that lists the unit and the meaning of every column."""
    header = ("column", "unit", "meaning")
    sheet = book.add_worksheet(COLUMNS_SHEET)
    sheet.freeze_panes(1, 0)
    bold = book.add_format(HEADER_STYLE)
    for i, (title, width) in enumerate(zip(header, (24, 30, 64), strict=True)):
        sheet.set_column(i, i, width)
        sheet.write_string(0, i, title, bold)
    for row, (name, note) in enumerate(notes.items(), 1):
        for i, text in enumerate((name, *note)):
            sheet.write_string(row, i, text)
    sheet.autofilter(0, 0, len(notes), len(header) - 1)


def _write_cell(sheet: "Worksheet", row: int, column: int, value: Cell) -> None:
    """Write a number as a number, nothing for None, and anything else as text that is not a formula."""
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | float) and math.isfinite(value):
        sheet.write_number(row, column, value)
    else:
        sheet.write_string(row, column, str(as_text(str(value))))


def rows_of(frame: pd.DataFrame, kinds: Mapping[str, str]) -> Iterable[tuple[Cell, ...]]:
    """Convert rows to values of cells: times become days, as Excel counts them; nan and missing values None.

    Args:
        frame: The table.
        kinds: The kind of each column of the sheet, in order.
    """
    return zip(*(plain(pd.Series(frame[name]), kind) for name, kind in kinds.items()), strict=True)


def plain(column: pd.Series, kind: str) -> list[Cell]:
    """Convert a column to numbers, texts and booleans; lists of numbers become text."""
    absent = column.isna().to_numpy()
    if kind == "time":
        column = days(column)
    if kind == "reals":
        return [
            None if missing else ", ".join(repr(float(x)) for x in numbers)
            for numbers, missing in zip(column, absent, strict=True)
        ]
    convert = {"count": int, "flag": bool, "real": float, "time": float}.get(kind, str)
    return [None if missing else convert(x) for x, missing in zip(column.tolist(), absent, strict=True)]
