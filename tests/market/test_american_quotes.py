"""American quotes: forwards and European equivalents together, against prices of QuantLib and real chains."""

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from parity_chain import LOOSE, TAKEN, implied_forwards, prepare, quotes
from quantlib_american import quantlib_price
from scipy.special import ndtr

from neutral.errors import DataError
from neutral.market import Filters, american_quotes
from neutral.market.build import NO_EQUIVALENT

SPOT, RATE, DIVIDEND, HALF_SPREAD = 200.0, 0.03, 0.018, 0.02
DAYS = (30, 182, 730)


def european_quotes(*args) -> tuple[Any, Any]:
    return american_quotes.european_quotes(*args)


@pytest.fixture(scope="module")
def american():
    """Priced by QuantLib with a smile; `european` is Black's price at the same volatility."""
    rows = []
    for day in DAYS:
        t = day / 365
        expected = SPOT * np.exp((RATE - DIVIDEND) * t)
        for strike in np.arange(180.0, 222.0, 4.0):
            stdev = (0.2 - 0.1 * np.log(strike / expected)) * np.sqrt(t)
            for sign, kind in ((1, "call"), (-1, "put")):
                d1 = np.log(expected / strike) / stdev + 0.5 * stdev
                black = sign * (expected * ndtr(sign * d1) - strike * ndtr(sign * (d1 - stdev)))
                vol = stdev / np.sqrt(t)
                mid = quantlib_price(strike, t, vol, RATE, DIVIDEND, kind == "call", SPOT)
                rows.append((day, kind, strike, t, mid, np.exp(-RATE * t) * black, expected))
    names = ["day", "option_type", "strike", "maturity", "mid", "european", "expected"]
    frame: Any = pd.DataFrame(rows, columns=names)
    taken = pd.Timestamp(TAKEN)
    return frame.assign(
        timestamp=taken,
        expiry_datetime=taken + pd.to_timedelta(frame["day"], unit="D"),
        bid_price=frame["mid"] - HALF_SPREAD,
        ask_price=frame["mid"] + HALF_SPREAD,
        futures_price=np.nan,
        discount=np.exp(-RATE * frame["maturity"]),
        underlying_name="ETF",
    )


def test_forward_and_european_prices_are_recovered_together(american):
    frame, table = european_quotes(american, SPOT)
    expected = american.groupby("expiry_datetime")["expected"].first()
    assert table["forward"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5)
    assert table["dividend_yield"].to_numpy() == pytest.approx(DIVIDEND, abs=1e-4)
    mid = 0.5 * (frame["bid_price"] + frame["ask_price"])
    assert np.max(np.abs(mid - american["european"])) < 1e-4 * SPOT
    # without it the forwards are basis points off
    naive = implied_forwards(american, SPOT, np.inf).table["forward"]
    assert np.max(np.abs(naive / expected - 1)) > 3e-4


def test_prepared_quotes_keep_the_american_ones(american):
    given = quotes(american, SPOT, exercise="american")
    kept, rejected = prepare(given, LOOSE)
    assert len(kept) + len(rejected) == len(american)
    assert (kept["ask_price"] - kept["bid_price"]).to_numpy() == pytest.approx(2 * HALF_SPREAD, abs=1e-12)
    both = kept.merge(american, on=["expiry_datetime", "strike", "option_type"], suffixes=("", "_given"))
    assert (both["american_bid"] == both["bid_price_given"]).all()
    assert (both["bid_price"] <= both["american_bid"] + 1e-9).all()


def test_a_rate_is_needed(american):
    near = american[american["day"] == DAYS[0]]
    given = quotes(near.assign(discount=np.nan), SPOT, exercise="american")
    with pytest.raises(DataError, match=r"2026-02-01 has none: fill the column discount, or state a rate"):
        prepare(given, LOOSE)
    assert prepare(given, LOOSE, rate=RATE)[0].equals(
        prepare(quotes(near, SPOT, exercise="american"), LOOSE)[0]
    )


@pytest.mark.slow
def test_without_a_spot_the_first_forward_stands_for_it(american):
    american = american[american["day"] < DAYS[-1]].reset_index(drop=True)
    _, table = european_quotes(american)
    first = table.iloc[0]
    _, expected = european_quotes(american, first["forward"] * first["discount"])
    assert table["forward"].to_numpy() == pytest.approx(expected["forward"].to_numpy(), rel=1e-6)
    assert first["dividend_yield"] == pytest.approx(0.0, abs=1e-4)
    truth = american.groupby("expiry_datetime")["expected"].first().to_numpy()
    # the yield of the first month, 15 bp of the spot, moves the forwards by 2 bp
    assert table["forward"].to_numpy() == pytest.approx(truth, rel=3e-4)


def test_a_price_at_exercise_value_has_no_equivalent(american):
    frame = american.copy()
    row = int(np.flatnonzero((frame["option_type"] == "put") & (frame["strike"] == 220.0))[0])
    frame.loc[row, ["bid_price", "ask_price"]] = [19.9, 20.1]
    _, rejected = prepare(quotes(frame, SPOT, exercise="american"), LOOSE)
    assert rejected["reason"].tolist() == [NO_EQUIVALENT]
    assert rejected["american_ask"].tolist() == [20.1]


def equity(raw, expiry, rate, spot):
    taken = raw["timestamp"].iloc[0]
    frame = raw.assign(expiry_datetime=pd.to_datetime(expiry, utc=True) + pd.Timedelta(hours=21))
    frame["maturity"] = (frame["expiry_datetime"] - taken).dt.total_seconds() / (365 * 86400)
    frame = frame.assign(
        futures_price=np.nan, underlying_name="EQ", discount=np.exp(-rate * frame["maturity"])
    )
    return quotes(frame.reset_index(drop=True), spot, exercise="american")


def spy(market_data):
    raw: Any = pd.read_csv(market_data / "equity_chains" / "spy_eod_20150105.csv.gz", skipinitialspace=True)
    raw = raw.rename(columns=str.strip)
    raw = raw[~raw["symbol"].str.startswith("SPY7")]
    frame = pd.DataFrame(
        {
            "timestamp": pd.Timestamp("2015-01-05T21:00Z"),
            "option_type": raw["put/call"].map({"C": "call", "P": "put"}),
            "strike": raw["strike"].astype(float),
            "bid_price": raw["bid"],
            "ask_price": raw["ask"],
        }
    )
    return equity(frame, raw["expiration"], 0.002, np.nan)


def aapl(market_data, date):
    raw: Any = pd.read_csv(market_data / "equity_chains" / "aapl_eod_201406.csv.gz")
    raw = raw.rename(columns=str.strip)
    raw = raw[raw["[QUOTE_DATE]"] == date]
    sides = [
        pd.DataFrame(
            {
                "timestamp": pd.Timestamp(f"{date}T20:00Z"),
                "option_type": kind,
                "strike": raw["[STRIKE]"].astype(float),
                "bid_price": raw[f"[{letter}_BID]"],
                "ask_price": raw[f"[{letter}_ASK]"],
                "expiry": raw["[EXPIRE_DATE]"],
            }
        )
        for letter, kind in (("C", "call"), ("P", "put"))
    ]
    frame = pd.concat(sides, ignore_index=True)
    return equity(frame, frame["expiry"], 0.002, float(raw["[UNDERLYING_LAST]"].iloc[0]))


@pytest.mark.slow
def test_a_day_of_an_index_fund(market_data):
    given = spy(market_data)
    assert len(np.unique(given.frame["expiry_datetime"])) == 24
    european_quotes(given.frame)  # compiles
    began = time.process_time()
    kept, rejected = prepare(given, Filters(arbitrage=True))
    assert time.process_time() - began < 30.0
    assert len(kept) + len(rejected) == len(given)
    assert len(kept) > 2500
    spread = (kept["ask_price"] - kept["bid_price"]) - (kept["american_ask"] - kept["american_bid"])
    assert np.max(np.abs(spread)) < 1e-9
    # about 3.7 dollars were paid in 2014 on 200: yields of expiries past two of the payments
    late = kept[kept["maturity"] > 0.45].groupby("expiry_datetime").first()
    paid = -np.log(late["forward"] * late["discount"] / 201.87) / late["maturity"]
    assert paid.between(0.005, 0.022).all()


@pytest.mark.slow
@pytest.mark.parametrize("date", ["2014-06-06", "2014-06-09"])
def test_a_share_before_and_after_its_split(market_data, date):
    given = aapl(market_data, date)
    kept, rejected = prepare(given, Filters(arbitrage=True))
    assert len(kept) + len(rejected) == len(given)
    assert len(kept) > 1400
    forwards = kept.groupby("expiry_datetime")["forward"].first()
    assert (np.abs(forwards / given.spot - 1) < 0.03).all()
    # few quotes are condemned: the market's own prices are no arbitrage at bid and ask
    assert rejected["reason"].str.contains("arbitrage").sum() < 0.01 * len(kept)
