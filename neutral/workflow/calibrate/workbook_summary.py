"""Writes the first sheet of the workbook: counts and errors of every model, and charts over time."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ...market.quotes import UNKNOWN_DATE
from ..recipes import RECIPES, number_columns
from .column_notes import notes_of
from .store import Store
from .summary import Line, summarise
from .workbook_columns import HEADER_STYLE, RENAMED, days, sheet_columns

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.chart import Chart
    from xlsxwriter.worksheet import Worksheet

SUMMARY_SHEET = "summary"
HEADER = {  # by the attribute of a line: its title and the format of its cells
    "underlying": ("underlying", "General"),
    "model": ("model", "General"),
    "snapshots": ("snapshots", "#,##0"),
    "converged": ("converged", "#,##0"),
    "refused": ("refused", "#,##0"),
    "failed": ("failed", "#,##0"),
    "unit": ("unit of errors", "General"),
    "mae": ("MAE of test quotes", "0.000000"),
    "median_mae": ("median MAE", "0.000000"),
    "rmse": ("RMSE of test quotes", "0.000000"),
    "inside": ("within half a spread", "0.0%"),
    "steps": ("steps, median", "0"),
}
FIRST_ROW = 3  # of the table, from 0
CHARTED = 4  # largest number of underlyings with charts of their own
PARAMETERS = 5  # largest number of parameters that are drawn
SIZE = (560, 300)  # width and height of a chart, pixels
ROWS_OF_A_CHART = 16
ERROR = "rmse_test"


def write_summary(
    book: "xlsxwriter.Workbook", store: Store, fits: pd.DataFrame, parameters: Mapping[str, pd.DataFrame]
) -> None:
    """Write the summary of a run.

    Args:
        book: The workbook, without sheets.
        store: The results.
        fits: The table of fits.
        parameters: The rows of the sheet of each model, with the names of its columns.
    """
    lines = summarise(fits, units=store.units).lines
    sheet = book.add_worksheet(SUMMARY_SHEET)
    sheet.freeze_panes(FIRST_ROW + 1, 2)
    _write_title(book, sheet, store, fits)
    _write_table(book, sheet, lines)
    charts = [_inside_chart(book, lines), *_charts_over_time(book, store, parameters)]
    top = FIRST_ROW + len(lines) + 3
    for i, (chart, title) in enumerate(chart for chart in charts if chart is not None):
        chart.set_title({"name": title, "name_font": {"size": 11}})
        chart.set_size(dict(zip(("width", "height"), SIZE, strict=True)))
        place = {"x_offset": 10 + (i % 2) * (SIZE[0] + 10), "description": title}
        sheet.insert_chart(top + (i // 2) * ROWS_OF_A_CHART, 0, chart, place)


def _write_title(book: "xlsxwriter.Workbook", sheet: "Worksheet", store: Store, fits: pd.DataFrame) -> None:
    """Write the title, and what the workbook is about."""
    times = fits.loc[fits["snapshot_ts"] != UNKNOWN_DATE, "snapshot_ts"]
    span = f", {times.min():%Y-%m-%d %H:%M} to {times.max():%Y-%m-%d %H:%M} UTC" if len(times) else ""
    text = (
        f"{fits['snapshot_ts'].nunique()} snapshots{span}; configuration {store.config_hash[:12] or 'none'}."
    )
    sheet.write_string(0, 0, "Calibration results", book.add_format({"bold": True, "font_size": 14}))
    sheet.write_string(1, 0, f"{text} Units and meanings of columns are in the last sheet.")


def _write_table(book: "xlsxwriter.Workbook", sheet: "Worksheet", lines: Sequence[Line]) -> None:
    """Write a row for each underlying and model."""
    bold = book.add_format(HEADER_STYLE | {"text_wrap": True})
    for column, (title, number_format) in enumerate(HEADER.values()):
        sheet.set_column(column, column, 13, book.add_format({"num_format": number_format}))
        sheet.write_string(FIRST_ROW, column, title, bold)
    for row, line in enumerate(lines, FIRST_ROW + 1):
        for column, name in enumerate(HEADER):
            value = getattr(line, name)
            if isinstance(value, str):
                sheet.write_string(row, column, value)
            elif np.isfinite(value):
                sheet.write_number(row, column, value)
    sheet.autofilter(FIRST_ROW, 0, FIRST_ROW + max(len(lines), 1), len(HEADER) - 1)


def _inside_chart(book: "xlsxwriter.Workbook", lines: Sequence[Line]) -> "tuple[Chart, str] | None":
    """Draw the share of test quotes inside half a spread, by model and underlying."""
    if not any(np.isfinite(line.inside) for line in lines):
        return None
    chart = _new_chart(book, {"type": "column"})
    rows = {line.underlying: [] for line in lines}
    for row, line in enumerate(lines, FIRST_ROW + 1):
        rows[line.underlying].append((row, line))
    names, values = (list(HEADER).index(name) for name in ("model", "inside"))
    for underlying, group in list(rows.items())[:CHARTED]:
        first = group[0][0]
        last = group[-1][0]
        chart.add_series(
            {
                "name": _no_reference(underlying),
                "categories": [SUMMARY_SHEET, first, names, last, names],
                "values": [SUMMARY_SHEET, first, values, last, values],
                "categories_data": [line.model for _, line in group],
                "values_data": [_number(line.inside) for _, line in group],
            }
        )
    chart.set_y_axis({"num_format": "0%", "min": 0, "max": 1, "name": "share of test quotes"})
    return chart, "Test quotes priced within half a spread of mid"


def _charts_over_time(
    book: "xlsxwriter.Workbook", store: Store, parameters: Mapping[str, pd.DataFrame]
) -> "Iterator[tuple[Chart, str]]":
    """Draw the error and the parameters that most models have over time, for each underlying."""
    notes = notes_of("fits", store.models)
    fitted = {model: frame for model, frame in parameters.items() if bool(np.any(frame["success"]))}
    numbers = set(number_columns(store.models))
    counts = Counter(name for model in fitted for name in RECIPES[model].columns.values() if name in numbers)
    common = [name for name, _ in counts.most_common(PARAMETERS)]
    for underlying in store.underlyings[:CHARTED]:
        unit = store.units.get(underlying, "")
        for name in (ERROR, *common):
            title = f"{_no_reference(underlying)}: {notes[name].meaning}"
            axis = f"{name} [{unit if name == ERROR else notes[name].unit or 'no unit'}]"
            chart = _chart_over_time(book, fitted, underlying, RENAMED.get(name, name), axis)
            if chart is not None:
                yield chart, title


def _chart_over_time(
    book: "xlsxwriter.Workbook",
    fitted: Mapping[str, pd.DataFrame],
    underlying: str,
    name: str,
    axis: str,
) -> "Chart | None":
    """Draw a column of every model that has it over time; a snapshot without a value is a gap."""
    chart = _new_chart(book, {"type": "scatter", "subtype": "straight_with_markers"})
    drawn: list[float] = []  # days of the points
    for model, frame in fitted.items():
        columns = sheet_columns(model)
        rows = np.flatnonzero((frame["currency"] == underlying).to_numpy())
        if name not in columns or not len(rows) or not frame[name].iloc[rows].notna().any():
            continue
        first = int(rows[0]) + 1  # below the header; the rows of an underlying follow one another
        last = int(rows[-1]) + 1
        time_column = columns.index("timestamp")
        column = columns.index(name)
        sheet = RECIPES[model].sheet
        times = days(frame["timestamp"].iloc[rows])
        values = frame[name].iloc[rows]
        drawn += times[values.notna()].tolist()
        chart.add_series(
            {
                "name": model,
                "categories": [sheet, first, time_column, last, time_column],
                "values": [sheet, first, column, last, column],
                "categories_data": times.tolist(),
                "values_data": [_number(x) for x in values],
                "line": {"width": 1.25},
                "marker": {"type": "circle", "size": 3},
            }
        )
    if not drawn:
        return None
    chart.set_x_axis(
        {
            "num_format": "yyyy-mm-dd",
            "name": "snapshot, UTC",
            "num_font": {"rotation": -45},
            "min": math.floor(min(drawn)),  # a file of an unknown date is a row of 1970
            "max": math.floor(max(drawn)) + 1,
        }
    )
    chart.set_y_axis({"name": axis, "num_format": "General"})
    chart.set_legend({"position": "bottom"})
    chart.show_blanks_as("gap")
    return chart


def _new_chart(book: "xlsxwriter.Workbook", options: dict[str, str]) -> "Chart":
    chart = book.add_chart(options)
    assert chart is not None  # the type exists
    return chart


def _no_reference(name: str) -> str:
    """Return a name such as `A!B1` in a form that XlsxWriter does not take for a reference to a cell."""
    return name.replace("!", "! ")


def _number(value: float) -> float | str:
    """Return a number for the cache of a chart, where nan is ""."""
    return float(value) if np.isfinite(value) else ""
