"""Complex elementary functions written in real arithmetic.

They are faster than XLA's own functions and stay accurate where those lose digits to cancellation. Each has
a custom derivative rule, so that differentiation never enters the branches of the implementation.
"""

import jax
import jax.numpy as jnp

from ..typing import Frequencies
from .trigonometry import sincos

Pair = tuple[Frequencies, Frequencies]
"""A value and its tangent, or two arguments."""


@jax.custom_jvp
def sqrt(z: Frequencies) -> Frequencies:
    """Principal square root, whose real part is >= 0; its derivative at 0, which is infinite, is set to 0."""
    x = jnp.real(z)
    y = jnp.imag(z)
    w = jnp.sqrt(0.5 * (jnp.sqrt(x * x + y * y) + jnp.abs(x)))
    v = jnp.where(w > 0, 0.5 * y / jnp.where(w > 0, w, 1.0), 0.0)
    return jax.lax.complex(jnp.where(x >= 0, w, jnp.abs(v)), jnp.where(x >= 0, v, jnp.where(y >= 0, w, -w)))


@sqrt.defjvp
def _sqrt_jvp(primals: tuple[Frequencies], tangents: tuple[Frequencies]) -> Pair:
    w = sqrt(primals[0])
    return w, tangents[0] * jnp.where(w == 0, 0.0, 0.5 / jnp.where(w == 0, 1.0, w))


@jax.custom_jvp
def log1p(z: Frequencies) -> Frequencies:
    """Principal log(1 + z), accurate for small |z|."""
    x = jnp.real(z)
    y = jnp.imag(z)
    # |1 + z|^2 - 1 = x (2 + x) + y^2, without the subtraction
    return jax.lax.complex(0.5 * jnp.log1p(x * (2.0 + x) + y * y), jnp.arctan2(y, 1.0 + x))


@log1p.defjvp
def _log1p_jvp(primals: tuple[Frequencies], tangents: tuple[Frequencies]) -> Pair:
    return log1p(primals[0]), tangents[0] / (1.0 + primals[0])


@jax.custom_jvp
def log(z: Frequencies) -> Frequencies:
    """Principal logarithm of z != 0."""
    x = jnp.real(z)
    y = jnp.imag(z)
    return jax.lax.complex(0.5 * jnp.log(x * x + y * y), jnp.arctan2(y, x))


@log.defjvp
def _log_jvp(primals: tuple[Frequencies], tangents: tuple[Frequencies]) -> Pair:
    return log(primals[0]), tangents[0] * reciprocal(primals[0])


@jax.custom_jvp
def expm1(z: Frequencies) -> Frequencies:
    """Complex exp(z) - 1, accurate for small |z|."""
    x = jnp.real(z)
    y = jnp.imag(z)
    # e^x cos y - 1 = expm1(x) - 2 e^x sin^2(y/2)
    sine, cosine = sincos(0.5 * y)
    e = jnp.expm1(x)
    twice = 2.0 * (1.0 + e) * sine
    return jax.lax.complex(e - twice * sine, twice * cosine)


@expm1.defjvp
def _expm1_jvp(primals: tuple[Frequencies], tangents: tuple[Frequencies]) -> Pair:
    e = expm1(primals[0])
    return e, tangents[0] * (1.0 + e)


@jax.custom_jvp
def reciprocal(z: Frequencies) -> Frequencies:
    """Compute 1/z by one real division; XLA's complex division guards against overflow and costs far more."""
    x = jnp.real(z)
    y = jnp.imag(z)
    size = 1.0 / (x * x + y * y)
    return jax.lax.complex(x * size, -y * size)


@reciprocal.defjvp
def _reciprocal_jvp(primals: tuple[Frequencies], tangents: tuple[Frequencies]) -> Pair:
    w = reciprocal(primals[0])
    return w, -tangents[0] * w * w


@jax.custom_jvp
def log_quotient(y: Frequencies, log: Frequencies) -> Frequencies:
    """Quotient l(y) = log(1 + y)/y, which is 1 at y = 0.

    Args:
        y: Any shape.
        log: log(1 + y) on the branch that the caller chooses, same shape as y.

    Returns:
        l(y), same shape as y.
    """
    zero = y == 0
    return jnp.where(zero, 1.0, log * reciprocal(jnp.where(zero, 1.0, y)))


@log_quotient.defjvp
def _log_quotient_jvp(primals: Pair, tangents: Pair) -> Pair:
    value = log_quotient(*primals)
    return value, tangents[0] * log_quotient_slope(primals[0], value)


def log_quotient_slope(y: Frequencies, quotient: Frequencies) -> Frequencies:
    """Derivative l'(y) = (1/(1 + y) - l)/y of `log_quotient`.

    Below |y| of about 1e-3, where the difference cancels, it comes from its power series.

    Args:
        y: Any shape.
        quotient: l(y) from `log_quotient`, same shape as y.

    Returns:
        l'(y), same shape as y.
    """
    small = jnp.abs(jnp.real(y)) + jnp.abs(jnp.imag(y)) < 1e-3
    safe = jnp.where(small, 1.0, y)
    x = jnp.where(small, y, 0.0)
    series = -1 / 2 + x * (2 / 3 - x * (3 / 4 - x * (4 / 5 - x * (5 / 6 - x * (6 / 7)))))
    return jnp.where(small, series, (reciprocal(1.0 + safe) - quotient) * reciprocal(safe))
