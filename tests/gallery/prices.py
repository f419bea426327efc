"""What must be true of the tasks of prices.md, by QuantLib."""

import math

import numpy as np
import pytest
import QuantLib as ql
from quantlib_american import quantlib_dividend_price, quantlib_price
from quantlib_european import TODAY, quantlib_heston, quantlib_vol

from .checks import HESTON, check, line


@check("Price a strip of options")
def strip(shown):
    strike = shown.names["strike"]
    np.testing.assert_allclose(
        shown.value, quantlib_heston(HESTON, 100.0, strike, 0.5, True, 0.98), rtol=1e-8
    )


@check("Greeks of a DataFrame (pandas, polars)")
def greeks(shown):
    options = shown.names["options"]
    terms = [options[name].to_numpy(float) for name in ("forward", "strike", "maturity")]
    kind = ((options["kind"] == "call").to_numpy(), options["discount"].to_numpy(float))
    low, middle, high = (quantlib_heston(HESTON, terms[0] + h, *terms[1:], *kind) for h in (-0.05, 0.0, 0.05))
    np.testing.assert_allclose(shown.value["price"], middle, rtol=1e-8)
    np.testing.assert_allclose(shown.value["delta"], (high - low) / 0.1, atol=1e-5)
    np.testing.assert_allclose(shown.value["gamma"], (high - 2.0 * middle + low) / 0.0025, atol=1e-5)
    assert list(shown.value.index) == list(options.index)


@check("Implied volatilities of a column")
def implied_volatilities(shown):
    quotes = shown.names["quotes"][:3]
    is_call = (quotes["option_type"] == "C").to_numpy()
    forward, discount = 100.0 * math.exp(0.01), math.exp(-0.015)
    vol = quantlib_vol(quotes["mid"], forward, quotes["strike"], 0.5, is_call, discount)
    np.testing.assert_allclose(quotes["vol"], vol, rtol=1e-9)
    assert math.isnan(shown.names["quotes"]["vol"][3])
    assert discount * (110.0 - forward) > shown.names["quotes"]["mid"][3]


@check("Dates and tenors as maturities")
def dates(shown):
    start = ql.Date(14, 1, 2026)
    ends = [ql.Date(20, 2, 2026), ql.Date(19, 6, 2026), start + ql.Period("3m"), start + ql.Period("1y")]
    years = np.array([ql.Actual365Fixed().yearFraction(start, end) for end in ends])
    years[1] += 16.0 / 24.0 / 365.0
    np.testing.assert_allclose(shown.value, quantlib_heston(HESTON, 100.0, 100.0, years), rtol=1e-8)


@check("Dividends as a rate")
def dividend_rate(shown):
    forward, discount = 100.0 * math.exp(0.01), math.exp(-0.02)
    prices = quantlib_heston(HESTON, forward, shown.names["strike"], 0.5, False, discount)
    np.testing.assert_allclose(shown.value, prices, rtol=1e-8)


@check("Dividends in cash")
def dividends_in_cash(shown):
    ql.Settings.instance().evaluationDate = TODAY
    days = ql.Actual365Fixed()
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(TODAY, x, days)) for x in (0.0, 0.04)]
    vol = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), 0.25, days))
    process = ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(100.0)), *flat, vol)
    paid = [ql.FixedDividend(1.5, TODAY + day) for day in (73, 146)]
    for price, strike in zip(np.asarray(shown.value), shown.names["strike"], strict=True):
        payoff = ql.PlainVanillaPayoff(ql.Option.Call, strike)
        option = ql.VanillaOption(payoff, ql.EuropeanExercise(TODAY + 219))
        option.setPricingEngine(ql.AnalyticDividendEuropeanEngine(process, paid))
        assert price == pytest.approx(option.NPV(), rel=1e-10)


@check("American options and their implied volatility")
def american_options(shown):
    strike = shown.names["strike"]
    prices = [quantlib_price(x, 1.0, 0.25, 0.05, 0.02, False) for x in strike]
    np.testing.assert_allclose(shown.names["price"], prices, atol=1e-3)
    pairs = zip(strike, shown.names["vol"], strict=True)
    quoted = [quantlib_price(x, 1.0, vol, 0.05, 0.02, False) for x, vol in pairs]
    np.testing.assert_allclose(quoted, [4.3, 8.7, 14.9], atol=1e-3)


@check("American options with discrete dividends")
def american_dividends(shown):
    paid = [(73, 1.5), (219, 1.5)]
    options = [(strike, 0.25, 0.05, 0.0, True) for strike in shown.names["terms"]["strike"]]
    prices = [quantlib_dividend_price(x, 365, paid, "escrowed", (400, 400)) for x in options]
    np.testing.assert_allclose(shown.value, prices, atol=1e-2)


@check("FX deltas and strikes")
def fx_deltas(shown):
    stdev, domestic = np.array([0.104, 0.099]) * 0.5, 0.999
    spot = 148.9 * domestic / 0.9892
    for delta, one, strike in zip([0.10, 0.25], stdev, shown.names["strike"], strict=True):
        market = (ql.Option.Call, ql.DeltaVolQuote.PaSpot, spot, domestic, 0.9892, one)
        assert strike == pytest.approx(ql.BlackDeltaCalculator(*market).strikeFromDelta(delta), rel=1e-6)
    np.testing.assert_allclose(shown.names["delta"], [0.10, 0.25], rtol=1e-12)


@check("Draw the smile of a model")
def smile_of_a_model(shown):
    curve = line(shown.value.axes[0], "Heston")
    k, vol = curve[::30].T
    is_call = k >= 0.0
    prices = quantlib_heston(shown.names["heston"], 1.0, np.exp(k), 0.25, is_call)
    np.testing.assert_allclose(vol, 100.0 * quantlib_vol(prices, 1.0, np.exp(k), 0.25, is_call), atol=2e-3)


@check("Digital options and probabilities")
def digitals(shown):
    strike, h = shown.names["strike"], 0.02
    low, middle, high = (quantlib_heston(HESTON, 100.0, strike + x, 0.5) for x in (-h, 0.0, h))
    above = (low - high) / (2.0 * h)
    np.testing.assert_allclose(shown.value["digital"], 0.98 * above, atol=1e-6)
    np.testing.assert_allclose(shown.value["below"], 1.0 - above, atol=1e-6)
    np.testing.assert_allclose(shown.value["density"], (low - 2.0 * middle + high) / h**2, atol=1e-5)


@check("A table of prices by model")
def table_of_prices(shown):
    priced, maturity = shown.names["priced"], 156.0 / 365.0
    is_call = (priced["kind"] == "call").to_numpy()
    prices = quantlib_heston(HESTON, 100.0, priced["strike"], maturity, is_call)
    np.testing.assert_allclose(priced["price_heston"], prices, rtol=1e-8)
    vols = quantlib_vol(priced["price_black"], 100.0, priced["strike"], maturity, is_call)
    np.testing.assert_allclose(vols, 0.2, rtol=1e-9)
