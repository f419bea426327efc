"""Least squares of a raw SVI smile: `surfaces/svi/fit.py`."""

import numpy as np
import pytest
from references import load_reference

import neutral as nt
from neutral.surfaces import fit_svi

K = np.linspace(-1.5, 1.5, 41)
NAMES = ("a", "b", "rho", "m", "sigma")
VOGT, CLEAN, STEEP = (nt.SVI(*(record[name] for name in NAMES)) for record in load_reference("svi")[:3])


def error(smile, other):
    return np.sqrt(np.mean((np.asarray(smile.total_variance(K)) - np.asarray(other.total_variance(K))) ** 2))


def test_a_smile_comes_back():
    fit = fit_svi(K, CLEAN.total_variance(K))
    for name in NAMES:
        assert float(getattr(fit, name)) == pytest.approx(float(getattr(CLEAN, name)), rel=1e-8)


def test_vogts_smile_comes_out_free_and_nearer_than_its_repair():
    fit = fit_svi(K, VOGT.total_variance(K))
    assert 0.0 <= fit.butterfly()[0] < 1e-5
    assert error(fit, VOGT) < 0.6 * error(VOGT.repaired(1.0), VOGT)


def test_a_smile_that_no_repair_saves():
    fit = fit_svi(K, STEEP.total_variance(K), np.exp(-K * K))
    assert fit.butterfly()[0] >= 0.0 and float(fit.b) * (1.0 + abs(float(fit.rho))) <= 2.0


def test_weights_count():
    w = np.asarray(CLEAN.total_variance(K)) * (1.0 + 0.05 * np.sign(K))
    fits = [fit_svi(K, w, np.where(K * side > 0.0, 1.0, 1e-6)) for side in (-1.0, 1.0)]
    for fit, side in zip(fits, (-1.0, 1.0), strict=True):
        own = K * side > 0.0
        np.testing.assert_allclose(np.asarray(fit.total_variance(K))[own], w[own], rtol=1e-3)


def test_wrong_arguments():
    for k, w, weight in (
        (K[:4], K[:4] + 2.0, 1.0),
        (K, -np.ones(41), 1.0),
        (K, K + 2.0, -1.0),
        (K, K[:3], 1.0),
    ):
        with pytest.raises(nt.ArgumentError, match="fit_svi"):
            fit_svi(k, w, weight)
