"""Strikes by delta: the strike at which an option has a given Black delta at the smile's volatility."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from ..numerics.compiled import compiled
from ..numerics.normal import INV_SQRT_2PI, mills, quantile
from ..typing import Codes, Flags, Real
from .base import VolSurface, call_on_points

_STEPS = 100  # limit of steps of the bracketed Newton method, which usually needs five or six
_FARTHEST = 1e6  # standard deviations from the forward within which strikes are searched
_ROUNDING = 1e-15  # relative change of k at which the search ends
_CLOSE = 1e-9  # largest error of the equation, relative to 1 + |goal|, at which k counts as its root

Function = Callable[[Real], Real]


class Search(NamedTuple):
    """State of the search for a root: the point, its bracket, a flag for its end, the number of steps."""

    k: Real
    low: Real
    high: Real
    done: Flags
    steps: Codes


def strike_at_delta(
    surface: VolSurface, delta: ArrayLike, t: ArrayLike, *, premium_adjusted: bool = False
) -> Real:
    """Find the log-forward moneyness at which an option has a given forward delta at the smile's volatility.

    Forward deltas are undiscounted: N(d1) of a call, -N(-d1) of a put. Premium-adjusted deltas, for a premium
    paid in the underlying, are e^k N(d2) and -e^k N(-d2). On a smile free of butterfly arbitrage d1 and d2
    fall with k (Fukasawa 2012), so that each delta has one strike. A premium-adjusted call delta has two; the
    result is the higher one, beyond the strike of the largest delta (Reiswich and Wystup 2010).

    Args:
        surface: A surface free of butterfly arbitrage at t.
        delta: Deltas of any shape, in (0, 1) for calls and in (-1, 0) for puts; premium-adjusted deltas of
            puts may be any number below 0.
        t: Maturity in years, > 0, broadcast.
        premium_adjusted: True if the deltas are premium-adjusted.

    Returns:
        k = log(K / F), in the broadcast shape; nan where no strike has the delta. It can be differentiated in
        the surface, delta and t, by the implicit function theorem.
    """
    return call_on_points(
        lambda delta, t: _strike_at_delta(surface, delta, t, bool(premium_adjusted)), delta=delta, t=t
    )


@compiled
def _strike_at_delta(surface: VolSurface, delta: Real, t: Real, premium_adjusted: bool) -> Real:
    lowest = -jnp.inf if premium_adjusted else -1.0
    valid = (t > 0.0) & (delta != 0.0) & (delta < 1.0) & (delta > lowest)
    delta = jnp.where(valid, delta, 0.5)
    t = jnp.where(valid, t, 1.0)
    frozen_surface, frozen_t = jax.lax.stop_gradient((surface, t))
    scale = _stdev(frozen_surface, frozen_t, jnp.zeros_like(t))
    if premium_adjusted:
        function = _log_adjusted_delta
        goal = jnp.log(jnp.abs(delta))
        low = _peak(frozen_surface, frozen_t, scale)
        low = jnp.where(delta > 0.0, low, -jnp.inf)
        start = jnp.where(delta > 0.0, low + scale, 0.0)
    else:
        function = _delta_quantile
        goal = quantile(jnp.abs(delta))
        low = jnp.full_like(delta, -jnp.inf)
        start = scale * (0.5 * scale - jax.lax.stop_gradient(jnp.sign(delta) * goal))

    def excess(k: Real) -> Real:
        return jnp.sign(delta) * (function(surface, t, k, delta > 0.0) - goal)

    k = _differentiable_root(excess, start, scale, low)
    is_root = jnp.abs(excess(jax.lax.stop_gradient(k))) <= _CLOSE * (1.0 + jnp.abs(goal))
    return jnp.where(valid & is_root, k, jnp.nan)


def _stdev(surface: VolSurface, t: Real, k: Real) -> Real:
    return jnp.sqrt(surface.variance_at(k, t))


def _delta_quantile(surface: VolSurface, t: Real, k: Real, is_call: Flags) -> Real:
    """Compute the normal quantile of the absolute forward delta: d1 for a call, -d1 for a put."""
    s = _stdev(surface, t, k)
    return jnp.where(is_call, 1.0, -1.0) * (0.5 * s - k / s)


def _log_adjusted_delta(surface: VolSurface, t: Real, k: Real, is_call: Flags) -> Real:
    """Compute log |premium-adjusted delta| = k + log N(-x), with x = -d2 for a call, d2 for a put."""
    s = _stdev(surface, t, k)
    x = jnp.where(is_call, 1.0, -1.0) * (0.5 * s + k / s)
    # for x > 0, log N(-x) = log(n(x) R(x)) with the Mills ratio R does not underflow
    right = jnp.maximum(x, 0.0)
    tail = jnp.log(INV_SQRT_2PI * mills(right)) - 0.5 * right * right
    left = jnp.minimum(x, 0.0)
    body = jnp.log1p(-INV_SQRT_2PI * jnp.exp(-0.5 * left * left) * mills(-left))
    return k + jnp.where(x > 0.0, tail, body)


def _peak(surface: VolSurface, t: Real, scale: Real) -> Real:
    """Find the k at which the premium-adjusted call delta is largest."""

    def log_delta(k: Real) -> Real:
        return _log_adjusted_delta(surface, t, k, jnp.ones_like(k, bool))

    def slope(k: Real) -> Real:
        return jax.jvp(log_delta, (k,), (jnp.ones_like(k),))[1]

    return _root(slope, jnp.zeros_like(scale), scale, jnp.full_like(scale, -jnp.inf))


def _differentiable_root(excess: Function, start: Real, scale: Real, low: Real) -> Real:
    """Find the root by `_root`, with derivatives by the implicit function theorem."""

    def solve(excess: Function, start: Real) -> Real:
        return _root(excess, start, scale, low)

    def tangent(linear: Function, y: Real) -> Real:
        slope = linear(jnp.ones_like(y))
        return y / jnp.where(slope != 0.0, slope, 1.0)

    return jax.lax.custom_root(excess, start, solve, tangent)


def _root(function: Function, start: Real, scale: Real, low: Real) -> Real:
    """Find the k above `low` at which a function falls through 0, elementwise; the start if there is none."""

    def step(state: Search) -> Search:
        k = state.k
        value, slope = jax.jvp(function, (k,), (jnp.ones_like(k),))
        # the function is nan only where prices underflow, which is beyond every root
        value = jnp.where(jnp.isnan(value), -jnp.sign(k), value)
        low = jnp.where(value > 0.0, k, state.low)
        high = jnp.where(value < 0.0, k, state.high)
        newton = k - value / slope
        reach = scale * 2.0**state.steps
        open_ended = k + jnp.sign(value) * reach
        middle = jnp.where(jnp.isfinite(high - low), 0.5 * (low + high), open_ended)
        inside = (newton >= low) & (newton <= high) & (jnp.abs(newton - k) <= reach)
        next_k = jnp.where(value == 0.0, k, jnp.where(inside, newton, middle))
        done = jnp.abs(next_k - k) <= _ROUNDING * (jnp.abs(k) + scale)
        done = done | (jnp.abs(next_k) > _FARTHEST * scale)
        return Search(k=next_k, low=low, high=high, done=done, steps=state.steps + 1)

    def unfinished(state: Search) -> Flags:
        return (state.steps < _STEPS) & ~jnp.all(state.done)

    initial = Search(
        k=start,
        low=low,
        high=jnp.full_like(start, jnp.inf),
        done=jnp.zeros_like(start, bool),
        steps=jnp.zeros((), int),
    )
    k = jax.lax.while_loop(unfinished, step, initial).k
    return jnp.where(jnp.isfinite(function(k)), k, start)
