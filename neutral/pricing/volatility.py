"""Implied volatilities of prices by Black's and Bachelier's formulas: the functions that users call."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..numerics.buckets import call_on_row
from ..numerics.compiled import compiled
from ..options import bachelier
from ..options.inversion import ImpliedVolStatus, implied_stdev, implied_stdev_info
from ..options.kinds import Kind, Settlement
from ..options.terms import Terms, as_numbers, check_aligned, moneyness, settled, terms
from ..presentation.frame import Labels, frame_of_arrays
from ..quotes.tables import AnyTable, is_frame
from ..times.instants import Ends, Instants
from ..typing import Codes, Real
from .arguments import FirstTerm, option_terms, table_arguments, table_prices

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
    price: FirstTerm,
    forward: ArrayLike | None = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
) -> Real:
    """Black implied volatility of option prices, to machine accuracy.

    Arguments are numbers, arrays, or columns of pandas, polars or Arrow, and broadcast. Or a table has the
    prices and all terms: `implied_vol(table)` has one volatility per row. Results are arrays, in any case.
    It is differentiable any number of times, by the implicit function theorem, under jit, vmap and grad.

    Args:
        price: Option prices in the unit of the forward (cash) or in the underlying (coin). Or a table with
            the columns that `QuoteSurface.from_quotes` reads, of which price, or bid and ask, are needed.
        forward: Forwards, > 0. It may be omitted if `spot` is an argument.
        strike: Strikes, > 0.
        maturity: Years, > 0; or dates, times or tenors such as "3m", with `date`, or spans of time; see
            `year_fraction`.
        kind: "call", "put", "C", "P", booleans (True = call), or an array of these.
        discount: Discount factors, > 0.
        settlement: "cash" or "coin" (inverse options).
        spot: Spot, > 0; with `rate` and `dividend` it replaces forward and discount.
        rate: Continuous rate, 1/yr, with `spot`.
        dividend: Continuous dividend yield, 1/yr, with `spot`.
        date: The quote date, for maturities that are dates or tenors.

    Returns:
        Volatility per square root of a year, of the broadcast shape: 0 at the intrinsic value, nan at
        maturity 0, outside the no-arbitrage interval and where an argument is nan (`implied_vol_info` says
        why).

    Raises:
        ArgumentError: a term is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    prices, option = _priced_options(
        price,
        forward=forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    return _invert(_black_vol, prices, option)


def implied_vol_info(
    price: FirstTerm,
    forward: ArrayLike | None = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
) -> ImpliedVolInfo:
    """`implied_vol` with the reason for each nan, and a warning where rounding hides the volatility.

    The arguments are those of `implied_vol`.

    Returns:
        `.vol`, and `.status` with codes of `ImpliedVolStatus`; `ImpliedVolStatus.message(code)` explains one.

    Raises:
        ArgumentError: a term is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    prices, option = _priced_options(
        price,
        forward=forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    return _invert(_black_vol_info, prices, option)


def implied_normal_vol(
    price: ArrayLike,
    forward: ArrayLike | None = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
) -> Real:
    """Bachelier (normal) implied volatility, in the unit of the forward per square root of a year.

    Args:
        price: Option prices in the unit of the forward.
        forward: Forwards, any sign. It may be omitted if `spot` is an argument.
        strike: Strikes, any sign.
        maturity: Years, > 0; or dates, times or tenors such as "3m", with `date`, or spans of time.
        kind: "call", "put", "C", "P", booleans (True = call), or an array of these.
        discount: Discount factors, > 0.
        spot: Spot, > 0; with `rate` and `dividend` it replaces forward and discount.
        rate: Continuous rate, 1/yr, with `spot`.
        dividend: Continuous dividend yield, 1/yr, with `spot`.
        date: The quote date, for maturities that are dates or tenors.

    Returns:
        Volatility of the broadcast shape: 0 at the intrinsic value, nan below it, at maturity 0 and where an
        argument is nan.

    Raises:
        ArgumentError: a term is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    if strike is None or (forward is None and spot is None):
        absent = "strike" if strike is None else "forward"
        raise ArgumentError(f"{absent} is missing, or is None; pass numbers.")
    check_aligned({"price": price, "forward": forward, "strike": strike, "maturity": maturity})
    # the formula admits any sign, which `terms` does not
    option = terms(
        forward=None if forward is None else 1.0,
        strike=1.0,
        maturity=maturity,
        kind=kind,
        discount=discount,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    option = option._replace(strike=as_numbers("strike", strike))
    if forward is not None:
        option = option._replace(forward=as_numbers("forward", forward))
    return _invert(_normal_vol, price, option)


def _priced_options(
    price: FirstTerm, kind: Kind, settlement: Settlement, date: Instants | None, **given: Any
) -> tuple[ArrayLike, Terms]:
    """Return prices and terms of options; a table in the place of prices has both."""
    if not is_frame(price):
        prices = cast(ArrayLike, price)
        check_aligned({"price": prices, **given})
        return prices, option_terms(kind=kind, settlement=settlement, date=date, **given)
    table = cast(AnyTable, price)
    arguments = table_arguments(table, settlement, date, kind=kind, **given)
    return table_prices(table), terms(**arguments)


def _invert(function: Callable[[Real, Terms], Tree], price: ArrayLike, option: Terms) -> Tree:
    """Call a compiled function of prices and terms on rows of options, and restore the broadcast shape."""
    arrays = (as_numbers("price", price), *option)
    return call_on_row(lambda p, *x: function(p, Terms(*x)), arrays)


def _normalised(price: Real, option: Terms) -> tuple[Real, Real, Real]:
    """Normalised price, log-forward moneyness, and the square root of the maturity."""
    unit = settled(jnp.ones_like(price), option)
    root = jnp.sqrt(option.maturity)
    # at expiry a price does not determine a volatility
    root = jnp.where(root > 0, root, jnp.nan)
    return price / unit, moneyness(option.forward, option.strike), root


@compiled
def _black_vol(price: Real, option: Terms) -> Real:
    c, k, root = _normalised(price, option)
    return implied_stdev(c, k, option.is_call) / root


@compiled
def _black_vol_info(price: Real, option: Terms) -> ImpliedVolInfo:
    c, k, root = _normalised(price, option)
    s, status = implied_stdev_info(c, k, option.is_call)
    return ImpliedVolInfo(s / root, jnp.where(root > 0, status, ImpliedVolStatus.nonfinite))


@compiled
def _normal_vol(price: Real, option: Terms) -> Real:
    s = bachelier.implied_stdev(price / option.discount, option.forward - option.strike, option.is_call)
    return s / jnp.where(option.maturity > 0, jnp.sqrt(option.maturity), jnp.nan)
