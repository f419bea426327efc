"""Files that are no Deribit snapshots, from the archive to the rows of a calibration."""

import errno
from pathlib import Path

import crypto_files
import numpy as np
import pandas as pd
import pytest
import workflow_fakes as fakes
from scipy.stats import norm

from neutral.cli.options import read_inputs
from neutral.errors import DataError
from neutral.market.quotes import UNKNOWN_DATE
from neutral.storage import load
from neutral.workflow import config_for, make_plan, open_store, run
from neutral.workflow.calibrate.config import shipped_config
from neutral.workflow.inputs.archive import list_archive, market_files, underlyings_of
from neutral.workflow.inputs.markets import noted, read_markets
from neutral.workflow.surfaces.files import write_surfaces
from neutral.workflow.surfaces.fit import fit_markets

RATE, FORWARD_GROWTH = 0.02, 0.01


def chain(dates: list[str], symbol: str = "SPX", spot: float = 100.0) -> str:
    """An option chain of Black's prices, in the long layout."""
    lines = ["date,symbol,under,expiration,strike,put/call,bid,ask,volume,open interest"]
    for date in dates:
        for days in (30, 90, 365):
            expiry = pd.Timestamp(date) + pd.Timedelta(days=days)
            t = days / 365
            forward, discount = spot * np.exp(FORWARD_GROWTH * t), np.exp(-RATE * t)
            for strike in np.arange(80.0, 121.0, 4.0):
                s = (0.2 - 0.1 * np.log(strike / forward)) * np.sqrt(t)
                d1 = np.log(forward / strike) / s + 0.5 * s
                call = discount * (forward * norm.cdf(d1) - strike * norm.cdf(d1 - s))
                for kind, price in (("C", call), ("P", call - discount * (forward - strike))):
                    lines.append(
                        f"{date},{symbol}X,{symbol},{expiry:%Y-%m-%d},{strike},{kind},{price - 0.01:.6f},"
                        f"{price + 0.01:.6f},1,10"
                    )
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.csv").write_text(chain(["2015-01-06", "2015-01-05"]))
    (tmp_path / "b.csv").write_text(chain(["2015-01-05"], "NDX", 4000.0 / 40))
    (tmp_path / "c.csv").write_text("fruit,colour\napple,red\n")
    return tmp_path


def test_every_date_of_every_file_has_a_place(folder):
    archive = list_archive(market_files([folder]))
    names = [file.name for file in archive]
    assert names == ["c.csv@1970-01-01", "a.csv@2015-01-05", "b.csv@2015-01-05", "a.csv@2015-01-06"]
    assert underlyings_of(archive) == ["NDX", "SPX"] and archive[0].date == UNKNOWN_DATE
    assert archive[3].timestamp.startswith("2015-01-06") and archive[3].underlyings == ("SPX",)
    assert config_for(folder).underlyings == ["NDX", "SPX"]


def test_several_times_of_a_day_are_snapshots(tmp_path):
    btc = crypto_files.Market(in_coin=False)
    later = crypto_files.TAKEN.replace(hour=17, minute=30)
    for taken in (crypto_files.TAKEN, later):
        tickers = [crypto_files.bybit(row) for row in crypto_files.chain(btc, taken)]
        (tmp_path / f"{taken:%H%M}.json").write_text(crypto_files.of_bybit(tickers, taken))
    rows = [crypto_files.binance(row) for hour in (0, 12) for row in hourly(btc, hour)]
    (tmp_path / "binance.csv").write_text(crypto_files.as_csv(rows))
    files = market_files([tmp_path])
    names = [file.name for file in list_archive(files)]
    assert names == [
        "binance.csv@2024-04-01",
        "1200.json@2024-04-01T12:00:00",
        "binance.csv@2024-04-01T12:00:00",
        "1730.json@2024-04-01T17:30:00",
    ]
    markets = list(read_markets(files, shipped_config))
    assert [market.underlying for market in markets] == ["BTC_USDC", "BTC_USDC", "BTC_USDT", "BTC_USDT"]
    assert [len(market.frame) for market in markets if market.frame is not None] == [28] * 4
    assert [market.spot for market in markets[:2]] == [60000.0, 60000.0]


def hourly(market, hour):
    return crypto_files.chain(market, crypto_files.TAKEN.replace(hour=hour))


def test_nothing_to_read_is_told(tmp_path):
    with pytest.raises(DataError, match="no such file or folder"):
        market_files([tmp_path / "none"])
    with pytest.raises(DataError, match="expected files named"):
        market_files([tmp_path])


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    locked = tmp_path / "locked"
    locked.mkdir()
    listed = Path.iterdir

    def iterdir(path):
        if path == locked:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(DataError, match="locked: cannot be read: Permission denied"):
        market_files([tmp_path])


def test_markets_are_read_with_forward_and_discount(folder):
    markets = list(read_markets(market_files([folder]), shipped_config))
    assert [(market.underlying, market.frame is None) for market in markets] == [
        ("SPX", False),
        ("SPX", False),
        ("NDX", False),
        ("-", True),
    ]
    assert markets[3].reason.startswith("c.csv: the header (fruit, colour) fits no kind of file")
    frame = markets[0].frame
    assert frame is not None
    t = frame["maturity"].to_numpy()
    np.testing.assert_allclose(frame["forward"], 100.0 * np.exp(FORWARD_GROWTH * t), rtol=1e-5)
    np.testing.assert_allclose(frame["discount"], np.exp(-RATE * t), rtol=2e-3)
    (ndx,) = [m for m in read_markets(market_files([folder]), shipped_config, ["NDX"]) if m.frame is not None]
    assert ndx.underlying == "NDX"


def test_a_run_has_rows_for_what_is_there_and_for_what_is_not(folder):
    summary = run(folder, folder / "out", config_for(folder).replaced(models=["black"]), fit=fakes.fake_fit)
    fits = open_store(folder / "out").read("fits").to_pandas()
    assert sorted(
        zip(fits["currency"], fits["snapshot_ts"].dt.strftime("%Y-%m-%d"), fits["status"], strict=True)
    ) == [
        ("NDX", "1970-01-01", "refused"),
        ("NDX", "2015-01-05", "converged"),
        ("SPX", "1970-01-01", "refused"),
        ("SPX", "2015-01-05", "converged"),
        ("SPX", "2015-01-06", "converged"),
    ]
    assert summary.complete
    assert run(folder, folder / "by default", fit=fakes.fake_fit).lines[0].underlying == "NDX"
    quotes = open_store(folder / "out").read("quotes").to_pandas()
    assert set(quotes["settlement"]) == {"cash"} and quotes["discount"].between(0.97, 1.0).all()


@pytest.mark.heavy
def test_surfaces_of_files_are_fitted_each_with_its_row(folder):
    fitted = list(fit_markets(read_markets(market_files([folder]), shipped_config), method="essvi"))
    assert [one.row["status"] for one in fitted] == ["converged"] * 3 + ["refused"]
    assert all(one.row["free"] and one.row["inside"] > 0.95 for one in fitted[:3])
    assert fitted[3].row["message"].startswith("c.csv") and fitted[3].surface is None
    vol = float(fitted[0].surface.implied_vol(-0.1, 90 / 365))
    assert vol == pytest.approx(0.21, abs=2e-3)


def test_an_option_without_effect_is_told(tmp_path):
    fakes.write_snapshot(tmp_path, 0)
    (tmp_path / "a.csv").write_text(chain(["2015-01-05"]))

    def config_of(kind):
        return shipped_config(kind).replaced(data={"rates": RATE, "spot": 1.1, "day_count": "365.25"})

    chained, *coins = read_markets(market_files([tmp_path]), config_of)
    assert chained.frame is not None
    t = chained.frame["maturity"].to_numpy()
    np.testing.assert_allclose(chained.frame["discount"], np.exp(-RATE * t), rtol=1e-2)
    assert t[0] == pytest.approx(30 / 365.25, abs=0.01)
    assert chained.findings == ("spot = 1.1 is not used: files of kind 'equity chain' have no such option",)
    for coin in coins:
        assert [text.partition(" = ")[0] for text in coin.unused] == ["rates", "spot"]
    lines = noted([(market.title, text) for market in coins for text in market.unused])
    assert lines[0].startswith("4 findings") and "BTC 2026-01-01 00:00 and 1 more: rates = 0.02" in lines[1]


def test_snapshots_and_other_files_are_read_together(tmp_path):
    fakes.write_archive(tmp_path, 2)
    (tmp_path / "a.csv").write_text(chain(["2026-01-01"]))
    (tmp_path / "c.csv").write_text("fruit,colour\napple,red\n")
    files = market_files([tmp_path])
    names = [file.name for file in list_archive(files)]
    assert names == ["a.csv@2026-01-01", *map(fakes.snapshot_name, (0, 1)), "c.csv@1970-01-01"]
    assert config_for(tmp_path).underlyings == ["BTC", "ETH", "SPX"]
    (tmp_path / "a.csv").unlink()
    assert config_for(tmp_path).data.currencies == ["BTC", "ETH"]  # of the settings for Deribit snapshots


def test_the_underlyings_of_a_run_stand_for_all_that_are_unknown(tmp_path):
    fakes.write_archive(tmp_path / "in", 1)
    (tmp_path / "all.toml").write_text('[data]\ncurrencies = ["all"]\n')
    with pytest.raises(DataError, match="choose some with --currency"):
        make_plan(tmp_path / "in", tmp_path / "all.toml")
    plan = make_plan(tmp_path / "in", tmp_path / "all.toml", run={"currencies": ["ETH"]})
    assert plan.config.underlyings == ["ETH"]


def test_settings_choose_the_files_and_underlyings_of_surfaces(tmp_path):
    fakes.write_archive(tmp_path / "in", 3)
    (tmp_path / "my.toml").write_text('[data]\nlimit = 2\ncurrencies = ["ETH"]\n')

    def read(config=None, underlyings=None, limit=None):
        markets = read_inputs([tmp_path / "in"], config, underlyings, limit, {})
        return [market.underlying for market in markets]

    assert read() == ["BTC", "ETH"] * 3
    assert read(str(tmp_path / "my.toml")) == ["ETH"] * 2
    assert read(str(tmp_path / "my.toml"), ["BTC"], 1) == ["BTC"]
    with pytest.raises(DataError, match="no file has the underlying SOL; they have BTC, ETH"):
        read(underlyings=["SOL"])


def test_a_map_of_columns_and_the_symbol_reach_the_loader(tmp_path):
    text = chain(["2015-01-05"]).replace("date,", "taken,", 1).replace("under,", "colour,", 1)
    (tmp_path / "data.txt").write_text(text)
    files = market_files([tmp_path])
    config = shipped_config("equity chain")
    (refused,) = read_markets(files, shipped_config)
    assert "columns=" in refused.reason
    mapped = config.replaced(columns={"date": "taken", "underlying": "colour"})
    (market,) = read_markets(files, lambda kind: mapped, columns=mapped.column_map)
    assert (market.underlying, market.reason) == ("SPX", "")
    columns = {"date": "taken", "ignore": ["colour", "symbol"]}
    unnamed = config.replaced(columns=columns, data={"symbol": "NDX"})
    (market,) = read_markets(files, lambda kind: unnamed, None, unnamed.column_map, "NDX")
    assert (market.underlying, market.reason) == ("NDX", "")
    plan = make_plan([tmp_path], columns={"date": "taken", "underlying": "colour"})
    assert plan.config.underlyings == ["SPX"] and plan.config.column_map == mapped.column_map


@pytest.mark.heavy
def test_a_sanos_surface_is_written_as_json(tmp_path):
    (tmp_path / "a.csv").write_text(chain(["2015-01-05"]))
    fitted = list(fit_markets(read_markets(market_files([tmp_path]), shipped_config), method="sanos"))
    paths = write_surfaces(fitted, tmp_path / "out")
    assert paths[-1].name == "SPX_2015-01-05_0000.json"
    surface = load(paths[-1])
    assert float(surface.implied_vol(-0.1, 90 / 365)) == pytest.approx(0.21, abs=5e-3)
