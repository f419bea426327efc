"""The edge between quotes and mathematics: checked option terms, moneyness, parity, price unit, settlement.

Inside the package an option is a log-forward moneyness k and a maturity t, and its price is the normalised
out-of-the-money price: c(k) = E[(e^X - e^k)^+] for k >= 0, p(k) = E[(e^k - e^X)^+] below. Equation numbers
refer to docs/mathematics.md.
"""

from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..errors import ArgumentError
from ..precision import Precision, require_precision
from ..typing import Flags, Numbers, Real, Scalar, Values

Kind = Literal["call", "put"] | Values
Settlement = Literal["cash", "coin"]


class Terms(NamedTuple):
    """Option terms as float arrays that broadcast. Concrete values have been checked."""

    forward: Real
    strike: Real
    maturity: Real
    discount: Real
    is_call: Flags
    is_coin: Flags  # an array and not static, so that both settlements share one compilation


def terms(
    forward: Values | None,
    strike: Values | None,
    maturity: Values | None,
    kind: Kind = "call",
    discount: Values = 1.0,
    settlement: Settlement = "cash",
    *,
    spot: Values | None = None,
    rate: Values | None = None,
    dividend: Values | None = None,
    precision: Precision = "float64",
) -> Terms:
    """Check and convert the terms of options.

    Args:
        forward: Forward of each option's expiry, > 0; None where `spot` is given with `rate` and `dividend`.
        strike: Strikes, > 0, same unit as the forward.
        maturity: Years to expiry, >= 0.
        kind: "call", "put" or a boolean array, true for calls.
        discount: Discount factor of the payment currency to the expiry, > 0.
        settlement: "cash", or "coin" for inverse options, whose pay-off and price are in the underlying.
        spot: Spot, > 0: forward = spot e^{(rate - dividend) maturity}, discount = e^{-rate maturity}.
        rate: Continuously compounded rate, 1/yr; 0 where not given.
        dividend: Continuous dividend or convenience yield, 1/yr; 0 where not given.
        precision: Dtype to compute in.

    Returns:
        The terms, in arrays of the dtype.

    Raises:
        ArgumentError: a term is nan, has the wrong sign, or the shapes do not broadcast.
        PrecisionError: double precision is off.
    """
    if settlement not in ("cash", "coin"):
        raise ArgumentError(f"settlement must be 'cash' or 'coin' (inverse), got {settlement!r}.")
    given = {"forward": forward, "strike": strike, "maturity": maturity, "discount": discount}
    given |= {"spot": spot, "rate": rate, "dividend": dividend}
    given = {name: value for name, value in given.items() if value is not None}
    dtype = require_precision(precision, **given)
    arrays = {name: as_numbers(name, value, dtype) for name, value in given.items()}
    _check_signs(arrays)
    is_call = _as_flags(kind)
    _check_shapes(arrays | {"kind": is_call})
    if spot is not None:
        arrays = _from_spot(arrays, forward)
    elif forward is None:
        raise ArgumentError("forward is missing: give it, or spot= with rate= and dividend=.")
    elif rate is not None or dividend is not None:
        raise ArgumentError("rate= and dividend= go with spot=; with a forward give discount=.")
    is_coin = np.asarray(settlement == "coin")
    names = ("forward", "strike", "maturity", "discount")
    return Terms(**{name: arrays[name] for name in names}, is_call=is_call, is_coin=is_coin)


def _from_spot(arrays: dict[str, Numbers], forward: Values | None) -> dict[str, Numbers]:
    zero = np.zeros((), arrays["spot"].dtype)
    rate = arrays.get("rate", zero)
    dividend = arrays.get("dividend", zero)
    t = arrays["maturity"]
    xp = np if all(isinstance(x, np.ndarray) for x in arrays.values()) else jnp
    if forward is None:
        arrays["forward"] = arrays["spot"] * xp.exp((rate - dividend) * t)
    if "rate" in arrays:
        arrays["discount"] = xp.exp(-rate * t)
    return arrays


def as_numbers(name: str, value: Values, dtype: type = np.float64) -> Numbers:
    """Convert an argument to a numpy array of the dtype; a traced array stays traced.

    Args:
        name: Name of the argument, for the error.
        value: The argument.
        dtype: A floating-point dtype.

    Returns:
        The array.

    Raises:
        ArgumentError: the argument does not hold numbers; the message names it.
    """
    if isinstance(value, Tracer):
        return value.astype(dtype)
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be numbers, got {type(value).__name__}: {value!r}.") from error


def _as_flags(kind: Kind) -> Flags:
    if isinstance(kind, str):
        if kind not in ("call", "put"):
            raise ArgumentError(f"kind must be 'call', 'put' or booleans (True = call), got {kind!r}.")
        return np.asarray(kind == "call")
    if isinstance(kind, Tracer):
        return kind
    flags = np.asarray(kind)
    if flags.dtype.kind in "UO":
        if not np.all(np.isin(flags, ["call", "put"])):
            raise ArgumentError(f"kind must hold 'call' and 'put' only, got {np.unique(flags)[:5]}.")
        flags = flags == "call"
    if flags.dtype != bool:
        raise ArgumentError(f"kind must be 'call', 'put' or booleans (True = call), got dtype {flags.dtype}.")
    return flags


_SIGNS = {"forward": "> 0", "strike": "> 0", "maturity": ">= 0", "discount": "> 0", "spot": "> 0"}


def _check_signs(arrays: dict[str, Numbers]) -> None:
    for name, value in arrays.items():
        if isinstance(value, Tracer):
            continue
        rule = _SIGNS.get(name, "finite")
        wrong = ~np.isfinite(value)
        if rule != "finite":
            wrong |= value < 0 if rule == ">= 0" else value <= 0
        if np.any(wrong):
            first = value[wrong][0] if np.ndim(value) else value
            raise ArgumentError(
                f"{name} must be finite and {rule}, got {first} ({np.sum(wrong)} such values)."
            )


def _check_shapes(arrays: dict[str, Numbers]) -> None:
    shapes = {name: np.shape(value) for name, value in arrays.items()}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError as error:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise ArgumentError(
            f"Shapes do not broadcast: {listed}. For a grid give maturity[:, None] and strikes."
        ) from error


def moneyness(forward: Real, strike: Real) -> Real:
    """Log-forward moneyness k = log(strike/forward); nan where either is not positive."""
    good = (forward > 0) & (strike > 0)
    return jnp.where(good, jnp.log(jnp.where(good, strike, 1.0) / jnp.where(good, forward, 1.0)), jnp.nan)


def from_out_of_the_money(otm: Real, k: Real, is_call: Flags) -> Real:
    """Normalised price of a call or put from the out-of-the-money price.

    Parity (1) is used in the direction that adds, never in the one that subtracts.

    Args:
        otm: Price of the call for k >= 0, of the put for k < 0.
        k: Log-forward moneyness.
        is_call: True where the call's price is wanted, false for the put's.

    Returns:
        Broadcast shape.
    """
    # written with `where`: at k = 0 the out-of-the-money price is the call's, and so is its derivative
    missing = jnp.where(is_call, jnp.where(k < 0, -jnp.expm1(k), 0.0), jnp.where(k >= 0, jnp.expm1(k), 0.0))
    return otm + missing


def settled(normalised: Real, option: Terms) -> Real:
    """Price in the payment currency (cash) or in the underlying (coin) of a normalised price."""
    return option.discount * jnp.where(option.is_coin, normalised, option.forward * normalised)


def unit(discount: Scalar, forward: Real, settlement: Settlement) -> Real:
    """Unit of quoted prices: what a normalised price is multiplied by to give the quoted one, (2).

    Args:
        discount: Discount factor of the payment currency, broadcast.
        forward: Forward of the expiry, any shape.
        settlement: "cash": quoted in the payment currency; "coin": quoted in the underlying, where normalised
            and quoted price are the same.

    Returns:
        Shape of the forward.
    """
    return np.ones(np.shape(forward)) if settlement == "coin" else discount * forward
