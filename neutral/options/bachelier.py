"""Bachelier's normal model: price and implied volatility, to machine accuracy.

The undiscounted price of an option on a normally distributed underlying is a function of x = F - K and the
total standard deviation s = sigma sqrt(T), both in the unit of the underlying. With h = |x| / s and R the
Mills ratio, the out-of-the-money price is s n(h) (1 - h R(h)) = -s n(h) R'(h), (7) in docs/mathematics.md;
-R' is computed without subtraction.
"""

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ..numerics.logarithm import fast_log
from ..numerics.normal import (
    INV_SQRT_2PI,
    as_float64,
    as_float64_with_flags,
    cdf,
    divide,
    mills_pair,
    pdf,
)
from ..typing import Flags, Real
from .inversion_core import distance_start, householder, polynomial

# Coefficients of the exact s over the start of `distance_start`, in powers of h / (h + 1.5). The relative
# error of the fit is 3e-4.
_START = (
    (1.0023604,),
    (-0.12126914,),
    (-0.55920203,),
    (2.8194565,),
    (-7.6989053,),
    (10.011322,),
    (-4.4575505,),
)


@jax.jit
def price(x: ArrayLike, s: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Compute the undiscounted Bachelier price.

    Args:
        x: Forward minus strike, in the unit of the underlying, any shape.
        s: Total standard deviation sigma sqrt(T) >= 0, same unit, broadcast; 0 gives the intrinsic value.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        Price in the unit of x, in the broadcast shape; nan for s < 0. Out of the money the relative error is
        a few units in the last place times 1 + (x / s)^2.
    """
    (x, s), call = as_float64_with_flags(x, s, is_call)
    return _price(x, s, call)


@jax.custom_jvp
def _price(x: Real, s: Real, is_call: Flags) -> Real:
    positive = s > 0.0
    s_in = jnp.where(positive, s, 1.0)
    h = jnp.abs(jnp.where(positive, x, 0.0)) / s_in
    # (7)
    otm = s_in * (pdf(h) * mills_pair(h, h)[2])
    edge = jnp.where(s == 0.0, 0.0, jnp.nan)
    return jnp.maximum(jnp.where(is_call, x, -x), 0.0) + jnp.where(positive, otm, edge)


@_price.defjvp
def _price_jvp(primals, tangents):
    x, s, is_call = primals
    return _price(x, s, is_call), slope_x(x, s, is_call) * tangents[0] + vega(x, s) * tangents[1]


@jax.jit
def vega(x: ArrayLike, s: ArrayLike) -> Real:
    """Compute the derivative of the price in s, n(x / s), which is the same for call and put.

    Args:
        x: Forward minus strike, any shape.
        s: Total standard deviation >= 0. At s = 0 the result is the limit from above.

    Returns:
        The derivative, in the broadcast shape; at s = 0 it is n(0) where x = 0, otherwise 0.
    """
    x, s = as_float64(x, s)
    positive = s > 0.0
    d = jnp.where(positive, x, 0.0) / jnp.where(positive, s, 1.0)
    at_zero = jnp.where(x == 0.0, INV_SQRT_2PI, 0.0)
    return jnp.where(positive, pdf(d), jnp.where(s == 0.0, at_zero, jnp.nan))


@jax.jit
def slope_x(x: ArrayLike, s: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Compute the derivative of the price in x: N(x / s) for a call, -N(-x / s) for a put.

    Args:
        x: Forward minus strike, any shape.
        s: Total standard deviation >= 0; at s = 0 the result is the limit from above.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        The derivative, in the broadcast shape.
    """
    (x, s), call = as_float64_with_flags(x, s, is_call)
    sign = jnp.where(call, 1.0, -1.0)
    positive = s > 0.0
    d = jnp.where(positive, x, 0.0) / jnp.where(positive, s, 1.0)
    flat = 0.5 * (1.0 + jnp.sign(sign * x))
    return sign * jnp.where(positive, cdf(sign * d), jnp.where(s == 0.0, flat, jnp.nan))


def _step(m: Real, s: Real, b: Real, exact: bool) -> tuple[Real, Real]:
    """Compute numerator and denominator of the relative step (8) for the residual ln price - ln b."""
    inverse = divide(jnp.ones_like(s), s)
    h = m * inverse
    slope = mills_pair(h, h, exact)[2]
    square = h * h
    residual = fast_log(divide(s * slope * INV_SQRT_2PI, b)) - 0.5 * square
    return householder(-residual * slope, residual, square, square * square - 3.0 * square)


@jax.jit
def _solve(price: Real, x: Real, is_call: Flags) -> Real:
    lower = jnp.maximum(jnp.where(is_call, x, -x), 0.0)
    time_value = price - lower
    finite = jnp.isfinite(price) & jnp.isfinite(x)
    inside = finite & (time_value > 0.0)
    at_lower = finite & (time_value == 0.0)
    m = jnp.where(inside, jnp.abs(x), 0.0)
    b = jnp.where(inside, time_value, 1.0)
    # The start for Black's model in the limit m -> 0 is a start for Bachelier's: both depend on m / b alone.
    rho = divide(m, jnp.maximum(b, 1e-307))
    tiny = rho < 1e-8
    h, s = distance_start(m, rho, b, tiny, jnp.where(tiny, 1.0, fast_log(1.0 + rho)))
    s = s * polynomial(_START, divide(h, h + 1.5), h)
    numerator, denominator = _step(m, s, b, exact=False)
    s = s * (1.0 + divide(numerator, denominator))
    numerator, denominator = _step(m, s, b, exact=True)
    numerator = s * (denominator + numerator)
    return jnp.where(at_lower, 0.0, numerator) / jnp.where(inside | at_lower, denominator, jnp.nan)


@jax.custom_jvp
def _implied(price: Real, x: Real, is_call: Flags) -> Real:
    return _solve(price, x, is_call)


@_implied.defjvp
def _implied_jvp(primals, tangents):
    price, x, is_call = primals
    s = _implied(price, x, is_call)
    has_vol = s > 0.0
    s_in = jnp.where(has_vol, s, 1.0)
    x_in = jnp.where(has_vol, x, 0.0)
    inverse_vega = 1.0 / vega(x_in, s_in)
    ds = jnp.where(has_vol, inverse_vega, 0.0) * (tangents[0] - slope_x(x_in, s_in, is_call) * tangents[1])
    return s, ds


@jax.jit
def implied_stdev(price: ArrayLike, x: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Compute the total standard deviation s = sigma sqrt(T) implied by an undiscounted Bachelier price.

    An explicit start and two fourth-order steps on ln price give it (the idea of Jaeckel 2017, "Implied
    normal volatility"). It can be differentiated any number of times by the implicit function theorem;
    derivatives are zero where there is no volatility, and at intrinsic value.

    Args:
        price: Undiscounted price, any shape, in the unit of x.
        x: Forward minus strike, broadcast.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        s in the unit of x and the broadcast shape; nan below intrinsic value and where the price or x is not
        finite, 0 at intrinsic value.

    Raises:
        PrecisionError: JAX runs in single precision.
    """
    (price, x), call = as_float64_with_flags(price, x, is_call)
    return _implied(price, x, call)
