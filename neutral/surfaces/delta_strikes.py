"""Strikes by delta: where the smile itself gives an option the Black delta that is asked for."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..numerics.normal import INV_SQRT_2PI, as_float64, mills, quantile
from ..typing import Flags, Real
from .base import VolSurface

_STEPS = 100  # of the bracketed Newton method; five or six are usual
_FARTHEST = 1e6  # standard deviations from the forward within which a strike is looked for
_ROUNDING = 1e-15
_CLOSE = 1e-9  # of the equation, relative to 1 and its goal: where a root is one


@eqx.filter_jit
def strike_at_delta(surface: VolSurface, delta: Any, t: Any, *, premium_adjusted: bool = False) -> Real:
    """Log-forward moneyness at which an option has a given forward delta at the smile's own volatility.

    Forward deltas are undiscounted: N(d1) of a call, -N(-d1) of a put; premium-adjusted, for a premium paid
    in the underlying, e^k N(d2) and -e^k N(-d2). On a smile free of butterfly arbitrage d1 and d2 fall with k
    (Fukasawa 2012), so that a delta has one strike. A premium-adjusted call delta has two, and the one beyond
    the largest delta is returned (Reiswich and Wystup 2010).

    Args:
        surface: Free of butterfly arbitrage at t.
        delta: Of calls in (0, 1), of puts in (-1, 0), or below 0 where premium-adjusted; any shape.
        t: Maturity in years, broadcast.
        premium_adjusted: Whether the deltas are.

    Returns:
        k = log(K / F), broadcast shape; nan where no strike has that delta. Differentiable in the surface,
        delta and t, by the implicit function theorem.
    """
    delta, t = as_float64(delta, t)
    fine = (t > 0.0) & (delta != 0.0) & (delta < 1.0) & (delta > (-jnp.inf if premium_adjusted else -1.0))
    delta, t = jnp.where(fine, delta, 0.5), jnp.where(fine, t, 1.0)
    still = jax.lax.stop_gradient((surface, t))
    scale = _stdev(*still, jnp.zeros_like(t))
    if premium_adjusted:
        goal, function, low = jnp.log(jnp.abs(delta)), _log_adjusted_delta, _peak(*still, scale)
        low = jnp.where(delta > 0.0, low, -jnp.inf)
        start = jnp.where(delta > 0.0, low + scale, 0.0)
    else:
        goal, function, low = quantile(jnp.abs(delta)), _delta_quantile, jnp.full_like(delta, -jnp.inf)
        start = scale * (0.5 * scale - jax.lax.stop_gradient(jnp.sign(delta) * goal))

    def excess(k: Real) -> Real:
        return jnp.sign(delta) * (function(surface, t, k, delta > 0.0) - goal)

    def solve(excess: Callable[[Real], Real], start: Real) -> Real:
        return _root(excess, start, scale, low)

    def through(linear: Callable[[Real], Real], y: Real) -> Real:
        slope = linear(jnp.ones_like(y))
        return y / jnp.where(slope != 0.0, slope, 1.0)

    k = jax.lax.custom_root(excess, start, solve, through)
    found = jnp.abs(excess(jax.lax.stop_gradient(k))) <= _CLOSE * (1.0 + jnp.abs(goal))
    return jnp.where(fine & found, k, jnp.nan)


def _stdev(surface: VolSurface, t: Real, k: Real) -> Real:
    return jnp.sqrt(surface.variance_at(k, t))


def _delta_quantile(surface: VolSurface, t: Real, k: Real, call: Flags) -> Real:
    """The normal quantile of a forward delta's size."""
    s = _stdev(surface, t, k)
    return jnp.where(call, 1.0, -1.0) * (0.5 * s - k / s)


def _log_adjusted_delta(surface: VolSurface, t: Real, k: Real, call: Flags) -> Real:
    """The logarithm of a premium-adjusted delta's size."""
    s = _stdev(surface, t, k)
    x = jnp.where(call, 1.0, -1.0) * (0.5 * s + k / s)
    left = jnp.maximum(x, 0.0)  # log N(-x), which does not underflow
    tail = jnp.log(INV_SQRT_2PI * mills(left)) - 0.5 * left * left
    right = jnp.minimum(x, 0.0)
    near = jnp.log1p(-INV_SQRT_2PI * jnp.exp(-0.5 * right * right) * mills(-right))
    return k + jnp.where(x > 0.0, tail, near)


def _peak(surface: VolSurface, t: Real, scale: Real) -> Real:
    """Where a premium-adjusted call delta is largest."""

    def size(k: Real) -> Real:
        return _log_adjusted_delta(surface, t, k, jnp.ones_like(k, bool))

    def slope(k: Real) -> Real:
        return jax.jvp(size, (k,), (jnp.ones_like(k),))[1]

    return _root(slope, jnp.zeros_like(scale), scale, jnp.full_like(scale, -jnp.inf))


def _root(function: Callable[[Real], Real], start: Real, scale: Real, low: Real) -> Real:
    """Where a function falls through 0, above `low`; the start where that is not found. Elementwise."""

    def step(state: tuple[Real, ...]) -> tuple[Real, ...]:
        k, low, high, _, count = state
        value, slope = jax.jvp(function, (k,), (jnp.ones_like(k),))
        # where a price underflows it lies beyond every root
        value = jnp.where(jnp.isnan(value), -jnp.sign(k), value)
        low, high = jnp.where(value > 0.0, k, low), jnp.where(value < 0.0, k, high)
        newton, reach = k - value / slope, scale * 2.0**count
        open_ended = k + jnp.sign(value) * reach
        middle = jnp.where(jnp.isfinite(high - low), 0.5 * (low + high), open_ended)
        inside = (newton >= low) & (newton <= high) & (jnp.abs(newton - k) <= reach)
        following = jnp.where(value == 0.0, k, jnp.where(inside, newton, middle))
        done = jnp.abs(following - k) <= _ROUNDING * (jnp.abs(k) + scale)
        return following, low, high, done | (jnp.abs(following) > _FARTHEST * scale), count + 1

    def searching(state: tuple[Real, ...]) -> Real:
        return (state[4] < _STEPS) & ~jnp.all(state[3])

    begin = (start, low, jnp.full_like(start, jnp.inf), jnp.zeros_like(start, bool), jnp.zeros((), int))
    k = jax.lax.while_loop(searching, step, begin)[0]
    return jnp.where(jnp.isfinite(function(k)), k, start)
