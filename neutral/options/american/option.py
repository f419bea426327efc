"""Terms of American options: the public arguments, checked, as flat arrays of one length."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...errors import ArgumentError
from ...numerics.normal import as_float64
from ...times.instants import Ends, Instants
from ...typing import Flags, Real, Values
from ..kinds import Kind
from ..terms import as_numbers, terms

LEAST_STDEV = 1e-6
"""Below this total standard deviation an option is worth as much as with no volatility, to 4e-7 of spot."""


class Option(NamedTuple):
    """Terms of options: flat float64 arrays of one length, the axis of lanes."""

    spot: Real
    strike: Real
    t: Real
    r: Real
    q: Real
    is_call: Flags

    @property
    def discount(self) -> Real:
        """Discount factor to the maturity."""
        return jnp.exp(-self.r * self.t)

    @property
    def exercise(self) -> Real:
        """The spot less the strike, for a put the strike less the spot; of either sign."""
        return jnp.where(self.is_call, self.spot - self.strike, self.strike - self.spot)


class Checked(NamedTuple):
    """Checked arguments: the options, one more number for each, and the shape of all arguments together."""

    option: Option
    value: Real
    shape: tuple[int, ...]


def checked(
    name: str,
    value: Values,
    spot: Values,
    strike: Values,
    maturity: Ends,
    rate: Values,
    dividend: Values,
    kind: Kind,
    is_call: Values | None,
    date: Instants | None = None,
) -> Checked:
    """Check and convert the arguments of a public function; values inside `jax.jit` are taken as they are.

    Args:
        name: Name of `value` in messages: "vol", which must be finite and not negative, or "price".
        value: Volatilities or prices.
        spot: Spot, > 0.
        strike: Strike, > 0.
        maturity: Years, >= 0; or dates, times or tenors with `date`, or spans of time.
        rate: Rate, 1/yr.
        dividend: Yield, 1/yr.
        kind: "call", "put", an array of these, or booleans that are True for calls (or 1, and 0 for puts).
        is_call: The older name of `kind`; None where `kind` is given.
        date: The quote date, from which maturities count that are dates or tenors.

    Raises:
        ArgumentError: An argument is not a number, not finite or of the wrong sign, or shapes do not fit.
        PrecisionError: Double precision is off.
    """
    given = kind if is_call is None else is_call
    if not isinstance(given, str | Tracer) and np.asarray(given).dtype.kind in "iuf":
        numbers = np.asarray(given)
        given = numbers != 0 if np.isin(numbers, (0, 1)).all() else given
    plain = terms(
        None, strike, maturity, given, spot=spot, rate=rate, dividend=dividend, date=date, missing=False
    )
    numbers = as_numbers(name, value)
    if name == "vol" and not isinstance(numbers, Tracer):
        wrong = ~(np.isfinite(numbers) & (numbers >= 0.0))
        if wrong.any():
            first = np.atleast_1d(numbers[wrong])[0]
            raise ArgumentError(
                f"vol must be finite and >= 0 (0.2 for 20 %), got {first} ({wrong.sum()} such values)."
            )
    carry = [as_numbers(n, x) for n, x in (("spot", spot), ("rate", rate), ("dividend", dividend))]
    columns = (numbers, carry[0], plain.strike, plain.maturity, *carry[1:], plain.is_call)
    try:
        first, *arrays, flags = as_float64(*columns)
    except ValueError as error:
        raise ArgumentError(
            f"Shapes do not broadcast: {name} {np.shape(numbers)} and those of the options. "
            "For a grid, pass maturity[:, None] and strike."
        ) from error
    flat = [jnp.ravel(array) for array in arrays]
    return Checked(Option(*flat, is_call=jnp.ravel(flags) != 0.0), jnp.ravel(first), first.shape)
