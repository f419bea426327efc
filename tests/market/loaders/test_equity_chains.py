"""Chains of equity and index options: every layout, every fault with its answer, the facts of real days."""

import gzip
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neutral import ArgumentError, DataError, flat_rate, load_equity_chain
from neutral.market import Quotes
from neutral.market.filters import EXPIRED, EXPIRES_TODAY, NON_STANDARD, REPEATED

WIDE = """ [QUOTE_DATE],[UNDERLYING_LAST],[EXPIRE_DATE],[C_BID],[C_ASK],[C_IV],[STRIKE],[P_BID],[P_ASK],[P_IV]
2020-01-02, 100, 2020-01-31, 6, 6.2, 0.21, 95, 1, 1.2, 0.22
2020-01-02, 100, 2020-01-31, , 3.1, , 100, 2.9, x, -1
2020-01-03, 101, 2020-01-31, 7, 7.2, 0.20, 95, 0.9, 1, 0.21
"""
LONG = """date,symbol, under, expiration, strike, put/call, bid, ask, open interest,implied vol,vega,nonstd
2020-01-02,ABC   200131C00095000,ABC,2020-01-31,95,C,6,6.2,10,0.21,0.1,0
2020-01-02,ABC   200131P00095000,ABC,2020-01-31,95,P,1,1.2,10,0.22,0.1,0
2020-01-02,ABC7  200131P00095000,ABC,2020-01-31,95,P,1,1.2,10,0.22,0.1,7
2020-01-02,ABC   191231P00095000,ABC,2019-12-31,95,P,1,1.2,10,0.22,0.1,0
2020-01-02,ABC   200102P00095000,ABC,2020-01-02,95,P,1,1.2,10,0.22,0.1,0
2020-01-02,ABC   200131X00095000,ABC,,95,X,1,1.2,10,0.22,0.1,0
"""
UNDATED = """quote_time_utc,spot,expiry,type,strike,bid,ask,openInterest,volume
,100,2020-01-31,call,95,6,6.2,1,
,100,2020-01-03,put,95,1,1.2,,2
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "abc_eod.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


def table(quotes: Quotes) -> Any:
    """The frame, of columns whose operators pandas' types do not know."""
    return quotes.frame


def refusals(quotes) -> dict[str, int]:
    return {reason: int(count) for reason, count in table(quotes)["refused"].value_counts().items() if reason}


def test_wide_layout_gives_a_row_per_option(write):
    quotes = load_equity_chain(write(WIDE), "2020-01-02", rates=0.02)
    frame: Any = quotes.frame
    assert (quotes.currency, quotes.spot, quotes.settlement, quotes.exercise) == (
        "ABC",
        100.0,
        "cash",
        "american",
    )
    assert quotes.snapshot_ts == datetime(2020, 1, 2, tzinfo=UTC)
    assert frame["option_type"].tolist() == ["call", "put", "call", "put"]
    assert frame["strike"].tolist() == [95.0, 95.0, 100.0, 100.0]
    np.testing.assert_array_equal(frame["bid_price"], [6.0, 1.0, np.nan, 2.9])
    np.testing.assert_array_equal(frame["ask_price"], [6.2, 1.2, 3.1, np.nan])
    np.testing.assert_array_equal(frame["implied_volatility"], [0.21, 0.22, np.nan, np.nan])
    np.testing.assert_allclose(frame["maturity"], 29 / 365, rtol=1e-15)
    np.testing.assert_allclose(frame["discount"], np.exp(-0.02 * 29 / 365), rtol=1e-15)
    assert frame["futures_price"].isna().all()
    assert not {"open_interest", "volume", "vega"} & set(frame)
    assert (frame["expiry_datetime"] == pd.Timestamp("2020-01-31T00:00Z")).all()


def test_long_layout_says_which_rows_are_no_quotes(write):
    quotes = load_equity_chain(write(LONG, "chain.csv.gz"), day_count="365.25")
    assert (quotes.currency, len(quotes), quotes.day_count) == ("ABC", 6, "365.25")
    assert table(quotes)["refused"].tolist() == [
        "",
        "",
        NON_STANDARD,
        EXPIRED,
        EXPIRES_TODAY,
        "",  # its missing expiry and unknown kind are for the filters
    ]
    assert table(quotes)["option_type"].tolist()[-1] == "x"
    assert np.isnan(table(quotes)["maturity"].iloc[-1]) and np.isnan(quotes.spot)
    assert table(quotes)["maturity"].iloc[0] == pytest.approx(29 / 365.25, rel=1e-15)
    assert {"open_interest", "vega"} <= set(quotes.frame) and "volume" not in quotes.frame


def test_without_a_quote_time_the_first_expiry_stands_for_it(write):
    path = write(UNDATED, "spx_yahoo.csv")
    with pytest.raises(DataError, match=r"spx_yahoo.csv: .*maturities are unknown. Pass date="):
        load_equity_chain(path)
    quotes = load_equity_chain(path, "2020-01-03")
    assert quotes.snapshot_ts == datetime(2020, 1, 3, tzinfo=UTC)
    assert (quotes.currency, quotes.exercise) == ("SPX", "european")
    assert refusals(quotes) == {EXPIRES_TODAY: 1}
    dated = load_equity_chain(path, "2020-01-02", symbol="XSP", exercise="american")
    assert (dated.currency, dated.exercise) == ("XSP", "american")
    np.testing.assert_allclose(table(dated)["maturity"], [29 / 365, 1 / 365], rtol=1e-15)
    assert (table(dated)["timestamp"] == pd.Timestamp("2020-01-02T00:00Z")).all()


def test_placeholder_volatilities_are_nan(write):
    header, row = LONG.splitlines()[:2]
    rows = [row.replace("00095000", f"000{95 + i}000").replace(",95,", f",{95 + i},") for i in range(30)]
    made = [line.replace("0.21", f"0.2{i:02}") for i, line in enumerate(rows[:5])] + rows[5:]
    vols = load_equity_chain(write("\n".join([header, *made]))).frame["implied_volatility"]
    assert vols.notna().tolist() == [True] * 5 + [False] * 25


def test_repeated_rows_are_refused_and_prices_below_intrinsic_stay(write):
    row = LONG.splitlines()[1]
    below = row.replace("00095000", "00090000").replace(",95,", ",90,").replace("6,6.2", "0.1,0.2")
    quotes = load_equity_chain(write(LONG + row + "\n" + below))
    assert len(quotes) == 8 and table(quotes)["refused"].iloc[-2:].tolist() == [REPEATED, ""]


FAULTS = {
    "empty": ("", "is empty"),
    "header only": (LONG.splitlines()[0], "no rows"),
    "no ask": (LONG.replace(" ask", " offer"), "required column missing: 'ask'"),
    "no strike": (WIDE.replace("[STRIKE]", "[K]"), "required column missing: 'strike'"),
    "mixed dates": (LONG.replace("2019-12-31,", "12/31/2019,"), "line 5: expiration '12/31/2019'"),
    "american dates": (LONG.replace("2020-01-02,", "01/02/2020,"), "line 2: date '01/02/2020'"),
    "two forms": (UNDATED.replace("2020-01-03", "20200103"), "line 3: expiry '20200103'"),
    "no such date": (LONG.replace("2020-01-02,", "2020-01-32,"), "line 2: date '2020-01-32'"),
    "column twice": (LONG.replace(" ask", " bid"), "column twice: bid"),
}


@pytest.mark.parametrize("text, message", FAULTS.values(), ids=FAULTS)
def test_faults_are_told(write, text, message):
    path = write(text)
    with pytest.raises(DataError) as caught:
        load_equity_chain(path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_several_dates_are_named(write):
    path = write(WIDE)
    with pytest.raises(ArgumentError, match=r"has 2020-01-02, 2020-01-03; choose one.*date='2020-01-02'"):
        load_equity_chain(path)
    with pytest.raises(DataError, match=r"date='2020-01-04'; the file has 2020-01-02, 2020-01-03"):
        load_equity_chain(path, "2020-01-04")
    with pytest.raises(DataError, match=r"symbol='XYZ'; the file has ABC"):
        load_equity_chain(write(LONG), symbol="XYZ")


@pytest.mark.parametrize(
    "options", [{"day_count": "360"}, {"exercise": "bermudan"}, {"date": "soon"}], ids=lambda o: next(iter(o))
)
@pytest.mark.mistyped
def test_wrong_arguments_are_told(write, options):
    with pytest.raises(ArgumentError, match=f"{next(iter(options))}="):
        load_equity_chain(write(LONG), **options)


def test_spy_of_january_2015(market_data):
    path = market_data / "equity_chains" / "spy_eod_20150105.csv.gz"
    quotes = load_equity_chain(path, rates=flat_rate(0.0012))
    frame: Any = quotes.frame
    assert (len(quotes), quotes.currency, quotes.exercise) == (4_922, "SPY", "american")
    assert frame["expiry_datetime"].nunique() == 24
    assert refusals(quotes)[NON_STANDARD] == 1_258
    # 294 rows expired on 2 January; the 114 minis among them have their own reason
    expired = frame["expiry_datetime"] == pd.Timestamp("2015-01-02T00:00Z")
    assert expired.sum() == 294 and (frame.loc[expired, "refused"] != "").all()
    assert (frame["bid_price"] == 0).sum() == 1_145
    assert frame["implied_volatility"].isna().sum() == 1_647
    live = frame[(frame["refused"] == "") & (frame["bid_price"] > 0)]
    live = live.assign(price=(live["bid_price"] + live["ask_price"]) / 2)
    expiries = sorted(live["expiry_datetime"].unique())[:3]
    assert len(expiries) == 3
    for expiry in expiries:
        rows: Any = live[live["expiry_datetime"] == expiry]
        pivot: Any = rows.pivot(index="strike", columns="option_type", values="price").dropna().loc[198:206]
        forward = (pivot.index + pivot["call"] - pivot["put"]).median()
        assert 201.88 <= round(forward, 2) <= 201.95


def test_aapl_around_its_split(market_data):
    path = market_data / "equity_chains" / "aapl_eod_201406.csv.gz"
    before, after = (load_equity_chain(path, day) for day in ("2014-06-06", "2014-06-09"))
    assert (len(before), len(after)) == (2 * 1_176, 2 * 1_090)
    assert (before.spot, after.spot) == (645.57, 93.70)
    assert sum(int(table(quotes)["bid_price"].isna().sum()) for quotes in (before, after)) == 355
    assert not (table(before)["ask_price"] < table(before)["bid_price"]).any()
    assert (before.currency, before.exercise) == ("AAPL", "american")
    assert table(before)["implied_volatility"].isna().all()


def test_spx_of_may_2026(market_data):
    quotes = load_equity_chain(market_data / "equity_chains" / "spx_yahoo_202605.csv.gz", "2026-05-13")
    assert (len(quotes), quotes.currency, quotes.exercise, quotes.spot) == (
        19_153,
        "SPX",
        "european",
        7444.25,
    )
    assert table(quotes)["expiry_datetime"].nunique() == 52
    assert (table(quotes)["bid_price"] == 0).sum() == 1_049 and table(quotes)["bid_price"].isna().sum() == 5
    assert refusals(quotes) == {}


def test_spy_panel_of_2021(market_data):
    path = market_data / "equity_chains" / "spy_panel_2021h1.csv.gz"
    with pytest.raises(ArgumentError, match="2021-01-04 to 2021-06-30, 124 in all"):
        load_equity_chain(path)
    quotes = load_equity_chain(path, "2021-01-04")
    assert (len(quotes), quotes.spot, quotes.currency) == (20, 368.79, "SPY")
    assert table(quotes)["option_type"].value_counts().to_dict() == {"call": 10, "put": 10}
