"""Black-76 in normalised form: price and derivatives as functions of log-moneyness and total deviation.

The unit is the undiscounted price over the forward: c(k, s) = E[(e^X - e^k)^+], X normal with variance s^2
and E[e^X] = 1, k = log(K / F), s = sigma sqrt(T). With h = |k| / s and t = s / 2, an out-of-the-money call is
n(h - t) [R(h - t) - R(h + t)], R the Mills ratio (Jaeckel 2015, "Let's be rational"); a put is its mirror.
"""

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ..numerics.normal import INV_SQRT_2PI, as_float64, mills, mills_pair, pdf
from ..typing import Flags, Real

# Below this value of d1 a price is built up from the tails, above it one minus the tails is exact enough.
_NEAR_CAP = 0.7


def tail_ratio(h: Real, t: Real, from_below: Flags, exact: bool = True) -> Real:
    """Price over vega, c / n(d1), or distance to the upper bound over vega, (1 - c) / n(d1), for k >= 0.

    Args:
        h: k / s >= 0.
        t: s / 2 > 0, same shape.
        from_below: True for c / n(d1), which needs h - t >= -0.75; False for (1 - c) / n(d1), h - t <= 0.75.
        exact: False for a relative error of 1e-7 at half the cost.

    Returns:
        Positive, relative error a few units in the last place.
    """
    a = h - t
    near, far, slope = mills_pair(jnp.where(from_below, a, -a), h + t, exact)
    return jnp.where(from_below, 2.0 * t * slope, near + far)


def _out_of_the_money_call(m: Real, s: Real) -> Real:
    """Normalised call at log-moneyness m >= 0 for s > 0."""
    h, t = m / s, 0.5 * s
    from_below = h - t > -_NEAR_CAP
    tail = pdf(h - t) * tail_ratio(h, t, from_below)
    return jnp.where(from_below, tail, 1.0 - tail)


@jax.jit
def intrinsic(k: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Lower bound of the price: max(0, 1 - e^k) for a call, max(0, e^k - 1) for a put.

    Args:
        k: Log-moneyness log(K / F), any shape.
        is_call: True for a call; broadcast against k.

    Returns:
        Broadcast shape.
    """
    k, call = _numbers(k, is_call)
    return jnp.where(call == (k < 0.0), jnp.abs(jnp.expm1(k)), 0.0)


def _numbers(*args: ArrayLike) -> list[Real]:
    """The numbers as float64 and the last argument as booleans, all of one shape."""
    *numbers, flag = as_float64(*args)
    return [*numbers, flag != 0.0]


@jax.jit
def price(k: ArrayLike, s: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Normalised undiscounted Black-76 price.

    An in-the-money price is the other kind's out-of-the-money price plus intrinsic value. The relative error
    of an out-of-the-money price is a few units in the last place times (1 + d1^2), down to 1e-300.

    Args:
        k: Log-moneyness log(K / F), any shape.
        s: Total standard deviation sigma sqrt(T) >= 0; 0 gives intrinsic value, inf the upper bound.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        Price over (discount x forward), broadcast shape; nan for s < 0. Derivatives are `vega` and `slope_k`.
    """
    return _price(*_numbers(k, s, is_call))


@jax.custom_jvp
def _price(k: Real, s: Real, is_call: Flags) -> Real:
    inner = (s > 0.0) & (s < jnp.inf) & jnp.isfinite(k)
    m = jnp.where(inner, jnp.abs(k), 1.0)
    otm = _out_of_the_money_call(m, jnp.where(inner, s, 1.0)) * jnp.exp(jnp.minimum(k, 0.0))
    cap = jnp.where(is_call, 1.0, jnp.exp(k))
    floor = intrinsic(k, is_call)
    edge = jnp.where(s == 0.0, floor, jnp.where(s == jnp.inf, cap, jnp.where(jnp.isinf(k), floor, jnp.nan)))
    return jnp.where(inner, jnp.minimum(otm + floor, cap), edge)


@_price.defjvp
def _price_jvp(primals, tangents):
    k, s, is_call = primals
    dk, ds, _ = tangents
    return _price(k, s, is_call), slope_k(k, s, is_call) * dk + vega(k, s) * ds


def _d1_d2(k: Real, s: Real) -> tuple[Real, Real]:
    return -k / s + 0.5 * s, -k / s - 0.5 * s


@jax.jit
def vega(k: ArrayLike, s: ArrayLike) -> Real:
    """Derivative of the price in s, n(d1); the same for call and put.

    Args:
        k: Log-moneyness, any shape.
        s: Total standard deviation >= 0. At s = 0 the limit from above: n(0) at k = 0, otherwise 0.

    Returns:
        Broadcast shape.
    """
    k, s = as_float64(k, s)
    positive = s > 0.0
    d1, _ = _d1_d2(jnp.where(positive, k, 0.0), jnp.where(positive, s, 1.0))
    at_zero = jnp.where(k == 0.0, INV_SQRT_2PI, 0.0)
    return jnp.where(positive, pdf(d1), jnp.where(s == 0.0, at_zero, jnp.nan))


@jax.jit
def slope_k(k: ArrayLike, s: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Derivative of the price in k: -e^k N(d2) for a call, e^k N(-d2) for a put.

    Args:
        k: Log-moneyness, any shape.
        s: Total standard deviation >= 0. At s = 0 and k = 0 the limit for s to 0, half the jump.
        is_call: True for a call; boolean, broadcast.

    Returns:
        Broadcast shape; the tail probability keeps its relative accuracy.
    """
    k, s, call = _numbers(k, s, is_call)
    positive = s > 0.0
    d1, d2 = _d1_d2(jnp.where(positive, k, 0.0), jnp.where(positive, s, 1.0))
    # n(d1) = e^k n(d2); not abs(d2), whose derivative at 0 is 0
    tail = pdf(d1) * mills(jnp.where(d2 < 0.0, -d2, d2))
    strike = jnp.exp(k)
    small = (d2 < 0.0) == call
    smooth = jnp.where(small, tail, strike - tail)
    flat = strike * jnp.where(k == 0.0, 0.5, jnp.where(call == (k < 0.0), 1.0, 0.0))
    size = jnp.where(positive, smooth, jnp.where(s == 0.0, flat, jnp.nan))
    return jnp.where(call, -size, size)
