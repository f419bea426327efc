"""American options with discrete dividends: against finite differences of QuantLib, a tree, closed forms."""

import itertools

import jax
import numpy as np
import pytest
from quantlib_american import quantlib_dividend_price

from neutral.errors import ArgumentError
from neutral.options import american
from neutral.options.american import Dividends

SPOT, DAYS, EX_DAYS, CASH = 100.0, 90, (20, 60), 1.5
NAMES = ("strike", "vol", "rate", "dividend", "kind")
OPTIONS = np.array(
    [
        (85.0, 0.25, 0.03, 0.0, 1),
        (100.0, 0.1, 0.1, 0.02, 1),
        (115.0, 0.6, 0.0, 0.0, 1),
        (95.0, 0.25, -0.01, 0.0, 1),
        (85.0, 0.6, 0.1, 0.0, 0),
        (100.0, 0.25, 0.03, 0.02, 0),
        (105.0, 0.1, 0.1, 0.0, 0),
        (115.0, 0.25, -0.01, 0.02, 0),
    ]
).T
TERMS = dict(zip(NAMES, [*OPTIONS[:-1], OPTIONS[-1] == 1], strict=True))
MODELS = ("spot", "escrowed")


def schedule(model="spot", days=EX_DAYS, cash=CASH, proportional=0.0):
    return Dividends(np.array(days) / 365, cash, proportional, model)


def priced(dividends, days=DAYS, **changed):
    return american.price(spot=SPOT, maturity=days / 365, dividends=dividends, **TERMS | changed)


@pytest.fixture(scope="module", params=MODELS)
def expected(request):
    rows = [(day, CASH) for day in EX_DAYS]
    prices = [quantlib_dividend_price(option, DAYS, rows, request.param, (300, 500)) for option in OPTIONS.T]
    return request.param, np.array(prices)


def test_prices_against_quantlib(expected):
    model, prices = expected
    assert np.max(np.abs(priced(schedule(model)) - prices)) <= 3e-5 * SPOT


@pytest.mark.slow
def test_the_volatility_behind_prices_of_quantlib(expected):
    model, prices = expected
    terms = {name: column for name, column in TERMS.items() if name != "vol"}
    found = american.implied_vol(prices, spot=SPOT, maturity=DAYS / 365, dividends=schedule(model), **terms)
    # the put of 115 and the call of 100 are worth little more than their exercise
    assert np.max(np.abs(found - TERMS["vol"])) <= 5e-4


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("days", "rows"),
    [
        (365, [(1, 2.0)]),
        (90, [(89, 2.0)]),
        (90, [(90, 2.0)]),
        (365, [(180, 15.0)]),
        (730, [(30 + 91 * i, 1.0) for i in range(8)]),
        (1825, [(100 + 182 * i, 2.0) for i in range(9)]),
    ],
)
def test_prices_against_quantlib_on_a_wide_grid(days, rows, model):
    axes = ([80.0, 95.0, 110.0, 125.0], [0.1, 0.25, 0.6], [-0.01, 0.03, 0.1], [0.0, 0.02], [0, 1])
    options = np.array(list(itertools.product(*axes)))
    steps = (max(500, days // 2), 600)
    prices = np.array([quantlib_dividend_price(option, days, rows, model, steps) for option in options])
    ex_days, cash = zip(*rows, strict=True)
    terms = dict(zip(NAMES, [*options.T[:-1], options.T[-1] == 1], strict=True))
    found = priced(schedule(model, ex_days, cash), days, **terms)
    assert np.max(np.abs(found - prices)) <= 1e-4 * SPOT


def tree_price(shares, days=DAYS, steps=1800):
    """Cox, Ross and Rubinstein (1979) with dividends in proportion, which keep the tree recombining."""
    strike, vol, rate, dividend, is_call = OPTIONS
    dt = days / 365 / steps
    up = np.exp(vol * np.sqrt(dt))
    sign = np.where(is_call == 1, 1.0, -1.0)
    p = (np.exp((rate - dividend) * dt) - 1 / up) / (up - 1 / up)

    def exercise(step, kept):
        level = np.arange(-step, step + 1, 2)[:, None]
        return np.maximum(sign * (SPOT * kept * up**level - strike), 0.0)

    kept = np.prod([1.0 - share for _, share in shares])
    value = exercise(steps, kept)
    paid = {round(day / days * steps): share for day, share in shares}
    for step in range(steps - 1, -1, -1):
        value = np.exp(-rate * dt) * (p * value[1:] + (1 - p) * value[:-1])
        value = np.maximum(value, exercise(step, kept))
        if step in paid:
            kept /= 1.0 - paid[step]
            value = np.maximum(value, exercise(step, kept))
    return value[0]


def test_dividends_in_proportion_against_a_tree():
    shares = [(day, 0.02) for day in EX_DAYS]
    for model in MODELS:
        found = priced(schedule(model, cash=0.0, proportional=0.02))
        assert np.max(np.abs(found - tree_price(shares))) <= 5e-5 * SPOT


@pytest.mark.slow
def test_a_call_before_one_dividend_against_the_formula_of_roll_geske_and_whaley():
    """Haug (2007), table 2-1: S 80, K 82, one dividend of 4 in 3 months, 4 months, r 6 %, vol 30 %."""
    dividends = Dividends([0.25], 4.0, model="escrowed")
    price = american.price(80.0, 82.0, 1 / 3, 0.3, 0.06, dividends=dividends)
    assert price == pytest.approx(4.3860, abs=4e-4)


def test_dividends_after_the_maturity_do_not_matter():
    far = schedule(days=(20, 95), cash=[1.5, 50.0])
    near = schedule(days=(20, 90), cash=[1.5, 0.0])
    assert priced(far) == pytest.approx(np.asarray(priced(near)), abs=1e-4 * SPOT)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_greeks_are_differences_of_prices(model):
    dividends = schedule(model)
    greeks = american.greeks(spot=SPOT, maturity=DAYS / 365, dividends=dividends, **TERMS)
    found = american.AmericanGreeks(*map(np.asarray, greeks))
    assert np.array_equal(found.price, priced(dividends))

    def price(**changed):
        return np.asarray(
            american.price(**{"spot": SPOT, "maturity": DAYS / 365, "dividends": dividends} | TERMS | changed)
        )

    h = 0.5
    up, down = price(spot=SPOT + h), price(spot=SPOT - h)
    smooth = found.theta != 0.0
    assert smooth.sum() >= 6
    assert found.delta == pytest.approx((up - down) / (2 * h), abs=3e-3)
    gamma = (up - 2 * found.price + down) / h**2
    assert found.gamma[smooth] == pytest.approx(gamma[smooth], abs=4e-3)
    # the derivative of the grid's price: its error of a few 1e-6 of spot depends on the volatility, too
    vega = (price(vol=TERMS["vol"] + 5e-3) - price(vol=TERMS["vol"] - 5e-3)) / 1e-2
    assert found.vega == pytest.approx(vega, abs=0.1)
    rho = (price(rate=TERMS["rate"] + 1e-4) - price(rate=TERMS["rate"] - 1e-4)) / 2e-4
    assert found.rho == pytest.approx(rho, abs=0.05)
    day = 0.25 / 365
    later = Dividends(np.array(EX_DAYS) / 365 - day, CASH, model=model)
    theta = (price(maturity=DAYS / 365 - day, dividends=later) - found.price) / day
    assert found.theta[smooth] == pytest.approx(theta[smooth], abs=0.35)


@pytest.mark.slow
def test_implied_volatilities_have_the_derivatives_of_the_implicit_function():
    dividends = schedule("escrowed")
    given = {"spot": SPOT, "strike": 100.0, "maturity": DAYS / 365, "rate": 0.03, "kind": "put"}
    greeks = american.greeks(vol=0.25, dividends=dividends, **given)

    @jax.jit
    def vol(price, spot):
        return american.implied_vol(price, dividends=dividends, **given | {"spot": spot})

    in_price, in_spot = jax.grad(vol, (0, 1))(greeks.price, SPOT)
    vega = float(greeks.vega)
    assert float(in_price) == pytest.approx(1.0 / vega, rel=1e-6)
    assert float(in_spot) == pytest.approx(-float(greeks.delta) / vega, rel=1e-6)


@pytest.mark.slow
def test_without_volatility_a_call_is_exercised_before_a_dividend():
    dividends = Dividends([0.1, 0.2], [1.0, 5.0])
    call = american.price(100.0, 95.0, 0.25, 0.0, 0.05, dividends=dividends)
    before_each = [100.0 - 95.0 * np.exp(-0.005), 100.0 - np.exp(-0.005) - 95.0 * np.exp(-0.01)]
    assert float(call) == pytest.approx(max(before_each), rel=1e-12)
    put = american.price(100.0, 98.0, 0.25, 0.0, 0.05, kind="put", dividends=dividends)
    after_both = 98.0 * np.exp(-0.01) - (100.0 - np.exp(-0.005) - 5.0 * np.exp(-0.01))
    assert float(put) == pytest.approx(after_both, rel=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"times": 0.5}, r"times of shape \(n,\)"),
        ({"times": [0.0]}, "times must be finite and > 0"),
        ({"times": [0.5], "cash": -1.0}, "cash must be finite and >= 0"),
        ({"times": [0.5], "proportional": 1.0}, r"proportional must be >= 0 and < 1 \(0.02 for 2 %"),
        ({"times": [0.5, 0.6], "cash": [1.0, 2.0, 3.0]}, "got times"),
        pytest.param(
            {"times": [0.5], "model": "forward"},
            "model must be 'spot' or 'escrowed'",
            marks=pytest.mark.mistyped,
        ),
    ],
)
def test_impossible_dividends_are_refused(given, message):
    with pytest.raises(ArgumentError, match=message):
        Dividends(**given)


def test_dividends_worth_more_than_the_spot_are_refused():
    with pytest.raises(ArgumentError, match="worth 150 of a spot of 100"):
        american.price(100.0, 100.0, 1.0, 0.2, 0.0, dividends=Dividends([0.5], 150.0))
