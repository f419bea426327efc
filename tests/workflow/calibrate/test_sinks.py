import sqlite3
import zipfile
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
import workflow_fakes as fakes

from neutral.errors import ArgumentError
from neutral.workflow import open_store, run
from neutral.workflow.calibrate import sinks
from neutral.workflow.calibrate.rows import columns_of


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    archive = fakes.write_archive(folder / "in", 3)
    bad = archive / fakes.snapshot_name(1)
    bad.write_text(bad.read_text().replace("BTC-2026-02-27-70000-C", "=1+1"))
    (archive / fakes.snapshot_name(2)).write_text("")
    run(archive, folder / "out", fakes.fake_config(), fit=fakes.fake_fit)
    return open_store(folder / "out")


def test_database_holds_every_row(stored):
    (path,) = sinks.write_reports(stored, ["sqlite"])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        for kind in ("fits", "quotes"):
            columns = columns_of(kind, stored.models)
            there = pd.read_sql_query(f"SELECT * FROM {kind}", connection)
            here = stored.read(kind).to_pandas()
            assert list(there) == list(columns) and len(there) == len(here)
            for name in (name for name, of in columns.items() if of == "real"):
                np.testing.assert_array_equal(there[name].to_numpy(float), here[name].to_numpy(float))
        refused = connection.execute("SELECT count(*) FROM fits WHERE converged = 0 AND n_test IS NULL")
        assert refused.fetchone() == (4,)
        times = connection.execute("SELECT DISTINCT expiry_datetime FROM quotes ORDER BY 1").fetchall()
        assert times == [("2026-02-27T08:00:00Z",), ("2026-06-26T08:00:00Z",)]
        shift = connection.execute("SELECT shift_times FROM fits WHERE model = 'svcj++'").fetchone()[0]
        assert shift == "0.1, 0.4"


def test_workbook_has_its_sheets_columns_and_rows(stored):
    pytest.importorskip("xlsxwriter")
    openpyxl = pytest.importorskip("openpyxl")
    (path,) = sinks.write_reports(stored, ["xlsx"])
    book = openpyxl.load_workbook(path)
    sheets = ["black_params", "heston_params", "svcj_params", "svcjpp_params", "train_data", "test_data"]
    assert book.sheetnames == sheets
    svcj = [cell.value for cell in book["svcj_params"][1]]
    assert svcj == [*sinks.COMMON, *"kappa theta sigma_v rho v0 lam ell_y sigma_y ell_v rho_j".split()]
    black = list(book["black_params"].values)
    assert black[0][:5] == ("timestamp", "currency", "success", "message", "nfev")
    assert len(black) == 1 + 6
    assert black[1][:3] == ("2026-01-01T00:00:00Z", "BTC", True) and black[1][4] == 7
    assert black[3][2] is False and black[3][5] is None, "a refused snapshot: nan is an empty cell"
    fits = stored.read("fits").to_pandas()
    assert black[1][-1] == pytest.approx(fits["sigma"].iloc[0], rel=1e-15), "a workbook keeps 16 digits"
    train = list(book["train_data"].values)
    front = (*sinks.QUOTE_FRONT, "price_black", "price_heston", "price_svcj", "price_svcjpp")
    assert train[0][: len(front)] == front
    rest = train[0][len(front) :]
    assert list(rest) == sorted(rest)
    assert len(train) - 1 == 4 * 39 and len(list(book["test_data"].values)) - 1 == 4 * 17
    names = [row[2] for sheet in ("train_data", "test_data") for row in book[sheet].values]
    assert "'=1+1" in names
    with zipfile.ZipFile(path) as content:
        assert not any(b"<f>" in content.read(name) for name in content.namelist())


def test_a_sheet_that_is_full_goes_on_on_another(stored, monkeypatch):
    pytest.importorskip("xlsxwriter")
    openpyxl = pytest.importorskip("openpyxl")
    monkeypatch.setattr(sinks, "LAST_ROW", 100)
    (path,) = sinks.write_reports(stored, ["xlsx"])
    book = openpyxl.load_workbook(path, read_only=True)
    rows = [len(list(book[name].values)) for name in ("train_data", "train_data_2")]
    assert rows == [100, 1 + 4 * 39 - 99]


def test_an_unknown_report_is_refused(stored):
    with pytest.raises(ArgumentError, match="'csv' is unknown; expected one of xlsx, sqlite"):
        sinks.write_reports(stored, ["csv"])
