"""A fit says so where its prices, its weights or its gradient mislead."""

import jax
import numpy as np
import pytest

import neutral as nt
from neutral.calibration import CalibrationStatus

T = np.array([0.1, 0.5])
K = np.linspace(-0.2, 0.2, 5)


def surface(**fields):
    t, k = np.meshgrid(T, K, indexing="ij")
    prices = np.asarray(nt.price(nt.Black(0.2), 1.0, np.exp(k), t, "call"))
    return nt.QuoteSurface.from_arrays(T, k, np.stack([prices, prices + np.expm1(k)]), **fields)


@pytest.mark.slow
def test_weights_of_any_size_are_relative():
    """Their sum overflows, which once left nothing to fit."""
    fit = nt.calibrate(nt.Black, surface(weight=1e306))
    assert fit.converged
    assert float(fit.model.sigma) == pytest.approx(0.2, abs=1e-8)


def test_an_exact_fit_has_no_gradient():
    one = np.zeros((2, 2, 5), bool)
    one[0, 0, 2] = True
    fit = nt.calibrate(nt.Black, surface(), mask=one)
    assert fit.converged
    assert float(fit.gradient_norm) <= 1e-6


@pytest.mark.slow
def test_prices_off_by_more_than_the_fit_resolves_are_refused():
    """Eight nodes are far too few for a variance this rough, which is fixed: only its level is fitted."""
    rough = {"kappa": 0.5, "theta": 0.04, "sigma_v": 2.0, "rho": -0.95}
    coarse = nt.calibrate(nt.Heston, surface(), engine=nt.Lewis(8), fixed=rough)
    assert float(coarse.quadrature_error) > 1e-6
    assert int(coarse.status) == CalibrationStatus.refused


def wild(rng):
    """Quotes under a random Heston model, most of them far from any market's, with errors of 2 %."""
    low, high = np.log([1e-3, 0.1, 1e-3, 0.1]), np.log([1.0, 20.0, 1.0, 8.0])
    model = nt.Heston(*np.exp(rng.uniform(low, high)), rho=rng.uniform(-0.99, 0.99))
    t = np.array([0.02, 0.1, 1.0])
    stdev = np.sqrt(np.asarray(model.total_variance(t)))
    k = np.clip(stdev[:, None] * np.linspace(-2.0, 2.0, 9), -3.0, 3.0)
    out = np.asarray(nt.price(model, 1.0, np.exp(k), t[:, None], k >= 0))
    call = out * (1.0 + 0.02 * rng.standard_normal(k.shape)) + np.maximum(-np.expm1(k), 0.0)
    return nt.QuoteSurface.from_arrays(t, k, np.stack([call, call + np.expm1(k)]), warn=False)


@pytest.mark.slow
def test_a_converged_fit_is_priced_as_exactly_as_it_resolves():
    """Judged by the default engine; the estimate of `Lewis` compares two rules, hence the factor 2."""
    rng = np.random.default_rng(5)
    surfaces = [wild(rng) for _ in range(200)]
    fits = nt.calibrate_batch(nt.Heston, surfaces, loss=nt.Loss("price"))
    converged = np.flatnonzero(fits.status == CalibrationStatus.converged)
    assert converged.size >= 100
    wrong = []
    for i in converged:
        model, surface = jax.tree.map(lambda x, i=i: np.asarray(x)[i], fits.model), surfaces[i]
        k, t = np.asarray(surface.k), np.asarray(surface.t)[:, None]
        exact = np.asarray(nt.price(nt.Heston(*jax.tree.leaves(model)), 1.0, np.exp(k), t, "call"))
        mask = np.asarray(surface.mask)[0]
        rows, columns = mask.shape
        off = (np.asarray(fits.prices[i, 0, :rows, :columns]) - exact)[mask]
        left = np.asarray(fits.residuals[i, 0, :rows, :columns])[mask]
        if not np.sqrt(np.mean(off**2)) <= 2.0 * max(1e-6, 0.01 * np.sqrt(np.mean(left**2))):
            wrong.append((i, np.sqrt(np.mean(off**2)), np.sqrt(np.mean(left**2)), fits.quadrature_error[i]))
    assert not wrong
