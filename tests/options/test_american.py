"""American options: against a binomial tree, QuantLib and the paper's own value; the European equivalents."""

import itertools

import numpy as np
import pytest
from quantlib_american import quantlib_price
from scipy.special import ndtr

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


def test_two_exercise_boundaries_are_refused():
    put = grid(strike=[100.0], maturity=[1.0], vol=[0.2], rate=[-0.01], dividend=[-0.03], is_call=[0])
    call = grid(strike=[100.0], maturity=[1.0], vol=[0.2], rate=[-0.03], dividend=[-0.01], is_call=[1])
    assert np.isnan(american_price(put)).all()
    assert np.isnan(american_price(call)).all()


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
