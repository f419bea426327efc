"""The edge between quotes and mathematics: checked option terms, moneyness, parity and settlement.

Inside the package an option is a log-forward moneyness k and a maturity t, and its price is the normalised
out-of-the-money price: c(k) = E[(e^X - e^k)^+] for k >= 0, p(k) = E[(e^k - e^X)^+] below.
"""

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool

from ..errors import ArgumentError
from ..precision import Precision, require_precision
from ..typing import Real

Kind = Literal["call", "put"] | bool | Any
Settlement = Literal["cash", "coin"]


class Terms(NamedTuple):
    """Option terms as float arrays that broadcast; checked where concrete."""

    forward: Real
    strike: Real
    maturity: Real
    discount: Real
    is_call: Bool[Array, "..."]
    is_coin: Any  # an array too, not static: both settlements share one compilation


def terms(
    forward: Any,
    strike: Any,
    maturity: Any,
    kind: Kind = "call",
    discount: Any = 1.0,
    settlement: Settlement = "cash",
    *,
    spot: Any = None,
    rate: Any = None,
    dividend: Any = None,
    precision: Precision = "float64",
) -> Terms:
    """Check and convert the terms of options.

    Args:
        forward: Forward of each option's expiry, > 0; None where `spot` is given with `rate` and `dividend`.
        strike: Strikes, > 0, same unit as the forward.
        maturity: Years to expiry, >= 0.
        kind: "call", "put" or a boolean array, true for calls.
        discount: Discount factor to the expiry, > 0 (payment currency).
        settlement: "cash", or "coin" for inverse options (pay-off and price in the underlying).
        spot: Spot, > 0: forward = spot e^{(rate - dividend) maturity}, discount = e^{-rate maturity}.
        rate: Continuously compounded rate, 1/yr; 0 where not given.
        dividend: Continuous dividend or convenience yield, 1/yr; 0 where not given.
        precision: Dtype to compute in.

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
    return Terms(
        arrays["forward"], arrays["strike"], arrays["maturity"], arrays["discount"], is_call, is_coin
    )


def _from_spot(arrays: dict[str, Any], forward: Any) -> dict[str, Any]:
    zero = np.zeros((), arrays["spot"].dtype)
    rate, dividend, t = arrays.get("rate", zero), arrays.get("dividend", zero), arrays["maturity"]
    xp = np if all(isinstance(x, np.ndarray) for x in arrays.values()) else jnp
    if forward is None:
        arrays["forward"] = arrays["spot"] * xp.exp((rate - dividend) * t)
    if "rate" in arrays:
        arrays["discount"] = xp.exp(-rate * t)
    return arrays


def as_numbers(name: str, value: Any, dtype: type = np.float64) -> Any:
    """A numpy array of the dtype, or the traced array in it.

    Raises:
        ArgumentError: names the argument that holds no numbers.
    """
    if isinstance(value, Tracer):
        return value.astype(dtype)
    try:
        return np.asarray(value, dtype)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} must be numbers, got {type(value).__name__}: {value!r}.") from error


def _as_flags(kind: Any) -> Any:
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


def _check_signs(arrays: dict[str, Any]) -> None:
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


def _check_shapes(arrays: dict[str, Any]) -> None:
    shapes = {name: np.shape(value) for name, value in arrays.items()}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError as error:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise ArgumentError(
            f"Shapes do not broadcast: {told}. For a grid give maturity[:, None] and strikes."
        ) from error


def moneyness(forward: Real, strike: Real) -> Real:
    """k = log(strike/forward); nan where either is not positive."""
    good = (forward > 0) & (strike > 0)
    return jnp.where(good, jnp.log(jnp.where(good, strike, 1.0) / jnp.where(good, forward, 1.0)), jnp.nan)


def from_out_of_the_money(otm: Real, k: Real, is_call: Bool[Array, "..."]) -> Real:
    """Normalised price of the kind asked for, by parity c - p = 1 - e^k: it adds, never subtracts."""
    # written with `where`: at k = 0 the out-of-the-money price is the call's, and so is its derivative
    missing = jnp.where(is_call, jnp.where(k < 0, -jnp.expm1(k), 0.0), jnp.where(k >= 0, jnp.expm1(k), 0.0))
    return otm + missing


def settled(normalised: Real, option: Terms) -> Real:
    """Price in money (cash) or in the underlying (coin) of a normalised price."""
    return option.discount * jnp.where(option.is_coin, normalised, option.forward * normalised)
