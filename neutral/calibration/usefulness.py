"""Fits of no use: errors that no market has, which a stationary point of the loss does not exclude.

The relative error of a quote is its error of price over vol x vega, its error of volatility relative to its
volatility to first order; it counts at most as 1. Its mean over the quotes of fits of real surfaces is at
most 0.22 with Black's model, which has no smile, and 0.09 with those of Heston, Bates and SVCJ; random
prices give 0.3 to 0.9. On a single expiry of a day or two these models reach 0.18.

A model with most of its parameters on bounds has no shape left to fit with, and real smiles do not push it
there: among 880 fits of eight models, to surfaces and to single expiries, two have half of their parameters
on bounds, with errors of 0.01. Volatilities of several hundred percent, as from a wrong unit, pin the speed
of reversion, the variances and the correlation, and leave 0.1 to 0.3.
"""

import jax.numpy as jnp

from ..quotes.surface import QuoteSurface
from ..typing import Codes, Flags, Real
from .losses import Targets, in_the_money_part

BEYOND_ANY_MARKET = 0.4  # mean relative error of a fit of no use
ON_BOUND = 0.2  # the same, if half of the free parameters or more are on bounds, but only one
ON_BOUNDS = 0.1  # the same, if half of them or more are on bounds, and two at least
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
    return mean > _largest_error(jnp.sum(free, axis=-1), jnp.sum(free & at_bound, axis=-1))


def _largest_error(free: Codes, hit: Codes) -> Real:
    """Largest error of a fit of use, from the numbers of its parameters and of those on bounds."""
    pinned = (hit > 0) & (2 * hit >= free)
    return jnp.where(pinned, jnp.where(hit > 1, ON_BOUNDS, ON_BOUND), BEYOND_ANY_MARKET)
