"""Weights with which errors of price over vega become exact errors of implied volatility."""

import equinox as eqx
import jax.numpy as jnp

from ..models import AbstractFourierModel
from ..quotes.surface import QuoteSurface
from ..quotes.vols import market_vols
from .calibrate import price_surface
from .losses import Loss, market_prices

_NEAR = 1e-6  # error of volatility below which the vega stands for the mean slope


def volatility_weighted(surface: QuoteSurface, model: AbstractFourierModel) -> QuoteSurface:
    """The surface with weights such that `Loss("vega")` has the gradient of squared errors of volatility.

    The square of an error of price e = c(s) - c(s_q) gets the weight 1 / (m c'(s)), where m = e / (s - s_q)
    is the mean slope, because then e de / (m c') = (s - s_q) ds. Alternate between a fit and these weights:
    at a fixed point the sum of squared errors of volatility is stationary, however large the errors are.

    Args:
        surface: One surface, with its original weights in each pass.
        model: The fit of the pass before.

    Returns:
        The surface with the new weights; a quote keeps its weight if the price of the model does not
        determine its volatility.
    """
    price = price_surface(model, surface)
    vol, vega, _ = market_vols(surface.t, surface.k, price, surface.mask)
    gap = vol - surface.vol
    near = jnp.abs(gap) < _NEAR
    mean = jnp.where(near, vega, (price - market_prices(surface)) / jnp.where(near, 1.0, gap))
    scale = Loss("vega").targets(surface, surface.mask).scale
    factor = scale**2 / (mean * vega)
    sound = surface.mask & jnp.isfinite(factor) & (factor > 0.0)
    return eqx.tree_at(lambda s: s.weight, surface, surface.weight * jnp.where(sound, factor, 1.0))
