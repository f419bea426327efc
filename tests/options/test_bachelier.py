"""Bachelier price and implied deviation against 60-digit arithmetic."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from neutral.options import bachelier

EPS = np.finfo(float).eps


def exact_call(x: float, s: float) -> mp.mpf:
    with mp.workdps(60):
        x_, s_ = mp.mpf(float(x)), mp.mpf(float(s))
        return s_ * mp.npdf(x_ / s_) + x_ * mp.erfc(-x_ / s_ / mp.sqrt(2)) / 2


def test_price_relative_accuracy():
    rng = np.random.default_rng(5)
    s = 10 ** rng.uniform(-8, 8, 200)
    x = s * rng.uniform(-36, 4, 200)
    for value, x_, s_ in zip(np.asarray(bachelier.price(x, s)), x, s, strict=True):
        d = min(0.0, x_ / s_)
        assert abs(value / exact_call(x_, s_) - 1) < 8 * EPS * (1 + d * d)


@pytest.mark.parametrize(("scale", "width"), [((-5, 3), 5), ((-12, 12), 37), ((-200, 200), 37)])
def test_round_trip(scale, width):
    rng = np.random.default_rng(6)
    s = 10 ** rng.uniform(scale[0], scale[1], 100_000)
    x = s * rng.uniform(-width, width, 100_000)
    x[:100] = 0.0
    is_call = x <= 0
    price = np.asarray(bachelier.price(x, s, is_call))
    error = np.abs(np.asarray(bachelier.implied_stdev(price, x, is_call)) / s - 1)
    assert np.max(error[price > 1e-300]) < 4e-15  # a few rounding errors; every input counts


def test_in_the_money_up_to_the_rounding_of_the_price():
    rng = np.random.default_rng(7)
    s = 10 ** rng.uniform(-3, 3, 20_000)
    x = s * rng.uniform(-6, 6, 20_000)
    is_call = x > 0
    price = bachelier.price(x, s, is_call)
    conditioning = np.asarray(price / (s * bachelier.vega(x, s)))
    error = np.abs(np.asarray(bachelier.implied_stdev(price, x, is_call)) / s - 1)
    assert np.all(error < 8 * EPS * np.maximum(1, conditioning))


def test_derivatives_are_finite_differences():
    x, is_call, step = jnp.tile(jnp.array([-0.4, 0.0, 0.3]), 2), jnp.arange(6) < 3, 1e-5
    price = bachelier.price(x, 0.7, is_call)
    slopes = jax.jit(jax.vmap(jax.grad(bachelier.implied_stdev, argnums=(0, 1))))
    curvatures = jax.jit(jax.vmap(jax.hessian(bachelier.implied_stdev, argnums=(0, 1))))
    gradient, hessian = slopes(price, x, is_call), curvatures(price, x, is_call)
    for i, (dp, dx) in enumerate(((step, 0.0), (0.0, step))):
        up, down = (price + dp, x + dx, is_call), (price - dp, x - dx, is_call)
        quotient = (bachelier.implied_stdev(*up) - bachelier.implied_stdev(*down)) / (2 * step)
        np.testing.assert_allclose(quotient, gradient[i], rtol=1e-7, atol=1e-9)
        for j in range(2):
            quotient = (slopes(*up)[j] - slopes(*down)[j]) / (2 * step)
            np.testing.assert_allclose(quotient, hessian[i][j], rtol=1e-6, atol=1e-6)


def test_price_derivatives_and_zero_deviation():
    x = jnp.array([-0.2, 0.0, 0.2])
    for is_call in (True, False):
        np.testing.assert_array_equal(
            bachelier.price(x, 0.0, is_call), jnp.maximum(x if is_call else -x, 0.0)
        )
        slopes = jax.jit(jax.vmap(jax.grad(bachelier.price, argnums=(0, 1)), in_axes=(0, None, None)))
        for leaf in jax.tree.leaves(slopes(x, 0.0, is_call)):
            assert bool(jnp.all(jnp.isfinite(leaf)))
        step = 1e-5
        for u, s in ((-0.2, 0.3), (0.1, 0.3)):
            in_x = (bachelier.price(u + step, s, is_call) - bachelier.price(u - step, s, is_call)) / (
                2 * step
            )
            np.testing.assert_allclose(bachelier.slope_x(u, s, is_call), in_x, rtol=1e-7, atol=1e-9)


def test_outside_the_domain_is_nan_and_harms_no_neighbour():
    price = jnp.array([0.3, -0.1, 0.05, jnp.nan, jnp.inf, 0.1])
    x = jnp.array([0.1, 0.0, 0.1, 0.0, 0.0, 0.1])
    values = bachelier.implied_stdev(price, x)
    np.testing.assert_array_equal(jnp.isnan(values), [False, True, True, True, True, False])
    assert values[5] == 0.0
    gradient = jax.jit(jax.grad(lambda p: jnp.nansum(bachelier.implied_stdev(p, x))))(price)
    np.testing.assert_array_equal(gradient[1:], 0.0)
    np.testing.assert_allclose(gradient[0], 1 / bachelier.vega(0.1, values[0]), rtol=1e-14)
    assert jnp.isnan(bachelier.price(0.1, -1.0))


def test_jit_and_vmap_agree():
    x = jnp.linspace(-1, 1, 21)
    price = bachelier.price(x, 0.4)
    np.testing.assert_allclose(jax.jit(bachelier.implied_stdev)(price, x), 0.4, rtol=1e-13)
    np.testing.assert_allclose(jax.vmap(bachelier.implied_stdev)(price, x), 0.4, rtol=1e-13)
