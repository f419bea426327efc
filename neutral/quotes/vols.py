"""Volatilities and vegas of the quotes of a surface."""

import jax
import jax.numpy as jnp

from ..options import black
from ..options.inversion import implied_stdev
from ..typing import Flags, Real

_LEAST_VEGA = 1e-12


@jax.jit
def market_vols(t: Real, k: Real, prices: Real, mask: Flags) -> tuple[Real, Real, Real]:
    """Volatility and vega of every quote, and the total standard deviation at the money of every maturity."""
    both = jnp.stack([k, k], axis=-3)
    is_call = jnp.broadcast_to(jnp.arange(2)[:, None, None] == 0, mask.shape[-3:])
    is_call = jnp.broadcast_to(is_call, mask.shape)
    own = implied_stdev(prices, both, is_call)
    usable = mask & (own > 0.0) & (own < jnp.inf)
    # the out-of-the-money quote of a strike knows its volatility best
    first = jnp.where(is_call == (both >= 0.0), 2, 1) * usable
    best = jnp.argmax(first, axis=-3, keepdims=True)
    cell = jnp.take_along_axis(own, best, axis=-3)[..., 0, :, :]
    known = jnp.any(usable, axis=-3)
    stdev = _at_the_money(t, k, cell, known)
    typical = jnp.where(known, cell, jnp.expand_dims(stdev, -1))
    filled = jnp.where(usable, own, jnp.stack([typical, typical], axis=-3))
    root = jnp.expand_dims(jnp.sqrt(t), (-3, -1))
    return filled / root, jnp.maximum(black.vega(both, filled), _LEAST_VEGA) * root, stdev


def _at_the_money(t: Real, k: Real, cell: Real, known: Flags) -> Real:
    """Standard deviation at k = 0, linear between the nearest strikes; of 50 % where nothing is known."""
    below, above = known & (k <= 0.0), known & (k >= 0.0)
    low = jnp.argmax(jnp.where(below, k, -jnp.inf), axis=-1, keepdims=True)
    high = jnp.argmin(jnp.where(above, k, jnp.inf), axis=-1, keepdims=True)
    k_low, k_high, s_low, s_high = (
        jnp.take_along_axis(x, i, axis=-1)[..., 0] for x in (k, cell) for i in (low, high)
    )
    has_low, has_high = jnp.any(below, axis=-1), jnp.any(above, axis=-1)
    gap = k_high - k_low
    share = jnp.where(gap > 0.0, -k_low / jnp.where(gap > 0.0, gap, 1.0), 0.0)
    between = s_low + share * (s_high - s_low)
    stdev = jnp.where(has_low & has_high, between, jnp.where(has_low, s_low, s_high))
    stdev = jnp.where(has_low | has_high, stdev, 0.5 * jnp.sqrt(t))
    return jnp.clip(stdev, 1e-4, 10.0)
