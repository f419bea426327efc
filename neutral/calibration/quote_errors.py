"""Errors of fitted prices quote by quote: in prices, in volatilities, and against bid and ask."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from ..quotes.surface import QuoteSurface
from ..quotes.vols import market_vols
from ..typing import Numbers

_LEAST_VEGA = 0.05  # share of the maturity's largest vega below which a price determines no volatility


class QuoteErrors(NamedTuple):
    """Model and market of every quote; nan where there is no quote. Leading axes are those of a batch.

    Attributes:
        price: Model less market price, normalised.
        market_vol: Volatility of the market price; nan where it has none.
        model_vol: Volatility of the model price; nan where it has none.
        vol: `model_vol` less `market_vol`; nan also where the vega is below a twentieth of the largest of the
            maturity, because such a price determines no volatility.
        spreads: Model less market price over ask less bid; nan where bid or ask is absent.
        inside: 1 where the model price lies between bid and ask, else 0; nan where one of them is absent.
    """

    price: Float[np.ndarray, "... 2 T K"]
    market_vol: Float[np.ndarray, "... 2 T K"]
    model_vol: Float[np.ndarray, "... 2 T K"]
    vol: Float[np.ndarray, "... 2 T K"]
    spreads: Float[np.ndarray, "... 2 T K"]
    inside: Float[np.ndarray, "... 2 T K"]


def quote_errors(
    prices: Float[Numbers, "... 2 T K"],
    residuals: Float[Numbers, "... 2 T K"],
    surface: QuoteSurface,
    chosen: Bool[Numbers, "... 2 T K"] | bool = True,
) -> QuoteErrors:
    """Compare fitted prices with the quotes of a surface, or of a stack of surfaces.

    Args:
        prices: Model prices, normalised, as in a result.
        residuals: Model less market prices, normalised, as in a result.
        surface: The quotes.
        chosen: True for the chosen quotes; the errors of all others are nan.

    Returns:
        The errors.
    """
    surface = jax.tree.map(np.asarray, surface)
    mask = surface.mask & np.asarray(chosen)
    error = np.where(mask, np.asarray(residuals, float), np.nan)
    model = np.where(mask & np.isfinite(error), np.asarray(prices, float), np.nan)
    has_vol = _has_vol(np.asarray(surface.prices), np.asarray(surface.k))
    market_vol = np.where(mask & has_vol, surface.vol, np.nan)
    model_vol = _vols(surface, model)
    vega = surface.vega
    least = _LEAST_VEGA * np.max(np.where(surface.mask, vega, 0.0), axis=(-3, -1), keepdims=True)
    spread = np.where(surface.spread > 0.0, surface.spread, np.nan)
    two_sided = np.isfinite(surface.bid) & np.isfinite(surface.ask) & np.isfinite(model)
    between = (model >= surface.bid) & (model <= surface.ask)
    return QuoteErrors(
        price=error,
        market_vol=market_vol,
        model_vol=model_vol,
        vol=np.where(vega >= least, model_vol - surface.vol, np.nan),
        spreads=error / spread,
        inside=np.where(two_sided, between.astype(float), np.nan),
    )


def _has_vol(prices: Float[np.ndarray, "... 2 T K"], k: Float[np.ndarray, "... T K"]) -> np.ndarray:
    """Whether a volatility gives a price: it lies strictly between intrinsic value and its upper bound."""
    is_call = np.arange(2)[:, None, None] == 0
    k = np.expand_dims(k, -3)
    with np.errstate(over="ignore", invalid="ignore"):
        intrinsic = np.where(is_call == (k < 0.0), np.abs(np.expm1(k)), 0.0)
        return (prices > intrinsic) & (prices < np.where(is_call, 1.0, np.exp(k)))


def _vols(surface: QuoteSurface, prices: Float[np.ndarray, "... 2 T K"]) -> np.ndarray:
    """Volatilities of prices on the grid of a surface; nan where a price has none.

    The program is the one that computed the volatilities of a surface, so it is compiled already.
    """
    has_vol = np.isfinite(prices) & _has_vol(np.nan_to_num(prices), np.asarray(surface.k))
    filled = np.where(has_vol, prices, 0.0)
    arrays = [(surface.t, 1), (surface.k, 2), (filled, 3), (has_vol, 3)]
    rows = (np.reshape(x, (-1, *np.shape(x)[np.ndim(x) - axes :])) for x, axes in arrays)
    vols = [np.asarray(market_vols(*row)[0]) for row in zip(*rows, strict=True)]
    return np.where(has_vol, np.reshape(vols, prices.shape), np.nan)
