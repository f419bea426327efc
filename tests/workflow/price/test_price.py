"""Prices from models and from what is stored, on the rows of a table, and the command for files."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import workflow_fakes as fakes

import neutral as nt
from neutral import cli
from neutral.workflow import run

STRIKE = np.array([90.0, 100.0, 110.0])
TABLE = pd.DataFrame(
    {"forward": 100.0, "strike": STRIKE, "maturity": 0.5, "kind": ["P", "C", "C"]}, index=[30, 10, 20]
)
MODEL = nt.Black(0.2)
SURFACE = nt.SSVI(expiries=np.array([0.5, 1.0]), theta=np.array([0.02, 0.04]), rho=-0.4, eta=1.0, gamma=0.4)
PRICES = nt.price(MODEL, 100.0, STRIKE, 0.5, kind=["P", "C", "C"])


def test_a_column_per_model_on_the_callers_index():
    out = nt.price_table({"flat": MODEL, "ssvi": SURFACE}, TABLE)
    assert out.index.tolist() == [30, 10, 20] and list(TABLE.columns) == list(out.columns[:4])
    np.testing.assert_array_equal(out["price_flat"], PRICES)
    vol = nt.implied_vol(out["price_ssvi"], 100.0, STRIKE, 0.5, out["kind"])
    np.testing.assert_allclose(vol, SURFACE.implied_vol(np.log(STRIKE / 100.0), 0.5), rtol=1e-12)
    polars = nt.price_table([MODEL, SURFACE], pl.DataFrame(TABLE))
    np.testing.assert_array_equal(polars["price_black"].to_numpy(), PRICES)
    np.testing.assert_array_equal(polars["price_ssvi"].to_numpy(), out["price_ssvi"])
    mapping = nt.price_table(MODEL, {name: TABLE[name].tolist() for name in TABLE})
    np.testing.assert_array_equal(mapping["price_black"], PRICES)


def test_settlement_dates_and_options_without_a_price():
    coin = nt.price_table(MODEL, TABLE.assign(settlement="coin"))["price_black"]
    np.testing.assert_allclose(coin, PRICES / 100.0, rtol=1e-15)
    dates = TABLE.drop(columns="maturity").assign(expiry=["2026-03-27", None, "2026-01-02"])
    prices = nt.price_table(MODEL, dates, date="2026-01-14")["price_black"].to_numpy()
    assert np.isnan(prices).tolist() == [False, True, True]  # without an expiry, and expired
    expected = nt.price(MODEL, 100.0, 90.0, 72 / 365, "put")
    np.testing.assert_allclose(prices[0], expected, rtol=1e-13)


def test_saved_models(tmp_path):
    for name, model in (("black", MODEL), ("ssvi", SURFACE)):
        nt.save(model, tmp_path / f"{name}.json")
        out = nt.price_table(tmp_path / f"{name}.json", TABLE)
        np.testing.assert_array_equal(out[f"price_{name}"], nt.price_table(model, TABLE)[f"price_{name}"])


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([MODEL, MODEL], r"several models are a black; name them, as in price_table\(\{'black 1'"),
        ([], "needs at least one model, got none"),
        ({"a": 3}, "a must be a model, a surface or the result of a calibration, got int"),
        (nt.Heston, "must be a model, a surface or the result of a calibration, got the class Heston"),
    ],
)
@pytest.mark.mistyped
def test_what_has_no_prices_is_named(models, message):
    with pytest.raises(nt.ArgumentError, match=message):
        nt.price_table(models, TABLE)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of four snapshots from 2026-01-01 on, six hours apart, without any fit."""
    folder = tmp_path_factory.mktemp("price")
    archive = fakes.write_archive(folder / "archive", 4)
    run(archive, folder / "out", fakes.fake_config(models=["black"]), fit=fakes.fake_fit)
    return folder / "out"


def sigma(results, time: str, underlying: str = "ETH") -> float:
    fits = fakes.read(results, "fits")
    times = pd.to_datetime(fits["snapshot_ts"], utc=True)
    row = fits[(times == time) & (fits["currency"] == underlying) & (fits["model"] == "black")]
    return float(row["sigma"].iloc[0])


def test_the_latest_fit_at_or_before_the_quote_date_counts(results):
    for asked, fitted in ((None, "2026-01-01T18Z"), ("2026-01-01T13:00", "2026-01-01T12Z")):
        out = nt.price_table(results, TABLE, date=asked, underlying="ETH")
        expected = nt.price(nt.Black(sigma(results, fitted)), 100.0, STRIKE, 0.5, kind=TABLE["kind"])
        np.testing.assert_allclose(out["price_black"], expected, rtol=1e-15)
    with pytest.raises(
        nt.DataError, match="no converged fit of ETH at or before 2025-.*first is of 2026-01-01"
    ):
        nt.price_table(results, TABLE, date="2025-12-31", underlying="ETH")
    with pytest.raises(nt.DataError, match="no converged fit of SOL; it has BTC, ETH"):
        nt.price_table(results, TABLE, underlying="SOL")
    with pytest.raises(nt.ArgumentError, match="has fits of BTC, ETH; choose one with underlying="):
        nt.price_table(results, TABLE)


def command(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["neutral", "price", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_the_command_prices_every_row_of_a_file(monkeypatch, capsys, results, tmp_path):
    quotes = fakes.write_snapshot(tmp_path, 9)  # two days later
    for suffix, read in ((".parquet", pd.read_parquet), (".csv", pd.read_csv)):
        out = tmp_path / f"prices{suffix}"
        assert command(monkeypatch, results, quotes, "--out", out) == 0
        rows = read(out)
        assert len(rows) == 2 * 56
        eth = rows[rows["unit"] == "ETH"]
        terms = {name: eth[name].to_numpy() for name in ("forward", "strike", "maturity")}
        model = nt.Black(sigma(results, "2026-01-01T18Z"))
        expected = nt.price(model, **terms, kind=eth["option_type"], settlement="coin")
        np.testing.assert_allclose(eth["price_black"], expected, rtol=1e-12)
    printed = capsys.readouterr().out
    assert "ETH 2026-01-03 06:00 black 2026-01-01 18:00" in printed and "RMSE to mid unit" in printed
    assert f"Written: {tmp_path}" in printed


def test_the_command_names_what_it_cannot_price(monkeypatch, capsys, results, tmp_path):
    quotes = fakes.write_snapshot(tmp_path, 9)
    model = tmp_path / "model.json"
    nt.save(MODEL, model)
    junk = tmp_path / "junk.csv"
    junk.write_text("a,b\n1,2\n")
    assert command(monkeypatch, model, quotes, junk, "--out", tmp_path / "prices.csv") == 1
    assert "fits no kind of file" in capsys.readouterr().out
    assert command(monkeypatch, model, junk, "--out", tmp_path / "prices.csv") == 2
    assert "no market has been priced: junk.csv: the header" in capsys.readouterr().err
    assert command(monkeypatch, model, quotes, "--out", tmp_path / "prices.xls") == 2
    assert "must end in .parquet or .csv" in capsys.readouterr().err
    assert command(monkeypatch, junk, quotes) == 2
    assert "was not written by neutral.save" in capsys.readouterr().err
