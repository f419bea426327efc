"""European prices and volatilities that this package did not calculate: QuantLib's."""

import math

import numpy as np
import QuantLib as ql

TODAY = ql.Date(1, 1, 2026)


def quantlib_heston(model, forward, strike, maturity, is_call=True, discount=1.0):
    """QuantLib's prices; a maturity of t years is one year of a model whose time runs t times as fast."""
    arguments = np.broadcast_arrays(forward, strike, maturity, is_call, discount)
    prices = [
        _quantlib_heston(model, *map(float, row)) for row in zip(*map(np.ravel, arguments), strict=True)
    ]
    return np.reshape(prices, arguments[0].shape)


def _quantlib_heston(model, forward, strike, maturity, is_call, discount):
    ql.Settings.instance().evaluationDate = TODAY
    flat = ql.YieldTermStructureHandle(ql.FlatForward(TODAY, 0.0, ql.Actual365Fixed()))
    speeds = (float(x) * maturity for x in (model.v0, model.kappa, model.theta, model.sigma_v))
    process = ql.HestonProcess(flat, flat, ql.QuoteHandle(ql.SimpleQuote(forward)), *speeds, float(model.rho))
    payoff = ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike)
    option = ql.VanillaOption(payoff, ql.EuropeanExercise(TODAY + 365))
    option.setPricingEngine(ql.AnalyticHestonEngine(ql.HestonModel(process), 1e-12, 100_000))
    return discount * option.NPV()


def quantlib_vol(price, forward, strike, maturity, is_call, discount=1.0):
    """Implied volatilities by QuantLib."""
    rows = np.broadcast(price, forward, strike, maturity, is_call, discount)
    return np.array([_quantlib_vol(*map(float, row)) for row in rows]).reshape(rows.shape)


def _quantlib_vol(price, forward, strike, maturity, is_call, discount):
    kind = ql.Option.Call if is_call else ql.Option.Put
    guess = 0.2 * math.sqrt(maturity)
    stdev = ql.blackFormulaImpliedStdDev(kind, strike, forward, price, discount, 0.0, guess, 1e-14, 200)
    return stdev / math.sqrt(maturity)
