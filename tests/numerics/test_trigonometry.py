"""`trigonometry.py` against multiprecision arithmetic."""

import jax
import mpmath
import numpy as np
import pytest

from neutral.numerics.trigonometry import sincos

MULTIPLES = np.arange(-40, 41) * (np.pi / 4)


def ulps(found, true):
    return [
        float(abs(mpmath.mpf(float(a)) - b) / mpmath.mpf(float(np.spacing(float(abs(b))))))
        for a, b in zip(found, true, strict=True)
    ]


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e-3, 1.0, 10.0, 1e3, 1e5])
def test_sine_and_cosine_are_right_to_two_or_three_ulps(scale):
    x = np.concatenate([scale * np.random.default_rng(3).standard_normal(300), MULTIPLES])
    with mpmath.workprec(300):
        exact = [mpmath.mpf(float(v)) for v in x]
        sine, cosine = ([f(v) for v in exact] for f in (mpmath.sin, mpmath.cos))
        found = jax.jit(sincos)(x)
        assert max(ulps(found[0], sine)) < 3.0 and max(ulps(found[1], cosine)) < 3.0


def test_large_arguments_keep_the_accuracy_they_have():
    x = np.random.default_rng(4).uniform(-1e12, 1e12, 300)
    sine, cosine = sincos(x)
    # an argument is known to half an ulp, the result to twice that at best
    assert np.all(np.abs(np.asarray(sine) - np.sin(x)) <= 4.0 * np.spacing(np.abs(x)))
    assert np.all(np.abs(np.asarray(cosine) - np.cos(x)) <= 4.0 * np.spacing(np.abs(x)))


def test_the_far_end_is_bounded_and_what_is_no_number_stays_none():
    values = np.asarray(sincos(np.array([1e22, -1e300, np.inf, np.nan])))
    assert np.all(np.abs(values[:, :2]) <= 1.0) and np.all(np.isnan(values[:, 2:]))


def test_derivatives_are_each_other():
    x = np.linspace(-9.0, 9.0, 50)
    slope = jax.vmap(jax.grad(lambda x: sincos(x)[0] + 2.0 * sincos(x)[1]))(x)
    bend = jax.vmap(jax.grad(jax.grad(lambda x: sincos(x)[0])))(x)
    assert np.allclose(slope, np.cos(x) - 2.0 * np.sin(x), atol=1e-14) and np.allclose(
        bend, -np.sin(x), atol=1e-14
    )
