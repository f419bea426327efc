"""Weights that turn errors of price over vega into errors of implied volatility themselves."""

import equinox as eqx
import jax.numpy as jnp

from ..models import AbstractFourierModel
from ..quotes.surface import QuoteSurface
from ..quotes.vols import market_vols
from .calibrate import price_surface
from .losses import Loss, market_prices

_NEAR = 1e-6  # below this error of volatility the mean slope is taken to be the vega


def volatility_weighted(surface: QuoteSurface, model: AbstractFourierModel) -> QuoteSurface:
    """The surface, weighted so that `Loss("vega")` has the slope of squared errors of volatility at a model.

    An error of price e = c(s) - c(s_q) weighs 1 / (m c'(s)), m the mean slope e / (s - s_q): then
    e de / (m c') = (s - s_q) ds. Fit, weigh by the fit, and fit again: where that comes to rest, the sum of
    squared errors of volatility is stationary, however large the errors are.

    Args:
        surface: One surface, with its original weights in each pass.
        model: The fit of the pass before.

    Returns:
        The surface; a quote whose volatility the model's price does not determine keeps its weight.
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
