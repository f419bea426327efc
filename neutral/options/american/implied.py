"""Volatilities implied by American prices, and the European options that have the same volatilities."""

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from ...numerics.buckets import call_on_row
from ...numerics.compiled import compiled
from ...presentation.frame import Labels, frame_of_arrays
from ...times.instants import Ends, Instants
from ...typing import Codes, Flags, Real, Values
from .. import black
from ..inversion import implied_stdev
from ..kinds import Kind
from .backward import in_blocks
from .certain import certain_price, upper_bound
from .dividends import Dividends, check_total, forward
from .option import Option, checked
from .price import american_price, european_price, may_have_two_boundaries

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = 1e-8  # of spot plus strike: error of the American price at the implied volatility
_MAX_STEPS = 24


class Equivalent(NamedTuple):
    """European option with the volatility of an American one; arrays of one shape, nan where none exists.

    Attributes:
        price: Price of the European option, in the unit of the strike.
        vol: Annualised volatility of both options.
    """

    price: Real
    vol: Real

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per option, and the fields as columns.

        Args:
            index: Labels of the rows, such as the index of the table of the options; positions where None.
        """
        return frame_of_arrays(self._asdict(), index)


def european_equivalent(
    price: Values,
    spot: Values,
    strike: Values,
    maturity: Ends,
    rate: Values,
    dividend: Values = 0.0,
    kind: Kind = "call",
    dividends: Dividends | None = None,
    *,
    is_call: Values | None = None,
    date: Instants | None = None,
) -> Equivalent:
    """Find the European option with the volatility implied by an American price. Arguments broadcast.

    It is differentiable by the implicit function theorem.

    Args:
        price: Price of the American option, in the unit of the strike.
        spot: Price of the asset, > 0.
        strike: Strike, in the unit of the spot, > 0.
        maturity: Maturity in years, >= 0; or dates, times or tenors with `date`; or spans of time.
        rate: Continuously compounded rate, 1/yr, of either sign.
        dividend: Continuous yield, 1/yr, of either sign.
        kind: "call", "put", an array of these, or booleans that are True for calls.
        dividends: Discrete dividends, paid besides the continuous yield; None for none. The volatility is to
            be understood in their model.
        is_call: The older name of `kind`.
        date: The quote date, from which maturities count that are dates or tenors.

    Returns:
        Price and volatility. Both are nan where the American price is at or below that of an asset without
        volatility (the exercise value, at once or on the best later day), which every small enough volatility
        gives; where it is at or above the limit for an infinite volatility; or where the search fails.

    Raises:
        ArgumentError: An argument other than `price` is wrong, or the cash dividends are worth more than the
            spot.
        PrecisionError: Double precision is off.
    """
    option, target, shape = checked(
        "price",
        price,
        spot=spot,
        strike=strike,
        maturity=maturity,
        rate=rate,
        dividend=dividend,
        kind=kind,
        is_call=is_call,
        date=date,
    )
    check_total(option, dividends)
    two_boundaries = may_have_two_boundaries(option)
    found = call_on_row(
        lambda target, *row: _equivalent(target, Option(*row), dividends, two_boundaries), (target, *option)
    )
    return Equivalent(*(a.reshape(shape) for a in found))


def implied_vol(
    price: Values,
    spot: Values,
    strike: Values,
    maturity: Ends,
    rate: Values,
    dividend: Values = 0.0,
    kind: Kind = "call",
    dividends: Dividends | None = None,
    *,
    is_call: Values | None = None,
    date: Instants | None = None,
) -> Real:
    """Return the volatility implied by the price of an American option.

    The arguments are those of `european_equivalent`, and the result is the field `vol` of its result.
    """
    return european_equivalent(
        price,
        spot=spot,
        strike=strike,
        maturity=maturity,
        rate=rate,
        dividend=dividend,
        kind=kind,
        dividends=dividends,
        is_call=is_call,
        date=date,
    ).vol


class _Search(NamedTuple):
    """State of the search for a European price.

    Attributes:
        at: European price to try next.
        tried: European price tried last.
        excess: American price at `tried` less the target.
        low: Lower end of the bracket of European prices.
        high: Upper end of the bracket.
        steps: Number of prices tried so far.
    """

    at: Real
    tried: Real
    excess: Real
    low: Real
    high: Real
    steps: Codes


@compiled
def _equivalent(
    target: Real, option: Option, dividends: Dividends | None, two_boundaries: bool
) -> Equivalent:
    vol = _implied(target, option, dividends, two_boundaries)
    known = jnp.isfinite(vol)
    european = european_price(option, jnp.where(known, vol, 0.2), dividends)
    return Equivalent(price=jnp.where(known, european, jnp.nan), vol=vol)


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _implied(target: Real, option: Option, dividends: Dividends | None, two_boundaries: bool) -> Real:
    """The volatility of each option, shape (lanes,), nan where there is none."""
    if dividends is None:
        return _search(option, target, None, two_boundaries)
    return in_blocks(lambda o, p: _search(o, p, dividends, two_boundaries), option, target)


@_implied.defjvp
def _implied_jvp(two_boundaries, primals, tangents):
    target, option, dividends = primals
    vol = _implied(target, option, dividends, two_boundaries)
    known = jnp.isfinite(vol)
    inside = jnp.where(known, vol, 0.2)
    _, moved = jax.jvp(
        lambda o, d: american_price(o, inside, d, two_boundaries), (option, dividends), tangents[1:]
    )
    _, vega = jax.jvp(
        lambda v: american_price(option, v, dividends, two_boundaries), (inside,), (jnp.ones_like(inside),)
    )
    slope = jnp.where(known & (vega > 0.0), vega, jnp.inf)
    return vol, (tangents[0] - moved) / slope


def _search(option: Option, target: Real, dividends: Dividends | None, two_boundaries: bool) -> Real:
    """Search by secant steps for Black's price e on the forward: the American price is nearly linear in e."""
    level = forward(option, dividends)
    k = jnp.log(option.strike / level)
    unit = option.discount * level
    root = jnp.sqrt(option.t)
    tolerance = TOLERANCE * (option.spot + option.strike)
    valid = target > certain_price(option, dividends) + tolerance
    valid &= (target < upper_bound(option, dividends)) & (root > 0.0) & (level > 0.0)
    floor = unit * black.intrinsic(k, option.is_call)
    cap = option.discount * jnp.where(option.is_call, level, option.strike)
    high = jnp.where(valid, jnp.minimum(target, cap * (1.0 - 1e-9)), floor + 0.1 * (cap - floor))

    def vol_of(european: Real) -> Real:
        return implied_stdev(european / unit, k, option.is_call) / jnp.where(valid, root, 1.0)

    def advance(state: _Search) -> _Search:
        new = american_price(option, vol_of(state.at), dividends, two_boundaries) - target
        low = jnp.where(new < 0.0, state.at, state.low)
        high = jnp.where(new > 0.0, state.at, state.high)
        slope = (new - state.excess) / (state.at - state.tried)
        # the first step takes the slope 1, as if the premium for early exercise were constant
        secant = state.at - new / jnp.where(state.steps == 0, 1.0, slope)
        at = jnp.where((secant > low) & (secant < high), secant, 0.5 * (low + high))
        at = jnp.where(jnp.abs(new) > tolerance, at, state.at)
        return _Search(at=at, tried=state.at, excess=new, low=low, high=high, steps=state.steps + 1)

    def unfinished(state: _Search) -> Flags:
        return (state.steps < _MAX_STEPS) & jnp.any(valid & ~(jnp.abs(state.excess) <= tolerance))

    start = _Search(
        at=high,
        tried=high,
        excess=jnp.full_like(high, jnp.inf),
        low=floor,
        high=high,
        steps=jnp.zeros((), int),
    )
    end = jax.lax.while_loop(unfinished, advance, start)
    solved = valid & (jnp.abs(end.excess) <= tolerance)
    return jnp.where(solved, vol_of(end.tried), jnp.nan)
