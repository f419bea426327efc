"""The normal distribution against 50-digit arithmetic, over the whole range of float64."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from neutral.numerics import normal

EPS = np.finfo(float).eps
RANGES = [(-37.0, -5.0), (-5.0, -0.7), (-0.7, 0.0), (0.0, 1.0), (1.0, 5.0), (5.0, 37.0)]


def exact_mills(x: float) -> mp.mpf:
    z = mp.mpf(float(x))
    return mp.sqrt(mp.pi / 2) * mp.erfc(z / mp.sqrt(2)) * mp.exp(z * z / 2)


def exact_erfcx(x: float) -> mp.mpf:
    z = mp.mpf(float(x))
    return mp.erfc(z) * mp.exp(z * z)


def exact_mills_slope(x: float) -> mp.mpf:
    return mp.mpf(float(x)) * exact_mills(x) - 1


def units_in_last_place(values, exact, inputs) -> float:
    """Largest relative error in units of EPS."""
    with mp.workdps(50):
        return max(
            float(abs(mp.mpf(float(v)) / exact(x) - 1)) / EPS for v, x in zip(values, inputs, strict=True)
        )


# 4 EPS is what a polynomial of degree 28, one division and one product leave; derivatives a little more.
@pytest.mark.parametrize(
    ("function", "exact", "limit"),
    [
        (normal.mills, exact_mills, 5),
        (normal.erfcx, exact_erfcx, 5),
        (normal.pdf, lambda x: mp.npdf(mp.mpf(float(x))), 3),
        (normal.cdf, lambda x: mp.ncdf(mp.mpf(float(x))), 5),
        (jax.vmap(jax.grad(normal.mills)), exact_mills_slope, 8),
        (jax.vmap(jax.grad(jax.grad(normal.mills))), lambda x: exact_mills(x) + x * exact_mills_slope(x), 12),
    ],
    ids=["mills", "erfcx", "pdf", "cdf", "mills'", "mills''"],
)
def test_values_against_fifty_digits(function, exact, limit):
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(low, high, 60) for low, high in RANGES])
    if function is normal.erfcx:
        x = x / 1.42
    values = np.asarray(jax.jit(function)(jnp.asarray(x)))
    assert units_in_last_place(values, exact, x) < limit


def test_divided_difference_has_no_cancellation():
    rng = np.random.default_rng(2)
    a = 10 ** rng.uniform(-3, 1.5, 100) - 0.7
    b = a + 10 ** rng.uniform(-14, 1, 100)
    r1, r2, slope = normal.mills_pair(jnp.asarray(a), jnp.asarray(b))
    assert units_in_last_place(np.asarray(r1), exact_mills, a) < 6
    assert units_in_last_place(np.asarray(r2), exact_mills, b) < 8
    with mp.workdps(60):
        gaps = [
            (exact_mills(u) - exact_mills(v)) / (mp.mpf(float(v)) - mp.mpf(float(u)))
            for u, v in zip(a, b, strict=True)
        ]
        assert max(float(abs(mp.mpf(float(s)) / g - 1)) for s, g in zip(slope, gaps, strict=True)) < 8 * EPS


def test_the_short_series_is_good_to_seven_digits():
    a, b = jnp.linspace(-0.7, 30, 200), jnp.linspace(-0.6, 60, 200)
    for short, full in zip(normal.mills_pair(a, b, exact=False), normal.mills_pair(a, b), strict=True):
        np.testing.assert_allclose(short, full, rtol=1e-6)


def test_quantile_inverts_the_distribution_function():
    rng = np.random.default_rng(3)
    p = np.concatenate([10 ** rng.uniform(-300, 0, 100), rng.uniform(0, 1, 100)])
    x = np.asarray(normal.quantile(jnp.asarray(p)))
    with mp.workdps(50):
        for probability, value in zip(p, x, strict=True):
            z = mp.mpf(float(value))
            error = (mp.ncdf(z) - mp.mpf(float(probability))) / mp.npdf(z)
            # rounding of p itself moves the quantile by EPS p / n(x)
            scale = abs(z) + mp.mpf(float(probability)) / mp.npdf(z)
            assert abs(error) < 4 * EPS * scale


def test_derivative_of_quantile_is_one_over_density():
    p = jnp.array([1e-200, 1e-3, 0.3, 0.5, 0.9])
    slope = jax.jit(jax.vmap(jax.grad(normal.quantile)))(p)
    np.testing.assert_allclose(slope, 1 / normal.pdf(normal.quantile(p)), rtol=1e-14)


def test_erfcx_derivative_is_the_closed_form():
    x = jnp.linspace(-3.0, 3.0, 13)
    closed = 2 * x * normal.erfcx(x) - 2 / np.sqrt(np.pi)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(normal.erfcx)))(x), closed, rtol=1e-13)
    x = jnp.array([-1.0, 0.0, 1.0])
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(normal.cdf)))(x), normal.pdf(x), rtol=1e-14)


def test_ends_of_the_real_line():
    x = jnp.array([jnp.inf, -jnp.inf, jnp.nan, -40.0])
    np.testing.assert_array_equal(normal.cdf(x), [1, 0, np.nan, 0])
    np.testing.assert_array_equal(normal.pdf(x), [0, 0, np.nan, 0])
    np.testing.assert_array_equal(normal.mills(x)[1:], [np.inf, np.nan, np.inf])
    assert normal.mills(jnp.inf) < 1e-300
    p = jnp.array([0.0, 1.0, -0.1, 1.1, 0.5])
    np.testing.assert_array_equal(normal.quantile(p), [-np.inf, np.inf, np.nan, np.nan, 0])
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.grad(normal.quantile)))(p)[:4], 0)
