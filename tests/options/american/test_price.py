"""American options: against a binomial tree, QuantLib and the paper's own value; the European equivalents."""

import itertools

import numpy as np
import pandas as pd
import pytest
from quantlib_american import quantlib_dividend_price, quantlib_price
from scipy.special import ndtr

from neutral.errors import ArgumentError
from neutral.options import american

SPOT, SIZE = 100.0, 512  # one shape for all tests: one compilation
TREE_STEPS = 2000


def grid(**axes):
    """Every combination of the axes, in columns; in the order of the arguments of `american.price`."""
    names = ("strike", "maturity", "vol", "rate", "dividend", "is_call")
    columns = np.array(list(itertools.product(*(axes[n] for n in names)))).T
    return dict(zip(names, [*columns[:-1], columns[-1] == 1], strict=True))


def on_one_shape(function, *columns):
    """A function of columns, called on arrays of `SIZE`."""
    columns = np.broadcast_arrays(*columns)
    out = function(*(np.resize(c, SIZE) for c in columns))
    return np.asarray(out)[: columns[0].size]


def american_price(options):
    return on_one_shape(american.price, SPOT, *options.values())


def black_price(strike, maturity, vol, rate, dividend, is_call):
    stdev = vol * np.sqrt(maturity)
    d1 = (np.log(SPOT / strike) + (rate - dividend) * maturity) / stdev + 0.5 * stdev
    sign = np.where(is_call, 1.0, -1.0)
    asset = SPOT * np.exp(-dividend * maturity) * ndtr(sign * d1)
    return sign * (asset - strike * np.exp(-rate * maturity) * ndtr(sign * (d1 - stdev)))


def tree_price(strike, maturity, vol, rate, dividend, is_call):
    """Cox, Ross and Rubinstein (1979), the European price on the same tree as control variate."""
    dt = maturity / TREE_STEPS
    up = np.exp(vol * np.sqrt(dt))
    discount, sign = np.exp(-rate * dt), np.where(is_call, 1.0, -1.0)
    p = (np.exp((rate - dividend) * dt) - 1 / up) / (up - 1 / up)
    level = np.arange(-TREE_STEPS, TREE_STEPS + 1, 2)[:, None]
    value = european = np.maximum(sign * (SPOT * up**level - strike), 0.0)
    for step in range(TREE_STEPS - 1, -1, -1):
        level = np.arange(-step, step + 1, 2)[:, None]
        value = discount * (p * value[1:] + (1 - p) * value[:-1])
        value = np.maximum(value, sign * (SPOT * up**level - strike))
        european = discount * (p * european[1:] + (1 - p) * european[:-1])
    exact = black_price(strike, maturity, vol, rate, dividend, is_call)
    return value[0] + exact - european[0]


def test_premium_of_the_paper():
    """Andersen, Lake and Offengenden (2016), table 2: put, S = K = 100, r = q = 5 %, vol 25 %, one year."""
    option = grid(strike=[100.0], maturity=[1.0], vol=[0.25], rate=[0.05], dividend=[0.05], is_call=[0])
    premium = american_price(option) - black_price(**option)
    assert premium == pytest.approx(0.106952702747, abs=1e-6)


def test_error_against_a_binomial_tree():
    options = grid(
        strike=[85.0, 110.0],
        maturity=[30 / 365, 2.0],
        vol=[0.1, 0.4],
        rate=[0.01, 0.08],
        dividend=[0.0, 0.04],
        is_call=[0, 1],
    )
    error = american_price(options) - tree_price(**options)
    assert np.max(np.abs(error)) <= 1e-4 * SPOT


def test_error_against_quantlib():
    options = grid(
        strike=[70.0, 95.0, 110.0, 140.0],
        maturity=[3 / 365, 182 / 365, 10.0],
        vol=[0.05, 0.2, 1.0],
        rate=[0.001, 0.12],
        dividend=[-0.02, 0.01, 0.12],
        is_call=[0],
    )
    expected = [quantlib_price(*option) for option in zip(*options.values(), strict=True)]
    assert np.max(np.abs(american_price(options) - expected)) <= 1e-4 * SPOT


@pytest.mark.slow
def test_error_against_quantlib_on_a_wide_grid():
    options = grid(
        strike=[60.0, 80.0, 90.0, 100.0, 110.0, 125.0, 160.0],
        maturity=[1 / 365, 7 / 365, 91 / 365, 1.0, 5.0],
        vol=[0.05, 0.15, 0.4, 0.9],
        rate=[0.0, 0.005, 0.03, 0.1],
        dividend=[0.0, 0.005, 0.03, 0.1],
        is_call=[0, 1],
    )
    columns = np.array(list(options.values()))
    expected = [quantlib_price(*option) for option in columns.T]
    priced = [
        american_price(dict(zip(options, columns[:, i : i + SIZE], strict=True)))
        for i in range(0, columns.shape[1], SIZE)
    ]
    assert np.max(np.abs(np.concatenate(priced) - expected)) <= 1e-4 * SPOT


def test_where_exercise_never_pays_the_price_is_european():
    put = grid(strike=[90.0, 120.0], maturity=[0.5], vol=[0.3], rate=[0.0], dividend=[0.0, 0.05], is_call=[0])
    call = grid(
        strike=[90.0, 120.0], maturity=[0.5], vol=[0.3], rate=[0.0, 0.05], dividend=[0.0], is_call=[1]
    )
    for options in (put, call):
        assert american_price(options) == pytest.approx(black_price(**options), rel=1e-12)


@pytest.mark.slow
def test_two_exercise_boundaries_against_quantlib():
    axes = {"strike": [90.0, 120.0], "maturity": [91 / 365, 2.0], "vol": [0.1, 0.4]}
    put = grid(**axes, rate=[-0.01], dividend=[-0.04], is_call=[0])
    call = grid(**axes, rate=[-0.04], dividend=[-0.01], is_call=[1])
    for options in (put, call):
        rows = zip(*(options[n] for n in ("strike", "vol", "rate", "dividend", "is_call")), strict=True)
        days = np.round(365 * options["maturity"])
        expected = [quantlib_dividend_price(row, n) for row, n in zip(rows, days, strict=True)]
        assert np.max(np.abs(american_price(options) - expected)) <= 1e-4 * SPOT


def test_a_put_on_an_asset_that_falls_to_zero_is_worth_its_strike_at_maturity():
    """With a negative rate and no drift upwards, waiting gains interest: the limit of a small spot."""
    price = american.price(1e-4, 100.0, 2.0, 0.3, -0.02, 0.0, kind="put")
    assert price == pytest.approx(100.0 * np.exp(0.04) - 1e-4, rel=1e-9)


def test_without_volatility_the_best_day_of_exercise_decides():
    # a call on an asset without yield waits; a put on one without interest, too
    assert american.price(100.0, 90.0, 1.0, 0.0, 0.05) == pytest.approx(100.0 - 90.0 * np.exp(-0.05))
    assert american.price(100.0, 110.0, 1.0, 0.0, 0.05, kind="put") == pytest.approx(10.0)
    assert american.price(100.0, 110.0, 1.0, 0.0, 0.0, 0.05, kind="put") == pytest.approx(
        110.0 - 100.0 * np.exp(-0.05)
    )
    # the gain K e^{-rt} - S e^{-qt} of a put is largest where q S e^{-qt} = r K e^{-rt}, here inside
    rate, dividend, strike = 0.05, 0.12, 150.0
    days = np.linspace(0.0, 5.0, 100_001)
    best = np.max(strike * np.exp(-rate * days) - 100.0 * np.exp(-dividend * days))
    assert american.price(100.0, strike, 5.0, 0.0, rate, dividend, kind="put") == pytest.approx(
        best, abs=1e-7
    )
    assert best > 50.1
    tiny = american.price(100.0, strike, 5.0, 1e-4, rate, dividend, kind="put")
    assert tiny == pytest.approx(best, abs=1e-3)


def test_at_maturity_the_price_is_what_exercise_gives():
    price = american.price(100.0, [90.0, 110.0], 0.0, 0.2, 0.05, kind=["call", "put"])
    assert np.array_equal(price, [10.0, 10.0])


def test_maturities_are_dates_tenors_or_years():
    given = {"spot": 100.0, "strike": np.linspace(90.0, 110.0, SIZE), "rate": 0.05, "kind": "put"}
    expected = np.asarray(american.price(maturity=181 / 365, vol=0.2, **given))
    dated = {**given, "date": "2026-01-02"}
    for maturity in (pd.Timestamp("2026-07-02"), "6m", ["2026-07-02"] * SIZE):
        assert np.array_equal(american.price(maturity=maturity, vol=0.2, **dated), expected)
    found = american.implied_vol(expected, maturity="6m", **dated)
    np.testing.assert_allclose(found, 0.2, atol=1e-6)
    for function in (american.price, american.greeks):
        with pytest.raises(ArgumentError, match="the quote date is missing"):
            function(maturity="6m", vol=0.2, **given)


def test_kinds_are_names_or_booleans():
    expected = np.asarray(american.price(100.0, [100.0, 100.0], 1.0, 0.2, 0.05, 0.02, kind=["call", "put"]))
    given = (100.0, [100.0, 100.0], 1.0, 0.2, 0.05, 0.02)
    assert np.array_equal(american.price(*given, kind=[True, False]), expected)
    assert np.array_equal(american.price(*given, is_call=[True, False]), expected)
    assert np.array_equal(american.price(*given, kind="put"), expected[[1, 1]])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"vol": -0.2}, r"vol must be finite and >= 0 \(0.2 for 20 %\), got -0.2"),
        ({"vol": np.nan}, "vol must be finite"),
        ({"vol": "a"}, "vol must be numbers"),
        ({"spot": 0.0}, "spot must be finite and > 0, got 0.0"),
        ({"maturity": -1.0}, "maturity must be finite and >= 0"),
        ({"rate": np.inf}, "rate must be finite"),
        ({"kind": "straddle"}, "kind must be"),
        ({"vol": [0.1, 0.2, 0.3], "strike": [1.0, 2.0]}, "Shapes do not broadcast"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    given = {"spot": 100.0, "strike": 100.0, "maturity": 1.0, "vol": 0.2, "rate": 0.0} | wrong
    with pytest.raises(ArgumentError, match=message):
        american.price(**given)
    if "vol" not in wrong:
        del given["vol"]
        with pytest.raises(ArgumentError, match=message):
            american.implied_vol(5.0, **given)


def equivalent(prices, options):
    columns = [prices, SPOT, *(options[n] for n in ("strike", "maturity", "rate", "dividend", "is_call"))]
    return on_one_shape(lambda *c: np.stack(american.european_equivalent(*c), 1), *columns).T


def test_european_equivalents_of_quantlib_prices():
    options = grid(
        strike=[85.0, 100.0, 115.0],
        maturity=[30 / 365, 1.0],
        vol=[0.15, 0.5],
        rate=[0.02],
        dividend=[0.0, 0.03],
        is_call=[0, 1],
    )
    prices = np.array([quantlib_price(*option) for option in zip(*options.values(), strict=True)])
    exercise = np.maximum(np.where(options["is_call"], 1, -1) * (SPOT - options["strike"]), 0.0)
    informative = prices > exercise + 1e-3
    assert informative.sum() > 40
    price, vol = equivalent(prices, options)
    assert np.max(np.abs(price - black_price(**options))[informative]) <= 1e-4 * SPOT
    near = informative & (options["strike"] == 100.0)
    assert np.max(np.abs(vol - options["vol"])[near]) <= 1e-4


def test_no_volatility_at_exercise_value_or_beyond_the_bound():
    option = grid(strike=[120.0], maturity=[1.0], vol=[0.2], rate=[0.05], dividend=[0.0], is_call=[0])
    price, vol = equivalent(np.array([20.0, 19.0, 120.0, np.nan]), option)
    assert np.isnan(price).all() and np.isnan(vol).all()


def test_a_price_above_the_spot_where_the_asset_pays_to_be_held():
    price = american.price(100.0, 100.0, 5.0, 2.0, 0.0, -0.02)
    assert price == pytest.approx(black_price(100.0, 5.0, 2.0, 0.0, -0.02, True), rel=1e-12)
    assert american.implied_vol(price, 100.0, 100.0, 5.0, 0.0, -0.02) == pytest.approx(2.0, rel=1e-7)


@pytest.mark.slow
def test_greeks_of_a_call_that_is_never_exercised_early_are_those_of_black():
    strike, t, vol, rate = np.array([90.0, 100.0, 120.0]), 0.5, 0.3, 0.04
    found = american.AmericanGreeks(*map(np.asarray, american.greeks(SPOT, strike, t, vol, rate)))
    d1 = (np.log(SPOT / strike) + rate * t) / (vol * np.sqrt(t)) + 0.5 * vol * np.sqrt(t)
    d2 = d1 - vol * np.sqrt(t)
    density = np.exp(-0.5 * d1**2) / np.sqrt(2 * np.pi)
    cash = strike * np.exp(-rate * t) * ndtr(d2)
    assert found.price == pytest.approx(black_price(strike, t, vol, rate, 0.0, True), rel=1e-12)
    assert found.delta == pytest.approx(ndtr(d1), rel=1e-10)
    assert found.gamma == pytest.approx(density / (SPOT * vol * np.sqrt(t)), rel=1e-9)
    assert found.vega == pytest.approx(SPOT * density * np.sqrt(t), rel=1e-9)
    assert found.rho == pytest.approx(t * cash, rel=1e-9)
    assert found.theta == pytest.approx(-SPOT * density * vol / (2 * np.sqrt(t)) - rate * cash, rel=1e-9)


def test_greeks_where_exercise_is_best_at_once():
    strike = np.array([150.0, 160.0, 170.0])
    found = american.greeks(SPOT, strike, 1.0, 0.2, 0.08, 0.0, kind="put")
    assert np.asarray(found.price) == pytest.approx(strike - SPOT, rel=1e-14)
    assert np.asarray(found.delta) == pytest.approx(-1.0, rel=1e-14)
    for greek in found[2:]:
        assert np.asarray(greek) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.slow
def test_greeks_by_the_boundary_and_on_the_grid_agree():
    options = grid(
        strike=[90.0, 100.0, 120.0],
        maturity=[0.25, 2.0],
        vol=[0.2],
        rate=[0.05],
        dividend=[0.03],
        is_call=[0, 1],
    )
    kind = options.pop("is_call")
    boundary = american.greeks(spot=SPOT, kind=kind, **options)
    nothing = american.Dividends([0.1], 0.0)
    on_grid = american.greeks(spot=SPOT, kind=kind, dividends=nothing, **options)
    for name, bound in {"delta": 5e-4, "gamma": 2e-4, "vega": 0.7, "theta": 0.02, "rho": 2.0}.items():
        assert np.max(np.abs(getattr(boundary, name) - getattr(on_grid, name))) <= bound, name
