"""Quotes that this package did not price: QuantLib's Heston on small grids."""

import functools
from typing import Any

import numpy as np

from neutral import QuoteSurface

TRUTH = {"v0": 0.05, "kappa": 1.8, "theta": 0.07, "sigma_v": 0.7, "rho": -0.6}
MATURITIES = (0.1, 0.4, 1.0, 2.0)
DEVIATIONS = np.linspace(-1.5, 1.5, 8)


@functools.cache
def heston_prices(values: tuple[float, ...], maturities: tuple[float, ...] = MATURITIES) -> Any:
    """Log-moneyness (T, K) and normalised call prices (T, K) by adaptive quadrature."""
    import QuantLib as ql

    v0, kappa, theta, sigma_v, rho = values
    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(1.0))
    process = ql.HestonProcess(flat, flat, spot, v0, kappa, theta, sigma_v, rho)
    engine = ql.AnalyticHestonEngine(ql.HestonModel(process), 1e-13, 100_000)
    k, price = [], []
    for t in maturities:
        days = round(365 * t)
        k.append(DEVIATIONS * np.sqrt(theta * days / 365))
        row = []
        for strike in np.exp(k[-1]):
            payoff = ql.PlainVanillaPayoff(ql.Option.Call, float(strike))
            option = ql.VanillaOption(payoff, ql.EuropeanExercise(today + days))
            option.setPricingEngine(engine)
            row.append(option.NPV())
        price.append(row)
    t = np.array([round(365 * t) / 365 for t in maturities])
    return t, np.array(k), np.array(price)


def heston_surface(noise: float = 0.0, seed: int = 0, **changes: float) -> QuoteSurface:
    """A surface of the test's Heston model; `noise` is a relative error of the out-of-the-money price."""
    t, k, call = heston_prices(tuple((TRUTH | changes).values()))
    parity = -np.expm1(k)
    otm = np.where(k >= 0, call, call - parity)
    otm = otm * (1.0 + noise * np.random.default_rng(seed).standard_normal(k.shape))
    call = otm + np.maximum(parity, 0.0)
    prices = np.stack([call, call - parity])
    return QuoteSurface.from_arrays(t, k, prices, prices - 1e-3 * otm, prices + 1e-3 * otm)


def frame(surface: QuoteSurface, forward: float = 100.0) -> dict[str, np.ndarray]:
    """A table of cash prices that holds the quotes of a surface."""
    quotes = surface.quotes()
    return {
        "forward": np.full(quotes.k.size, forward),
        "strike": forward * np.exp(quotes.k),
        "maturity": quotes.t,
        "kind": np.where(quotes.is_call, "call", "put"),
        "price": forward * quotes.price,
        "bid": forward * quotes.bid,
        "ask": forward * quotes.ask,
    }
