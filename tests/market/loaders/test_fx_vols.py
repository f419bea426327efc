"""Foreign-exchange volatilities by tenor: forwards, discounts, conventions, and a priced smile a tenor."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from neutral import ArgumentError, DataError, FxConventions, delta_of_strike, load_fx_vols
from neutral.market.quotes import UNKNOWN_DATE

OWN_RATES = """date,pair,spot,r_domestic,r_foreign,tenor,atm,rr25,ms25,delta,premium_adjusted,atm_convention
2020-01-31,USDJPY,110,0.001,0.02,1m,10,-1,0.2,forward,True,forward
2020-01-31,USDJPY,110,0.001,0.02,2W,10,-1,x,forward,True,forward
"""
VOLS = """date,pair,tenor,atm,rr25,bf25,rr10,bf10
2024-05-28,EURUSD,1m,5,-0.2,0.07,-0.3,0.24
2024-05-28,EURUSD,2y,6,-0.8,0.2,-1.5,0.9
"""
SWAPS = "tenor,estr_pct,sofr_pct,fx_swap_points,xccy_bp\n1m,3.8,5.3,14,\n1y,3.4,5.2,,-7\n2y,3.1,4.8,,-8\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def black_price(frame, vol):
    sign = np.where(frame["option_type"] == "call", 1.0, -1.0)
    forward, strike = frame["futures_price"], frame["strike"]
    stdev = vol * np.sqrt(frame["maturity"])
    d1 = np.log(forward / strike) / stdev + 0.5 * stdev
    return frame["discount"] * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - stdev)))


def test_a_tenor_becomes_a_priced_smile(write):
    quotes = load_fx_vols(write(OWN_RATES, "usdjpy.csv"), spread=0.004)
    frame: Any = quotes.frame
    assert (quotes.currency, quotes.spot, quotes.assumed_spread) == ("USDJPY", 110.0, 0.004)
    assert quotes.snapshot_ts == datetime(2020, 1, 31, tzinfo=UTC) and quotes.settlement == "cash"
    month = frame.iloc[:3]
    # the last day of a month is followed by the last day of the next
    assert (month["expiry_datetime"] == pd.Timestamp("2020-02-29T00:00Z")).all()
    t = 29 / 365
    np.testing.assert_allclose(month["maturity"], t, rtol=1e-15)
    np.testing.assert_allclose(month["futures_price"], 110 * np.exp(-0.019 * t), rtol=1e-15)
    np.testing.assert_allclose(month["discount"], np.exp(-0.001 * t), rtol=1e-15)
    vol = month["implied_volatility"]
    np.testing.assert_allclose(month["bid_price"], black_price(month, vol - 0.002), rtol=1e-12)
    np.testing.assert_allclose(month["ask_price"], black_price(month, vol + 0.002), rtol=1e-12)
    assert month["strike"].iloc[1] == month["futures_price"].iloc[1]  # at the money is the forward
    conventions = FxConventions("forward", premium_adjusted=True)
    sides = (month["option_type"] == "call").to_numpy()
    strike, forward = month["strike"].to_numpy(), month["futures_price"].to_numpy()
    delta = delta_of_strike(strike, vol.to_numpy(), forward, t, sides, conventions)
    np.testing.assert_allclose(delta[[0, 2]], [-0.25, 0.25], atol=1e-12, rtol=0)
    assert vol.iloc[2] - vol.iloc[0] == pytest.approx(-0.01, abs=1e-15)


def test_a_tenor_with_a_missing_number_stays_without_strikes(write):
    frame: Any = load_fx_vols(write(OWN_RATES, "usdjpy.csv")).frame
    assert len(frame) == 6 and frame["maturity"].iloc[3] == pytest.approx(14 / 365)
    assert frame.loc[3:, ["strike", "bid_price", "ask_price"]].isna().all(axis=None)


def test_forwards_come_from_the_rates_beside(write):
    path = write(VOLS, "eurusd_vol.csv")
    rates = write(SWAPS, "eurusd_rates.csv")
    quotes = load_fx_vols(path, spot=1.08)
    month, later = quotes.frame.iloc[0], quotes.frame.iloc[5]
    assert month["futures_price"] == pytest.approx(1.08 + 14e-4, rel=1e-15)
    assert month["discount"] == pytest.approx(1 / (1 + 0.053 * 31 / 360), rel=1e-15)
    # two years by hand: half of the accrual each year, and the basis on the foreign side
    year = 365 / 360
    factors = []
    for first, second in ((5.2, 4.8), (3.4 - 0.07, 3.1 - 0.08)):
        first, second = first / 100 * year, second / 100 * year
        factors.append((1 - second / (1 + first)) / (1 + second))
    assert later["maturity"] == 2.0
    assert later["discount"] == pytest.approx(factors[0], rel=1e-14)
    assert later["futures_price"] == pytest.approx(1.08 * factors[1] / factors[0], rel=1e-14)
    elsewhere = load_fx_vols(path, spot=1.08, rates=write(SWAPS.replace("14,", "20,"), "others.csv"))
    assert elsewhere.frame["futures_price"].iloc[0] == pytest.approx(1.082, rel=1e-15)
    rates.unlink()
    with pytest.raises(DataError, match="there is no file of rates at .*; pass rates="):
        load_fx_vols(path, spot=1.08)


def test_conventions_where_the_file_says_nothing(write):
    path = write(VOLS, "eurusd_vol.csv")
    write(SWAPS, "eurusd_rates.csv")
    frame: Any = load_fx_vols(path, spot=1.08).frame
    foreign = frame["futures_price"] * frame["discount"] / 1.08
    for rows, kind in ((frame.iloc[:5], "spot"), (frame.iloc[5:], "forward")):
        columns = ("strike", "implied_volatility", "futures_price", "maturity")
        numbers = [rows[name].to_numpy() for name in columns]
        is_call = (rows["option_type"] == "call").to_numpy()
        delta = delta_of_strike(*numbers, is_call, FxConventions(kind), foreign[rows.index].to_numpy())
        np.testing.assert_allclose(delta[[0, 1, 3, 4]], [-0.1, -0.25, 0.25, 0.1], atol=1e-12, rtol=0)
    smile = load_fx_vols(path, spot=1.08, conventions=FxConventions(butterfly="smile")).frame
    assert smile["implied_volatility"].iloc[3] == pytest.approx(0.05 - 0.001 + 0.0007, rel=1e-14)


FAULTS = {
    "empty": ("", DataError, "is empty"),
    "header only": (VOLS.splitlines()[0], DataError, "no rows"),
    "no strangle": (VOLS.replace("bf25", "b25"), DataError, "rr25 has no bf25. A smile needs both"),
    "dates": (VOLS.replace("2024-05-28,EURUSD,2y", "5/28/24,EURUSD,2y"), DataError, "line 3: date '5/28/24'"),
    "two pairs": (VOLS.replace("EURUSD,2y", "EURJPY,2y"), ArgumentError, "has EURJPY, EURUSD; choose one"),
    "no spot": (
        VOLS,
        ArgumentError,
        "the spot is nan; expected a positive number",
    ),
    "convention": (
        OWN_RATES.replace("forward,True", "fwd,True"),
        DataError,
        "1m: delta='fwd' is unknown; expected 'spot' or 'forward'",
    ),
    "negative": (OWN_RATES.replace("10,-1,0.2", "1,-4,0.2"), DataError, "tenor 1m: atm=0.01"),
}


@pytest.mark.mistyped
@pytest.mark.parametrize("text, error, message", FAULTS.values(), ids=FAULTS)
def test_faults_are_told(write, text, error, message):
    with pytest.raises(error) as caught:
        load_fx_vols(write(text, "fx_vol.csv"))
    assert message in str(caught.value)


FILES = {  # pair, tenors, points a tenor, spot
    "eurusd_20240528_vol.csv": ("EURUSD", 23, 5, 1.0867),
    "eurusd_clark.csv": ("EURUSD", 6, 5, 1.3465),
    "eurusd_reiswich_wystup.csv": ("EURUSD", 1, 3, 1.3088),
    "usdjpy_reiswich_wystup.csv": ("USDJPY", 1, 3, 90.68),
}


@pytest.mark.parametrize("file", FILES)
def test_every_file_of_volatilities_loads(market_data, file):
    pair, tenors, points, spot = FILES[file]
    quotes = load_fx_vols(market_data / "fx" / file, spot=spot if "2024" in file else None)
    frame: Any = quotes.frame
    assert (quotes.currency, quotes.spot, len(quotes)) == (pair, spot, tenors * points)
    assert frame["expiry_datetime"].nunique() == tenors
    assert frame.notna().drop(columns="timestamp").all(axis=None)
    assert (frame["ask_price"] > frame["bid_price"]).all() and (frame["bid_price"] > 0).all()
    assert (quotes.snapshot_ts == UNKNOWN_DATE) == (file == "eurusd_clark.csv")
    for _, smile in frame.groupby("maturity"):
        assert smile["strike"].is_monotonic_increasing


def test_forwards_of_may_2024(market_data):
    frame: Any = load_fx_vols(market_data / "fx" / "eurusd_20240528_vol.csv", spot=1.0867).frame
    forward = frame.groupby("maturity")["futures_price"].first()
    assert forward.iloc[3] == pytest.approx(1.0867 + 13.78e-4, rel=1e-14)  # one month, quoted
    # nine months are quoted, a year comes from swaps: the points a year must not jump
    points = (forward - 1.0867) / forward.index
    assert points.iloc[10] == pytest.approx(points.iloc[9], rel=0.02)
    assert points.iloc[10:].between(points.iloc[10] * 0.8, points.iloc[10] * 1.1).all()
