"""The terms of options in every form: tables, columns, spot and rate, dates, kinds, missing numbers."""

import datetime as dt
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import neutral as nt

MODEL = nt.Black(0.2)
QUOTED = "2026-01-14"
EXPIRY = pd.Timestamp("2026-04-14")
T = 90 / 365
STRIKE = np.array([90.0, 100.0, 110.0])
KIND = np.array(["P", "C", "C"])
CARRY = {"spot": 100.0, "rate": 0.03, "dividend": 0.01}
FORWARD = 100.0 * np.exp(0.02 * T)
DISCOUNT = np.exp(-0.03 * T)
TABLE = pd.DataFrame({"strike": STRIKE, "expiry": EXPIRY, "date": QUOTED, "option_type": KIND, **CARRY})
PRICES = [3.0, 4.0, 1.0]
FUNCTIONS = {
    "price": partial(nt.price, MODEL),
    "implied_vol": partial(nt.implied_vol, PRICES),
    "implied_normal_vol": partial(nt.implied_normal_vol, PRICES),
    "digital": partial(nt.digital, MODEL),
    "distribution": partial(nt.distribution, MODEL),
    "density": partial(nt.density, MODEL),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_spot_and_dates_are_alternatives_everywhere(name):
    function = FUNCTIONS[name]
    has_kind = name not in ("distribution", "density")
    kind = {"kind": KIND} if has_kind else {}
    discount = {"discount": DISCOUNT} if has_kind else {}
    expected = function(FORWARD, STRIKE, T, **kind, **discount)
    for maturity in (EXPIRY, EXPIRY.date(), "3m", pd.Series([EXPIRY] * 3), dt.timedelta(days=90)):
        given = function(strike=STRIKE, maturity=maturity, date=QUOTED, **CARRY, **kind)
        np.testing.assert_allclose(given, expected, rtol=1e-13)
    if name not in ("implied_vol", "implied_normal_vol"):
        np.testing.assert_allclose(function(TABLE), expected, rtol=1e-13)


LIBRARIES = {"pandas": lambda x: x, "polars": pl.DataFrame, "arrow": pa.Table.from_pandas, "dict": dict}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_table_has_all_terms(library):
    table = LIBRARIES[library](TABLE.assign(price=PRICES))
    arguments = {"discount": DISCOUNT, "kind": KIND}
    expected = nt.implied_vol(PRICES, FORWARD, STRIKE, T, **arguments)
    np.testing.assert_allclose(nt.implied_vol(table), expected, rtol=1e-13)
    np.testing.assert_allclose(nt.implied_vol_info(table).vol, expected, rtol=1e-13)
    quoted = TABLE.assign(bid=np.array(PRICES) - 0.5, ask=np.array(PRICES) + 0.5)
    np.testing.assert_allclose(nt.implied_vol(quoted), expected, rtol=1e-13)
    info = nt.price_info(MODEL, table)
    np.testing.assert_allclose(info.price, nt.price(MODEL, FORWARD, STRIKE, T, **arguments), rtol=1e-13)


def test_the_settlement_of_a_table_counts():
    coin = TABLE.assign(settlement="coin")
    expected = nt.price(MODEL, FORWARD, STRIKE, T, KIND, DISCOUNT, "coin")
    np.testing.assert_allclose(nt.price(MODEL, coin), expected, rtol=1e-13)
    np.testing.assert_allclose(nt.price(MODEL, TABLE, settlement="coin"), expected, rtol=1e-13)
    np.testing.assert_allclose(nt.implied_vol(coin.assign(price=expected)), 0.2, rtol=1e-12)


def test_greeks_of_a_table_of_spots_are_in_the_spot():
    greeks = nt.greeks(MODEL, TABLE)
    expected = nt.greeks(MODEL, strike=STRIKE, maturity=T, kind=KIND, **CARRY)
    for name in ("price", "delta", "gamma", "theta"):
        np.testing.assert_allclose(getattr(greeks, name), getattr(expected, name), rtol=1e-12)
    forwards = TABLE.assign(forward=FORWARD)
    in_forward = nt.greeks(MODEL, FORWARD, STRIKE, T, KIND, DISCOUNT)
    np.testing.assert_allclose(nt.greeks(MODEL, forwards).delta, in_forward.delta, rtol=1e-12)


def test_columns_give_arrays_that_fit_into_their_table():
    table = pd.DataFrame({"strike": STRIKE}, index=[7, 5, 3])
    prices = nt.price(MODEL, 100.0, table["strike"], 0.5)
    assert not isinstance(prices, pd.Series)
    assert table.assign(price=prices)["price"].to_dict() == dict(zip([7, 5, 3], prices.tolist(), strict=True))


def test_columns_in_another_order_are_refused():
    strike = pd.Series(STRIKE, index=[1, 2, 3])
    with pytest.raises(nt.ArgumentError, match=r"forward and strike have different indexes.*strike\.reindex"):
        nt.price(MODEL, pd.Series([100.0] * 3, index=[3, 2, 1]), strike, 0.5)
    with pytest.raises(nt.ArgumentError, match="price and strike have different indexes"):
        nt.implied_vol(pd.Series(PRICES), 100.0, strike, 0.5)
    with pytest.raises(nt.ArgumentError, match=r"Shapes do not broadcast: forward \(2,\), strike \(3,\)"):
        nt.price(MODEL, pd.Series([100.0] * 2), strike, 0.5)


@pytest.mark.parametrize("engine", [None, nt.Lewis()])
@pytest.mark.parametrize("name", ["forward", "strike", "maturity", "discount"])
def test_a_missing_number_gives_nan_and_leaves_its_neighbours_alone(name, engine):
    terms = {
        "forward": np.full(3, 100.0),
        "strike": STRIKE,
        "maturity": np.full(3, T),
        "discount": np.ones(3),
    }
    whole = nt.price(MODEL, **terms, engine=engine)
    info = nt.price_info(MODEL, **terms | {name: np.where([0, 1, 0], np.nan, terms[name])}, engine=engine)
    np.testing.assert_array_equal(info.price, np.where([0, 1, 0], np.nan, whole))
    assert info.status.tolist() == [0, nt.PriceStatus.invalid, 0]
    row = nt.price(MODEL, 100.0, np.where([0, 1, 0], np.nan, STRIKE), T, engine=engine)  # one maturity
    np.testing.assert_allclose(row, np.where([0, 1, 0], np.nan, whole), rtol=1e-13)


def test_missing_numbers_elsewhere():
    strike = np.where([0, 1, 0], np.nan, STRIKE)
    assert np.isnan(nt.greeks(MODEL, 100.0, strike, T).delta).tolist() == [False, True, False]
    assert np.isnan(nt.digital(MODEL, 100.0, strike, T)).tolist() == [False, True, False]
    info = nt.implied_vol_info([12.0, 4.0, 1.0], 100.0, strike, T)
    assert info.status.tolist() == [0, nt.ImpliedVolStatus.nonfinite, 0]


def test_single_numbers_of_numpy_are_exact_numbers():
    price = nt.price(nt.Black(np.float32(0.25)), np.float32(100.0), 96.0, np.float16(0.5))
    assert price == nt.price(nt.Black(0.25), 100.0, 96.0, 0.5)
    single = np.array([96.0], np.float32)
    for lost in (single, pl.Series(single), pa.array(single), pd.Series(single, dtype="float[pyarrow]")):
        with pytest.raises(nt.PrecisionError, match="strike is .* and has already lost digits"):
            nt.price(MODEL, 100.0, lost, 0.5)


@pytest.mark.mistyped
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strike": STRIKE}, "strike= came with a table, which states the terms"),
        ({"kind": "put", "discount": 0.9}, "kind= and discount= came with a table"),
        ({"forward": TABLE.drop(columns="rate")}, "the table has a spot but no rate"),
        (
            {"forward": TABLE.drop(columns="option_type")},
            "the table lacks the columns kind; it has date, dividend",
        ),
        (
            {"forward": 100.0, "maturity": "3m"},
            "maturity has dates or tenors, such as '3m', and the quote date",
        ),
        ({"forward": 100.0, "maturity": T, "strike": EXPIRY}, "strike must be numbers, got Timestamp"),
        ({"forward": 100.0, "maturity": T, "rate": 0.03}, "rate= and dividend= need spot="),
    ],
)
def test_wrong_terms_are_named(arguments, message):
    given = {"forward": TABLE} | arguments
    if not isinstance(given["forward"], pd.DataFrame):
        given = {"strike": 100.0} | given
    with pytest.raises(nt.ArgumentError, match=message):
        nt.price(MODEL, **given)
    with pytest.raises(nt.ArgumentError, match="lacks the column price, or bid and ask"):
        nt.implied_vol(TABLE)
