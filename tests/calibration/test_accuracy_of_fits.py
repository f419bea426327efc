"""A fit says so where its prices, its weights or its gradient mislead."""

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


def test_prices_off_by_more_than_the_fit_resolves_are_refused():
    """Eight nodes are far too few for a variance this rough, which is fixed: only its level is fitted."""
    rough = {"kappa": 0.5, "theta": 0.04, "sigma_v": 2.0, "rho": -0.95}
    coarse = nt.calibrate(nt.Heston, surface(), engine=nt.Lewis(8), fixed=rough)
    assert float(coarse.quadrature_error) > 1e-6
    assert int(coarse.status) == CalibrationStatus.refused
