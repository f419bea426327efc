"""Columns that mean something: ordinary files give the right quotes, or an error that says what to write."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow
import pytest
from scipy.stats import norm
from vendor_files import CASES, NEAR, chain, made, occ

from neutral import (
    ArgumentError,
    DataError,
    Quotes,
    build_surface,
    load_equity_chain,
    load_surface,
    open_source,
)
from neutral.market import Filters, european_quotes, implied_forwards, load_fx_vols, prepare
from neutral.market.filters import NON_STANDARD, REPEATED

LOOSE = Filters(min_quotes=3)
T = np.array([46, 109]) / 365


def base(**columns: Any) -> pd.DataFrame:
    """The chain under plain names, with further or other columns."""
    rows = chain()
    table = made(
        rows,
        date="2024-03-04",
        underlying="XYZ",
        expiration=rows["expiry"],
        type=rows["type"],
        strike=rows["strike"],
        bid=rows["bid"],
        ask=rows["ask"],
    )
    return table.assign(**columns)


def check(quotes: Quotes, vol: float = 0.2, hours: float = 0.0) -> None:
    """Maturities, forwards and prices near the money are those from which the cases were made.

    Quotes with a time of day live some hours longer than from date to date: until 16:00 in New York.
    """
    kept, _ = prepare(quotes, LOOSE)
    expiries = kept.groupby("expiry_datetime")
    np.testing.assert_allclose(expiries["maturity"].first(), T + hours / (24 * 365), rtol=1e-12)
    np.testing.assert_allclose(expiries["forward"].first(), list(NEAR.values()), atol=2e-3)
    put = kept[~kept["kind"]].sort_values("log_moneyness", key=abs).groupby("expiry_datetime").first()
    width = vol * np.sqrt(T)
    d2 = -put["log_moneyness"] / width - width / 2
    black = put["discount"] * (put["strike"] * norm.cdf(-d2) - put["forward"] * norm.cdf(-d2 - width))
    np.testing.assert_allclose(put["mid_price_clean"], black, rtol=1e-3)


@pytest.mark.parametrize("name", ["interval", "adjusted_first", "caret"])
def test_cases_of_chains(name):
    quotes = load_equity_chain(CASES / f"{name}.csv", rates=0.03, exercise="european")
    check(quotes, hours=5.0 if name == "interval" else 0.0)  # from 10:00 in winter to 16:00 in summer
    assert quotes.currency == ("SPX" if name == "caret" else "XYZ")


def test_a_caret_says_index():
    assert load_equity_chain(CASES / "caret.csv").exercise == "european"
    assert load_equity_chain(CASES / "caret.csv", symbol="$spx Index").currency == "SPX"


@pytest.mark.parametrize("name", ["surface_type", "surface_option_type"])
def test_cases_of_surfaces(name):
    check(load_surface(CASES / f"{name}.csv"))


def test_two_underlyings_are_two_chains():
    source = open_source(CASES / "two_underlyings.csv")
    assert [name for name, _ in source.snapshots] == ["ABC", "XYZ"]
    check(source.quotes("XYZ", rates=0.03, exercise="european"), 0.2)
    check(source.quotes("ABC", rates=0.03, exercise="european"), 0.4)


def test_adjusted_contracts_take_no_part_in_american_forwards():
    quotes = load_equity_chain(CASES / "adjusted_first.csv", rates=0.03)
    assert int((quotes.frame["refused"] == NON_STANDARD).sum()) == 36
    standard = quotes.frame[quotes.frame["refused"] == ""].reset_index(drop=True)
    both = [implied_forwards(frame).table["forward"] for frame in (quotes.frame, standard)]
    np.testing.assert_array_equal(both[0], both[1])


def test_refused_rows_have_no_european_equivalent():
    import neutral as nt

    nt.enable_x64()
    quotes = load_equity_chain(CASES / "adjusted_first.csv", rates=0.03)
    frame, table = european_quotes(quotes.frame)
    refused = quotes.frame["refused"] != ""
    assert bool(frame["bid_price"][refused].isna().all())
    np.testing.assert_allclose(table["forward"], list(NEAR.values()), rtol=1e-3)
    late = load_equity_chain(base(date="2024-07-01"), rates=0.03, exercise="american")
    frame, table = european_quotes(late.frame)
    assert table.empty and bool(frame["bid_price"].isna().all())
    with pytest.raises(DataError, match="expired"):
        prepare(late, LOOSE)


ROLES = {
    "underlying": base().rename(columns={"underlying": "colour"}).assign(colour=["XYZ", "ABC"] * 18),
    "date": base().rename(columns={"date": "taken"}),
    "option_type": base().rename(columns={"type": "flavour"}),
    "settlement_time": base(when=["AM", "PM"] * 18),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_under_an_unknown_name_is_an_error_with_the_map(role):
    table = ROLES[role]
    with pytest.raises(DataError) as caught:
        Quotes.from_frame(table, symbol="XYZ")
    message = str(caught.value)
    for part in ("columns=", f'"{role}"', f"--columns {role}=", ", ".join(list(table)[:2])):
        assert part in message, message


def test_a_column_without_meaning_can_be_ignored():
    table = base().rename(columns={"underlying": "colour"}).assign(colour=["RED", "BLUE"] * 18)
    with pytest.raises(DataError, match="looks like the underlying"):
        Quotes.from_frame(table, symbol="XYZ")
    assert len(Quotes.from_frame(table, columns={"ignore": ["colour"]}, symbol="xyz")) == 36


def test_columns_are_mapped_by_the_caller(tmp_path):
    renamed = base().rename(columns={"date": "a", "underlying": "b", "type": "c", "bid": "d"}).assign(bid=1e9)
    columns = {"date": "A", "underlying": "b", "option_type": "c", "bid": "d"}
    check(Quotes.from_frame(renamed, rates=0.03, columns=columns, exercise="european"))
    with pytest.raises(DataError, match=r"unknown name bud; the names of columns are date.*The file has"):
        Quotes.from_frame(base(), columns={"bud": "bid"})
    with pytest.raises(DataError, match=r"names 'b0d', which the file does not have; it has .*date, und"):
        Quotes.from_frame(base(), columns={"bid": "b0d"})


@pytest.mark.mistyped
@pytest.mark.parametrize(
    "wrong", [{"bid": 3}, {"bid": "x", "ask": "x"}, {"date_format": "soon"}, "bid", {"ignore": 3}], ids=str
)
def test_wrong_maps_are_refused(wrong):
    with pytest.raises(ArgumentError, match="columns=|date_format="):
        Quotes.from_frame(base(), columns=wrong)


FX = "datum,pair,spot,r_domestic,r_foreign,tenor,atm,rr25,ms25\n2009-01-20,EURUSD,1.3,.01,.02,1m,21,-0.5,.7\n"


def test_every_loader_takes_a_map(tmp_path):
    import neutral as nt

    nt.enable_x64()
    path = tmp_path / "fx.csv"
    path.write_text(FX)
    assert load_fx_vols(path, columns={"date": "datum"}).snapshot_ts == datetime(2009, 1, 20, tzinfo=UTC)
    path.write_text(FX.replace("tenor", "end of it").replace("1m", "2009-02-20"))
    mapped = load_fx_vols(path, columns={"date": "datum", "expiry": "end of it"})
    assert f"{mapped.frame['expiry_datetime'].iloc[0]:%Y-%m-%d}" == "2009-02-20"
    with pytest.raises(DataError, match="no tenors.*--columns tenor="):
        load_fx_vols(path, columns={"date": "datum"})
    surface = pd.read_csv(CASES / "surface_type.csv").rename(columns={"T": "x", "type": "y"})
    check(load_surface(surface, "XYZ", columns={"maturity": "x", "option_type": "y"}))


def test_forms_of_dates(tmp_path):
    for form in ("%m/%d/%Y", "%d-%b-%Y", "%Y%m%d", "%Y-%m-%d 16:00", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y"):
        table = base()
        for name in ("date", "expiration"):
            table[name] = pd.to_datetime(table[name]).dt.strftime(form)
        hours = 4.0 if "16:00" in form else 0.0  # 16:00 UTC to 20:00 UTC, which is 16:00 in New York
        check(Quotes.from_frame(table, rates=0.03, exercise="european"), hours=hours)


@pytest.mark.parametrize("number", ["9" * 19, "9" * 17])
def test_numbers_beyond_every_form_of_dates_are_refused(number, tmp_path):
    path = tmp_path / "chain.csv"
    base().astype({"expiration": "str"}).assign(expiration=number).to_csv(path, index=False)
    with pytest.raises(DataError, match=f"expiration '{number}' is not a date of the form"):
        load_equity_chain(path, rates=0.03)


@pytest.mark.parametrize("name", ["date", "expiration"])
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
def test_midnights_of_a_zone_are_days_or_moments_and_are_refused(name, zone, tmp_path):
    table = base()
    days = pd.to_datetime(table[name])
    zoned = table.assign(**{name: days.dt.tz_localize(zone)})
    zoned.to_csv(tmp_path / "chain.csv", index=False)
    zoned.to_parquet(tmp_path / "chain.parquet")
    tables = [zoned, zoned.astype({name: object}), pl.from_pandas(zoned), pyarrow.Table.from_pandas(zoned)]
    for data in (*tables, tmp_path / "chain.csv", tmp_path / "chain.parquet"):
        with pytest.raises(DataError, match=rf"every {name} is midnight in its time zone.*tz_localize\(None"):
            load_equity_chain(data, rates=0.03, exercise="european")
    plain = zoned.assign(**{name: zoned[name].dt.tz_localize(None)})
    check(Quotes.from_frame(plain, rates=0.03, exercise="european"))
    check(
        Quotes.from_frame(table.assign(**{name: days.dt.tz_localize("UTC")}), rates=0.03, exercise="european")
    )


def test_dates_that_can_be_read_in_two_ways_are_declared():
    table = base(date="03/04/2024", expiration="05/06/2024")
    with pytest.raises(DataError, match=r"'03/04/2024' can be read as MM/DD/YYYY and as .*date_format"):
        Quotes.from_frame(table.drop_duplicates(["strike", "type"]))
    one = table.drop_duplicates(["strike", "type"])
    american = Quotes.from_frame(one, columns={"date_format": "MM/DD/YYYY"})
    european = Quotes.from_frame(one, columns={"date_format": "DD/MM/YYYY"})
    assert [f"{q.snapshot_ts:%d %m}" for q in (american, european)] == ["04 03", "03 04"]


def test_times_of_day_are_snapshots():
    later = base(bid=base()["bid"] + 0.5, ask=base()["ask"] + 0.5)
    joined = pd.concat([base(), later], ignore_index=True)
    stamped = joined.assign(date=["2024-03-04 10:00:00"] * 36 + ["2024-03-04 11:00:00"] * 36)
    split = joined.assign(quote_time=["10:00"] * 36 + ["11:00"] * 36)
    for table in (stamped, split):
        source = open_source(table)
        assert [f"{time:%H:%M}" for _, time in source.snapshots] == ["10:00", "11:00"]
        quotes = source.quotes(date="2024-03-04T10:00", rates=0.03, exercise="european")
        check(quotes, hours=10.0)  # from 10:00 UTC to 16:00 in New York, which is 20:00 UTC
        with pytest.raises(ArgumentError, match="2024-03-04T10:00:00, 2024-03-04T11:00:00; choose one"):
            source.quotes(date="2024-03-04")
    with pytest.raises(DataError, match="a contract that another row lists with other .*'hour'.*time"):
        open_source(joined.assign(hour=["a"] * 36 + ["b"] * 36))
    with pytest.raises(DataError, match="Add a column that distinguishes them"):
        open_source(joined)


def test_exact_repeats_are_refused_rows():
    quotes = Quotes.from_frame(pd.concat([base(), base().iloc[:2]]), rates=0.03, exercise="european")
    assert quotes.frame["refused"].tolist() == [""] * 36 + [REPEATED] * 2
    check(quotes)


def roots(weekly: float = 1.0) -> pd.DataFrame:
    """SPX and SPXW on the same expiry days, by the symbols of the contracts."""
    rows = chain()
    monthly = base(underlying="SPX", symbol=occ(rows, "SPX"))
    other = base(
        underlying="SPX", symbol=occ(rows, "SPXW"), bid=rows["bid"] + weekly, ask=rows["ask"] + weekly
    )
    return pd.concat([other, monthly], ignore_index=True)


def test_roots_of_one_expiry_day_are_chosen():
    with pytest.raises(ArgumentError, match=r"roots SPX, SPXW.*root='SPXW' \(--root SPXW\)"):
        Quotes.from_frame(roots(), rates=0.03)
    check(Quotes.from_frame(roots(), rates=0.03, root="spx"))
    with pytest.raises(DataError, match="no rows for root='NDX'; the file has SPX, SPXW"):
        Quotes.from_frame(roots(), rates=0.03, root="NDX")
    apart = pd.concat([roots().iloc[:18], roots().iloc[54:]])  # the roots have different expiries
    assert len(Quotes.from_frame(apart, rates=0.03)) == 36


def test_symbols_alone_tell_the_underlying():
    rows = chain()
    table = made(
        rows, contractSymbol=occ(rows, "SPXW"), strike=rows["strike"], bid=rows["bid"], ask=rows["ask"]
    )
    quotes = Quotes.from_frame(table, "2024-03-04", rates=0.03)
    assert (quotes.currency, quotes.exercise) == ("SPX", "european")
    check(quotes)
    with pytest.raises(ArgumentError, match="states no quote date; pass date="):
        Quotes.from_frame(table)


@pytest.mark.parametrize(
    "name", ["spx", "$SPX", ".SPX", "SPX Index", "NIFTY", "UKX", "HSI", "^STOXX50E", "N225"]
)
def test_indices_are_european(name):
    assert Quotes.from_frame(base(underlying=name)).exercise == "european"


@pytest.mark.parametrize("name", ["SPY", "BRK.B", "AAPL US Equity", "OEX"])
def test_stocks_and_funds_are_american(name):
    assert Quotes.from_frame(base(underlying=name)).exercise == "american"


@pytest.mark.parametrize("name", ["^XYZ", "BTC", "ETH-USD", "RELIANCE", "7203"])
def test_other_names_must_be_told(name):
    with pytest.raises(ArgumentError, match="does not determine how its options are exercised.*exercise="):
        Quotes.from_frame(base(underlying=name))
    told = Quotes.from_frame(base(underlying=name), exercise="european", settlement="cash")
    assert (told.exercise, told.settlement) == ("european", "cash")


def test_units_are_named_with_their_factor():
    rows = base()
    with pytest.raises(DataError, match="strikes are 1000 times too large.*strike_x1000"):
        Quotes.from_frame(base(strike=1000 * rows["strike"]))
    scaled = base(strike=1000 * rows["strike"])
    check(Quotes.from_frame(scaled, rates=0.03, exercise="european", columns={"strike_x1000": "strike"}))
    with pytest.raises(DataError, match="prices are 100 times too large"):
        Quotes.from_frame(base(bid=100 * rows["bid"], ask=100 * rows["ask"]))
    with pytest.raises(DataError, match=r"'iv' has the median 20, which is 2000 %.*vol_percent"):
        Quotes.from_frame(base(iv=20.0))
    vols = 20.0 + np.arange(36)
    percent = Quotes.from_frame(base(iv=vols), columns={"vol_percent": "iv"})
    np.testing.assert_allclose(percent.frame["implied_volatility"], vols / 100, rtol=1e-15)
    surface = pd.DataFrame({"T": [0.5], "forward": [100.0], "strike": [90.0], "iv": [20.0], "rate": [0.03]})
    with pytest.raises(DataError, match="'iv' has the median 20"):
        load_surface(surface, "XYZ")
    with pytest.raises(DataError, match="'rate' has the median 3"):
        load_surface(surface.assign(iv=0.2, rate=3.0), "XYZ")
    with pytest.raises(ArgumentError, match="rate=3 is 300 %.*write 0.03"):
        Quotes.from_frame(rows, rates=3)


def test_numbers_as_people_write_them(tmp_path):
    rows = base()
    table = rows.assign(
        strike=[f"$1,0{x:02.0f}.00" if x < 100 else f"$1,{x:03.0f}.00" for x in rows["strike"]],
        bid=["$" + str(x) for x in rows["bid"]],
    )
    path = tmp_path / "xyz.csv"
    table.to_csv(path, index=False)
    frame = load_equity_chain(path).frame
    np.testing.assert_array_equal(frame["strike"], 1000 + rows["strike"])
    np.testing.assert_array_equal(frame["bid_price"], rows["bid"])


def test_numbers_beyond_any_market_are_missing():
    rows = base()
    quotes = Quotes.from_frame(base(iv=-1e308), rates=0.03, exercise="european")
    assert np.isnan(quotes.frame["implied_volatility"]).all()
    check(quotes)
    ask = rows["ask"].where(rows.index != 3, 1e308)
    quotes = Quotes.from_frame(base(ask=ask), rates=0.03, exercise="european")
    assert np.flatnonzero(quotes.frame["ask_price"].isna()).tolist() == [3]
    with pytest.raises(DataError, match="'ms_of_day' has numbers that are not between 0 and 86400000"):
        open_source(pd.concat([rows, rows.assign(bid=rows["bid"] + 1)]).assign(ms_of_day=10**17))


def test_columns_without_a_name_are_no_column_twice(tmp_path):
    path = tmp_path / "xyz.csv"
    base(x="", y="").rename(columns={"x": " ", "y": '"'}).to_csv(path, index=False)
    check(load_equity_chain(path, rates=0.03, exercise="european"))


def test_the_same_table_of_any_library_has_one_digest():
    table = base()
    same = (table, pyarrow.table(table.to_dict("list")), table.to_dict("list"))
    quotes = [Quotes.from_frame(x, rates=0.03) for x in same]
    assert len({q.sha256 for q in quotes}) == 1 and quotes[0].path == Path("<table>")
    other = Quotes.from_frame(table.assign(bid=table["bid"] + 1e-9), rates=0.03)
    assert other.sha256 != quotes[0].sha256
    with pytest.raises(ArgumentError, match="states no underlying; pass symbol="):
        Quotes.from_frame(table.drop(columns="underlying"))


@pytest.mark.mistyped
def test_what_is_no_table_is_refused():
    with pytest.raises(ArgumentError, match="expected a path, or a table"):
        Quotes.from_frame(3)


def test_rows_of_unknown_kinds_are_refused_each():
    quotes = Quotes.from_frame(base().assign(type="X"), rates=0.03, exercise="european")
    with pytest.raises(DataError, match="the option type is not call or put"):
        build_surface(quotes)
