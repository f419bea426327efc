"""Passes of price fits that end at the least squares of implied volatility itself."""

import equinox as eqx
import jax.numpy as jnp

from ..models import AbstractFourierModel
from ..quotes.surface import QuoteSurface
from ..quotes.vols import market_vols
from .calibrate import price_surface
from .losses import Loss


def volatility_weighted(surface: QuoteSurface, model: AbstractFourierModel) -> QuoteSurface:
    """The surface with which a fit by `Loss("vega")` takes a step towards least squares of volatility.

    Let s(c) be the volatility of a price c of a quote, and s_q that of the market. The squared error
    (s(c) - s_q)^2 is replaced by the parabola (c - c')^2 w that has its slope at the price of the model, and
    whose curvature w is that of the squared error but at least that of Gauss-Newton, s'(c)^2. Because
    s'' = -s'^2 d1 d2 / s (Black), the curvature is s'^2 h with h = 1 - (s - s_q) d1 d2 / s.
    Alternate between a fit and this function: at a fixed point the sum of squared errors of volatility is
    stationary, however large the errors are, and the passes approach it without oscillation.

    Args:
        surface: One surface, with its original prices and weights in each pass.
        model: The fit of the pass before.

    Returns:
        The surface with other prices and weights, which only `Loss("vega")` without `inside="free"` should
        fit. A quote keeps both if the price of the model does not determine its volatility.
    """
    price = price_surface(model, surface)
    vol, vega, _ = market_vols(surface.t, surface.k, price, surface.mask)
    error = vol - surface.vol
    stdev = vol * jnp.sqrt(surface.t)[None, :, None]
    d1 = 0.5 * stdev - surface.k[None] / stdev
    curvature = jnp.maximum(1.0 - error * d1 * (d1 - stdev) / vol, 1.0)
    weight = curvature * (Loss("vega").targets(surface, surface.mask).scale / vega) ** 2
    target = price - error * vega / curvature
    sound = surface.mask & jnp.isfinite(weight) & jnp.isfinite(target)
    return eqx.tree_at(
        lambda s: (s.weight, s.prices),
        surface,
        (
            surface.weight * jnp.where(sound, weight, 1.0),
            jnp.where(sound, target, surface.prices),
        ),
    )
