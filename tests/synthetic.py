"""Synthetic quotes: QuantLib's Heston on small grids, smiles of volatilities, surfaces with noise."""

import functools
from typing import Any

import numpy as np

from neutral import QuoteSurface
from neutral.options import black

TRUTH = {"v0": 0.05, "kappa": 1.8, "theta": 0.07, "sigma_v": 0.7, "rho": -0.6}
MATURITIES = (0.1, 0.4, 1.0, 2.0)
DEVIATIONS = np.linspace(-1.5, 1.5, 8)


@functools.cache
def heston_prices(values: tuple[float, ...], maturities: tuple[float, ...] = MATURITIES) -> Any:
    """Maturities (T,), log-moneyness (T, K) and normalised call prices (T, K) by adaptive quadrature."""
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


def smile_quotes(t: Any, k: Any, s: Any, half_spread: float, mask: Any = True) -> QuoteSurface:
    """Calls and puts at total standard deviations s (T, K), with bid and ask equally far to either side.

    `half_spread` is that distance in volatility, to first order.
    """
    call = np.asarray(black.price(k, s))
    prices = np.stack([call, call + np.expm1(k)])
    half = half_spread * np.asarray(black.vega(k, s)) * np.sqrt(t)[:, None]
    return QuoteSurface.from_arrays(t, k, prices, prices - half, prices + half, mask=mask, warn=False)


def surface_quotes(
    surface: Any,
    t: np.ndarray,
    deviations: np.ndarray,
    *,
    half_spread: float = 0.002,
    noise: float = 0.0,
    seed: int = 0,
    lift: Any = 1.0,
    mask: Any = True,
) -> QuoteSurface:
    """Quotes of a surface at strikes so many standard deviations at the money from the forward.

    Its volatilities are multiplied by `lift`, and `noise` is the standard deviation of what is added to them.
    """
    k = deviations * np.sqrt(np.asarray(surface.total_variance(0.0, t)))[:, None]
    vol = lift * np.asarray(surface.implied_vol(k, t[:, None]))
    vol = vol + noise * np.random.default_rng(seed).standard_normal(vol.shape)
    return smile_quotes(t, k, vol * np.sqrt(t)[:, None], half_spread, mask)


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
