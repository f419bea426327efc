"""Fair strikes of variance swaps against quadratures of other formulas."""

import jax
import numpy as np
import pytest
from scipy import integrate, stats

import neutral as nt

SMILES = {
    "equity": (0.04, 0.2, -0.6),
    "steep": (0.04, 0.378, -0.9),
    "one day": (4e-4, 0.02, -0.7),
    "wide": (0.25, 0.9, -0.2),
}


def test_a_flat_smile_is_worth_its_variance():
    flat = nt.ESSVI([1.0], [0.04], [1e-12], [0.0])
    strike, error = nt.variance_swap(flat, np.array([0.003, 1.0, 4.0]))
    np.testing.assert_allclose(strike, 0.04, rtol=1e-13)
    assert np.all(np.asarray(error) < 1e-13)
    assert np.isnan(nt.variance_swap(flat, 0.0).strike)


@pytest.mark.parametrize("name", SMILES)
def test_replication_by_puts_and_calls(name):
    theta, psi, rho = SMILES[name]

    def price(k, sign):  # out of the money, over the strike; Black's formula with SciPy's normal
        w = 0.5 * (theta + rho * psi * k + np.sqrt((psi * k + rho * theta) ** 2 + theta**2 * (1 - rho**2)))
        d1, d2 = -k / np.sqrt(w) + 0.5 * np.sqrt(w), -k / np.sqrt(w) - 0.5 * np.sqrt(w)
        return sign * (stats.norm.cdf(sign * d1) * np.exp(-k) - stats.norm.cdf(sign * d2))

    def integral(sign):
        cuts = np.append(0.0, 80.0 * 2.0 ** np.arange(-13.0, 1.0))
        pieces = zip(cuts[:-1], cuts[1:], strict=True)
        options = {"epsabs": 1e-14, "epsrel": 1e-12, "limit": 200}
        return sum(integrate.quad(lambda x: price(sign * x, sign), a, b, **options)[0] for a, b in pieces)

    surface = nt.ESSVI([1.0], [theta], [psi], [rho])
    strike, error = nt.variance_swap(surface, 1.0)
    expected = 2.0 * (integral(1.0) + integral(-1.0))
    assert float(strike) == pytest.approx(expected, rel=1e-10) and float(error) < 1e-8


@pytest.mark.slow
def test_a_mixture_is_worth_the_mean_of_its_components():
    t = np.array([0.1, 1.0])
    weights, multipliers = np.array([0.6, 0.4]), np.array([1.03, 0.955])
    parts = [
        nt.ESSVI(t, a * t, b * np.sqrt(a * t), [r, r]) for a, b, r in ((0.03, 0.5, -0.3), (0.09, 0.9, 0.1))
    ]
    stacked = jax.tree.map(lambda *x: np.stack(x), *parts)
    mixture = nt.ESSVIMixture(weights, multipliers / (weights @ multipliers), stacked)
    at = np.array([0.05, 0.6, 3.0])
    own = [np.asarray(nt.variance_swap(part, at).strike) for part in parts]
    places = weights @ np.log(np.asarray(mixture.multipliers))
    expected = weights[0] * own[0] + weights[1] * own[1] - 2.0 * places / at
    np.testing.assert_allclose(nt.variance_swap(mixture, at).strike, expected, rtol=1e-12)


def test_a_wing_that_is_cut_off_is_told():
    # w rises like 1.99 |k| on the left: most of the variance lies where no double can follow
    steep = nt.ESSVI([1.0], [4.0], [2.2], [-0.809])
    strike, error = nt.variance_swap(steep, 1.0)
    mild = nt.variance_swap(nt.ESSVI([1.0], [4.0], [1.0], [-0.5]), 1.0)
    assert float(error) > 1e-6 * float(strike) and float(mild.error_estimate) < 1e-12


@pytest.mark.slow
def test_transformations():
    t, h = np.array([0.3, 1.0]), 1e-6

    def strike(rho):
        return nt.variance_swap(nt.ESSVI([1.0], [0.04], [0.2], rho), 0.7).strike

    one = nt.ESSVI([1.0], [0.04], [0.2], [-0.6])
    each = jax.vmap(lambda t: nt.variance_swap(one, t).strike)(t)
    np.testing.assert_allclose(each, nt.variance_swap(one, t).strike, rtol=1e-13)
    slope = jax.jit(jax.grad(strike))(np.array([-0.6]))
    expected = (strike(np.array([-0.6 + h])) - strike(np.array([-0.6 - h]))) / (2 * h)
    assert float(slope[0]) == pytest.approx(float(expected), rel=1e-7)
