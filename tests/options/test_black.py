"""Normalised Black-76 against 60-digit arithmetic and the reference file."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from neutral.options import black

EPS = np.finfo(float).eps


def exact_price(k: float, s: float, is_call: bool) -> mp.mpf:
    with mp.workdps(70):
        k_, s_ = mp.mpf(float(k)), mp.mpf(float(s))
        d1, d2 = -k_ / s_ + s_ / 2, -k_ / s_ - s_ / 2

        def tail(x):
            return mp.erfc(x / mp.sqrt(2)) / 2

        if is_call:
            return tail(-d1) - mp.exp(k_) * tail(-d2)
        return mp.exp(k_) * tail(d2) - tail(d1)


@pytest.fixture(scope="module")
def sample():
    """Log-moneyness and deviation from 1e-6 to 30, up to 36 deviations from the money."""
    rng = np.random.default_rng(4)
    s = 10 ** rng.uniform(-6, 1.5, 400)
    k = np.clip(s * rng.uniform(-36, 36, 400) * rng.uniform(0, 1, 400) ** 2, -600, 600)
    return k, s


def test_out_of_the_money_relative_accuracy(sample):
    k, s = sample
    values = np.asarray(jax.jit(black.price)(k, s, k >= 0))
    for value, k_, s_ in zip(values, k, s, strict=True):
        exact = exact_price(k_, s_, k_ >= 0)
        if exact > 1e-300:
            d1 = min(0.0, -abs(k_) / s_ + s_ / 2)
            # rounding k and s alone moves the price by EPS d1^2
            assert abs(value / exact - 1) < 8 * EPS * (1 + d1**2), (k_, s_)


def test_in_the_money_relative_accuracy(sample):
    k, s = sample
    values = np.asarray(jax.jit(black.price)(k, s, k < 0))
    for value, k_, s_ in zip(values, k, s, strict=True):
        assert abs(value / exact_price(k_, s_, k_ < 0) - 1) < 8 * EPS, (k_, s_)


def test_reference_file(reference):
    records = reference("black76")
    assert len(records) == 168
    ratio = np.array([r["K"] / r["F"] for r in records])
    k, s = np.log(ratio), np.array([r["sigma"] * np.sqrt(r["T"]) for r in records])
    is_call = np.array([r["type"] == "call" for r in records])
    price = np.array([r["price_inverse"] for r in records])
    vega = np.array([r["inverse_vega"] / np.sqrt(r["T"]) for r in records])
    d1 = -k / s + s / 2
    # K/F, its logarithm and s are rounded: each moves d1 by EPS max(1, |k|) / s, ln price by d1 times that
    tolerance = 8 * EPS * (1 + np.abs(d1) * (1 + np.maximum(1, np.abs(k)) / s))
    assert np.all(np.abs(black.price(k, s, is_call) / price - 1) < tolerance)
    assert np.all(np.abs(black.vega(k, s) / vega - 1) < tolerance)
    # coin price C/F = c(k): its derivative in F is -c'(k) / F
    slope = np.array([-r["inverse_dF"] * r["F"] for r in records])
    assert np.all(np.abs(black.slope_k(k, s, is_call) / slope - 1) < tolerance)


def test_derivatives_are_finite_differences():
    k = jnp.tile(jnp.array([0.1, -0.3, 0.0, 2.0, -0.125]), 2)  # the last has d2 = 0
    s = jnp.tile(jnp.array([0.2, 0.5, 0.01, 3.0, 0.5]), 2)
    is_call, step = jnp.arange(10) < 5, 1e-5 * s
    slopes = jax.jit(jax.vmap(jax.grad(black.price, argnums=(0, 1))))
    curvatures = jax.jit(jax.vmap(jax.hessian(black.price, argnums=(0, 1))))
    gradient, hessian = slopes(k, s, is_call), curvatures(k, s, is_call)
    for i, (dk, ds) in enumerate(((step, 0 * step), (0 * step, step))):
        # central differences: truncation step^2 / s^2 = 1e-10, rounding EPS / step
        up, down = (k + dk, s + ds, is_call), (k - dk, s - ds, is_call)
        quotient = (black.price(*up) - black.price(*down)) / (2 * step)
        np.testing.assert_allclose(quotient, gradient[i], rtol=1e-6, atol=1e-9)
        for j in range(2):
            quotient = (slopes(*up)[j] - slopes(*down)[j]) / (2 * step)
            np.testing.assert_allclose(quotient, hessian[i][j], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(gradient[0], black.slope_k(k, s, is_call), rtol=1e-14)
    np.testing.assert_allclose(gradient[1], black.vega(k, s), rtol=1e-14)
    np.testing.assert_allclose(hessian[0][1], hessian[1][0], rtol=1e-11)


def test_put_call_parity_and_bounds(sample):
    k, s = sample
    call, put = black.price(k, s, True), black.price(k, s, False)
    np.testing.assert_allclose(
        call - put, -np.expm1(k), atol=4 * EPS * np.exp(np.maximum(k, 0)).max(), rtol=1e-13
    )
    # the bounds themselves are rounded by whoever compiled them
    assert np.all(call <= 1) and np.all(put <= np.exp(k) * (1 + 2 * EPS))
    assert np.all(call >= black.intrinsic(k) * (1 - 2 * EPS))
    assert np.all(put >= black.intrinsic(k, False) * (1 - 2 * EPS))


def test_zero_deviation_is_intrinsic_with_finite_derivatives():
    k, is_call = jnp.tile(jnp.array([-0.2, 0.0, 0.2]), 2), jnp.arange(6) < 3
    np.testing.assert_array_equal(black.price(k, 0.0, is_call), black.intrinsic(k, is_call))
    for order in (jax.grad, jax.hessian):
        at = jax.jit(jax.vmap(order(black.price, argnums=(0, 1)), in_axes=(0, None, 0)))
        assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(at(k, 0.0, is_call)))
    assert black.vega(0.0, 0.0) == pytest.approx(1 / np.sqrt(2 * np.pi), rel=1e-15)


def test_limits_and_refusals():
    np.testing.assert_array_equal(black.price(0.1, jnp.inf, jnp.array([True, False])), [1.0, np.exp(0.1)])
    assert jnp.isnan(black.price(0.1, -0.2)) and jnp.isnan(black.price(jnp.nan, 0.2))
    assert black.price(jnp.inf, 0.2) == 0 and black.price(-jnp.inf, 0.2) == 1


def test_vmap_and_jit_agree_with_the_plain_call(sample):
    k, s = map(jnp.asarray, sample)
    plain = black.price(k, s)
    np.testing.assert_allclose(jax.jit(black.price)(k, s), plain, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(black.price)(k, s), plain, rtol=1e-12)
    assert black.price(k[:, None], s[None, :3]).shape == (400, 3)
