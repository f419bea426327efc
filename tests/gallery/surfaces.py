"""What must be true of the tasks of surfaces.md: QuantLib's values, closed forms, definitions."""

import math

import numpy as np
import pandas as pd
import pytest
import QuantLib as ql
from quantlib_european import quantlib_heston, quantlib_vol
from worked_example import DAYS

from .checks import check, truth


@check("Read a Deribit file")
def deribit(shown):
    raw = pd.read_csv(shown.names["path"])
    listed = (raw["instrument_name"].str.startswith("BTC-")).sum()
    assert len(shown.names["quotes"]) == listed
    assert shown.names["surface"].mask.sum() + shown.value.sum() == listed


@check("Fit a model to Bitcoin options")
def bitcoin(shown):
    fit = shown.names["fit"]
    rows = fit.quotes()
    is_call = (rows["kind"] == "call").to_numpy()
    prices = quantlib_heston(fit.model, 1.0, np.exp(rows["k"]), rows["maturity"], is_call)
    np.testing.assert_allclose(rows["model_price"], prices, atol=1e-7)
    assert shown.value["mae"][0] == pytest.approx(np.abs(prices - rows["market_price"]).mean(), rel=1e-4)


@check("Volatilities of FX quotes")
def fx_quotes(shown):
    rows = shown.value
    assert rows["strike"][1] == pytest.approx(1.3096, abs=5e-5)  # Reiswich and Wystup (2010)
    for i, delta in {0: -0.25, 2: 0.25}.items():
        kind = ql.Option.Call if delta > 0.0 else ql.Option.Put
        t = rows["maturity"][i]
        factors = (math.exp(-0.003525 * t), math.exp(-0.020113 * t))
        stdev = rows["implied_volatility"][i] * math.sqrt(t)
        market = ql.BlackDeltaCalculator(kind, ql.DeltaVolQuote.Spot, 1.3088, *factors, stdev)
        assert market.deltaFromStrike(rows["strike"][i]) == pytest.approx(delta, abs=1e-9)
    wings = rows["implied_volatility"]
    np.testing.assert_allclose(wings[2] - wings[0], -0.005, atol=1e-12)


@check("Fit a volatility surface")
def volatility_surface(shown):
    k = np.array([-0.2, -0.1, 0.0, 0.1])
    prices = quantlib_heston(DAYS["2024-05-21"][1], 1.0, np.exp(k), 0.75, k >= 0.0)
    np.testing.assert_allclose(shown.value, quantlib_vol(prices, 1.0, np.exp(k), 0.75, k >= 0.0), atol=0.002)


@check("Draw a volatility surface")
def map_of_volatility(shown):
    assert [axes.get_ylabel() for axes in shown.value.axes][0] == "maturity, days"
    assert len(shown.value.axes) == 2  # the map and its scale


@check("Check a surface for arbitrage")
def certificate(shown):
    surface = shown.names["surface"]
    assert surface.certificate.free and shown.text.startswith("free of static arbitrage")
    k = np.linspace(-1.0, 1.0, 201)
    strike = np.exp(k)
    calls = np.asarray(surface.price(k[None], np.array([[0.1], [0.3], [0.6], [1.0], [1.9]])))
    slopes = np.diff(calls, axis=1) / np.diff(strike)
    assert np.all(slopes <= 1e-12) and np.all(np.diff(slopes, axis=1) >= -1e-12)
    assert np.all(np.diff(calls, axis=0) >= -1e-12)


@check("Draw total variance")
def variance_lines(shown):
    lines = np.array([one.get_ydata() for one in shown.value.axes[0].lines if len(one.get_ydata()) > 2])
    assert len(lines) == 5 and np.all(np.diff(lines, axis=0) > 0.0)


@check("The density that option prices imply")
def density_lines(shown):
    lines = [one for one in shown.value.axes[0].lines if len(one.get_ydata()) > 2]
    assert len(lines) == 5
    for one in lines:
        assert np.trapezoid(one.get_ydata(), one.get_xdata()) == pytest.approx(1.0, abs=0.02)


@check("Local volatility")
def local_volatility(shown):
    surface, k, t, h = shown.names["surface"], np.array([-0.2, -0.1, 0.0, 0.1]), 0.75, 1e-3

    def calls(dk, dt):
        return np.asarray(surface.price(k + dk, t + dt))

    # Dupire (1994) in log-forward moneyness: variance = 2 C_t / (C_kk - C_k)
    slope = (calls(h, 0.0) - calls(-h, 0.0)) / (2.0 * h)
    curvature = (calls(h, 0.0) - 2.0 * calls(0.0, 0.0) + calls(-h, 0.0)) / h**2
    later = (calls(0.0, h) - calls(0.0, -h)) / (2.0 * h)
    np.testing.assert_allclose(shown.value, np.sqrt(2.0 * later / (curvature - slope)), rtol=1e-3)


@check("Fair strikes of variance swaps")
def swaps(shown):
    model, t = truth("2024-05-21"), np.array([0.25, 0.5, 1.0])
    decay = -np.expm1(-model["kappa"] * t) / (model["kappa"] * t)
    fair = model["theta"] + (model["v0"] - model["theta"]) * decay
    np.testing.assert_allclose(shown.value, np.sqrt(fair), atol=0.002)
