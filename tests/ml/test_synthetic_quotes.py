import numpy as np
import pytest
from registry import MODELS
from synthetic import TRUTH, heston_prices

import neutral as nt


def test_prices_are_quantlibs():
    t, k, call = heston_prices(tuple(TRUTH.values()))
    surface = nt.synthetic_quotes(nt.Heston(**TRUTH), np.exp(k), t)
    quotes = surface.quotes()
    otm = np.where(k >= 0, call, call + np.expm1(k))
    np.testing.assert_allclose(quotes.price, otm.ravel(), rtol=1e-9)
    np.testing.assert_array_equal(quotes.is_call, (k >= 0).ravel())
    assert np.isnan(quotes.bid).all()


def test_noise_spread_forward_and_key():
    strike = np.linspace(80.0, 125.0, 200)
    model = nt.Black(0.2)
    terms = {"forward": [100.0, 101.0], "discount": [0.99, 0.98]}
    surface = nt.synthetic_quotes(model, strike, [0.25, 0.5], noise_bp=20.0, spread=0.01, key=7, **terms)
    error = surface.quotes().vol - 0.2
    # the standard deviation of n normal numbers has a relative error of 1 / sqrt(2 n); six of them
    assert abs(np.std(error) / 20e-4 - 1) < 6 / np.sqrt(2 * error.size)
    assert abs(np.mean(error)) < 6 * 20e-4 / np.sqrt(error.size)
    np.testing.assert_array_equal(surface.forward[:2], terms["forward"])
    np.testing.assert_array_equal(surface.discount[:2], terms["discount"])
    quotes = surface.quotes()
    low, high = (
        nt.implied_vol(x, 1.0, np.exp(quotes.k), quotes.t, quotes.is_call) for x in (quotes.bid, quotes.ask)
    )
    np.testing.assert_allclose(high - low, 0.01, rtol=1e-9)
    again = nt.synthetic_quotes(model, strike, [0.25, 0.5], noise_bp=20.0, spread=0.01, key=7, **terms)
    np.testing.assert_array_equal(again.prices, surface.prices)
    other = nt.synthetic_quotes(model, strike, [0.25, 0.5], noise_bp=20.0, spread=0.01, key=8, **terms)
    assert np.abs(other.quotes().vol - quotes.vol).max() > 1e-4


def test_quotes_of_a_surface():
    surface = nt.SSVI(expiries=[0.5, 1.0, 2.0], theta=[0.02, 0.04, 0.08], rho=-0.4, eta=1.0, gamma=0.4)
    quotes = nt.synthetic_quotes(surface, np.exp(np.linspace(-0.3, 0.3, 7)), 1.0).quotes()
    np.testing.assert_allclose(quotes.vol, surface.implied_vol(quotes.k, quotes.t), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_quotes(name):
    model = MODELS[name]()
    quotes = nt.synthetic_quotes(model, np.linspace(0.85, 1.15, 7), [0.1, 0.3, 0.5]).quotes()
    judged = nt.certify(model, 1.0, np.exp(quotes.k), quotes.t, quotes.is_call)
    np.testing.assert_allclose(quotes.price, judged.price, rtol=1e-8)


def test_maturities_may_be_tenors():
    dated = nt.synthetic_quotes(nt.Black(0.2), [90.0, 100.0], ["3m", "1y"], forward=100.0, date="2026-01-14")
    np.testing.assert_allclose(dated.quotes().t, [90 / 365, 90 / 365, 1.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise_bp": -1.0}, "noise_bp must be finite and >= 0, got -1"),
        ({"strikes": [90.0, 110.0]}, "the forward is missing.*these are 90 to 110. Pass forward="),
        ({"maturities": ["3m"]}, "maturities has dates or tenors.*pass date="),
        ({"spread": np.inf}, "spread must be finite and >= 0"),
        ({"strikes": np.ones((3, 2))}, r"strikes must have shape \(K,\) or \(T, K\).*got \(3, 2\)"),
        ({"strikes": [1.0, 1e9]}, r"no volatility at strike 1e\+09 and maturity 0.1; choose strikes closer"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(nt.ArgumentError, match=message):
        nt.synthetic_quotes(nt.Black(0.2), **{"strikes": [0.9, 1.1], "maturities": [0.1, 0.2]} | arguments)
