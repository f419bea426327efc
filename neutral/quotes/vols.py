"""Black volatilities and vegas of the quotes of a surface."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from ..options import black
from ..options.inversion import implied_stdev
from ..typing import Numbers

_LEAST_VEGA = 1e-12


@jax.jit
def market_vols(
    t: Float[Numbers, "... T"],
    k: Float[Numbers, "... T K"],
    prices: Float[Numbers, "... 2 T K"],
    mask: Bool[Numbers, "... 2 T K"],
) -> tuple[Float[Numbers, "... 2 T K"], Float[Numbers, "... 2 T K"], Float[Numbers, "... T"]]:
    """Compute volatility and vega of every quote, and the at-the-money total deviation of every maturity.

    Args:
        t: Maturities in years.
        k: Log-forward moneyness.
        prices: Normalised prices of calls and puts.
        mask: True where a quote exists.

    Returns:
        Volatilities (where a quote has none, that of its strike or maturity), vegas, and total standard
        deviations at the money.
    """
    both = jnp.stack([k, k], axis=-3)
    is_call = jnp.broadcast_to(jnp.arange(2)[:, None, None] == 0, mask.shape[-3:])
    is_call = jnp.broadcast_to(is_call, mask.shape)
    stdevs = implied_stdev(prices, both, is_call)
    usable = mask & (stdevs > 0.0) & (stdevs < jnp.inf)
    # the out-of-the-money quote of a strike determines its volatility best
    first = jnp.where(is_call == (both >= 0.0), 2, 1) * usable
    best = jnp.argmax(first, axis=-3, keepdims=True)
    cell = jnp.take_along_axis(stdevs, best, axis=-3)[..., 0, :, :]
    has_vol = jnp.any(usable, axis=-3)
    stdev = _at_the_money(t, k, cell, has_vol)
    typical = jnp.where(has_vol, cell, jnp.expand_dims(stdev, -1))
    quote_stdevs = jnp.where(usable, stdevs, jnp.stack([typical, typical], axis=-3))
    root = jnp.expand_dims(jnp.sqrt(t), (-3, -1))
    return quote_stdevs / root, jnp.maximum(black.vega(both, quote_stdevs), _LEAST_VEGA) * root, stdev


def _at_the_money(
    t: Float[Numbers, "... T"],
    k: Float[Numbers, "... T K"],
    cell: Float[Numbers, "... T K"],
    has_vol: Bool[Numbers, "... T K"],
) -> Float[Numbers, "... T"]:
    """Interpolate the deviation at k = 0 between the nearest strikes; 50 % volatility without any strike."""
    below = has_vol & (k <= 0.0)
    above = has_vol & (k >= 0.0)
    low = jnp.argmax(jnp.where(below, k, -jnp.inf), axis=-1, keepdims=True)
    high = jnp.argmin(jnp.where(above, k, jnp.inf), axis=-1, keepdims=True)
    k_low, k_high, s_low, s_high = (
        jnp.take_along_axis(x, i, axis=-1)[..., 0] for x in (k, cell) for i in (low, high)
    )
    has_low = jnp.any(below, axis=-1)
    has_high = jnp.any(above, axis=-1)
    gap = k_high - k_low
    share = jnp.where(gap > 0.0, -k_low / jnp.where(gap > 0.0, gap, 1.0), 0.0)
    between = s_low + share * (s_high - s_low)
    stdev = jnp.where(has_low & has_high, between, jnp.where(has_low, s_low, s_high))
    stdev = jnp.where(has_low | has_high, stdev, 0.5 * jnp.sqrt(t))
    return jnp.clip(stdev, 1e-4, 10.0)
