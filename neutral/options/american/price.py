"""American options: prices and Greeks, with a continuous yield and with discrete dividends."""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...numerics.buckets import call_on_row
from ...numerics.compiled import compiled
from ...presentation.frame import Labels, frame_of_arrays
from ...times.instants import Ends, Instants
from ...typing import Flags, Real, Values
from .. import black
from ..kinds import Kind
from .backward import grid_price
from .boundary import boundary_price, has_two_boundaries
from .certain import certain_price
from .dividends import Dividends, check_total, forward, path
from .option import LEAST_STDEV, Option, checked

if TYPE_CHECKING:
    import pandas as pd

# An option worth no more than its exercise and this share of spot plus strike is exercised, for theta.
_ROUNDING = 1e-13
_GRID_ERROR = 1e-6


class AmericanGreeks(NamedTuple):
    """Price and derivatives of American options, each in the shape of the options.

    Attributes:
        price: Price in the unit of the strike.
        delta: Derivative in the spot.
        gamma: Second derivative in the spot.
        vega: Derivative in the volatility, per unit: 0.01 times it is the change for one percentage point.
        theta: Derivative in calendar time at fixed spot, 1/yr, with all ex-dates coming closer; 0 where the
            option is worth what its exercise gives.
        rho: Derivative in the rate, per unit, at fixed yield and dividends.
    """

    price: Real
    delta: Real
    gamma: Real
    vega: Real
    theta: Real
    rho: Real

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per option, and the fields as columns.

        Args:
            index: Labels of the rows, such as the index of the table of the options; positions where None.
        """
        return frame_of_arrays(self._asdict(), index)


def price(
    spot: Values,
    strike: Values,
    maturity: Ends,
    vol: Values,
    rate: Values,
    dividend: Values = 0.0,
    kind: Kind = "call",
    dividends: Dividends | None = None,
    *,
    is_call: Values | None = None,
    date: Instants | None = None,
) -> Real:
    """Price American options. Arguments broadcast.

    The error is below 1 bp of spot for volatilities of 5 % to 100 % and rates and yields of -2 % to 12 %: up
    to ten years with a continuous yield and one exercise boundary, up to five years with discrete dividends
    or two boundaries. Beyond, it may be a few basis points close to the exercise boundary.

    Args:
        spot: Price of the asset, > 0.
        strike: Strike, in the unit of the spot, > 0.
        maturity: Maturity in years, >= 0; at 0 the price is what exercise gives. Or dates, times or tenors
            such as "3m", with `date`; or spans of time. They become years by act/365.
        vol: Annualised volatility, >= 0; with 0 the asset follows its forward.
        rate: Continuously compounded rate, 1/yr, of either sign.
        dividend: Continuous yield, 1/yr, of either sign.
        kind: "call", "put", an array of these, or booleans that are True for calls.
        dividends: Discrete dividends, paid besides the continuous yield; None for none.
        is_call: The older name of `kind`.
        date: The quote date, from which maturities count that are dates or tenors.

    Returns:
        Prices in the unit of the strike.

    Raises:
        ArgumentError: An argument is wrong, or the cash dividends are worth more than the spot.
        PrecisionError: Double precision is off.
    """
    option, flat_vol, shape = checked(
        "vol",
        vol,
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
        lambda vol, *row: _american(Option(*row), vol, dividends, two_boundaries), (flat_vol, *option)
    )
    return found.reshape(shape)


def greeks(
    spot: Values,
    strike: Values,
    maturity: Ends,
    vol: Values,
    rate: Values,
    dividend: Values = 0.0,
    kind: Kind = "call",
    dividends: Dividends | None = None,
    *,
    date: Instants | None = None,
) -> AmericanGreeks:
    """Price American options, with their derivatives. The arguments are those of `price`.

    Raises:
        ArgumentError: An argument is wrong, or the cash dividends are worth more than the spot.
        PrecisionError: Double precision is off.
    """
    option, flat_vol, shape = checked(
        "vol",
        vol,
        spot=spot,
        strike=strike,
        maturity=maturity,
        rate=rate,
        dividend=dividend,
        kind=kind,
        is_call=None,
        date=date,
    )
    check_total(option, dividends)
    two_boundaries = may_have_two_boundaries(option)
    found = call_on_row(
        lambda vol, *row: _greeks(Option(*row), vol, dividends, two_boundaries), (flat_vol, *option)
    )
    return AmericanGreeks(*(a.reshape(shape) for a in found))


def european_price(option: Option, vol: Real, dividends: Dividends | None) -> Real:
    """Price the European options of the same terms, shape (lanes,).

    In the spot model with cash dividends there is no formula: the prices come from the grid.
    """
    live, flat_vol = _live(option, vol)
    if dividends is not None and dividends.model == "spot":
        value = grid_price(live, flat_vol, dividends, early=False)
    else:
        value = black_price(live, flat_vol, dividends)
    return jnp.where(_is_live(option, vol), value, black_price(option, jnp.zeros_like(vol), dividends))


def black_price(option: Option, vol: Real, dividends: Dividends | None) -> Real:
    """Black's price on the forward, shape (lanes,); a volatility of 0 gives the intrinsic value."""
    level = forward(option, dividends)
    total = jnp.where(vol > 0.0, vol * jnp.sqrt(jnp.where(vol > 0.0, option.t, 1.0)), 0.0)
    return option.discount * level * black.price(jnp.log(option.strike / level), total, option.is_call)


def american_price(option: Option, vol: Real, dividends: Dividends | None, two_boundaries: bool) -> Real:
    """Price options by the method that fits each.

    Args:
        option: The terms.
        vol: Volatilities, shape (lanes,).
        dividends: Discrete dividends, or None.
        two_boundaries: Whether there may be options with two exercise boundaries.

    Returns:
        Prices, shape (lanes,); nan where the dividends exceed the spot.
    """
    live, flat_vol = _live(option, vol)
    certain = certain_price(option, dividends)
    if dividends is not None:
        value = grid_price(live, flat_vol, dividends)
    else:
        value = boundary_price(live, flat_vol, black_price(live, flat_vol, None))
    if dividends is None and two_boundaries:
        two = has_two_boundaries(option)
        needed = jnp.any(two & _is_live(option, vol))
        on_grid = jax.lax.cond(
            needed, lambda o, v: grid_price(o, v, None), lambda o, v: jnp.zeros_like(v), live, flat_vol
        )
        value = jnp.where(two, on_grid, value)
    value = jnp.where(_is_live(option, vol), value, certain)
    return value if dividends is None else jnp.where(forward(option, dividends) > 0.0, value, jnp.nan)


_american = compiled(american_price)


def may_have_two_boundaries(option: Option) -> bool:
    """Whether there may be options with two exercise boundaries; True where it is not known yet."""
    traced = any(isinstance(a, Tracer) for a in option)
    return traced or bool(np.any(has_two_boundaries(option)))


def _is_live(option: Option, vol: Real) -> Flags:
    return vol * jnp.sqrt(option.t) > LEAST_STDEV


def _live(option: Option, vol: Real) -> tuple[Option, Real]:
    """The options with a volatility and a maturity that every method can take, where they have none."""
    live = _is_live(option, vol)
    t = jnp.where(live, option.t, 1.0)
    return option._replace(t=t), jnp.where(live, vol, 0.2)


@compiled
def _greeks(option: Option, vol: Real, dividends: Dividends | None, two_boundaries: bool) -> AmericanGreeks:
    one = jnp.ones_like(vol)

    def in_spot(spot: Real) -> Real:
        return american_price(option._replace(spot=spot), vol, dividends, two_boundaries)

    def delta_of(spot: Real) -> tuple[Real, Real]:
        return jax.jvp(in_spot, (spot,), (one,))

    (value, delta), (_, gamma) = jax.jvp(delta_of, (option.spot,), (one,))

    def in_vol_and_rate(v: Real, r: Real) -> Real:
        return american_price(option._replace(r=r), v, dividends, two_boundaries)

    directions = (jnp.stack([one, 0.0 * one]), jnp.stack([0.0 * one, one]))
    vega, rho = jax.vmap(lambda *d: jax.jvp(in_vol_and_rate, (vol, option.r), d)[1])(*directions)
    # the equation that the price solves where it is not exercised; the volatility acts on the spot less what
    # the escrowed dividends are worth
    risky = option.spot
    if dividends is not None and dividends.model == "escrowed":
        risky = path(option, dividends).left[-1]
    growth = (option.r - option.q) * option.spot * delta + 0.5 * (vol * risky) ** 2 * gamma
    error = _ROUNDING if dividends is None else _GRID_ERROR
    kept = value - option.exercise > error * (option.spot + option.strike)
    theta = jnp.where(kept, option.r * value - growth, 0.0)
    return AmericanGreeks(value, delta=delta, gamma=gamma, vega=vega, theta=theta, rho=rho)
