"""American options on an asset without volatility: the best moment of exercise along a known path.

This is the limit of the price for a volatility of 0, and a lower bound for every other.
"""

import jax.numpy as jnp

from ...typing import Real
from .dividends import Dividends, path
from .option import Option


def certain_price(option: Option, dividends: Dividends | None) -> Real:
    """Price American options as if the asset followed its forward.

    In a segment between ex-dates the gain from exercise at s is +-(a e^{-qs} - K e^{-rs}), with a = kept x
    left. Its only stationary point is where a q e^{-qs} = K r e^{-rs}.

    Returns:
        Prices in the unit of the strike, shape (lanes,).
    """
    carried = path(option, dividends)
    level = carried.kept * carried.left
    begin = carried.edges[:-1]
    end = carried.edges[1:]
    strike, r, q = (a[None] for a in (option.strike, option.r, option.q))
    ratio = strike * r / jnp.where(q == 0.0, 1.0, level * q)
    carry = r - q
    exists = (q != 0.0) & (carry != 0.0) & (ratio > 0.0)
    turn = jnp.log(jnp.where(exists, ratio, 1.0)) / jnp.where(exists, carry, 1.0)
    turn = jnp.clip(jnp.where(exists, turn, begin), begin, end)
    gains = [level * jnp.exp(-q * s) - strike * jnp.exp(-r * s) for s in (begin, end, turn)]
    gain = jnp.concatenate(gains)
    return jnp.maximum(jnp.max(jnp.where(option.is_call[None], gain, -gain), axis=0), 0.0)


def upper_bound(option: Option, dividends: Dividends | None) -> Real:
    """The limit of the price for an infinite volatility, shape (lanes,)."""
    asset = option._replace(strike=jnp.zeros_like(option.strike), is_call=jnp.ones_like(option.is_call))
    strike = option.strike * jnp.maximum(1.0, option.discount)
    return jnp.where(option.is_call, certain_price(asset, dividends), strike)
