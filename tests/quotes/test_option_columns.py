"""Tables of every library as quotes: columns by many names, dates, and one clear error for each fault."""

import warnings

import chex
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from synthetic import frame, heston_surface

import neutral as nt
from neutral.quotes.given_surfaces import quote_surface, quote_surfaces

QUOTED = pd.Timestamp("2026-01-14")


@pytest.fixture(scope="module")
def table():
    return frame(heston_surface())


@pytest.fixture(scope="module")
def expected(table):
    return nt.QuoteSurface.from_quotes(table)


LIBRARIES = {
    "pandas": pd.DataFrame,
    "pandas on Arrow": lambda table: pd.DataFrame(table).convert_dtypes(dtype_backend="pyarrow"),
    "pandas by strike": lambda table: pd.DataFrame(table).set_index(["maturity", "strike"]),
    "polars": pl.DataFrame,
    "lazy polars": pl.LazyFrame,
    "arrow": pa.table,
    "a batch of arrow": lambda table: pa.RecordBatch.from_pydict(table),
    "rows": lambda table: pd.DataFrame(table).to_dict("records"),
    "records of numpy": lambda table: pd.DataFrame(table).to_records(index=False),
    "series of polars": lambda table: {name: pl.Series(x) for name, x in table.items()},
    "series of pandas": lambda table: {name: pd.Series(x, index=-np.arange(64)) for name, x in table.items()},
    "lists and a number": lambda table: {name: x.tolist() for name, x in table.items()} | {"forward": 100.0},
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_tables_of_every_library_make_one_surface(table, expected, library):
    chex.assert_trees_all_equal(nt.QuoteSurface.from_quotes(LIBRARIES[library](table)), expected)


def test_volatilities_need_no_kind(table, expected):
    """Each counts for the option out of the money; prices are refused without a kind."""
    outside = (table["strike"] >= table["forward"]) == (table["kind"] == "call")
    quotes = {name: x[outside] for name, x in table.items() if name not in ("price", "bid", "ask")}
    quotes["vol"] = np.full(np.sum(outside), 0.2)
    bare = {name: x for name, x in quotes.items() if name != "kind"}
    made = nt.QuoteSurface.from_quotes
    chex.assert_trees_all_equal(made(bare), made(quotes))
    with pytest.raises(nt.ArgumentError, match="lacks the columns kind; it has"):
        made({name: x for name, x in table.items() if name != "kind"})


def renamed(table, drop=(), **columns):
    return {name: x for name, x in table.items() if name not in (*drop, *columns.values())} | {
        new: table[old] for new, old in columns.items()
    }


VENDOR = {"Strike Price": "strike", "cp_flag": "kind", "mid": "price", "tau": "maturity"}
VENDOR |= {"best_bid": "bid", "best_offer": "ask"}
VARIANTS = {
    "names of vendors": lambda x: renamed(x, **VENDOR),
    "letters": lambda x: renamed(x, drop=["kind"]) | {"option_type": np.where(x["kind"] == "call", "C", "P")},
    "booleans": lambda x: renamed(x, drop=["kind"]) | {"is_call": x["kind"] == "call"},
    "a spot": lambda x: renamed(x, drop=["forward"]) | {"spot": x["forward"], "rate": np.zeros(64)},
    "of bid and ask": lambda x: renamed(x, drop=["price"]) | {"iv": np.ones(64)},
    "settlement": lambda x: x | {"settlement": ["cash"] * 64, "other": [None] * 64},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_columns_by_other_names(table, expected, variant):
    surface = nt.QuoteSurface.from_quotes(VARIANTS[variant](table))
    chex.assert_trees_all_close(surface, expected, rtol=1e-13)


def test_expiries_are_dates_spans_or_tenors(table, expected):
    days = np.rint(365 * table["maturity"]).astype(int)
    spans = pd.to_timedelta(days, unit="D")
    dates = pd.Series(QUOTED + spans)
    variants = [
        {"maturity": spans},
        {"maturity": [f"{n}d" for n in days], "date": "2026-01-14"},
        {"expiration": dates, "quote_date": QUOTED},
        {"expiry": dates.dt.strftime("%Y-%m-%d"), "date": QUOTED},
        {"expiry": dates + pd.Timedelta(hours=16), "date": QUOTED + pd.Timedelta(hours=16)},
    ]
    for columns in variants:
        surface = nt.QuoteSurface.from_quotes(renamed(table, drop=["maturity"]) | columns)
        np.testing.assert_allclose(surface.t, expected.t, rtol=1e-15)
    surface = nt.QuoteSurface.from_quotes(renamed(table, drop=["maturity"]) | {"expiry": dates}, date=QUOTED)
    np.testing.assert_allclose(surface.t, expected.t, rtol=1e-15)


def test_rates_give_forwards_and_discount_factors(table):
    columns = {"spot": 100.0, "rate": 0.03, "dividend": 0.01}
    surface = nt.QuoteSurface.from_quotes(renamed(table, drop=["forward"]) | columns, warn=False)
    t = surface.t[:4]
    np.testing.assert_allclose(surface.forward[:4], 100.0 * np.exp(0.02 * t), rtol=1e-15)
    np.testing.assert_allclose(surface.discount[:4], np.exp(-0.03 * t), rtol=1e-15)


def test_a_weight_of_0_is_a_weight(table):
    weight = np.where(np.arange(64) == 5, 0.0, 2.0)
    surface = nt.QuoteSurface.from_quotes(table | {"weight": weight})
    np.testing.assert_array_equal(surface.to_rows(surface.weight) / 100.0, weight)


def test_the_prices_of_a_prepared_table_are_in_its_settlement(table):
    coin = {name: table[name] / 100.0 for name in ("price", "bid", "ask")}
    surface = nt.QuoteSurface.from_quotes(table | coin | {"settlement": ["coin"] * 64})
    assert surface.settlement == "coin"
    split = np.where(np.arange(64) % 3, "train", "test")
    assert nt.QuoteSurface.from_quotes(table | {"split": split}).train.sum() == (split == "train").sum()


def test_columns_without_a_value_are_numbers_that_are_missing(table, expected):
    plain = {name: x for name, x in table.items() if name not in ("bid", "ask")}
    surface = nt.QuoteSurface.from_quotes(plain | {"bid": [None] * 64, "ask": [None] * 64})
    np.testing.assert_array_equal(surface.prices, expected.prices)
    assert np.isnan(surface.bid[surface.mask]).all()
    empty = pd.DataFrame(columns=list(table))
    assert len(nt.price_table(nt.Black(0.2), empty)) == 0
    with pytest.raises(nt.ArgumentError, match="needs at least one row, got no quotes"):
        nt.QuoteSurface.from_quotes(empty)


def test_columns_that_state_one_thing_twice_may_agree(table, expected):
    """Then the first name counts, as without the second; flags of calls may be 0 and 1."""
    days = pd.to_timedelta(np.round(365 * table["maturity"]) + 2, unit="D")  # two days for holidays
    same = {"spot": 100.0, "rate": 0.0, "dividend": 0.0, "discount": 0.999, "date": QUOTED}
    same |= {"expiry": QUOTED + days, "is_call": (table["kind"] == "call").astype(int)}
    surface = nt.QuoteSurface.from_quotes({name: x for name, x in table.items() if name != "kind"} | same)
    assert (surface.mask == expected.mask).all() and (surface.t == expected.t).all()
    prices = {name: x for name, x in table.items() if name not in ("bid", "ask")}
    again = nt.QuoteSurface.from_quotes(prices | {"vol": expected.quotes().vol})
    np.testing.assert_allclose(again.prices, expected.prices, rtol=1e-9, atol=1e-12)


FAULTS = {
    "a typing error": (
        {"strike": None, "strk": 1.0, "note": "x"},
        r"lacks the columns strike; it has ask,.*price \(unknown names: strk, note\). Rename or add",
    ),
    "text": (
        {"strike": ["x"] * 64},
        "column strike must contain numbers, got text such as 'x'; convert it, as with",
    ),
    "times": ({"price": [QUOTED] * 64}, "the column price must contain numbers, got times"),
    "ragged": ({"strike": np.ones(3)}, "the columns do not make a table"),
    "no quote date": ({"maturity": ["3m"] * 64}, "maturity has dates or tenors, and the quote"),
    "wrong tenor": ({"maturity": ["3x"] * 64, "date": QUOTED}, "maturity: tenor '3x' is unknown"),
    "numbers as dates": (
        {"maturity": None, "expiry": np.ones(64)},
        "must contain dates, got numbers such as 1",
    ),
    "call flags of other numbers": (
        {"kind": None, "is_call": np.arange(64) % 3},
        "the column is_call must contain call and put, or booleans; row 2 has 2",
    ),
    "call flags that are missing": (
        {"kind": None, "is_call": [True, None] * 32},
        "the column is_call must contain.*row 1 has nan. Fill what is missing",
    ),
    "kinds as numbers": ({"kind": np.ones(64)}, "the column kind must contain call and put.*row 0 has 1"),
    "a discount factor beside another rate": (
        {"discount": 0.98, "rate": 0.2},
        r"states discount twice, and 48 of 64 rows differ: row 8 has discount 0.98, and e\^\(-rate matur",
    ),
    "a forward beside another spot": (
        {"spot": 50.0, "rate": 0.0, "dividend": 0.0},
        r"states forward twice.*row 0 has forward 100, and spot e\^\(.* is 50. Leave one of them out",
    ),
    "maturities beside other expiries": (
        {"date": QUOTED, "expiry": QUOTED + pd.Timedelta(days=900)},
        "states maturity twice.*and years to the column expiry is 2.46",
    ),
    "volatilities beside other prices": (
        {"vol": 0.5, "bid": None, "ask": None},
        "the columns vol and price disagree: row .*its volatility gives",
    ),
    "expires today": (
        {"maturity": [QUOTED] * 64, "date": QUOTED},
        "must be after the quote date; 64 of 64 rows",
    ),
    "spot alone": ({"forward": None, "spot": 100.0}, "has a spot but no rate; add a column forward"),
    "rate in percent": ({"rate": 4.5}, "rate must be decimal .*the median of the column is 4.5"),
    "prices beside volatilities": ({"price": None, "vol": 0.2}, "bid and ask must be volatilities.*leave"),
    "train as text": ({"train": ["yes"] * 64}, "train must contain booleans, got 'yes'; convert it"),
    "split as other texts": (
        {"split": ["train"] * 60 + ["valid"] * 4},
        "column split must contain the texts train and test; 4 of 64 rows do not, the first is row 60 with",
    ),
    "days as years": (
        {"maturity": np.repeat([7, 30, 90, 180], 16)},
        "must be in years; its median is 60.*365",
    ),
    "two columns of one name": ({"Strike": 1.0}, "the columns strike and Strike have one name.*Rename"),
    "quotes of two days": (
        {"date": [QUOTED] * 32 + [QUOTED + pd.Timedelta(days=1)] * 32},
        "several snapshots, 2026-01-14T00:00:00 to 2026-01-15T00:00:00.*surface is of one; select the rows",
    ),
    "two settlements": (
        {"settlement": ["cash"] * 32 + ["coin"] * 32},
        "the column settlement has both cash and coin",
    ),
    "settlement of some rows": (
        {"settlement": ["cash"] * 32 + [None] * 32},
        "the column settlement has rows without a value; fill them",
    ),
    "negative weight": ({"weight": -1.0}, "weight must be finite and not negative; 64 of 64 rows"),
    "a chain of one kind": (
        {"forward": None, "kind": "call"},
        "build_surface finds forwards by put-call parity, which needs calls and puts; the table has one kind",
    ),
    "a chain": (
        {"forward": None},
        r"lacks the columns forward \(or spot\).*build_surface\(neutral.Quotes.from_frame",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_table_are_one_line_that_names_column_and_remedy(table, fault):
    changes, message = FAULTS[fault]
    changed = {name: x for name, x in (table | changes).items() if x is not None}
    with pytest.raises(nt.ArgumentError, match=message) as error:
        nt.QuoteSurface.from_quotes(changed)
    assert "\n" not in str(error.value)


def test_several_surfaces_as_tables(table, expected):
    frames = pd.DataFrame(table)
    both = pd.concat([frames.assign(surface="mon"), frames.assign(surface="tue")])
    stacked = nt.stack([expected, expected])
    for given in (
        both,
        pl.DataFrame(both),
        pa.Table.from_pandas(both),
        [frames, expected],
        {"a": frames, "b": table},
    ):
        chex.assert_trees_all_equal(quote_surfaces(given, "calibrate_batch"), stacked)
    chex.assert_trees_all_equal(quote_surface(both[both["surface"] == "mon"], "calibrate"), expected)
    assert quote_surface(expected, "calibrate") is expected and quote_surfaces(stacked, "x") is stacked


def test_the_column_of_surfaces_may_be_written_otherwise_or_be_an_index(table, expected):
    frames = pd.DataFrame(table)
    both = pd.concat([frames.assign(surface="mon"), frames.assign(surface="tue")])
    capital = both.rename(columns={"surface": "Surface"})
    for given in (capital, both.set_index("surface"), pl.LazyFrame(capital)):
        with warnings.catch_warnings(action="error"):
            stacked = quote_surfaces(given, "calibrate_batch")
        chex.assert_trees_all_equal(stacked, nt.stack([expected, expected]))


def test_snapshots_of_one_day_are_several_and_times_of_one_are_not(table):
    dates = QUOTED + pd.to_timedelta(365 * table["maturity"], unit="D").round("D")
    early = table | {"expiry": dates, "date": QUOTED + pd.to_timedelta(np.arange(64), unit="s")}
    assert nt.QuoteSurface.from_quotes(early).train.sum() == 64
    late = early | {"maturity": table["maturity"] - 0.001, "date": QUOTED + pd.Timedelta(hours=6)}
    with pytest.raises(nt.ArgumentError, match="the column date has several snapshots"):
        nt.QuoteSurface.from_quotes(pd.concat([pd.DataFrame(early), pd.DataFrame(late)]))


def test_the_texts_of_a_split_have_no_case(table):
    split = np.where(np.arange(64) % 3, "Train", " TEST")
    assert nt.QuoteSurface.from_quotes(table | {"split": split}).train.sum() == (split == "Train").sum()


def test_a_table_without_rows_has_no_prices(table, recwarn):
    empty = pd.DataFrame(table | {"rate": 0.0}).iloc[:0]
    assert nt.price(nt.Black(0.2), empty).shape == (0,) and not recwarn.list


@pytest.mark.parametrize("read", [nt.QuoteSurface.from_quotes, nt.Quotes.from_frame])
@pytest.mark.parametrize("library", ["pandas", "arrow"])
def test_a_column_twice_is_named(read, library):
    names = ["strike", "bid", "strike"]
    twice = pd.DataFrame([[1.0, 2.0, 3.0]], columns=names)
    if library == "arrow":
        twice = pa.Table.from_arrays([pa.array([1.0])] * 3, names=names)
    with pytest.raises(nt.ArgumentError, match="names a column twice: strike"):
        read(twice)


@pytest.mark.mistyped
def test_wrong_surfaces_are_named(table, expected):
    frames = pd.DataFrame(table)
    both = pd.concat([frames.assign(surface="mon"), frames.assign(surface="tue")])
    one = {
        "calibrate takes one surface, and the column surface names 2; use calibrate_batch": both,
        "calibrate takes one surface, got 2 tables; use calibrate_batch": [table, table],
        "takes one surface, got a stack of them; use calibrate_batch": nt.stack([expected]),
        "takes a QuoteSurface, or a table.*got int: 3": 3,
    }
    for message, given in one.items():
        with pytest.raises(nt.ArgumentError, match=message):
            quote_surface(given, "calibrate", "calibrate_batch")
    for given in (both, nt.stack([expected])):
        with pytest.raises(nt.ArgumentError, match="compare takes one surface, .*; pass one of them"):
            quote_surface(given, "compare")
    many = {
        "add the column surface, as with table.assign": frames,
        "the column surface must name the surface of every row": both.replace("mon", None),
        "surface 1: the table lacks the columns strike": [frames, frames.drop(columns="strike")],
        "surface 1: fit_batch takes a QuoteSurface": [frames, frames["strike"]],
        "fit_batch needs at least one surface": [],
        "got a single one: use fit for it": expected,
        "got int: 3": 3,
    }
    for message, given in many.items():
        with pytest.raises(nt.ArgumentError, match=message):
            quote_surfaces(given, "fit_batch")
