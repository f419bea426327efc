"""Distribution of the forward at expiry, from derivatives of the price integral in the strike."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..models import AbstractFourierModel
from ..numerics.buckets import call_on_grid
from ..numerics.compiled import compiled
from ..options.kinds import Kind
from ..options.terms import Terms
from ..times.instants import Ends, Instants
from ..typing import Flags, Real
from .arguments import FirstTerm, option_terms
from .engines.contour import Contour
from .price import check_model, coordinates, normalised, plan_for


def digital(
    model: AbstractFourierModel,
    forward: FirstTerm = None,
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
    """Price of a cash-or-nothing option, which pays 1 if F_T > strike (call) or F_T < strike (put).

    Args:
        model: Any Fourier model.
        forward: Forward, > 0, or a table of all terms, as in `price`; array arguments broadcast.
        strike: Strikes, > 0.
        maturity: Years, > 0, or dates or tenors, as in `price`.
        kind: "call", "put", "C", "P", booleans (True = call), or an array of these.
        discount: Discount factors, > 0.
        spot: Spot, > 0; with `rate` and `dividend` it replaces forward and discount.
        rate: Continuous rate, 1/yr, with `spot`.
        dividend: Continuous dividend yield, 1/yr, with `spot`.
        date: The quote date, for maturities that are dates or tenors.

    Returns:
        Discount factor times the risk-neutral probability, in the broadcast shape. The smaller of the
        probabilities above and below the strike keeps relative accuracy.

    Raises:
        ArgumentError: an argument is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = option_terms(
        forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    model = check_model(model, "float64")
    return call_on_grid(lambda *x: _digital(model, Terms(*x)), option, None)


def distribution(
    model: AbstractFourierModel,
    forward: FirstTerm = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
) -> Real:
    """Risk-neutral probability of F_T <= strike.

    Args:
        model: Any Fourier model.
        forward: Forward, > 0, or a table of all terms, as in `price`; array arguments broadcast.
        strike: Strikes, > 0.
        maturity: Years, > 0, or dates or tenors, as in `price`.
        spot: Spot, > 0; with `rate` and `dividend` it replaces the forward.
        rate: Continuous rate, 1/yr, with `spot`.
        dividend: Continuous dividend yield, 1/yr, with `spot`.
        date: The quote date, for maturities that are dates or tenors.

    Returns:
        Probabilities in the broadcast shape. The smaller of the probabilities above and below the strike
        keeps relative accuracy.

    Raises:
        ArgumentError: an argument is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = option_terms(
        forward,
        strike=strike,
        maturity=maturity,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    below = option._replace(is_call=np.asarray(False), discount=np.asarray(1.0))
    model = check_model(model, "float64")
    return call_on_grid(lambda *x: _digital(model, Terms(*x)), below, None)


def density(
    model: AbstractFourierModel,
    forward: FirstTerm = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
) -> Real:
    """Risk-neutral density of F_T at `strike`, per unit of the forward (Breeden and Litzenberger 1978).

    Args:
        model: Any Fourier model.
        forward: Forward, > 0, or a table of all terms, as in `price`; array arguments broadcast.
        strike: Points at which to evaluate the density, > 0.
        maturity: Years, > 0, or dates or tenors, as in `price`.
        spot: Spot, > 0; with `rate` and `dividend` it replaces the forward.
        rate: Continuous rate, 1/yr, with `spot`.
        dividend: Continuous dividend yield, 1/yr, with `spot`.
        date: The quote date, for maturities that are dates or tenors.

    Returns:
        The second derivative of the undiscounted call in the strike, in the broadcast shape, with relative
        accuracy in both tails.

    Raises:
        ArgumentError: an argument is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = option_terms(
        forward,
        strike=strike,
        maturity=maturity,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    model = check_model(model, "float64")
    return call_on_grid(lambda *x: _density(model, Terms(*x)), option, None)


def _derivatives(model: AbstractFourierModel, option: Terms) -> tuple[Real, Real, Real, Flags]:
    """The moneyness k, two derivatives of the out-of-the-money price in k, and which terms are valid."""
    valid, k, t = coordinates(model, option)
    engine = Contour()
    plan = plan_for(model, k, t, engine)

    def slope(k: Real) -> Real:
        return jax.jvp(lambda k: normalised(model, k, t, engine, plan).value, (k,), (jnp.ones_like(k),))[1]

    first, second = jax.jvp(slope, (k,), (jnp.ones_like(k),))
    return k, first, second, valid


@compiled
def _digital(model: AbstractFourierModel, option: Terms) -> Real:
    k, first, _, valid = _derivatives(model, option)
    # -c' e^-k is the probability above the strike, p' e^-k the one below; each is the other's complement
    tail = jnp.abs(first) * jnp.exp(-k)
    probability = jnp.where(option.is_call == (k >= 0), tail, 1.0 - tail)
    return jnp.where(valid, option.discount * probability, jnp.nan)


@compiled
def _density(model: AbstractFourierModel, option: Terms) -> Real:
    _, first, second, valid = _derivatives(model, option)
    return jnp.where(valid, (second - first) * option.forward / option.strike**2, jnp.nan)
