"""Every type of argument that people pass: numbers, or one error that names the argument."""

import numpy as np
import pandas as pd
import pytest

import neutral as nt
from neutral.options.terms import as_numbers, terms


@pytest.mark.parametrize(
    "value",
    [
        [90.0, 100.0],
        pytest.param((90, 100), marks=pytest.mark.mistyped),  # the protocol of nested sequences leaves it out
        np.array([90, 100], np.int32),
        np.array([90.0, 100.0], object),
        np.ma.array([90.0, 100.0]),
        pd.Series([90.0, 100.0]),
        pd.Series([90, 100], dtype="Int64"),
        pd.Series([90.0, 100.0], dtype="Float64"),
    ],
)
def test_numbers_of_any_type(value):
    option = terms(100.0, value, 1.0)
    assert option.strike.dtype == np.float64 and np.array_equal(option.strike, [90.0, 100.0])


@pytest.mark.parametrize(
    "value",
    [
        np.ma.array([90.0, 100.0], mask=[True, False]),
        pd.Series([None, 100.0], dtype="Float64"),
        [None, 100.0],
    ],
)
def test_what_is_masked_or_missing_is_no_number(value):
    assert np.array_equal(np.isnan(as_numbers("strike", value)), [True, False])
    assert np.array_equal(np.isnan(terms(100.0, value, 1.0).strike), [True, False])
    with pytest.raises(nt.ArgumentError, match="strike must be finite and > 0, got nan"):
        terms(100.0, value, 1.0, missing=False)
    with pytest.raises(nt.ArgumentError, match="strike must be finite and > 0, got inf"):
        terms(100.0, np.inf, 1.0)


@pytest.mark.mistyped
@pytest.mark.parametrize("value", ["100", ["90", "100"], np.array(["90", 100.0], object), 10**400, object()])
def test_text_and_numbers_without_end_are_refused(value):
    with pytest.raises(nt.ArgumentError, match="strike must be numbers, got"):
        terms(100.0, value, 1.0)


def test_what_is_left_out_is_named():
    with pytest.raises(nt.ArgumentError, match="strike is missing"):
        terms(100.0, None, 1.0)
    with pytest.raises(nt.ArgumentError, match="maturity is missing"):
        nt.price(nt.Black(0.2), 100.0, 100.0)


def test_lost_digits_are_noticed_in_a_column_of_a_table():
    with pytest.raises(nt.PrecisionError, match="strike is Float32"):
        terms(100.0, pd.Series([90.0], dtype="Float32"), 1.0)


@pytest.mark.mistyped
def test_a_parameter_is_a_number():
    with pytest.raises(nt.ArgumentError, match=r"Heston\.v0 must be a number, got the text '0\.04'"):
        nt.Heston(v0="0.04", kappa=1.0, theta=0.04, sigma_v=0.3, rho=-0.5)
    assert float(nt.Black(pd.Series([0.2]).iloc[0]).sigma) == 0.2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"forward": 101.0, "spot": 100.0, "dividend": 0.02}, "forward= and dividend="),
        ({"spot": 100.0, "rate": 0.03, "discount": 0.9}, "discount= and rate="),
        ({"forward": 101.0, "spot": 100.0, "rate": 0.03, "discount": [0.9, 0.9]}, "discount= and rate="),
    ],
)
def test_arguments_that_may_contradict_each_other_are_refused(arguments, named):
    with pytest.raises(nt.ArgumentError, match=f"{named} state the same with spot=.*pass one of the two"):
        terms(strike=[90.0, 100.0], maturity=1.0, **({"forward": None} | arguments))


def test_names_of_kinds_are_those_of_files():
    for kind in ("C", "call", " Call", "CE"):
        assert float(nt.price(nt.Black(0.2), 100.0, 90.0, 1.0, kind)) > 10.0
    for kind in ("P", "PUT", "pe"):
        assert float(nt.price(nt.Black(0.2), 100.0, 90.0, 1.0, kind)) < 10.0
    table = {"forward": [100.0] * 2, "strike": [90.0] * 2, "maturity": [1.0] * 2, "vol": [0.2] * 2}
    surface = nt.QuoteSurface.from_quotes(table | {"kind": ["C", "Put"]})
    assert list(surface.quotes().is_call) == [True, False]
