"""Implied volatilities of prices by Black's and Bachelier's formulas: the functions that users call."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..numerics.buckets import call_on_grid
from ..options import bachelier
from ..options.inversion import ImpliedVolStatus, implied_stdev, implied_stdev_info
from ..options.kinds import Kind, Settlement
from ..options.terms import Terms, as_numbers, moneyness, settled, terms
from ..presentation.frame import Labels, frame_of_arrays
from ..typing import Codes, Real

if TYPE_CHECKING:
    import pandas as pd

Tree = TypeVar("Tree")


class ImpliedVolInfo(NamedTuple):
    """Volatilities, and a code of `ImpliedVolStatus` for each; both have one shape."""

    vol: Real
    status: Codes

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per option.

        Columns: `vol` (per square root of a year), `status` (a code) and `message` (its meaning).

        Args:
            index: Labels of the rows, such as the index of the table of the options; positions where None.
        """
        codes = np.asarray(self.status)
        texts = np.array([ImpliedVolStatus.message(code) for code in codes.ravel()], object)
        columns = {"vol": self.vol, "status": codes, "message": texts.reshape(codes.shape)}
        return frame_of_arrays(columns, index)


def implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
) -> Real:
    """Black implied volatility of option prices, to machine accuracy; arguments broadcast.

    It is differentiable any number of times, by the implicit function theorem, under jit, vmap and grad.

    Args:
        price: Option prices in the unit of the forward (cash) or in the underlying (coin).
        forward: Forwards, > 0.
        strike: Strikes, > 0.
        maturity: Years, > 0.
        kind: "call", "put" or booleans (True = call).
        discount: Discount factors, > 0.
        settlement: "cash" or "coin" (inverse options).

    Returns:
        Volatility per square root of a year, of the broadcast shape: 0 at the intrinsic value, nan at
        maturity 0 and outside the no-arbitrage interval (`implied_vol_info` says why).

    Raises:
        ArgumentError: a term is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = terms(
        forward=forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
    )
    return _invert(_black_vol, price, option)


def implied_vol_info(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
) -> ImpliedVolInfo:
    """`implied_vol` with the reason for each nan, and a warning where rounding hides the volatility.

    The arguments are those of `implied_vol`.

    Returns:
        `.vol`, and `.status` with codes of `ImpliedVolStatus`; `ImpliedVolStatus.message(code)` explains one.

    Raises:
        ArgumentError: a term is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = terms(
        forward=forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
    )
    return _invert(_black_vol_info, price, option)


def implied_normal_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
) -> Real:
    """Bachelier (normal) implied volatility, in the unit of the forward per square root of a year.

    Args:
        price: Option prices in the unit of the forward.
        forward: Forwards, any sign.
        strike: Strikes, any sign.
        maturity: Years, > 0.
        kind: "call", "put" or booleans (True = call).
        discount: Discount factors, > 0.

    Returns:
        Volatility of the broadcast shape: 0 at the intrinsic value, nan below it and at maturity 0.

    Raises:
        ArgumentError: a term is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = terms(1.0, 1.0, maturity, kind, discount)
    option = option._replace(forward=as_numbers("forward", forward), strike=as_numbers("strike", strike))
    return _invert(_normal_vol, price, option)


def _invert(function: Callable[[Real, Terms], Tree], price: ArrayLike, option: Terms) -> Tree:
    """Call a compiled function of prices and terms on rows of options, and restore the broadcast shape."""
    arrays = (as_numbers("price", price), *option)
    shape = np.broadcast_shapes(*(np.shape(x) for x in arrays))
    return call_on_grid(lambda p, *x: function(p, Terms(*x)), arrays, shape[-1] if shape else 1)


def _normalised(price: Real, option: Terms) -> tuple[Real, Real, Real]:
    """Normalised price, log-forward moneyness, and the square root of the maturity."""
    unit = settled(jnp.ones_like(price), option)
    root = jnp.sqrt(option.maturity)
    # at expiry a price does not determine a volatility
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
