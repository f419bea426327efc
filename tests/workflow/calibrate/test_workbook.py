"""The workbook of a run, opened again with openpyxl: sheets, headers, formats, times, charts."""

import datetime
import zipfile

import pytest
import workflow_fakes as fakes

from neutral.workflow import open_store, run
from neutral.workflow.calibrate import sinks, workbook
from neutral.workflow.calibrate.column_notes import notes_of
from neutral.workflow.calibrate.rows import columns_of
from neutral.workflow.calibrate.workbook_columns import COMMON, QUOTE_FRONT

pytest.importorskip("xlsxwriter")
openpyxl = pytest.importorskip("openpyxl")

FIRST = datetime.datetime(2026, 1, 1)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A run of three snapshots, one with a text that looks like a formula, and one without quotes."""
    folder = tmp_path_factory.mktemp("store")
    archive = fakes.write_archive(folder / "in", 3)
    odd = archive / fakes.snapshot_name(1)
    odd.write_text(odd.read_text().replace("BTC-2026-02-27-70000-C", "=1+1"))
    (archive / fakes.snapshot_name(2)).write_text("")
    run(archive, folder / "out", fakes.fake_config(), fit=fakes.fake_fit)
    return open_store(folder / "out")


@pytest.fixture(scope="module")
def path(stored):
    (path,) = sinks.write_reports(stored, ["xlsx"])
    return path


@pytest.fixture(scope="module")
def book(path):
    return openpyxl.load_workbook(path)


def test_sheets_columns_and_rows(stored, book):
    sheets = ["black_params", "heston_params", "svcj_params", "svcjpp_params", "train_data", "test_data"]
    assert book.sheetnames == ["summary", *sheets, "columns"]
    svcj = [cell.value for cell in book["svcj_params"][1]]
    assert svcj == [*COMMON, *"kappa theta sigma_v rho v0 lam ell_y sigma_y ell_v rho_j".split()]
    black = list(book["black_params"].values)
    assert black[0][:5] == ("timestamp", "currency", "success", "message", "nfev")
    assert len(black) == 1 + 6
    assert black[1][:3] == (FIRST, "BTC", True) and black[1][4] == 7
    assert black[3][2] is False and black[3][5] is None, "a refused snapshot: nan is an empty cell"
    fits = stored.read("fits").to_pandas()
    assert black[1][-1] == pytest.approx(fits["sigma"].iloc[0], rel=1e-15), "a workbook keeps 16 digits"
    train = list(book["train_data"].values)
    front = (*QUOTE_FRONT, "price_black", "price_heston", "price_svcj", "price_svcjpp")
    assert train[0][: len(front)] == front
    rest = train[0][len(front) :]
    assert list(rest) == sorted(rest)
    assert len(train) - 1 == 4 * 39 and len(list(book["test_data"].values)) - 1 == 4 * 17


def test_times_are_times(book):
    for sheet, name in (("black_params", "timestamp"), ("test_data", "snapshot_ts")):
        header = [cell.value for cell in book[sheet][1]]
        cell = book[sheet].cell(2, header.index(name) + 1)
        assert cell.is_date and cell.value == FIRST and cell.number_format == workbook.TIME_FORMAT
    expiry = [cell.value for cell in book["train_data"][1]].index("expiry_datetime")
    assert book["train_data"].cell(2, expiry + 1).value == datetime.datetime(2026, 2, 27, 8)


def test_texts_are_no_formulas(path, book):
    names = [row[2] for sheet in ("train_data", "test_data") for row in book[sheet].values]
    assert "'=1+1" in names
    with zipfile.ZipFile(path) as content:
        sheets = [name for name in content.namelist() if name.startswith("xl/worksheets/")]
        assert len(sheets) >= 8 and not any(b"<f>" in content.read(name) for name in sheets)


def test_headers_are_bold_stay_in_view_and_have_filters(book):
    for sheet in book.worksheets:
        row = 4 if sheet.title == "summary" else 1
        header = [cell for cell in sheet[row] if cell.value]
        assert header and all(cell.font.bold for cell in header), sheet.title
        assert sheet.freeze_panes.endswith(str(row + 1)), sheet.title
        ends = f"A{row}", f"{header[-1].column_letter}{max(sheet.max_row, 2)}"
        assert sheet.auto_filter.ref == ":".join(ends), sheet.title
        assert all(sheet.column_dimensions[cell.column_letter].width > 8 for cell in header[:1])


def test_numbers_have_formats_and_columns_units(book):
    sheet = book["black_params"]
    cells = {cell.value: sheet.cell(2, cell.column) for cell in sheet[1]}
    formats = {name: cells[name].number_format for name in ("nfev", "rmse_test", "sigma", "random_seed")}
    assert formats == {"nfev": "#,##0", "rmse_test": "0.000000", "sigma": "0.0000##", "random_seed": "0"}
    notes = {cell.value: cell.comment.text for cell in sheet[1]}
    assert notes["sigma"] == "volatility [1/sqrt(yr)]" and notes["rmse_test"].endswith("[coin or cash]")
    listed = {row[0]: row[1:] for row in book["columns"].values}
    assert listed["maturity"] == ("years", "time to expiry, by the day count of the run")
    assert listed["ell_y"][1].startswith("mean log jump")


def test_every_column_has_a_note():
    for kind in ("fits", "quotes"):
        models = ["black++", "bates", "nig", "double_heston", "piecewise_heston"]
        assert set(columns_of(kind, models)) <= set(notes_of(kind, models)), kind


def test_the_summary_comes_first_with_its_charts(book):
    sheet = book["summary"]
    rows = list(sheet.values)
    assert rows[0][0] == "Calibration results" and rows[1][0].startswith("3 snapshots, 2026-01-01 00:00")
    table = {row[:2]: row[2:] for row in rows[4:8]}
    assert table["BTC", "svcj++"][:5] == (3, 2, 1, 0, "coin")
    assert len(sheet._charts) >= 3
    first = sheet._charts[0].title.tx.rich.p[0].r[0].t
    assert first == "Test quotes priced within half a spread of mid"


def test_charts_refer_to_the_rows_of_their_underlying(path):
    with zipfile.ZipFile(path) as content:
        charts = [content.read(x).decode() for x in content.namelist() if x.startswith("xl/charts/chart")]
    errors = [text for text in charts if "ETH: root mean square error" in text]
    assert len(errors) == 1
    column = chr(ord("A") + COMMON.index("rmse_test"))
    assert f"black_params!${column}$5:${column}$7" in errors[0]


def test_a_sheet_that_is_full_continues_on_another(stored, monkeypatch):
    monkeypatch.setattr(workbook, "LAST_ROW", 100)
    (path,) = sinks.write_reports(stored, ["xlsx"])
    book = openpyxl.load_workbook(path, read_only=True)
    rows = [len(list(book[name].values)) for name in ("train_data", "train_data_2")]
    assert rows == [100, 1 + 4 * 39 - 99]
