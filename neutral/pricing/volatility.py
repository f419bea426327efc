"""Implied volatilities of quoted prices, Black's and Bachelier's: the functions people call."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..numerics.buckets import call_on_grid
from ..options import bachelier
from ..options.inversion import ImpliedVolStatus, implied_stdev, implied_stdev_info
from ..options.terms import Kind, Settlement, Terms, as_numbers, moneyness, settled, terms
from ..typing import Codes, Real


class ImpliedVolInfo(NamedTuple):
    """Volatilities and codes of `ImpliedVolStatus`; one shape."""

    vol: Real
    status: Codes


def implied_vol(
    price: Any,
    forward: Any,
    strike: Any,
    maturity: Any,
    kind: Kind = "call",
    discount: Any = 1.0,
    settlement: Settlement = "cash",
) -> Real:
    """Black implied volatility of option prices, to machine accuracy; arguments broadcast.

    Differentiable any number of times by the implicit function theorem, under jit, vmap and grad.

    Args:
        price: Option prices in the forward's unit (cash) or in the underlying (coin).
        forward: Forwards, > 0.
        strike: Strikes, > 0.
        maturity: Years, > 0.
        kind: "call", "put" or booleans (True = call).
        discount: Discount factors.
        settlement: "cash" or "coin" (inverse options).

    Returns:
        Volatility per square root of a year; nan outside the no-arbitrage interval (`implied_vol_info`
        says why), 0 at intrinsic value.
    """
    option = terms(forward, strike, maturity, kind, discount, settlement)
    return _invert(_black_vol, price, option)


def implied_vol_info(
    price: Any,
    forward: Any,
    strike: Any,
    maturity: Any,
    kind: Kind = "call",
    discount: Any = 1.0,
    settlement: Settlement = "cash",
) -> ImpliedVolInfo:
    """`implied_vol` with the reason for each nan, and a warning where rounding hides the volatility.

    Returns:
        `.vol` and `.status`, a code of `ImpliedVolStatus`; `ImpliedVolStatus.message(code)` explains.
    """
    option = terms(forward, strike, maturity, kind, discount, settlement)
    return _invert(_black_vol_info, price, option)


def implied_normal_vol(
    price: Any, forward: Any, strike: Any, maturity: Any, kind: Kind = "call", discount: Any = 1.0
) -> Real:
    """Bachelier (normal) implied volatility, in the forward's unit per square root of a year.

    Args:
        price: Option prices in the forward's unit.
        forward: Forwards, any sign.
        strike: Strikes, any sign.
        maturity: Years, > 0.
        kind: "call", "put" or booleans (True = call).
        discount: Discount factors.

    Returns:
        nan below intrinsic value, 0 at it.
    """
    option = terms(1.0, 1.0, maturity, kind, discount)
    option = option._replace(forward=as_numbers("forward", forward), strike=as_numbers("strike", strike))
    return _invert(_normal_vol, price, option)


def _invert(function: Any, price: Any, option: Terms) -> Any:
    arrays = (as_numbers("price", price), *option)
    shape = np.broadcast_shapes(*(np.shape(x) for x in arrays))
    return call_on_grid(lambda p, *x: function(p, Terms(*x)), arrays, shape[-1] if shape else 1)


def _normalised(price: Real, option: Terms) -> tuple[Real, Real, Real]:
    unit = settled(jnp.ones_like(price), option)
    root = jnp.sqrt(option.maturity)
    # at maturity a price holds no volatility
    root = jnp.where(root > 0, root, jnp.nan)
    return price / unit, moneyness(option.forward, option.strike), root


@jax.jit
def _black_vol(price: Real, option: Terms) -> Real:
    c, k, root = _normalised(price, option)
    return implied_stdev(c, k, option.is_call) / root


@jax.jit
def _black_vol_info(price: Real, option: Terms) -> ImpliedVolInfo:
    c, k, root = _normalised(price, option)
    s, status = implied_stdev_info(c, k, option.is_call)
    return ImpliedVolInfo(s / root, jnp.where(root > 0, status, ImpliedVolStatus.nonfinite))


@jax.jit
def _normal_vol(price: Real, option: Terms) -> Real:
    s = bachelier.implied_stdev(price / option.discount, option.forward - option.strike, option.is_call)
    return s / jnp.where(option.maturity > 0, jnp.sqrt(option.maturity), jnp.nan)
