"""Distribution of the forward at expiry, from derivatives of the price integral in the strike."""

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from ..models import AbstractFourierModel
from ..numerics.buckets import call_on_grid
from ..numerics.compiled import compiled
from ..options.kinds import Kind
from ..options.terms import Terms, terms
from ..typing import Flags, Real
from .engines.contour import Contour
from .price import check_model, coordinates, normalised, plan_for


def digital(
    model: AbstractFourierModel,
    forward: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
) -> Real:
    """Price of a cash-or-nothing option, which pays 1 if F_T > strike (call) or F_T < strike (put).

    Args:
        model: Any Fourier model.
        forward: Forward, > 0; all array arguments broadcast.
        strike: Strikes, > 0.
        maturity: Years, > 0.
        kind: "call", "put" or booleans (True = call).
        discount: Discount factors, > 0.

    Returns:
        Discount factor times the risk-neutral probability, in the broadcast shape. The smaller of the
        probabilities above and below the strike keeps relative accuracy.

    Raises:
        ArgumentError: an argument is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = terms(forward, strike, maturity, kind, discount)
    model = check_model(model, "float64")
    return call_on_grid(lambda *x: _digital(model, Terms(*x)), option, None)


def distribution(
    model: AbstractFourierModel, forward: ArrayLike, strike: ArrayLike, maturity: ArrayLike
) -> Real:
    """Risk-neutral probability of F_T <= strike.

    Args:
        model: Any Fourier model.
        forward: Forward, > 0; array arguments broadcast.
        strike: Strikes, > 0.
        maturity: Years, > 0.

    Returns:
        Probabilities in the broadcast shape. The smaller of the probabilities above and below the strike
        keeps relative accuracy.

    Raises:
        ArgumentError: an argument is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    return digital(model, forward, strike, maturity, "put")


def density(model: AbstractFourierModel, forward: ArrayLike, strike: ArrayLike, maturity: ArrayLike) -> Real:
    """Risk-neutral density of F_T at `strike`, per unit of the forward (Breeden and Litzenberger 1978).

    Args:
        model: Any Fourier model.
        forward: Forward, > 0; array arguments broadcast.
        strike: Points at which to evaluate the density, > 0.
        maturity: Years, > 0.

    Returns:
        The second derivative of the undiscounted call in the strike, in the broadcast shape, with relative
        accuracy in both tails.

    Raises:
        ArgumentError: an argument is outside its domain, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    option = terms(forward, strike, maturity)
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
