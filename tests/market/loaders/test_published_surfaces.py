"""Published surfaces: volatilities become the prices they stand for, forwards and dates are as stated."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr

from neutral import ArgumentError, DataError, implied_vol, load_surface
from neutral.market import Filters, Quotes, prepare
from neutral.market.filters import EXPIRES_TODAY
from neutral.market.quotes import UNKNOWN_DATE

MIDDLE = """spot,days,T,zero_rate,dividend,strike,iv
100,73,0.2,0.05,0.01,90,0.25
100,73,0.2,0.05,0.01,110,0.2
100,0,0,0.05,0.01,110,0.2
100,73,0.2,0.05,0.01,120,none
"""
SIDES = """id,T,forward,discount,strike,type,bid_iv,ask_iv
2w,0.04,27,0.99,22,P,0.5,0.6
2w,0.04,27,0.99,30,C,,0.7
"""
PRICES = "spot,days,strike,price,iv\n100,73,90,11.0,0.2\n100,73,60,39.0,0.2\n"
TWO = """date,underlying,spot,type,expiry,days,T,strike,bid,ask,mid,iv_pct
2021-03-12,SPX,3939,put,2021-04-16,35,0.0959,3600,23.5,24.1,23.8,26.29
2021-03-12,VIX,22.4,call,2021-04-21,40,0.1096,30,1.2,1.3,1.25,
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "abc_20200102.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def table(quotes: Quotes) -> Any:
    """The frame, of columns whose operators pandas' types do not know."""
    return quotes.frame


def black_price(frame, vol):
    """Independent of the package: discount x forward x Black, by kind."""
    sign = np.where(frame["option_type"] == "call", 1.0, -1.0)
    forward, strike = frame["futures_price"], frame["strike"]
    stdev = vol * np.sqrt(frame["maturity"])
    d1 = np.log(forward / strike) / stdev + 0.5 * stdev
    return frame["discount"] * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - stdev)))


def test_middle_volatilities_become_a_bid_and_an_ask(write):
    quotes = load_surface(write(MIDDLE), spread=0.02)
    frame: Any = quotes.frame
    assert (quotes.currency, quotes.spot, quotes.assumed_spread) == ("ABC", 100.0, 0.02)
    assert quotes.snapshot_ts == datetime(2020, 1, 2, tzinfo=UTC)
    assert (quotes.settlement, quotes.exercise, quotes.day_count) == ("cash", "european", "file")
    np.testing.assert_allclose(frame["futures_price"].iloc[:2], 100 * np.exp(0.04 * 0.2), rtol=1e-15)
    np.testing.assert_allclose(frame["discount"].iloc[:2], np.exp(-0.05 * 0.2), rtol=1e-15)
    assert frame["option_type"].tolist() == ["put", "call", "call", "call"]
    good = frame.iloc[:2]
    vols = np.array([0.25, 0.2])
    np.testing.assert_allclose(good["bid_price"], black_price(good, vols - 0.01), rtol=1e-12)
    np.testing.assert_allclose(good["ask_price"], black_price(good, vols + 0.01), rtol=1e-12)
    assert frame["refused"].tolist() == ["", "", EXPIRES_TODAY, ""]
    assert np.isnan(frame["bid_price"].iloc[3]) and np.isnan(frame["implied_volatility"].iloc[3])
    assert (frame["expiry_datetime"].iloc[0] - frame["timestamp"].iloc[0]).days == 73


def test_both_sides_are_kept(write):
    quotes = load_surface(write(SIDES, "vix_sample.csv"))
    frame: Any = quotes.frame
    assert quotes.currency == "VIX" and np.isnan(quotes.assumed_spread)
    assert quotes.snapshot_ts == UNKNOWN_DATE and frame["timestamp"].isna().all()
    np.testing.assert_allclose(frame["bid_price"], black_price(frame, np.array([0.5, np.nan])), rtol=1e-12)
    np.testing.assert_allclose(frame["ask_price"], black_price(frame, np.array([0.6, 0.7])), rtol=1e-12)
    np.testing.assert_allclose(frame["implied_volatility"], [0.55, np.nan], rtol=1e-15)
    dated = load_surface(write(SIDES, "vix_sample.csv"), date="2022-07-15")
    assert dated.snapshot_ts == datetime(2022, 7, 15, tzinfo=UTC) and table(dated)["timestamp"].notna().all()


def test_a_discount_factor_of_zero_refuses_its_quotes_alone(write):
    rows = [
        f"0.25,100,{discount},{strike},0.2,0.21"
        for discount, strike in zip(["0"] * 3 + ["0.99"] * 2, range(80, 130, 10), strict=True)
    ]
    text = "\n".join(["T,forward,discount,strike,bid_iv,ask_iv", *rows])
    kept, refused = prepare(load_surface(write(text), "SPX"), Filters(min_quotes=2))
    assert kept["strike"].tolist() == [110, 120] and set(kept["discount"]) == {0.99}
    assert refused["reason"].tolist() == ["the discount factor is not between 1e-09 and 1e+09"] * 3


def test_prices_without_sides_are_calls(write):
    frame: Any = load_surface(write(PRICES), spread=0.01).frame
    assert frame["option_type"].tolist() == ["call", "call"] and (frame["discount"] == 1).all()
    sides = np.array([frame["bid_price"], frame["ask_price"]])
    np.testing.assert_allclose(sides.mean(axis=0), [11.0, 39.0], rtol=1e-15)
    vols = implied_vol(sides[:, 0], 100.0, 90.0, 0.2)
    # the spread is laid along the tangent; its curvature is of third order here
    assert vols[1] - vols[0] == pytest.approx(0.01, abs=1e-5)
    assert sides[0, 1] == sides[1, 1]  # below intrinsic value: no volatility, left to the filters


def test_rates_fill_what_a_file_leaves_open(write):
    with_rates: Any = load_surface(write(PRICES), rates=0.05).frame
    np.testing.assert_allclose(with_rates["discount"], np.exp(-0.01), rtol=1e-15)
    np.testing.assert_allclose(with_rates["futures_price"], 100 * np.exp(0.01), rtol=1e-15)
    two: Any = load_surface(write(TWO), "SPX", rates=0.05).frame
    np.testing.assert_allclose(two["discount"], np.exp(-0.05 * 0.0959), rtol=1e-15)
    assert two["futures_price"].isna().all()


def test_two_underlyings_are_told_apart(write):
    path = write(TWO)
    with pytest.raises(ArgumentError, match="has SPX, VIX; choose one, for example name='SPX'"):
        load_surface(path)
    with pytest.raises(DataError, match="name='DAX'; the file has SPX, VIX"):
        load_surface(path, "DAX")
    quotes = load_surface(path, "VIX")
    row = quotes.frame.iloc[0]
    assert (len(quotes), row["bid_price"], row["ask_price"]) == (1, 1.2, 1.3)
    assert np.isnan(quotes.spot)  # of the index; the options are on its futures
    assert np.isnan(row["futures_price"]) and np.isnan(row["implied_volatility"])
    assert load_surface(path, "SPX").frame["implied_volatility"].iloc[0] == pytest.approx(0.2629, rel=1e-15)


FAULTS = {
    "empty": ("\n", "is empty"),
    "header only": (MIDDLE.splitlines()[0], "no rows"),
    "no strike": (MIDDLE.replace("strike", "k"), "required column missing: 'strike'"),
    "no maturity": (MIDDLE.replace("days,T", "d,e"), "no maturities"),
    "no quotes": (
        MIDDLE.replace(",iv", ",vol"),
        "no quotes that can be used; expected the columns bid and ask, or",
    ),
    "no forward": (
        MIDDLE.replace("spot", "s"),
        "no quotes that can be used; expected the columns bid and ask, or a column forward or spot",
    ),
    "mixed dates": (TWO.replace("2021-03-12,VIX", "20210312,VIX"), "line 3: date '20210312'"),
}


@pytest.mark.parametrize("text, message", FAULTS.values(), ids=FAULTS)
def test_faults_are_told(write, text, message):
    path = write(text)
    with pytest.raises(DataError) as caught:
        load_surface(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_wrong_spread_is_refused(write):
    with pytest.raises(ArgumentError, match="spread=-0.1"):
        load_surface(write(MIDDLE), spread=-0.1)


FILES = {  # underlying, date, rows, maturities, spot
    "spx_20230215.csv.gz": ("SPX", "2023-02-15", 7_423, 48, np.nan),
    "dax_20020705_sepp.csv": ("DAX", "2002-07-05", 104, 8, 4468.17),
    "sx5e_20100301_andreasen_huge.csv": ("SX5E", "2010-03-01", 155, 12, 2772.70),
    "spx_20210312_paggiaro.csv": ("SPX", "2021-03-12", 40, 8, 3939.34),
    "spx_20210316_paggiaro.csv": ("VIX", "2021-03-16", 20, 4, np.nan),
    "spy_20220715_sepp.csv": ("SPY", "2022-07-15", 427, 4, np.nan),
    "vix_sample_sepp.csv": ("VIX", "1970-01-01", 92, 4, np.nan),
    "btc_sample_sepp.csv": ("BTC", "1970-01-01", 49, 4, np.nan),
    "spx_slice_20250113_20250221.csv": ("SPX", "2025-01-13", 348, 1, np.nan),
    "spx_slice_20250310_20250417.csv": ("SPX", "2025-03-10", 373, 1, np.nan),
    "spx_2022_speciale.csv.gz": ("SPX", "1970-01-01", 2_939, 39, 4226.58),
}


@pytest.mark.parametrize("file", FILES)
def test_every_published_surface_loads(market_data, file):
    name, date, rows, maturities, spot = FILES[file]
    quotes = load_surface(market_data / "published_surfaces" / file, name)
    frame: Any = quotes.frame
    assert (quotes.currency, f"{quotes.snapshot_ts:%Y-%m-%d}", len(quotes)) == (name, date, rows)
    assert frame["expiry_datetime"].nunique() == frame["maturity"].nunique() == maturities
    np.testing.assert_equal(quotes.spot, spot)
    assert (frame["refused"] == "").all() and not (frame["ask_price"] < frame["bid_price"]).any()
    assert frame["bid_price"].isna().sum() == (674 if "20230215" in file else 0)
    if frame["futures_price"].notna().all() and file != "spx_2022_speciale.csv.gz":
        middle = black_price(frame, frame["implied_volatility"])
        inside = (middle >= frame["bid_price"] - 1e-9) & (middle <= frame["ask_price"] + 1e-9)
        assert (inside | frame["bid_price"].isna()).all()


def test_prices_of_spx_2022_are_those_of_its_volatilities(market_data):
    frame: Any = load_surface(market_data / "published_surfaces" / "spx_2022_speciale.csv.gz").frame
    middle = 0.5 * (frame["bid_price"] + frame["ask_price"])
    error = (black_price(frame, frame["implied_volatility"]) - middle).abs()
    assert round(error.median(), 2) <= 0.05


def test_a_maturity_that_disagrees_with_the_dates_is_refused(tmp_path):
    path = tmp_path / "SPX_surface.csv"
    rows = [("2024-06-04", 0.252), ("2024-06-04", 63 / 252), ("2024-02-16", 0.1), ("2024-06-04", 0.5)]
    lines = [f"2024-03-04,{expiry},{t},{k},100,0.2" for k, (expiry, t) in enumerate(rows, start=99)]
    path.write_text("\n".join(["date,expiry,T,strike,forward,iv", *lines]))
    refused = load_surface(path).frame["refused"].tolist()
    assert refused[:2] == ["", ""] and "expired" in refused[2] and "disagrees with the dates" in refused[3]
