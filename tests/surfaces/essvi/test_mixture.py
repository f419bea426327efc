"""Mixtures of eSSVI surfaces: `surfaces/essvi/mixture.py`, `surfaces/fit_surface.py`."""

from typing import Any

import chex
import jax
import numpy as np
import pytest
from synthetic import surface_quotes

import neutral as nt
from neutral.options import black
from neutral.options.arbitrage import violations

T = np.array([0.1, 0.3, 0.6, 1.0, 1.5])
ALPHA, PLACE = np.array([0.6, 0.4]), np.array([1.03, 0.955])
ROBUST = nt.Loss("spread", "soft_l1", 0.4)


def component(level, width, rho):
    theta = level * T
    return theta, width * np.sqrt(theta), np.full(5, rho)


@pytest.fixture(scope="module")
def mixture():
    rows = zip(component(0.03, 0.5, -0.3), component(0.09, 0.9, 0.1), strict=True)
    theta, psi, rho = (np.stack(pair) for pair in rows)
    multipliers = PLACE / np.sum(ALPHA * PLACE)
    return nt.ESSVIMixture(ALPHA, multipliers, nt.ESSVI(np.stack([T, T]), theta, psi, rho))


def quoted(surface, noise=0.0, lift: Any = 1.0):
    return surface_quotes(surface, T, np.linspace(-2.2, 2.2, 12), noise=noise, lift=lift)


def shaken(size, seed):
    """Quotes of a mixture as wide as may be, with smiles lifted and lowered: bounds meet in its fit."""
    rows = []
    for level, rho in ((0.03, -0.5), (0.09, 0.3)):
        theta = level * np.sqrt(T)
        rows.append((theta, 1.96 * np.sqrt(theta / (1.0 + abs(rho))), np.full(5, rho)))
    theta, psi, rho = (np.stack(pair) for pair in zip(*rows, strict=True))
    components = nt.ESSVI(np.stack([T, T]), theta, psi, rho)
    surface = nt.ESSVIMixture(ALPHA, PLACE / np.sum(ALPHA * PLACE), components)
    lift = 1.0 + size * np.random.default_rng(seed).standard_normal((5, 1))
    return quoted(surface, 0.2 * size, lift)


def test_the_worst_condition_is_that_of_a_component(mixture):
    certificate = mixture.certificate
    name, t, _ = certificate.worst()
    components = [certificate.components[j] for j in range(2)]
    nearest = min(components, key=lambda one: float(one.margin))
    assert (name, t) == nearest.worst()[:2] and t in T
    off = nt.ESSVIMixture(mixture.weights, 1.1 * np.asarray(mixture.multipliers), mixture.components)
    assert off.certificate.worst()[0] == "mean" and not off.certificate.free


def test_prices_are_a_mixture_of_prices(mixture):
    k, t = np.linspace(-0.6, 0.6, 7), 0.45
    parts = [
        m * np.asarray(mixture.components[j].price(k - np.log(m), t))
        for j, m in enumerate(mixture.multipliers)
    ]
    expected = ALPHA[0] * parts[0] + ALPHA[1] * parts[1]
    np.testing.assert_allclose(mixture.price(k, t), expected, rtol=1e-13)
    s = np.sqrt(np.asarray(mixture.total_variance(k, t)))
    np.testing.assert_allclose(black.price(k, s), expected, rtol=1e-12)


def test_the_density_is_one_of_a_martingale(mixture):
    k = np.linspace(-12.0, 12.0, 4001)[None]
    density = np.asarray(mixture.density(k, np.array([[0.05], [0.6], [4.0]])))
    assert np.all(density >= 0)
    np.testing.assert_allclose(np.trapezoid(density, k), 1.0, rtol=1e-10)
    np.testing.assert_allclose(np.trapezoid(density * np.exp(k), k), 1.0, rtol=1e-10)


def test_local_variance_is_dupires(mixture):
    t, k, h = np.array([[0.04], [0.45], [3.0]]), np.linspace(-0.15, 0.15, 4)[None], 1e-4

    def price(dk, dt):
        return np.asarray(mixture.price(k + dk, t + dt))

    first = (price(h, 0) - price(-h, 0)) / (2 * h)
    second = (price(h, 0) - 2 * price(0, 0) + price(-h, 0)) / h**2
    later = (price(0, h) - price(0, -h)) / (2 * h)
    local = np.asarray(mixture.local_variance(k, t))
    np.testing.assert_allclose(local * (second - first), 2.0 * later, rtol=1e-4)
    # where densities have underflown it is the wider component's
    assert np.all(np.isfinite(mixture.local_variance(np.array([-9.0, 9.0]), 0.1)))


def test_it_is_free_and_a_dense_scan_agrees(mixture):
    certificate = mixture.certificate
    assert certificate.free and certificate.margin > 0 and "component 1" in str(certificate)
    assert str(certificate).startswith("free of static arbitrage: ")
    k = np.linspace(-1.5, 1.5, 61)
    calls = np.asarray(mixture.price(k[None], np.linspace(0.05, 2.0, 12)[:, None]))
    assert not any(violations(k[None], calls).count(1e-14).values())
    moved = nt.ESSVIMixture(ALPHA, 1.001 * mixture.multipliers, mixture.components)
    assert not moved.certificate.free and str(moved.certificate).startswith("NOT free of static arbitrage: ")


@pytest.mark.heavy
def test_a_mixture_is_fitted_as_a_mixture(mixture):
    quotes = quoted(mixture)
    one, two = (nt.fit_surface(quotes, method=method) for method in ("essvi", "mixture"))
    assert isinstance(one, nt.ESSVI) and isinstance(two, nt.ESSVIMixture)
    assert two.converged and two.certificate.free and two.loss < 1e-3 * one.loss
    assert np.all(np.asarray(two.weights) > 0.0)
    k = np.linspace(-0.3, 0.3, 7)
    np.testing.assert_allclose(two.implied_vol(k, 0.8), mixture.implied_vol(k, 0.8), atol=5e-4)
    assert two.fit is not None and np.shape(two.fit.at_bound) == (2, 3, 5)


@pytest.mark.slow
def test_one_component_stays_where_two_are_not_asked_for(mixture, tmp_path):
    quotes = quoted(mixture.components[0], noise=0.002)
    single, one = nt.fit_surface(quotes), nt.fit_essvi(quotes)
    assert single.converged and np.array_equal(single.weights, [1.0, 0.0])
    k = np.linspace(-0.3, 0.3, 5)
    np.testing.assert_allclose(single.implied_vol(k, 0.8), one.implied_vol(k, 0.8), rtol=1e-10)
    np.testing.assert_allclose(single.local_variance(k, 0.8), one.local_variance(k, 0.8), rtol=1e-9)
    assert float(single.loss) == pytest.approx(float(one.loss), rel=1e-12)
    nt.save(single, tmp_path / "surface.json")
    again = nt.load(tmp_path / "surface.json")
    chex.assert_trees_all_equal(again, single)


@pytest.mark.slow
def test_bounds_that_meet_do_not_hold_a_fit_up():
    quotes = nt.stack([shaken(0.03, seed) for seed in (0, 6, 12, 13)])
    fits = nt.fit_surface_batch(quotes, ROBUST, components="two", workers=1)
    # without the curvature of the corners they took 631 steps or more than 1000
    assert np.all(fits.converged) and np.max(fits.fit.steps) < 150


@pytest.mark.slow
def test_a_loss_in_volatilities_is_not_held_by_the_prior(mixture):
    quotes = quoted(mixture)
    fit = nt.fit_surface(quotes, nt.Loss("vega"), components="two")
    k = np.linspace(-0.3, 0.3, 7)
    np.testing.assert_allclose(fit.implied_vol(k, 0.8), mixture.implied_vol(k, 0.8), atol=5e-4)


@pytest.mark.slow
def test_three_components_have_room_for_more_than_two(mixture):
    third = nt.ESSVI(T, 0.2 * T, 1.4 * np.sqrt(0.2 * T), np.full(5, -0.6))
    pairs = [(getattr(mixture.components, name), getattr(third, name)) for name in ("theta", "psi", "rho")]
    rows = [np.concatenate([np.asarray(both), np.asarray(one)[None]]) for both, one in pairs]
    weights, places = np.array([0.55, 0.37, 0.08]), np.array([1.03, 0.98, 0.85])
    truth = nt.ESSVIMixture(weights, places / (weights @ places), nt.ESSVI(np.stack([T] * 3), *rows))
    quotes = quoted(truth)
    two, three = (nt.fit_surface(quotes, components=count) for count in (2, 3))
    assert three.certificate.free and np.shape(three.weights) == (3,)
    assert three.loss < 0.5 * two.loss


@pytest.mark.mistyped
def test_wrong_arguments(mixture):
    quotes = quoted(mixture)
    for name in ("method", "components", "cap"):
        with pytest.raises(nt.ArgumentError, match=name):
            nt.fit_surface(quotes, **{name: "best"})  # pyright: ignore[reportArgumentType]
    with pytest.raises(nt.ArgumentError, match="fit_surface_batch"):
        nt.fit_surface(nt.stack([quotes, quotes]))
    with pytest.raises(nt.ArgumentError, match="use fit_surface"):
        nt.fit_surface_batch(quotes)
    for fit in (nt.fit_surface_batch, nt.fit_essvi_batch):
        with pytest.raises(nt.ArgumentError, match=fit.__name__):
            fit(nt.stack([quotes])[:0])
    with pytest.raises(nt.ArgumentError, match="mask"):
        nt.fit_surface(quotes, mask=True)
    with pytest.raises(nt.ArgumentError, match="not fitted"):
        _ = mixture.converged


@pytest.mark.slow
def test_deribit_surfaces(market_data):
    from neutral.market import build_surface, load_deribit

    files = sorted((market_data / "deribit" / "run").glob("*.csv.gz"))[::40]
    assert files
    for currency, least in (("BTC", 0.97), ("ETH", 0.99)):
        surfaces = nt.stack([build_surface(load_deribit(file, currency=currency))[0] for file in files])
        fits = nt.fit_surface_batch(surfaces, ROBUST, mask=surfaces.mask)
        assert np.all(fits.converged) and np.all(fits.certificate.free) and len(fits) == len(files)
        call = np.asarray(jax.vmap(lambda fit, k, t: fit.price(k, t[:, None]))(fits, surfaces.k, surfaces.t))
        prices = np.stack([call, call + np.expm1(surfaces.k)], axis=1)
        inside = np.abs(prices - surfaces.prices) <= 0.5 * np.asarray(surfaces.spread)
        assert np.mean(inside[surfaces.mask]) >= least
