"""eSSVI smile after smile: `surfaces/essvi/sequential.py`."""

import numpy as np
import pytest
from synthetic import surface_quotes

import neutral as nt
from neutral.surfaces import sequential_essvi

T = np.array([0.1, 0.3, 0.6, 1.0, 1.5])


def quoted(surface, noise=0.0, seed=0):
    return surface_quotes(surface, T, np.linspace(-2.0, 2.0, 12), noise=noise, seed=seed)


@pytest.fixture(scope="module")
def truth():
    theta = 0.06 * T**0.9
    # rho on the grid of the procedure
    return nt.ESSVI(T, theta, 0.8 * np.sqrt(theta), np.array([-0.57, -0.475, -0.475, -0.38, -0.38]))


def test_clean_quotes_are_met_to_the_first_order_of_the_anchor(truth):
    fit = nt.fit_surface(quoted(truth), method="sequential")
    np.testing.assert_allclose(fit.rho, truth.rho, atol=0.0951)  # a step of the grid
    k = np.linspace(-1.0, 1.0, 5) * 0.2 * np.sqrt(T)[:, None]
    np.testing.assert_allclose(fit.implied_vol(k, T[:, None]), truth.implied_vol(k, T[:, None]), atol=0.004)


def test_the_missing_bound_makes_noisy_surfaces_free(truth):
    noisy = [quoted(truth, 0.02, seed) for seed in range(12)]
    usual = [sequential_essvi(quotes).certificate for quotes in noisy]
    bounded = [sequential_essvi(quotes, flattening=True).certificate for quotes in noisy]
    assert not all(certificate.free for certificate in usual)
    assert all(np.min(certificate.calendar) >= -1e-12 for certificate in bounded)
    assert all(certificate.free for certificate in bounded)


def test_expiries_without_quotes_are_left_out(truth):
    quotes = quoted(truth)
    mask = np.array(quotes.mask)
    mask[:, 2] = False
    fit = sequential_essvi(quotes, mask=mask)
    assert np.array_equal(np.isfinite(fit.theta), [True, True, False, True, True])
    with pytest.raises(nt.ArgumentError, match="not fitted"):
        _ = fit.converged
    with pytest.raises(nt.ArgumentError, match="one surface at a time"):
        nt.fit_surface_batch([quotes], method="sequential")
