"""What must be true of the tasks of many.md: QuantLib's prices, refits, the models that made the quotes."""

import numpy as np
import pytest
from quantlib_european import quantlib_heston, quantlib_vol

import neutral as nt

from .checks import HESTON, check, truth


@check("Fit many DataFrames at once")
def batch(shown):
    assert shown.value["converged"].all()
    for i, day in enumerate(("2024-05-21", "2024-05-22")):
        np.testing.assert_allclose(shown.value.loc[i, truth(day).index].astype(float), truth(day), rtol=0.01)


@check("Box plots of parameters")
def boxes(shown):
    assert [axes.get_title() for axes in shown.value.axes] == ["v0", "kappa", "theta", "sigma_v", "rho"]
    medians = shown.names["fits"].to_frame()[list(vars(HESTON))].median()
    np.testing.assert_allclose(medians, [0.04, 1.5, 0.05, 0.6, -0.7], rtol=0.02)


@check("Prices of many models by vmap")
def many_models(shown):
    for i in (0, 100, 199):
        model = nt.Heston(*(float(x) for x in shown.names["parameters"][i]))
        prices = quantlib_heston(model, 100.0, shown.names["strike"], 0.5)
        np.testing.assert_allclose(shown.names["prices"][i], prices, atol=1e-7)


@check("The gradient of a price")
def gradient(shown):
    for name, value in vars(HESTON).items():
        h = 1e-4 * abs(float(value))
        low, high = (
            quantlib_heston(nt.Heston(**{**vars(HESTON), name: value + x}), 100.0, 110.0, 0.5)
            for x in (-h, h)
        )
        assert float(getattr(shown.value, name)) == pytest.approx((high - low) / (2.0 * h), rel=1e-4)


@check("The gradient through a fit")
def gradient_through_a_fit(shown):
    quotes, rho, slope = (shown.names[name] for name in ("quotes", "rho", "slope"))
    assert slope.shape == quotes.prices.shape
    bump = np.where(quotes.train, 1e-6 * np.sign(slope), 0.0)
    low, high = (float(rho(quotes.prices + x)) for x in (-bump, bump))
    assert high - low == pytest.approx(2.0 * float((slope * bump).sum()), rel=1e-3)


@check("A vega ladder through a fit")
def ladder(shown):
    fit, ladder = shown.names["fit"], shown.names["ladder"]
    bump = np.where(fit.surface.train, 1e-6 * np.sign(ladder.prices), 0.0)

    def price(change):
        again = nt.calibrate(nt.Heston, fit.surface.with_prices(fit.surface.prices + change))
        return float(quantlib_heston(again.model, 1.0, 1.05, 0.75))

    assert price(bump) - price(-bump) == pytest.approx(2.0 * float((ladder.prices * bump).sum()), rel=1e-3)


@check("Quotes with a known truth")
def known_truth(shown):
    rows = shown.value
    assert np.all((rows["value"] - [0.04, 1.5, 0.05, 0.6, -0.7]).abs() < 4.0 * rows["std_error"])
    quotes, k = shown.names["quotes"], np.linspace(0.8, 1.2, 9)
    prices = quantlib_heston(HESTON, 1.0, k, 1.0, k >= 1.0)
    vols = quantlib_vol(prices, 1.0, k, 1.0, k >= 1.0)
    listed = quotes.quotes()
    here = np.asarray(listed.t) == 1.0
    noisy = quantlib_vol(listed.price[here], 1.0, np.exp(listed.k[here]), 1.0, listed.is_call[here])
    assert 3.0 < 1e4 * np.std(noisy - vols) < 20.0


@check("A cube of volatilities in a training loop")
def training(shown):
    before, after = (shown.names[name] for name in ("before", "after"))
    assert (len(before), len(after)) == (212, 44) and after.dates.min() == np.datetime64("2025-08-01")
    values = np.concatenate(list(before.batches(53)))[:, 1].reshape(212, -1)
    left = np.linalg.svd(values)[1][3:]  # no three factors leave less than these
    best = float((left**2).sum() / values.size)
    weights = np.asarray(shown.names["weights"])
    error = float(np.mean((values - values @ weights @ weights.T) ** 2))
    assert best < error < 0.1 * float(np.mean(values**2))
