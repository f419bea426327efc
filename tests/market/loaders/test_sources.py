"""Any file through one entrance: what it is, what it holds, and the same quotes as from its own loader."""

import dataclasses
import inspect
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neutral import (
    ArgumentError,
    DataError,
    NeutralError,
    Source,
    load_equity_chain,
    load_fx_vols,
    load_surface,
    open_source,
)
from neutral.market import list_snapshots, load_deribit
from neutral.market.loaders.sources import source_kind
from neutral.shipped import sample_folder

CHAIN = """date,under,expiration,strike,put/call,bid,ask
2020-01-03,B,2020-02-01,9,C,1,2
2020-01-02,A,2020-02-01,9,C,1,2
2020-01-03,A,2020-02-01,9,C,1,2
"""
SURFACE = "T,forward,strike,iv\n0.5,100,90,0.2\n"
FX = "pair,spot,r_domestic,r_foreign,tenor,atm,rr25,ms25\nEURUSD,1.1,0.01,0.02,1m,10,-1,0.2\n"


@pytest.fixture
def opened(tmp_path):
    def opened(text: str, name: str = "abc.csv") -> Source:
        (tmp_path / name).write_text(text)
        return open_source(tmp_path / name)

    return opened


def same(one, other) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame)
    assert (one.currency, one.snapshot_ts, one.sha256) == (other.currency, other.snapshot_ts, other.sha256)


def test_deribit():
    path = list_snapshots(sample_folder())[0]
    source = open_source(path)
    assert source.kind == "deribit" and {asset for asset, _ in source.snapshots} <= {"BTC", "ETH"}
    asset, taken = source.snapshots[0]
    quotes = source.quotes(asset, taken, day_count="365")
    same(quotes, load_deribit(path, asset, "365"))
    assert quotes.settlement == "coin" and quotes.snapshot_ts == taken
    with pytest.raises(DataError, match="date='2020-01-01'"):
        source.quotes(asset, "2020-01-01")


def test_chain(opened):
    source = opened(CHAIN)
    second, third = datetime(2020, 1, 2, tzinfo=UTC), datetime(2020, 1, 3, tzinfo=UTC)
    assert source.kind == "equity chain"
    assert source.snapshots == (("A", second), ("A", third), ("B", third))
    same(source.quotes("A", third, rates=0.01), load_equity_chain(source.path, third, "A", rates=0.01))
    Path(source.path).unlink()  # it has been read
    assert len(source.quotes("B")) == 1


def test_surface(opened):
    source = opened(SURFACE)
    assert (source.kind, source.snapshots) == ("surface", (("ABC", None),))
    same(source.quotes(spread=0.01), load_surface(source.path, spread=0.01))
    assert source.quotes(date="2020-01-02").snapshot_ts == datetime(2020, 1, 2, tzinfo=UTC)


def test_fx(opened):
    source = opened(FX)
    assert (source.kind, source.snapshots) == ("fx", (("EURUSD", None),))
    same(source.quotes("EURUSD"), load_fx_vols(source.path))


def test_options_of_another_kind_are_refused(opened):
    with pytest.raises(
        ArgumentError,
        match="'surface' has no option day_count; its options are: spread, rates",
    ):
        opened(SURFACE).quotes(day_count="365")


@pytest.mark.parametrize("text", ["date,close\n2020-01-02,1\n", "<html>\n", "strike,price\n1,2\n"])
def test_what_is_accepted_is_said(opened, text):
    with pytest.raises(DataError, match=r"fits no kind of file.* accepted kinds are: Deribit.*option chains"):
        opened(text)


@pytest.mark.parametrize(
    ("row", "name"), [("2020-01-03,,2020-02-01,9,C,1,2", "under"), (",A,2020-02-01,9,C,1,2", "date")]
)
def test_a_row_of_an_unknown_snapshot_is_refused(opened, row, name):
    with pytest.raises(DataError, match=rf"line 5: {name} is blank \(in 1 of 4 rows\).* Fill the column"):
        opened(CHAIN + row + "\n")


@settings(max_examples=60)
@given(
    text=st.sampled_from([CHAIN, SURFACE, FX]),
    place=st.floats(0, 1),
    removed=st.integers(0, 6),
    put=st.text(max_size=6) | st.sampled_from(["nan", "-1", "1e400", "inf", "0", ",", "\n", "2020-13-01"]),
)
def test_damaged_files_are_read_or_refused(tmp_path_factory, text, place, removed, put):
    at = int(place * len(text))
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes((text[:at] + put + text[at + removed :]).encode("utf-8", "surrogatepass"))
    try:
        source = open_source(path)
        for asset, date in source.snapshots:
            assert set(source.quotes(asset, date).frame) >= {"bid_price", "ask_price", "refused"}
    except NeutralError as error:
        assert str(path) in str(error)


def test_every_file_of_options_opens(market_data):
    kinds = {"equity_chains": "equity chain", "published_surfaces": "surface", "fx": "fx"}
    held = {}
    for folder, kind in kinds.items():
        for path in sorted((market_data / folder).glob("*.csv*")):
            if path.name.endswith("_rates.csv"):
                continue
            source = open_source(path)
            assert source.kind == kind
            held[path.name] = len(source.snapshots)
    assert len(held) == 4 + 11 + 4
    assert (held["spy_panel_2021h1.csv.gz"], held["aapl_eod_201406.csv.gz"]) == (124, 2)
    assert held["spx_20210312_paggiaro.csv"] == 2


# the public functions have the options of their kinds, with the same defaults
SIGNATURES = {
    "deribit:DERIBIT": (load_deribit, {"path", "currency", "columns"}),
    "fx_vols:FX_VOLS": (load_fx_vols, {"path", "pair", "date", "columns"}),
    "published_surfaces:SURFACE": (load_surface, {"path", "name", "date", "columns"}),
    "equity_chains:EQUITY_CHAIN": (load_equity_chain, {"path", "date", "symbol", "columns"}),
}


@pytest.mark.parametrize("home", SIGNATURES)
def test_options_of_a_kind_are_those_of_its_loader(home):
    load, choices = SIGNATURES[home]
    choices = choices | {"clock"}  # of every kind: `Source.quotes` takes it
    parameters = {p.name: p.default for p in inspect.signature(load).parameters.values()}
    options = source_kind(f"neutral.market.loaders.{home}").options
    assert {field.name: field.default for field in dataclasses.fields(options)} == {
        name: default for name, default in parameters.items() if name not in choices
    }
    assert choices < set(parameters)


LACKING = {
    "strike": (
        "quote_date,underlying,expiration,type,strk,bid,ask\n2024-03-04,SPX,2024-06-21,call,{n},5,5.1\n",
        "strk",
    ),
    "bid": (
        "quote_date,underlying,expiration,type,strike,bd,ask\n2024-03-04,SPX,2024-06-21,call,10{n},{n},9\n",
        "bd",
    ),
    "expiry": (
        "date,underlying,ends,type,strike,bid,ask\n2024-03-04,SPX,2024-06-21,call,{n},5,5.1\n",
        "ends",
    ),
    "maturity": ("date,underlying,lifetime,strike,forward,iv\n2024-03-04,SPX,.{n},100,100,0.2\n", "lifetime"),
    "tenor": ("date,pair,spot,months,atm,rr25,bf25\n2024-03-04,EURUSD,1.1,{n}m,8,.1,.2\n", "months"),
}


@pytest.mark.parametrize("role", LACKING)
def test_one_unknown_column_is_told_with_the_map_to_write(tmp_path, role):
    text, name = LACKING[role]
    header, row = text.splitlines()
    path = tmp_path / "quotes.csv"
    path.write_text("\n".join([header, *(row.format(n=n) for n in (1, 1, 2, 2))]))
    with pytest.raises(DataError, match="fits no kind of file") as refusal:
        open_source(path)
    assert f'columns={{"{role}": "{name}"}} or --columns {role}={name}.' in str(refusal.value)
    assert len(open_source(path, columns={role: name}).snapshots) == 1


def test_of_several_unknown_columns_the_fitting_ones_are_listed(tmp_path):
    path = tmp_path / "quotes.csv"
    path.write_text(
        "date,underlying,expiration,type,k,other,bid,ask\n"
        + "".join(f"2024-03-04,SPX,2024-06-21,call,{k},{k},5,5.1\n" for k in (90, 90, 100, 100))
    )
    with pytest.raises(DataError, match=r"perhaps k or other: columns=\{\"strike\": \"...\"\}"):
        open_source(path)


def test_contracts_of_an_unknown_form_are_no_underlyings(tmp_path):
    path = tmp_path / "quotes.csv"
    rows = [f"2024-03-04,Z-21JUN24-{k}-C,2024-06-21,call,{k},5,5.1" for k in range(90, 100)]
    path.write_text("\n".join(["date,symbol,expiration,type,strike,bid,ask", *rows]))
    with pytest.raises(DataError, match=r"'symbol' has another value in every row.*ignore=symbol"):
        open_source(path)
    assert open_source(path, columns={"ignore": "symbol"}, symbol="Z").snapshots[0][0] == "Z"


@pytest.mark.parametrize("contract", ["SPX 240621C90000", "SPX   240621C00090000", "SPX240621C00090000"])
def test_symbols_of_contracts_name_root_and_expiry(tmp_path, contract):
    path = tmp_path / "quotes.csv"
    path.write_text(
        f"date,symbol,strike,bid,ask\n2024-03-04,{contract},90,15,15.1\n"
        + f"2024-03-04,{contract.replace('C', 'P')},90,5,5.1\n"
    )
    quotes = load_equity_chain(path)
    assert (quotes.currency, set(quotes.frame["expiry_datetime"].dt.strftime("%Y-%m-%d"))) == (
        "SPX",
        {"2024-06-21"},
    )
