"""Fits of eSSVI surfaces: `surfaces/essvi/fit.py`."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from references import load_reference
from synthetic import smile_quotes, surface_quotes

import neutral as nt
from neutral.surfaces.essvi import fit as essvi_fit
from neutral.surfaces.essvi.monotone import Monotone, isotonic

T = np.array([0.1, 0.3, 0.6, 1.0, 1.5])
RECORD = load_reference("essvi")["global_parametrisation"][5]
NAMES = ("theta", "psi", "rho")
ROBUST = nt.Loss("spread", "soft_l1", 0.4)
HALF = 0.005  # half the spread of quotes, in volatility


def flat(vols, strikes=12, t=T):
    """Flat smiles, each at its own volatility."""
    s = np.sqrt(t) * vols
    k = np.linspace(-1.8, 1.8, strikes) * s[:, None]
    return k, np.broadcast_to(s[:, None], k.shape).copy()


def quotes_of(surface, noise=0.0, seed=0, mask: Any = True):
    deviations = np.linspace(-2.0, 2.0, 12)
    return surface_quotes(surface, T, deviations, half_spread=HALF, noise=noise, seed=seed, mask=mask)


@pytest.fixture(scope="module")
def truth():
    theta, psi, rho = (np.array(RECORD[name]) for name in NAMES)
    return nt.ESSVI(T, theta, psi, rho)


def test_parameters_come_back(truth):
    fit = nt.fit_essvi(quotes_of(truth))
    assert fit.converged and fit.certificate.free
    for name in NAMES:
        np.testing.assert_allclose(getattr(fit, name), getattr(truth, name), rtol=1e-6)
    np.testing.assert_array_equal(fit.expiries, T)


def test_the_fit_is_a_surface(truth):
    fit, k = nt.fit_essvi(quotes_of(truth)), np.linspace(-0.3, 0.3, 5)
    np.testing.assert_allclose(fit.implied_vol(k, 0.8), truth.implied_vol(k, 0.8), rtol=1e-6)
    np.testing.assert_allclose(fit.price(k, 0.05), truth.price(k, 0.05), rtol=1e-5)
    assert "free of static arbitrage" in str(fit.certificate)


@pytest.mark.slow
def test_noise_is_not_fitted_better_than_by_free_smiles(truth, monkeypatch):
    # three chunks of one shape are one program
    monkeypatch.setattr(essvi_fit, "_solve", chex.assert_max_traces(essvi_fit._solve, n=1))
    noise = 0.005
    surfaces = [quotes_of(truth, noise, seed) for seed in range(12)]
    fits = nt.fit_essvi_batch(surfaces, chunk=4)
    assert np.all(fits.converged) and np.all(fits.certificate.free)
    vols = jax.vmap(lambda fit, k: fit.implied_vol(k, T[:, None]))(fits, np.stack([s.k for s in surfaces]))
    errors = np.asarray(vols) - np.stack([s.vol[0] for s in surfaces])
    floor = noise * np.sqrt(1.0 - 3.0 / 12.0)  # three numbers from twelve strikes
    assert np.sqrt(np.mean(errors**2)) < 1.05 * floor


def strange_quotes():
    k, s = flat(np.full(5, 0.3))
    wild = np.exp(0.4 * np.random.default_rng(3).standard_normal(s.shape))
    return {
        "flat": (k, s),
        "frown": (k, s * (1.0 - 0.02 * np.linspace(-1.8, 1.8, 12) ** 2)),
        "decreasing variance": flat(0.6 * np.exp(-1.5 * T)),
        "zigzag": flat(np.array([0.3, 0.8, 0.2, 0.9, 0.3])),
        "wild": (k, s * wild),
    }


STRANGE = strange_quotes()


@pytest.mark.parametrize("name", STRANGE)
def test_whatever_the_quotes_the_surface_is_free(name):
    k, s = STRANGE[name]
    fit = nt.fit_essvi(smile_quotes(T, k, s, HALF))
    assert fit.certificate.free and np.all(fit.certificate.proven)
    assert np.all(np.isfinite(fit.theta))
    assert fit.converged


def test_one_wild_quote_does_not_move_a_robust_fit(truth):
    clean = quotes_of(truth)
    prices = np.array(clean.prices)
    prices[:, 2, 6] = 1.2 * prices[:, 2, 6]
    moved = clean.with_prices(prices)
    fits = [nt.fit_essvi(moved, loss) for loss in (ROBUST, None)]
    assert all(fit.certificate.free for fit in fits)
    errors = [np.max(np.abs(fit.implied_vol(0.0, T) - truth.implied_vol(0.0, T))) for fit in fits]
    assert errors[0] < 0.25 * errors[1] and errors[0] < 0.002


def test_expiries_with_few_quotes_or_none(truth):
    mask = np.ones((2, 5, 12), bool)
    mask[:, 1] = False
    mask[:, 3, 2:-2] = False
    mask[:, 4] = False
    mask[0, 4, 5] = True  # a single quote
    fit = nt.fit_essvi(quotes_of(truth, mask=mask))
    assert fit.converged and fit.certificate.free
    assert np.array_equal(np.isfinite(fit.theta), [True, False, True, True, True])
    np.testing.assert_allclose(np.asarray(fit.theta)[[0, 2]], np.asarray(truth.theta)[[0, 2]], rtol=1e-6)
    np.testing.assert_allclose(fit.implied_vol(0.0, 1.5), truth.implied_vol(0.0, 1.5), rtol=1e-2)


def test_bad_quotes_are_reported_and_leave_other_surfaces_alone(truth):
    good = quotes_of(truth)
    prices = np.array(good.prices)
    prices[0, 0, 0] = np.nan
    empty = quotes_of(truth, mask=False)
    fits = nt.fit_essvi_batch([good, good.with_prices(prices), empty, good], chunk=4)
    status = [nt.CalibrationStatus(int(code)).name for code in fits.status]
    assert status == ["converged", "bad_quotes", "bad_quotes", "converged"]
    assert np.all(np.isnan(fits.theta[1:3])) and np.isnan(fits.loss[1])
    np.testing.assert_array_equal(fits.theta[0], fits.theta[3])
    alone = nt.fit_essvi(good)
    np.testing.assert_allclose(fits[0].psi, alone.psi, rtol=1e-12)
    assert len(fits) == 4 and "of 4 surfaces" in str(fits.certificate)


def test_an_anchor_holds_what_quotes_leave_open(truth):
    mask = np.zeros((2, 5, 12), bool)
    mask[:, :, 5:7] = True  # level and slope only
    few = quotes_of(truth, mask=mask)
    near = nt.fit_essvi(few, anchor=truth)
    np.testing.assert_allclose(near.psi, truth.psi, rtol=1e-4)
    other = nt.ESSVI(T, 1.2 * np.asarray(truth.theta), truth.psi, truth.rho)
    pulled = nt.fit_essvi(quotes_of(truth), anchor=other, strength=1e6)
    assert pulled.fit is not None and pulled.fit.prior_loss > 0
    np.testing.assert_allclose(pulled.theta, other.theta, rtol=1e-3)


@pytest.mark.slow
def test_the_exact_cap_reaches_smiles_beyond_the_sufficient_one():
    rho, t = -0.35, np.array([1.0])
    smile = nt.ESSVI(t, np.array([0.08]), np.array([0.9]), np.array([rho]))
    assert smile.certificate.free and 0.9**2 * 1.35 > 4 * 0.08
    k = np.linspace(-0.6, 0.6, 12)[None]
    quotes = smile_quotes(t, k, np.sqrt(np.asarray(smile.total_variance(k, 1.0))), HALF)
    wide = nt.fit_essvi(quotes, cap="exact")
    np.testing.assert_allclose([wide.theta[0], wide.psi[0], wide.rho[0]], [0.08, 0.9, rho], rtol=1e-6)
    assert wide.converged and wide.certificate.free


def test_a_fit_is_saved_and_read_back(truth, tmp_path):
    for surface in (nt.fit_essvi(quotes_of(truth)), truth):
        nt.save(surface, tmp_path / "surface.json")
        again = nt.load(tmp_path / "surface.json")
        chex.assert_trees_all_equal(again, surface)
        assert type(again) is nt.ESSVI and (again.fit is None) == (surface.fit is None)


def test_where_bounds_meet_the_curvature_is_the_second_derivative():
    space = Monotone(jnp.ones(4, bool), jnp.full(4, 0.3), jnp.full(4, 0.04))
    y = jnp.zeros(12).at[jnp.array([0, 4])].set(1.0)  # equal wings, and no room above the least width

    def cost(y):
        theta, _, _ = space.smiles(y, "sufficient")
        return theta @ jnp.array([1.0, 3.0, 2.0, 5.0])

    smiles, chain = (f(y, "sufficient") for f in (space.smiles, jax.jacfwd(space.smiles)))
    curvature = space.corner_curvature(jax.grad(cost)(y), "sufficient", smiles, chain)
    exact = np.asarray(jax.hessian(cost)(y))
    np.testing.assert_allclose(curvature, exact, atol=0.01 * np.max(np.abs(exact)))
    downhill = space.corner_curvature(-jax.grad(cost)(y), "sufficient", smiles, chain)
    assert np.max(np.abs(exact)) > 10.0 and not np.any(downhill)


def test_isotonic_regression():
    x, weight = np.random.default_rng(4).standard_normal((2, 9))
    weight = weight**2
    best = np.asarray(isotonic(jnp.asarray(x), jnp.asarray(weight)))
    assert np.all(np.diff(best) >= 0)
    # pooled blocks are means, and the residual is orthogonal to the fit
    assert np.sum(weight * (x - best)) == pytest.approx(0.0, abs=1e-12)
    assert np.sum(weight * (x - best) * best) == pytest.approx(0.0, abs=1e-12)
    assert np.all(np.cumsum(weight * (x - best)) >= -1e-12)


@pytest.mark.mistyped
def test_wrong_arguments(truth):
    quotes = quotes_of(truth)
    with pytest.raises(nt.ArgumentError, match="fit_essvi_batch"):
        nt.fit_essvi(nt.stack([quotes, quotes]))
    with pytest.raises(nt.ArgumentError, match="fit_essvi"):
        nt.fit_essvi_batch(quotes)
    with pytest.raises(nt.ArgumentError, match="cap"):
        nt.fit_essvi(quotes, cap="widest")  # pyright: ignore[reportArgumentType]
    with pytest.raises(nt.ArgumentError, match="mask"):
        nt.fit_essvi(quotes, mask=True)
    with pytest.raises(nt.ArgumentError, match="not fitted"):
        _ = truth.converged


@pytest.mark.slow
def test_deribit_surfaces(market_data):
    from neutral.market import build_surface, load_deribit

    files = sorted((market_data / "deribit" / "run").glob("*.csv.gz"))[::20]
    assert files
    for currency, least in (("BTC", 0.82), ("ETH", 0.90)):
        surfaces = nt.stack([build_surface(load_deribit(file, currency=currency))[0] for file in files])
        fits = nt.fit_essvi_batch(surfaces, ROBUST, mask=surfaces.mask)
        assert np.all(fits.converged) and np.all(fits.certificate.free)
        call = np.asarray(jax.vmap(lambda fit, k, t: fit.price(k, t[:, None]))(fits, surfaces.k, surfaces.t))
        prices = np.stack([call, call + np.expm1(surfaces.k)], axis=1)
        inside = np.abs(prices - surfaces.prices) <= 0.5 * np.asarray(surfaces.spread)
        assert np.mean(inside[surfaces.mask]) >= least
