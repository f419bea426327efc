"""Strikes, deltas and market strangles against published values, QuantLib, and the prices they must meet."""

import itertools
from typing import Any

import numpy as np
import pytest
import QuantLib as ql
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from neutral import ArgumentError, FxConventions, delta_of_strike, strike_from_delta
from neutral.market.fx import FxSmile, at_the_money, fx_smile, smile_vol

ADJUSTED = FxConventions(premium_adjusted=True, atm="unadjusted_straddle")
# Reiswich and Wystup (2010), the sample of 20 January 2009: one month, 31 days; spot, rates, quotes, and what
# they publish: strike at the money, strikes of the market strangle (call, put), and its price
SAMPLE = {
    "EURUSD": (1.3088, 0.003525, 0.020113, 0.216215, -0.005, 0.007375, FxConventions()),
    "USDJPY": (90.68, 0.0042875, 0.003525, 0.21, -0.053, 0.00184, ADJUSTED),
}
PUBLISHED = {
    "EURUSD": (1.3096, 1.3685, 1.2535, 0.0254782),
    "USDJPY": (90.86, 94.55, 87.00, 1.67072),
}
MONTH = 31 / 365


def black_price(forward, strike, vol, maturity, discount, sign):
    stdev = vol * np.sqrt(maturity)
    d1 = np.log(forward / strike) / stdev + 0.5 * stdev
    return discount * sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - stdev)))


@pytest.mark.parametrize("pair", SAMPLE)
def test_strikes_and_strangle_are_the_published_ones(pair):
    spot, domestic, foreign, atm, _, strangle, conventions = SAMPLE[pair]
    at, call, put, value = PUBLISHED[pair]
    forward, factor = spot * np.exp((domestic - foreign) * MONTH), np.exp(-foreign * MONTH)
    decimals = 2 if pair == "USDJPY" else 4
    assert round(float(at_the_money(atm, forward, MONTH, conventions)), decimals) == at
    vol = atm + strangle
    strikes = strike_from_delta([0.25, -0.25], vol, forward, MONTH, [True, False], conventions, factor)
    assert np.round(strikes, decimals).tolist() == [call, put]
    price = black_price(forward, strikes, vol, MONTH, np.exp(-domestic * MONTH), np.array([1, -1])).sum()
    assert price == pytest.approx(value, abs=0.5 * 10.0 ** (-7 if pair == "EURUSD" else -5))


def test_smile_is_that_of_another_library():
    # FinancePy 0.190, its notebook on Clark's quotes of EURUSD in a year at 25 delta: the same polynomial in
    # delta, solved by a general optimiser that stops at seven digits
    domestic, foreign = 0.02934146, 0.03453111
    forward = 1.3465 * np.exp(domestic - foreign)
    smile = fx_smile(0.1825, [0.25], [-0.006], [0.0095], forward, 1.0, None, np.exp(-foreign))
    np.testing.assert_allclose(smile.strike, [1.2034112, 1.362024, 1.5410392], atol=6e-7, rtol=0)
    np.testing.assert_allclose(smile.vol, [0.19497085, 0.18249989, 0.18897083], atol=2e-7, rtol=0)
    # the interpolation matters little: its fit of a SABR smile to the same quotes
    np.testing.assert_allclose(smile.vol[[0, 2]], [0.19494440, 0.18894440], atol=3e-5, rtol=0)


CONVENTIONS = [FxConventions(delta, adjusted) for delta in ("spot", "forward") for adjusted in (False, True)]
QUANTLIB = {
    ("spot", False): ql.DeltaVolQuote.Spot,
    ("forward", False): ql.DeltaVolQuote.Fwd,
    ("spot", True): ql.DeltaVolQuote.PaSpot,
    ("forward", True): ql.DeltaVolQuote.PaFwd,
}


@pytest.mark.parametrize("conventions", CONVENTIONS)
@pytest.mark.parametrize("is_call", [True, False], ids=["call", "put"])
def test_deltas_and_strikes_are_quantlibs(conventions, is_call):
    spot, domestic, foreign = 1.3, 0.97, 0.94
    forward = spot * foreign / domestic
    kind = QUANTLIB[conventions.delta, conventions.premium_adjusted]
    for vol, maturity in itertools.product((0.06, 0.2, 0.4), (0.05, 1.0)):
        calculator = ql.BlackDeltaCalculator(
            ql.Option.Call if is_call else ql.Option.Put, kind, spot, domestic, foreign, vol * maturity**0.5
        )
        for size in (0.1, 0.25, 0.35):
            delta = size if is_call else -size
            strike = strike_from_delta(delta, vol, forward, maturity, is_call, conventions, foreign)
            # its own search for adjusted strikes stops at 1e-10
            assert strike == pytest.approx(calculator.strikeFromDelta(delta), rel=1e-9)
            own = delta_of_strike(strike, vol, forward, maturity, is_call, conventions, foreign)
            assert own == pytest.approx(calculator.deltaFromStrike(float(strike)), abs=1e-13)


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_strike_at_the_money_is_quantlibs(conventions):
    kind = QUANTLIB[conventions.delta, conventions.premium_adjusted]
    calculator = ql.BlackDeltaCalculator(ql.Option.Call, kind, 1.3, 0.97, 0.94, 0.2)
    forward = 1.3 * 0.94 / 0.97
    straddle = calculator.atmStrike(ql.DeltaVolQuote.AtmDeltaNeutral)
    assert at_the_money(0.2, forward, 1.0, conventions) == pytest.approx(straddle, rel=1e-14)
    deltas = delta_of_strike(straddle, 0.2, forward, 1.0, [True, False], conventions, 0.94)
    assert deltas.sum() == pytest.approx(0, abs=1e-15)
    assert at_the_money(0.2, forward, 1.0, FxConventions(atm="forward")) == forward


@pytest.mark.parametrize("atm", ["forward", "delta_neutral_straddle", "unadjusted_straddle"])
def test_strikes_at_the_money_broadcast(atm):
    vol = np.full((3, 1), 0.2)
    maturity = np.ones(4)
    assert at_the_money(vol, 1.1, maturity, FxConventions(atm=atm)).shape == (3, 4)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"butterflies": [0.1, 0.2]}, r"shapes \(1,\), \(1,\) and \(2,\); expected one number of each"),
        ({"atm": 0.0}, "atm=0.0 is not possible; expected a finite number above 0"),
        ({"maturity": np.nan}, "maturity=nan is not possible"),
        ({"risk_reversals": [np.nan]}, "have no finite number; leave out the deltas that are not quoted"),
    ],
)
def test_smiles_need_quotes_that_are_numbers(changes, message):
    quotes: Any = {"atm": 0.2, "deltas": [0.25], "risk_reversals": [0.0], "butterflies": [0.0]}
    with pytest.raises(ArgumentError, match=message):
        fx_smile(**{**quotes, "forward": 1.0, "maturity": 1.0, **changes})


@given(
    size=st.floats(0.01, 0.45),
    vol=st.floats(0.02, 0.8),
    maturity=st.floats(0.003, 10),
    is_call=st.booleans(),
    conventions=st.sampled_from(CONVENTIONS),
)
def test_strike_and_delta_are_inverse(size, vol, maturity, is_call, conventions):
    delta = size if is_call else -size
    try:
        strike = strike_from_delta(delta, vol, 1.2, maturity, is_call, conventions, 0.95)
    except ArgumentError:
        # true where no strike at all reaches that delta
        strikes = 1.2 * np.exp(np.linspace(-6, 6, 4001) * vol * maturity**0.5)
        reached = delta_of_strike(strikes, vol, 1.2, maturity, True, conventions, 0.95)
        assert conventions.premium_adjusted and is_call and reached.max() < size
        return
    found = delta_of_strike(strike, vol, 1.2, maturity, is_call, conventions, 0.95)
    assert found == pytest.approx(delta, abs=1e-10)
    if conventions.premium_adjusted and is_call:  # the larger of two
        further = delta_of_strike(strike * 1.0001, vol, 1.2, maturity, True, conventions, 0.95)
        assert further < found


def test_adjusted_puts_have_deltas_beyond_one():
    conventions = FxConventions(premium_adjusted=True)
    strike = strike_from_delta(-1.4, 0.2, 1.0, 1.0, False, conventions)
    assert delta_of_strike(strike, 0.2, 1.0, 1.0, False, conventions) == pytest.approx(-1.4, abs=1e-13)


@pytest.mark.parametrize(
    "delta, is_call", [(0.25, False), (-0.25, True), (0.96, True), (0.0, True), (np.nan, True)]
)
def test_deltas_that_no_strike_has_are_refused(delta, is_call):
    with pytest.raises(ArgumentError, match="delta="):
        strike_from_delta(delta, 0.2, 1.0, 1.0, is_call, FxConventions(), 0.95)


@pytest.mark.mistyped
def test_unknown_conventions_are_refused():
    with pytest.raises(ArgumentError, match="delta='fwd' is unknown; expected 'spot' or 'forward'"):
        FxConventions(delta="fwd")  # pyright: ignore[reportArgumentType]


QUOTES = ([0.25, 0.1], [-0.00808, -0.01585], [0.0023, 0.00795])


@pytest.mark.parametrize("conventions", CONVENTIONS)
def test_market_strangles_cost_on_the_smile_what_they_are_quoted_at(conventions):
    atm, forward, maturity, factor = 0.06155, 1.106, 1.0, 0.97
    deltas, reversals, strangles = (np.array(x) for x in QUOTES)
    smile = fx_smile(atm, deltas, reversals, strangles, forward, maturity, conventions, factor)
    assert smile.is_call.tolist() == [False, False, True, True, True]
    assert (np.diff(smile.strike) > 0).all()
    np.testing.assert_allclose(smile.vol[[3, 4]] - smile.vol[[1, 0]], reversals, atol=1e-16, rtol=0)
    sides = np.array([False, False, False, True, True])
    own = delta_of_strike(smile.strike, smile.vol, forward, maturity, sides, conventions, factor)
    np.testing.assert_allclose(own[[0, 1, 3, 4]], [-0.1, -0.25, 0.25, 0.1], atol=1e-13, rtol=0)
    for delta, quote in zip(deltas, strangles, strict=True):
        pair = strike_from_delta(
            [delta, -delta], atm + quote, forward, maturity, [True, False], conventions, factor
        )
        on_smile = smile_vol(smile, np.log(pair / forward), forward, atm)
        sign = np.array([1, -1])
        quoted = black_price(forward, pair, atm + quote, maturity, 1.0, sign).sum()
        assert black_price(forward, pair, on_smile, maturity, 1.0, sign).sum() == pytest.approx(
            quoted, rel=1e-11
        )


def test_interpolation_goes_through_its_points():
    smile = FxSmile(np.array([0.9, 1.0, 1.2]), np.array([0.21, 0.2, 0.23]), np.array([False, True, True]))
    np.testing.assert_allclose(smile_vol(smile, np.log(smile.strike), 1.0, 0.2), smile.vol, rtol=1e-14)


def test_smile_strangles_are_taken_as_they_are():
    smile = fx_smile(0.06, [0.25], [-0.01], [0.002], 1.1, 0.5, FxConventions(butterfly="smile"))
    np.testing.assert_allclose(smile.vol, [0.067, 0.06, 0.057], rtol=1e-15)


def test_quotes_that_are_no_decimals_are_refused():
    with pytest.raises(ArgumentError, match="expected values above 0 and below 10"):
        fx_smile(21.0, [0.25], [-0.5], [0.7], 1.3, 1.0)


def test_negative_volatilities_are_refused():
    with pytest.raises(ArgumentError, match="volatilities of -0.033 to 0.467; expected values above 0"):
        fx_smile(0.21, [0.25], [-0.5], [0.007], 1.3, 1.0)
