"""Layouts of foreign-exchange volatilities: every one gives the same smile, or says what to rename."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neutral import ArgumentError, DataError, load_fx_vols, open_source
from neutral.market import Filters, prepare
from neutral.market.loaders.fx_headers import quote_name

START = "date,pair,spot,r_domestic,r_foreign,"
ROW = "2024-05-28,EURUSD,1.0867,0.053,0.039,"
QUOTES = {"atm": 5.6, "rr25": -0.3, "bf25": 0.14, "rr10": -0.5, "bf10": 0.45}
WIDE = "1m,5.6,-0.3,0.14,-0.5,0.45\n"
BY_DELTA = {"10P": 6.3, "25P": 5.9, "ATM": 5.6, "25C": 5.6, "10C": 5.8}


@pytest.fixture
def load(tmp_path):
    def load(text: str, name: str = "quotes.csv", **options: Any):
        path = tmp_path / name
        path.write_text(text)
        assert open_source(path).kind == "fx"
        return load_fx_vols(path, **options)

    return load


def wide(names: str, values: str = WIDE, start: str = START, row: str = ROW) -> str:
    return f"{start}{names}\n{row}{values}"


def long(names: str, lines: list[str]) -> str:
    return f"{START}{names}\n" + "".join(f"{ROW}{line}\n" for line in lines)


TICKERS = {"atm": "V", "rr25": "25R", "bf25": "25B", "rr10": "10R", "bf10": "10B"}
SAME = {  # layouts of the quotes QUOTES
    "plain": wide("tenor,atm,rr25,bf25,rr10,bf10"),
    "delta first": wide("TENOR,ATM,25RR,25BF,10RR,10BF"),
    "words": wide("Term,ATM Vol,25D RR,25D Fly,10 delta risk reversal,10 Delta Butterfly"),
    "market strangles": wide("tenor,atm_vol,RR_25,MS25,rr_0.1,10MS"),
    "percent in the names": wide("tenor,ATM (%),rr25_pct,bf25_pct,rr10 [%],bf10"),
    "percent in the cells": wide("tenor,atm,rr25,bf25,rr10,bf10", "1m,5.6%,-0.3%,0.14%,-0.5%,0.45%\n"),
    "decimals": wide("tenor,atm,rr25,bf25,rr10,bf10", "1m,.056,-.003,.0014,-.005,.0045\n"),
    "other names": wide(
        "tenor,atm,rr25,bf25,rr10,bf10",
        start="Quote Date,Currency Pair,Spot Rate,Domestic Rate,foreign_rate_pct,",
        row="20240528,eur/usd,1.0867,0.053,3.9,",
    ),
    "days of expiry": wide("expiry,atm,rr25,bf25,rr10,bf10", WIDE.replace("1m", "2024-06-28")),
    "swap points": wide(
        "tenor,atm,rr25,bf25,rr10,bf10",
        start="date,pair,spot,r_domestic,swap_points,",
        row=f"2024-05-28,EURUSD,1.0867,0.053,{1.0867e4 * np.expm1(0.014 * 31 / 365)},",
    ),
    "bid and ask": wide(
        "tenor,ATM_BID,ATM_ASK,25RR_BID,25RR_ASK,25BF_BID,25BF_ASK,rr10,bf10",
        "1m,5.5,5.7,-0.35,-0.25,0.12,0.16,-0.5,0.45\n",
    ),
    "long": long("tenor,quote,value", [f"1m,{name},{value}" for name, value in QUOTES.items()]),
    "long by type": long(
        "tenor,type,delta,vol",
        ["1M,ATM,,5.6", "1M,RR,25,-.3", "1M,BF,25,.14", "1M,RR,10,-.5", "1M,BF,10,.45"],
    ),
    "tickers": "date,ticker,px_last,spot,r_domestic,r_foreign\n"
    + "".join(
        f"2024-05-28,EURUSD{TICKERS[name]}1M BGN Curncy,{value},1.0867,.053,.039\n"
        for name, value in QUOTES.items()
    ),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "plain.csv"
    path.write_text(SAME["plain"])
    return load_fx_vols(path)


@pytest.mark.parametrize("name", SAME)
def test_every_layout_is_the_same_smile(load, plain, name):
    quotes = load(SAME[name])
    assert (quotes.currency, quotes.snapshot_ts, quotes.spot) == ("EURUSD", plain.snapshot_ts, 1.0867)
    assert (quotes.frame["refused"] == "").all()
    for column in ("strike", "implied_volatility", "maturity", "futures_price", "discount"):
        np.testing.assert_allclose(quotes.frame[column], plain.frame[column], rtol=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        wide("tenor,10P,25P,ATM,25C,10C", "1m,6.3,5.9,5.6,5.6,5.8\n"),
        wide("tenor,p10,25DP,atm,25 delta call,10DC", "1m,6.3,5.9,5.6,5.6,5.8\n"),
        wide("tenor,10C,25P,ATM,25C,10P,25RR,25BF", "1m,5.8,5.9,5.6,5.6,6.3,-0.3,0.14\n"),
        long("tenor,delta,vol", [f"1m,{name},{value}" for name, value in BY_DELTA.items()]),
        long("tenor,option_type,delta,iv", ["1m,put,.1,6.3", "1m,put,-.25,5.9", "1m,atm,,5.6"])
        + f"{ROW}1m,call,.25,5.6\n{ROW}1m,call,.1,5.8\n",
    ],
    ids=["columns", "synonyms", "said twice", "long", "long by type"],
)
def test_volatilities_by_delta_are_those_of_their_options(load, text):
    frame = load(text).frame
    np.testing.assert_allclose(100 * frame["implied_volatility"], list(BY_DELTA.values()), rtol=1e-13)
    assert frame["option_type"].tolist() == ["put", "put", "call", "call", "call"]


def test_bid_and_ask_are_the_files(load):
    text = wide("tenor,25P_bid,25P_ask,ATM bid,ATM offer,25C", "1m,5.8,6.0,5.5,5.7,5.6\n")
    frame = load(text, spread=0.01).frame
    vega = (frame["ask_price"] - frame["bid_price"]).to_numpy()
    narrow = load(text, spread=0.002).frame
    # the put and the option at the money have spreads of their own, of 0.2; the call has the assumed one
    again = (narrow["ask_price"] - narrow["bid_price"]).to_numpy()
    np.testing.assert_allclose(vega[:2], again[:2], rtol=1e-14)
    assert vega[2] == pytest.approx(5 * again[2], rel=1e-2)  # prices bend a little
    assert np.isnan(load(SAME["bid and ask"]).assumed_spread)


def test_the_usual_pair_is_not_adjusted_however_it_is_written(load):
    text = "pair,spot,r_domestic,r_foreign,tenor,atm,rr25,ms25\n{},1.14,.04,.02,1y,10,-1,.3\n"
    for written in ("eurusd", "EURUSD Curncy", "EUR/USD", "EURUSD=X", "EUR-USD"):
        quotes = load(text.format(written), pair="eur-usd")
        assert quotes.currency == "EURUSD"
        assert quotes.frame["strike"].iloc[1] == pytest.approx(1.1689, abs=5e-5)
    adjusted = load(text.format("eurusd"), conventions={"premium_adjusted": True})
    assert adjusted.frame["strike"].iloc[1] == pytest.approx(1.14 * np.exp(0.02 - 0.005), rel=1e-14)


def test_a_tenor_is_read_with_what_it_has_and_refused_alone(load):
    lines = ["ON,8,-0.3,.14,,", "1y6m,6.2,-.3,.2,-.6,.6", "2 bananas,6,-.3,.2,-.6,.6", "3m,6,-.3,,-.6,.6"]
    quotes = load(long("tenor,atm,rr25,bf25,rr10,bf10", lines))
    frame = quotes.frame
    good = frame[frame["refused"] == ""]
    assert good.groupby("maturity").size().tolist() == [3, 5]
    assert (good["maturity"] * 365).round(9).unique().tolist() == [1, 549]
    reasons = frame["refused"].unique()
    assert "no quote of this delta; the tenor is read with what it has" in reasons
    assert any(x.startswith("tenor '2 bananas' is unknown; expected ON, TN") for x in reasons)
    assert "tenor 3m: bf25 is missing; fill it, or leave the delta 25 blank" in reasons
    kept, rejected = prepare(quotes, Filters(min_open_interest=0, min_quotes=3))
    assert len(kept) == 8 and len(rejected) == len(frame) - 8 and all(rejected["reason"])


REFUSED = {  # quotes of a row that is refused alone, and why
    "no number": ("1m,x,-0.3,.14", "atm is x, no number"),
    "one side": ("1m,,-0.3,.14", "its volatility at the money is missing|atm is missing"),
    "mixed units": (
        "1m,.056,-.003,.0014",
        "far from those of the other tenors, around 5.7.*percent and decimals",
    ),
    "a level": ("1m,5.6,-.3,5.7", "bf25 is as large as the volatility at the money"),
    "the same day": (
        "12m,5.6,-.3,.14",
        "the tenors 12m, 1y end on the same day, 2025-05-28; keep one of them",
    ),
    "in the past": ("2024-05-28,5.6,-.3,.14", "which is not after the quote date 2024-05-28"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_row_is_refused_alone(load, name):
    row, reason = REFUSED[name]
    frame = load(long("tenor,atm,rr25,bf25", [row, "2m,5.7,-.3,.2", "3m,5.7,-.3,.2", "1y,5.8,-.3,.2"])).frame
    refused = frame[frame["refused"] != ""]
    assert len(frame) == 12 and refused["strike"].isna().all()
    assert refused["refused"].str.contains(reason).all()
    assert len(refused) == (6 if name == "the same day" else 3)


FAULTS = {
    "no strangle": (wide("tenor,atm,rr25,b25", "1m,5.6,-.3,.1\n"), {}, "rr25 has no bf25.*Rename or add"),
    "no quote": (
        wide("tenor,x", "1m,5.6\n"),
        {},
        "no column is a quote. The file has .*accepted are atm; rr25",
    ),
    "no tenor": (
        "date,pair,atm\n2024-05-28,EURUSD,5\n",
        {},
        "the file has no tenors. It has the columns date",
    ),
    "twice": (wide("tenor,atm,rr25,25RR,bf25", "1m,5.6,-.3,-.3,.1\n"), {}, "'rr25' and '25rr' both have"),
    "unit": (
        wide("tenor,atm", "1m,1.5\n"),
        {},
        "not clear whether volatilities around 1.5 .*--fx unit=percent",
    ),
    "two units": (wide("tenor,atm_pct,25p_decimal", "1m,5,5\n"), {}, "declared as percent and others as dec"),
    "date": (
        wide("tenor,atm", "1m,5\n", start=START.replace("date", "stamp")),
        {},
        '.stamp. looks like the date .*columns=."date": "stamp"',
    ),
    "pair": (
        wide("tenor,atm", "1m,5\n", start=START.replace("pair", "ccy")),
        {},
        "'ccy' looks like the underlying .*accepted names are pair",
    ),
    "no pair": ("tenor,atm\n1m,5.6\n", {}, "the file states no pair; pass pair=, or add a column pair"),
    "odd pair": (
        wide("tenor,atm", "1m,5\n", row=ROW.replace("EURUSD", "SPX")),
        {},
        "pair 'SPX' is not a curr",
    ),
    "percent rates": (
        wide("tenor,atm", "1m,5\n", row=ROW.replace("0.053,0.039", "5.3,3.9")),
        {},
        "the domestic rate 5.3 would be 530% a year; .*Divide the rates by 100, or name their columns r_dom",
    ),
    "percent rate of the caller": (
        wide("tenor,atm", "1m,5\n"),
        {"foreign_rate": 3.9},
        "write 0.039 for 3.9 %",
    ),
    "points": (
        wide(
            "tenor,atm",
            "1m,5\n",
            start=START + "swap_points,",
            row=ROW + ".00129,",
        ),
        {},
        "swap points are about 0.0001 times those that the rates imply.*multiply them by 10000",
    ),
    "no convention": (
        wide("tenor,atm", "1m,15\n", row=ROW.replace("EURUSD", "USDBRL")),
        {},
        "no tenor can be used, so .* Row 2: tenor 1m: USDBRL: the market's delta for this pair is not known",
    ),
    "two times": (
        wide("tenor,atm", "1m,5\n") + ROW.replace("28,", "28T09:00,") + "2m,5\n",
        {},
        "of several times, from 00:00 to 09:00. Keep the rows of one time",
    ),
    "the last day": (
        wide("tenor,atm", "1m,5\n", row=ROW.replace("2024-05-28", "9999-12-31")),
        {},
        "Row 2: the tenor from 9999-12-31 on ends beyond the year 9999",
    ),
    "almost no volatility": (wide("tenor,atm,rr25,bf25", "1m,1e-17,-.3,.1\n"), {}, "Row 2: tenor 1m: "),
    "repeated in rows": (
        long("tenor,quote,value", ["1m,atm,5", "1m,atm,6"]),
        {},
        "line 3: atm occurs twice in this tenor",
    ),
    "nothing known in rows": (
        long("tenor,quote,value", ["1m,25X,6"]),
        {},
        "no quote is understood. line 2: ",
    ),
    "unknown in rows": (
        long("tenor,quote,value", ["1m,atm,5", "1m,25X,6"]),
        {},
        "line 3: the quote .25X. is not",
    ),
    "a cell of two lines": (
        wide("tenor,atm,rr25,bf25", '1m,"5.6\n7",-0.3,.14\n'),
        {},
        "^[^\n]*tenor 1m: atm is 5.6 7, no number$",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_say_what_to_do(tmp_path, name):
    text, options, message = FAULTS[name]
    path = tmp_path / "fx_vol.csv"
    path.write_text(text)
    with pytest.raises((DataError, ArgumentError), match=message):
        load_fx_vols(path, **options)


def test_rows_of_several_pairs_are_told_by_their_own_line(load):
    text = wide("tenor,atm", "1m,5\n") + f"{ROW.replace('EURUSD', 'GBPUSD')}1 month 1,6\n"
    with pytest.raises(DataError, match="Row 3: tenor '1 month 1' is unknown"):
        load(text, pair="gbpusd")


def test_a_pair_needs_no_file_of_rates(load):
    text = "date,pair,tenor,atm\n2024-05-28,USDBRL,6m,15\n"
    quotes = load(text, spot=5.1, domestic_rate=0.1, foreign_rate=0.05, conventions={"delta": "forward"})
    t = 184 / 365
    assert quotes.frame["futures_price"].iloc[0] == pytest.approx(5.1 * np.exp(0.05 * t), rel=1e-14)


@pytest.mark.parametrize("unit, vol", [("percent", 0.015), ("decimal", 1.5)])
def test_the_unit_can_be_told(load, unit, vol):
    frame = load(wide("tenor,atm", "1m,1.5\n"), unit=unit).frame
    assert frame["implied_volatility"].iloc[0] == pytest.approx(vol, rel=1e-14)


def test_pegged_pairs_have_less_than_a_percent(load):
    frame = load(wide("tenor,atm", "1m,0.6\n", row=ROW.replace("EURUSD", "EURDKK"))).frame
    assert frame["implied_volatility"].iloc[0] == pytest.approx(0.006, rel=1e-14)


@pytest.mark.parametrize(
    "text", ["25", "delta", "call", "b25", "rr2510", "spot", "atm_convention", "25rr10p", "", "1" * 400 + "x"]
)
def test_other_names_are_no_quotes(text):
    assert quote_name(text) is None


def test_files_of_several_pairs_name_their_pairs(tmp_path):
    path = Path(tmp_path) / "all.csv"
    path.write_text(wide("tenor,atm", "1m,5\n") + f"{ROW.replace('EURUSD', 'gbp/usd')}1m,6\n")
    assert [name for name, _ in open_source(path).snapshots] == ["EURUSD", "GBPUSD"]
