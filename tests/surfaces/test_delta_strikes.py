"""Strikes by delta: the delta of the strike that comes back, by SciPy's normal distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import neutral as nt

DELTAS = np.array([1e-6, 0.1, 0.25, 0.5, 0.9, 1 - 1e-9, -1e-6, -0.1, -0.25, -0.5, -0.9, -0.999])[None]
SMILES = np.array([[0.25, 1.0], [0.012, 0.045], [0.09, 0.16], [-0.5, -0.45]])
T = np.array([[0.01], [0.6], [3.0]])


def essvi():
    return nt.ESSVI(*SMILES)


def mixture():
    expiries, theta, psi, rho = (np.stack([x, x]) for x in SMILES)
    both = nt.ESSVI(expiries, theta * np.array([[0.6], [1.6]]), psi, rho)
    return nt.ESSVIMixture(np.array([0.5, 0.5]), np.array([1.02, 0.98]), both)


SURFACES = {"essvi": essvi, "mixture": mixture}


# every step of the search inverts the mixture's price: slow to compile
@pytest.fixture(params=["essvi", pytest.param("mixture", marks=pytest.mark.slow)], scope="module")
def surface(request):
    return SURFACES[request.param]()


def deviations(surface, k, t=T):
    s = np.sqrt(np.asarray(surface.total_variance(k, t)))
    return -k / s + 0.5 * s, -k / s - 0.5 * s


def test_the_delta_comes_back(surface):
    k = np.asarray(nt.strike_at_delta(surface, DELTAS, T))
    d1, _ = deviations(surface, k)
    np.testing.assert_allclose(
        np.where(DELTAS > 0, norm.cdf(d1), -norm.cdf(-d1)), DELTAS * np.ones_like(T), rtol=1e-12
    )


@pytest.mark.slow
def test_the_premium_adjusted_delta_comes_back(surface):
    k = np.asarray(nt.strike_at_delta(surface, DELTAS, T, premium_adjusted=True))
    _, d2 = deviations(surface, k)
    back = np.where(DELTAS > 0, np.exp(k) * norm.cdf(d2), -np.exp(k) * norm.cdf(-d2))
    none = np.isnan(k)
    np.testing.assert_allclose(back[~none], (DELTAS * np.ones_like(T))[~none], rtol=1e-12)
    # no call has a delta above the largest: a scan of strikes knows it
    grid = np.linspace(-3.0, 1.0, 4001)[None]
    largest = np.max(np.exp(grid) * norm.cdf(deviations(surface, grid)[1]), axis=1, keepdims=True)
    assert np.array_equal(none, (DELTAS > 0) & (DELTAS > largest))
    # of two strikes the one further out
    more = deviations(surface, k + 1e-4)[1]
    falls = np.exp(k + 1e-4) * norm.cdf(more) < np.exp(k) * norm.cdf(d2)
    assert np.all(falls | none | (DELTAS < 0))
    assert float(nt.strike_at_delta(surface, -3.0, 1.0, premium_adjusted=True)) > np.log(3.0)


def test_a_delta_that_no_strike_has():
    k = nt.strike_at_delta(essvi(), np.array([0.0, 1.0, -1.0, 1.2, np.nan, 0.3]), 1.0)
    assert np.array_equal(np.isnan(k), [True, True, True, True, True, False])
    assert np.isnan(nt.strike_at_delta(essvi(), 0.3, -1.0))


@pytest.mark.slow
@pytest.mark.parametrize("adjusted", [False, True])
def test_derivatives(adjusted):
    h, deltas = 1e-5, np.array([0.2, -0.35, 0.9999])

    def strikes(theta):
        made = nt.ESSVI([0.25, 1.0], theta, [0.09, 0.16], [-0.5, -0.45])
        return jnp.nansum(nt.strike_at_delta(made, deltas, 0.7, premium_adjusted=adjusted))

    theta, move = np.array([0.012, 0.045]), np.array([0.3, 1.0])
    slope = jax.grad(strikes)(theta)  # where there is no strike there is no derivative, and no nan
    expected = (strikes(theta + h * move) - strikes(theta - h * move)) / (2 * h)
    assert float(slope @ move) == pytest.approx(float(expected), rel=1e-6)
