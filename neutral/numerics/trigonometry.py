"""Sine and cosine in plain arithmetic, which XLA vectorises on CPU; XLA's own call a library instead."""

import math

import jax
import jax.numpy as jnp

from ..typing import Real

# pi/2 is the sum of these; the first two times an integer below 2^20 are exact (Cody and Waite 1980)
_HALF_PI = tuple(map(float.fromhex, ("0x1.921fb544p+0", "0x1.0b4611a6p-34", "0x1.3198a2e037073p-69")))
_SINE = [(-1.0) ** i / math.factorial(2 * i + 1) for i in range(1, 9)]
_COSINE = [(-1.0) ** i / math.factorial(2 * i) for i in range(2, 9)]


@jax.custom_jvp
def sincos(x: Real) -> tuple[Real, Real]:
    """Sine and cosine together, six times as fast as two separate calls.

    Args:
        x: Radians, any shape.

    Returns:
        Sine and cosine, each of the shape of x, to two units in the last place for |x| < 1e6. For larger |x|
        they are those of a number within two units in the last place of x, and for huge |x| they are
        arbitrary values in [-1, 1].
    """
    n = jnp.round(x * (2.0 / math.pi))
    first, second, third = _HALF_PI
    r = jnp.clip(((x - n * first) - n * second) - n * third, -1.0, 1.0)
    square = r * r
    s = r + r * square * _horner(_SINE, square)
    c = 1.0 - (0.5 * square - square * square * _horner(_COSINE, square))
    quarter = n - 4.0 * jnp.floor(0.25 * n)
    odd = (quarter == 1.0) | (quarter == 3.0)
    sine = jnp.where(odd, c, s)
    cosine = jnp.where(odd, s, c)
    return jnp.where(quarter >= 2.0, -sine, sine), jnp.where(
        (quarter == 1.0) | (quarter == 2.0), -cosine, cosine
    )


@sincos.defjvp
def _sincos_jvp(primals: tuple[Real], tangents: tuple[Real]) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
    s, c = sincos(*primals)
    return (s, c), (c * tangents[0], -s * tangents[0])


def _horner(coefficients: list[float], x: Real) -> Real:
    value = jnp.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * x + c
    return value
