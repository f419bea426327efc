"""Black-76 in normalised form: price and derivatives in log-moneyness and total standard deviation.

Prices are undiscounted and in units of the forward: c(k, s) = E[(e^X - e^k)^+], where X is normal with
variance s^2 and E[e^X] = 1, k = log(K / F) and s = sigma sqrt(T). With h = |k| / s, t = s / 2 and R the Mills
ratio, an out-of-the-money call is n(h - t) [R(h - t) - R(h + t)] (Jaeckel 2015, "Let's be rational"), and a
put at k is e^k times the call at -k. Equation numbers refer to docs/mathematics.md.
"""

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ..numerics.normal import INV_SQRT_2PI, as_float64, as_float64_with_flags, mills, mills_pair, pdf
from ..typing import Flags, Real

# Below this value of d1 the price is computed from (3); above it, one minus (4) is accurate enough.
_NEAR_CAP = 0.7


def tail_ratio(h: Real, t: Real, from_below: Flags, exact: bool = True) -> Real:
    """Compute price over vega, c / n(d1), or distance to the upper bound over vega, (1 - c) / n(d1); k >= 0.

    Args:
        h: k / s >= 0.
        t: s / 2 > 0, same shape.
        from_below: True for c / n(d1), which needs h - t >= -0.75; False for (1 - c) / n(d1), h - t <= 0.75.
        exact: False for a relative error of 1e-7 at half the cost.

    Returns:
        The positive ratio, same shape, with a relative error of a few units in the last place if `exact`.
    """
    a = h - t
    near, far, slope = mills_pair(jnp.where(from_below, a, -a), h + t, exact)
    # (3) by the divided difference (6), or (4)
    return jnp.where(from_below, 2.0 * t * slope, near + far)


def _out_of_the_money_call(m: Real, s: Real) -> Real:
    """Price a normalised call at log-moneyness m >= 0, for s > 0."""
    h = m / s
    t = 0.5 * s
    from_below = h - t > -_NEAR_CAP
    tail = pdf(h - t) * tail_ratio(h, t, from_below)
    return jnp.where(from_below, tail, 1.0 - tail)


@jax.jit
def intrinsic(k: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Compute the lower bound of the price: max(0, 1 - e^k) for a call, max(0, e^k - 1) for a put.

    Args:
        k: Log-moneyness log(K / F), any shape.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        The bound over (discount x forward), in the broadcast shape.
    """
    (k,), call = as_float64_with_flags(k, is_call)
    return jnp.where(call == (k < 0.0), jnp.abs(jnp.expm1(k)), 0.0)


@jax.jit
def price(k: ArrayLike, s: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Compute the normalised undiscounted Black-76 price.

    An in-the-money price is the out-of-the-money price of the other kind plus the intrinsic value. The
    relative error of an out-of-the-money price is a few units in the last place times (1 + d1^2), down to
    1e-300.

    Args:
        k: Log-moneyness log(K / F), any shape.
        s: Total standard deviation sigma sqrt(T) >= 0; 0 gives the intrinsic value, inf the upper bound.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        Price over (discount x forward), in the broadcast shape; nan for s < 0. Its derivatives are `vega` and
        `slope_k`.
    """
    (k, s), call = as_float64_with_flags(k, s, is_call)
    return _price(k, s, call)


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
    # (5)
    return _price(k, s, is_call), slope_k(k, s, is_call) * dk + vega(k, s) * ds


def _d1_d2(k: Real, s: Real) -> tuple[Real, Real]:
    return -k / s + 0.5 * s, -k / s - 0.5 * s


@jax.jit
def vega(k: ArrayLike, s: ArrayLike) -> Real:
    """Compute the derivative of the price in s, n(d1), which is the same for call and put.

    Args:
        k: Log-moneyness, any shape.
        s: Total standard deviation >= 0. At s = 0 the result is the limit from above.

    Returns:
        The derivative, in the broadcast shape; at s = 0 it is n(0) where k = 0, otherwise 0.
    """
    k, s = as_float64(k, s)
    positive = s > 0.0
    d1, _ = _d1_d2(jnp.where(positive, k, 0.0), jnp.where(positive, s, 1.0))
    at_zero = jnp.where(k == 0.0, INV_SQRT_2PI, 0.0)
    return jnp.where(positive, pdf(d1), jnp.where(s == 0.0, at_zero, jnp.nan))


@jax.jit
def slope_k(k: ArrayLike, s: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Compute the derivative of the price in k: -e^k N(d2) for a call, e^k N(-d2) for a put.

    Args:
        k: Log-moneyness, any shape.
        s: Total standard deviation >= 0. At s = 0 and k = 0 the result is the limit for s to 0, half the
            jump.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        The derivative, in the broadcast shape, with full relative accuracy in the tail.
    """
    (k, s), call = as_float64_with_flags(k, s, is_call)
    positive = s > 0.0
    d1, d2 = _d1_d2(jnp.where(positive, k, 0.0), jnp.where(positive, s, 1.0))
    # n(d1) = e^k n(d2), so that this is e^k N(-|d2|); abs(d2) itself would have the derivative 0 at 0
    tail = pdf(d1) * mills(jnp.where(d2 < 0.0, -d2, d2))
    strike = jnp.exp(k)
    small = (d2 < 0.0) == call
    smooth = jnp.where(small, tail, strike - tail)
    flat = strike * jnp.where(k == 0.0, 0.5, jnp.where(call == (k < 0.0), 1.0, 0.0))
    size = jnp.where(positive, smooth, jnp.where(s == 0.0, flat, jnp.nan))
    return jnp.where(call, -size, size)
