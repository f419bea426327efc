"""Workbooks of earlier results become a store, and a run continues after their last snapshot."""

import contextlib
import datetime
import math
import re
import warnings
import zipfile

import numpy as np
import pandas as pd
import pytest
import workflow_fakes as fakes

from neutral.errors import DataError
from neutral.workflow import open_store, run
from neutral.workflow.calibrate import import_workbook as importing
from neutral.workflow.calibrate.import_workbook import import_workbook
from neutral.workflow.calibrate.sinks import write_reports

pytest.importorskip("xlsxwriter")
openpyxl = pytest.importorskip("openpyxl")

COMMON = (
    "timestamp currency success message nfev rmse_fit mae_fit rmse_train mae_train rmse_test mae_test "
    "n_options_total n_train n_test random_seed"
).split()
SVCJ = "kappa theta sigma_v rho v0 lam ell_y sigma_y ell_v rho_j".split()
TIMES = ["2025-12-30T17:31:15Z", "2025-12-30 21:17:51", datetime.datetime(2025, 12, 31, 9, 18, 28)]


def row(time, parameters, currency="BTC", success=True, n=100) -> list:
    """A row of a sheet of parameters."""
    errors = [1e-3, 9e-4, 1e-3, 9e-4, 2e-3, 1e-3] if success else [None] * 6
    return [
        time,
        currency,
        success,
        "ok" if success else "too few options",
        50,
        *errors,
        n,
        70,
        30,
        123,
        *parameters,
    ]


def workbook(path, sheets: dict[str, list[list]]):
    """Write rows, the first of which are headers, with openpyxl."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for each in rows:
            sheet.append(each)
    book.save(path)
    return path


@pytest.fixture
def source(tmp_path):
    """A workbook as the published notebook writes it: three models, quotes, times of three kinds."""
    refused = row(TIMES[2], [None], success=False, n=None)
    refused[12] = None
    quotes = [
        "snapshot_ts currency instrument_name option_type strike expiry_datetime time_to_maturity "
        "futures_price bid_price ask_price rel_spread price_black F0 note".split(),
        [
            TIMES[0],
            "BTC",
            "BTC-A",
            "call",
            90_000,
            "2026-01-30 08:00:00+00:00",
            0.08,
            88_000.0,
            0.03,
            0.032,
            0.06,
        ]
        + [0.0311, 88_100.0, "x"],
        [
            TIMES[0],
            "BTC",
            "'=B",
            "put",
            80_000,
            "2026-01-30T09:00:00+01:00",
            0.08,
            88_200.0,
            0.01,
            0.012,
            0.18,
        ]
        + [0.0112, 88_100.0, "y"],
    ]
    return workbook(
        tmp_path / "old.xlsx",
        {
            "black_params": [[*COMMON, "sigma"], row(TIMES[0], [0.5]), row(TIMES[1], [0.6]), refused],
            "svcj_params": [
                [*COMMON, *SVCJ],
                row(TIMES[0], [2.0, 0.3, 0.8, -0.4, 0.2, 0.5, -0.05, 0.1, 0.2, -0.3]),
                row(TIMES[0], [2.5, 0.4, 0.9, -0.5, 0.3, 0.6, -0.06, 0.1, 0.2, -0.3], "ETH"),
            ],
            "train_data": quotes,
            "notes": [["anything"], ["else"]],
        },
    )


def test_rows_times_and_names_are_those_of_the_store(source, tmp_path):
    store, imported = import_workbook(source, tmp_path / "out")
    fits = open_store(tmp_path / "out").read("fits").to_pandas()
    black = fits[fits["model"] == "black"]
    assert black["snapshot_ts"].tolist() == [
        pd.Timestamp(x, tz="UTC")
        for x in ("2025-12-30 17:31:15", "2025-12-30 21:17:51", "2025-12-31 09:18:28")
    ]
    assert black["status"].tolist() == ["converged", "converged", "refused"]
    assert black["message"].tolist()[2] == "too few options" and black["sigma"].tolist()[:2] == [0.5, 0.6]
    svcj = fits[fits["model"] == "svcj"].set_index("currency")
    assert svcj["mu_y"].tolist() == [-0.05, -0.06] and svcj.loc["ETH", "mu_v"] == 0.2
    assert (svcj["steps"] == 50).all() and svcj["gradient_norm"].isna().all()
    assert store.underlyings == ["BTC", "ETH"] and imported.models == ["black", "svcj"]
    assert "ETH: 1 snapshots up to 2025-12-30 17:31 UTC" in str(imported)
    assert "columns left out: note" in str(imported)


def test_quotes_are_completed_where_columns_follow(source, tmp_path):
    import_workbook(source, tmp_path / "out")
    quotes = fakes.read(tmp_path / "out", "quotes").set_index("instrument_name")
    assert set(quotes.index) == {"BTC-A", "=B"} and (quotes["split"] == "train").all()
    assert quotes["expiry_datetime"].unique().tolist() == [pd.Timestamp("2026-01-30 08:00", tz="UTC")]
    np.testing.assert_allclose(quotes["forward"], 88_100.0)
    assert quotes.loc["BTC-A", "log_moneyness"] == pytest.approx(math.log(90_000 / 88_100), rel=1e-14)
    np.testing.assert_allclose(quotes["spread"], 0.002, rtol=1e-12)
    np.testing.assert_allclose(quotes["maturity"], 0.08)
    assert (quotes["settlement"] == "coin").all() and quotes["open_interest"].isna().all()


def test_a_run_continues_after_the_last_time_from_the_last_parameters(tmp_path):
    archive = fakes.write_archive(tmp_path / "in", 7)
    config = fakes.fake_config()
    run(archive, tmp_path / "first", config.replaced(data={"limit": 4}), fit=fakes.fake_fit)
    (path,) = write_reports(open_store(tmp_path / "first"), ["xlsx"])
    import_workbook(path, tmp_path / "out")
    seen = []

    def fit(frames, previous, config, check_stop):
        seen.append((len(frames), previous["black"]["sigma"], set(previous)))
        return fakes.fake_fit(frames, previous, config, check_stop)

    one = config.replaced(run={"workers": 1, "currencies": ["BTC"]})
    assert run(archive, tmp_path / "out", one, fit=fit).fitted == 3
    before = fakes.read(tmp_path / "first", "fits").query("model == 'black' and currency == 'BTC'")
    last = pytest.approx(before["sigma"].iloc[-1], rel=1e-15)  # a workbook keeps 16 digits
    assert seen[0] == (2, last, {"black"}), "two late snapshots; svcj++ lacks parameters, so it is no start"
    fits = fakes.read(tmp_path / "out", "fits")
    quotes = fakes.read(tmp_path / "out", "quotes")
    assert not fits.duplicated(["currency", "snapshot_ts", "model"]).any()
    counts = fits[fits["model"] == "black"]["currency"].value_counts()
    assert counts.to_dict() == {"BTC": 7, "ETH": 4}
    old = fakes.read(tmp_path / "first", "quotes")
    kept = quotes.merge(old, on=["snapshot_ts", "instrument_name"], suffixes=("", "_old"))
    assert len(kept) == len(old)
    np.testing.assert_allclose(kept["mid_price_clean"], kept["mid_price_clean_old"], rtol=1e-15)
    assert run(archive, tmp_path / "out", one, fit=fit).fitted == 0
    seeds = fits.query("currency == 'BTC' and model == 'black'")["random_seed"].tolist()
    assert seeds == [123 + i for i in range(7)], "positions are those of the whole archive"


def test_a_model_that_the_workbook_lacks_joins_it(tmp_path, source):
    archive = fakes.write_archive(tmp_path / "in", 2)
    import_workbook(source, tmp_path / "out")
    config = fakes.fake_config(models=["black", "bates"])
    assert run(archive, tmp_path / "out", config, fit=fakes.fake_fit).fitted == 4
    fits = fakes.read(tmp_path / "out", "fits")
    assert set(fits["model"]) == {"black", "svcj", "bates"} and len(fits) == 5 + 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timestamp": "soon"}, r"sheet black_params, row 2: timestamp is 'soon'; expected a UTC time"),
        ({"timestamp": None}, "row 2: timestamp is missing"),
        ({"currency": None}, "row 2: currency is missing; expected a text"),
        ({"success": "maybe"}, "row 2: success is 'maybe'; expected true or false"),
        ({"sigma": "high"}, "row 2: sigma is 'high'; expected a number"),
        ({"nfev": 1.5}, "row 2: nfev is '1.5'; expected a whole number"),
    ],
)
def test_a_value_that_cannot_be_read_is_named_with_its_place(tmp_path, change, message):
    header = [*COMMON, "sigma"]
    values = dict(zip(header, row(TIMES[0], [0.5]), strict=True)) | change
    path = workbook(tmp_path / "old.xlsx", {"black_params": [header, list(values.values())]})
    with pytest.raises(DataError, match=message):
        import_workbook(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_time_is_named_however_its_column_is_written(tmp_path):
    rows = [["Timestamp", *COMMON[1:], "sigma"], row(None, [0.5])]
    with pytest.raises(DataError, match="row 2: Timestamp is missing"):
        import_workbook(workbook(tmp_path / "old.xlsx", {"black_params": rows}), tmp_path / "out")


def test_an_underlying_that_looks_like_a_cell_is_a_text_of_its_charts(tmp_path):
    rows = [[*COMMON, "sigma"], *(row(time, [0.5], "A!B1") for time in TIMES)]
    store, _ = import_workbook(workbook(tmp_path / "old.xlsx", {"black_params": rows}), tmp_path / "out")
    (path,) = write_reports(store, ["xlsx"])
    with zipfile.ZipFile(path) as content:
        charts = [content.read(x).decode() for x in content.namelist() if x.startswith("xl/charts/chart")]
    assert len(charts) == 2 and all("<a:t>A! B1: " in text for text in charts)


def test_quotes_of_other_underlyings_do_not_count(source, tmp_path):
    book = openpyxl.load_workbook(source)
    book["train_data"]["B3"] = "SOL"
    book.save(source)
    store, imported = import_workbook(source, tmp_path / "out")
    assert len(imported.quotes) == store.read("quotes").num_rows == 1
    assert "and 1 quotes" in str(imported)


def test_other_files_and_folders_are_refused(tmp_path, source):
    junk = tmp_path / "junk.xlsx"
    junk.write_bytes(b"PK\x03\x04 no workbook")
    with pytest.raises(DataError, match=r"junk\.xlsx: cannot be read as a workbook"):
        import_workbook(junk, tmp_path / "out")
    cut = tmp_path / "cut.xlsx"
    cut.write_bytes(source.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.xlsx: cannot be read as a workbook"):
        import_workbook(cut, tmp_path / "out")
    with pytest.raises(DataError, match="has no sheet of parameters, such as black_params.* it has a, b"):
        import_workbook(workbook(tmp_path / "x.xlsx", {"a": [[1]], "b": [[1]]}), tmp_path / "out")
    twice = [[*COMMON, "sigma"], row(TIMES[0], [0.5]), row(TIMES[0], [0.6])]
    with pytest.raises(DataError, match="black_params has two rows about BTC at 2025-12-30 17:31:15"):
        import_workbook(workbook(tmp_path / "y.xlsx", {"black_params": twice}), tmp_path / "out")
    import_workbook(source, tmp_path / "out")
    with pytest.raises(DataError, match="has results already"):
        import_workbook(source, tmp_path / "out")


def test_results_that_another_process_writes_meanwhile_are_kept(tmp_path, source, monkeypatch):
    read = importing.read_workbook

    def slowly(path):
        monkeypatch.setattr(importing, "read_workbook", read)
        import_workbook(source, tmp_path / "out")
        return read(path)

    monkeypatch.setattr(importing, "read_workbook", slowly)
    with pytest.raises(DataError, match="has results already"):
        import_workbook(source, tmp_path / "out")


def members(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path, parts: dict[str, bytes], flag=0, method=0) -> None:
    """Write an archive, with a flag and a method of compression in the entries of its directory."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    content = bytearray(path.read_bytes())
    for entry in re.finditer(rb"PK\x01\x02", content):
        content[entry.start() + 8] |= flag
        content[entry.start() + 10] |= method
    path.write_bytes(content)


ONE_FIT = {"black_params": [[*COMMON, "sigma"], row(TIMES[0], [0.5])]}
SHEET = "xl/worksheets/sheet1.xml"
DAMAGES = {
    "encrypted": lambda path, parts: packed(path, parts, flag=1),
    "compressed by an unknown method": lambda path, parts: packed(path, parts, method=97),
    "nested without end": lambda path, parts: packed(path, parts | {SHEET: b"<a>" * 100_000}),
    "rows without end": lambda path, parts: packed(
        path, parts | {SHEET: parts[SHEET].replace(b'<row r="2"', b'<row r="999999999"')}
    ),
    "no rows": lambda path, parts: packed(path, parts | {SHEET: b""}),
    "text": lambda path, parts: path.write_text("a,b\n1,2\n"),
    "empty": lambda path, parts: path.write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_workbooks_are_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "bad.xlsx"
    parts = members(
        workbook(tmp_path / "ok.xlsx", {"black_params": [[*COMMON, "sigma"], row(TIMES[0], [0.5])]})
    )
    damage(path, parts)
    with pytest.raises(DataError, match=r"bad\.xlsx: (cannot be read as a workbook|.*is damaged)") as error:
        import_workbook(path, tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", range(20))
def test_flipped_bytes_raise_no_other_error(tmp_path, seed):
    random = np.random.default_rng(seed)
    parts = members(
        workbook(tmp_path / "ok.xlsx", {"black_params": [[*COMMON, "sigma"], row(TIMES[0], [0.5])]})
    )
    for name, content in parts.items():
        torn = bytearray(content)
        for place in random.integers(len(torn), size=3):
            torn[place] = random.integers(32, 127)
        packed(tmp_path / "torn.xlsx", parts | {name: bytes(torn)})
        with contextlib.suppress(DataError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of openpyxl, about styles
            importing.read_workbook(tmp_path / "torn.xlsx")
