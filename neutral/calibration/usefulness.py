"""Fits of no use: errors that no market has, which a stationary point of the loss does not exclude.

The relative error of a quote is its error of price over vol x vega, its error of volatility relative to its
volatility to first order; it counts at most as 1. Its mean over the quotes of 1,600 fits of real surfaces is
at most 0.19 with Black's model, which has no smile, and 0.085 with Heston's; random prices give 0.3 to 0.9.
"""

import jax.numpy as jnp

from ..quotes.surface import QuoteSurface
from ..typing import Flags, Real
from .losses import Targets, in_the_money_part

BEYOND_ANY_MARKET = 0.4  # mean relative error of a fit of no use
ON_BOUNDS = 0.2  # the same, if at most one free parameter is not on a bound
_LEAST = 0.01  # least vol x vega, as a share of the largest of the maturity, that errors are divided by


def is_useless(
    price: Real, surface: QuoteSurface, targets: Targets, *, free: Flags, at_bound: Flags
) -> Flags:
    """Flag fits whose errors are beyond those of any market.

    Args:
        price: Out-of-the-money prices of the fitted models, (S, T, K).
        surface: The S surfaces, with finite numbers only.
        targets: The weights of the quotes that were fitted, among others.
        free: Coordinates that may move, (S, n).
        at_bound: Coordinates that end on a bound, (S, n).

    Returns:
        Flags of shape (S,); False where a price is not a number.
    """
    error = jnp.abs(jnp.expand_dims(price, -3) + in_the_money_part(surface.k) - surface.prices)
    size = surface.vol * surface.vega
    least = _LEAST * jnp.max(jnp.where(surface.mask, size, 0.0), axis=(-3, -1), keepdims=True)
    size = jnp.maximum(size, jnp.maximum(least, 1e-300))
    mean = jnp.sum(targets.share * jnp.minimum(error / size, 1.0), axis=(-3, -2, -1))
    moving = jnp.sum(free & ~at_bound, axis=-1)
    stuck = jnp.any(free, axis=-1) & (moving <= 1) & jnp.any(at_bound, axis=-1)
    return mean > jnp.where(stuck, ON_BOUNDS, BEYOND_ANY_MARKET)
