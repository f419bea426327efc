"""Conversion from quoted to normalised terms: checks, moneyness, parity, price unit and settlement.

Inside the package an option is a log-forward moneyness k and a maturity t, and its price is the normalised
out-of-the-money price: c(k) = E[(e^X - e^k)^+] for k >= 0, p(k) = E[(e^k - e^X)^+] for k < 0. Equation
numbers refer to docs/mathematics.md.
"""

import reprlib
from collections.abc import Mapping
from datetime import date as Date
from datetime import timedelta
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..errors import ArgumentError
from ..precision import Precision, require_precision
from ..times import years_to
from ..times.instants import Ends, Instants
from ..typing import Flags, Numbers, Real, Scalar, Values
from .kinds import Kind, Settlement, call_flags


class Terms(NamedTuple):
    """Option terms as arrays that broadcast, checked except where traced.

    The attributes are those of `terms`; `is_coin` is True for settlement in the underlying.
    """

    forward: Real
    strike: Real
    maturity: Real
    discount: Real
    is_call: Flags
    is_coin: Flags  # an array, not a static value, so that both settlements share one compilation


def terms(
    forward: Values | None,
    strike: Values | None,
    maturity: Ends | None,
    kind: Kind = "call",
    discount: Values = 1.0,
    settlement: Settlement = "cash",
    *,
    spot: Values | None = None,
    rate: Values | None = None,
    dividend: Values | None = None,
    date: Instants | None = None,
    precision: Precision = "float64",
    missing: bool = True,
) -> Terms:
    """Check and convert the terms of options.

    Arguments are numbers, arrays or columns of pandas, polars or Arrow. A missing number is nan.

    Args:
        forward: Forward of each option's expiry, > 0; None to compute it from `spot`, `rate` and `dividend`.
        strike: Strikes in the unit of the forward, > 0.
        maturity: Years to expiry, >= 0; or dates, times or tenors such as "3m", with `date`; or spans of time
            (timedelta). All but numbers become years by act/365; see `neutral.year_fraction`.
        kind: "call", "put", an array of these, or a boolean array that is True for calls.
        discount: Discount factor of the payment currency to the expiry, > 0.
        settlement: "cash", or "coin" for inverse options, whose pay-off and price are in the underlying.
        spot: Spot, > 0. Without a forward, forward = spot e^{(rate - dividend) maturity}. With a rate,
            discount = e^{-rate maturity}.
        rate: Continuously compounded rate, 1/yr; 0 if None. It needs `spot`, and excludes `discount`.
        dividend: Continuous dividend or convenience yield, 1/yr; 0 if None. It needs `spot`, and excludes
            `forward`.
        date: The quote date, from which maturities count that are dates or tenors.
        precision: Floating-point type to compute in.
        missing: Whether numbers may be nan.

    Returns:
        The terms, in arrays of that type.

    Raises:
        ArgumentError: a term is missing, infinite or of the wrong sign, two terms state the same, the
            shapes do not broadcast, or columns of pandas have different indexes.
        PrecisionError: double precision is off.
    """
    if settlement not in ("cash", "coin"):
        raise ArgumentError(f"settlement must be 'cash' or 'coin' (inverse), got {settlement!r}.")
    if strike is None or maturity is None:
        absent = "strike" if strike is None else "maturity"
        raise ArgumentError(f"{absent} is missing, or is None; pass numbers.")
    values = {"forward": forward, "strike": strike, "maturity": maturity, "discount": discount}
    values |= {"spot": spot, "rate": rate, "dividend": dividend}
    values = {name: value for name, value in values.items() if value is not None}
    check_aligned({**values, "kind": kind})
    if not isinstance(maturity, Tracer | float):
        values["maturity"] = years_to(maturity, date)
    dtype = require_precision(precision, **values)
    arrays = {name: as_numbers(name, value, dtype) for name, value in values.items()}
    _check_signs(arrays, missing)
    is_call = call_flags(kind)
    _check_shapes(arrays | {"kind": is_call})
    if spot is not None:
        _check_consistent(forward, discount, rate, dividend)
        arrays = _from_spot(arrays, forward)
    elif forward is None:
        raise ArgumentError("forward is missing: pass forward=, or spot= with rate= and dividend=.")
    elif rate is not None or dividend is not None:
        raise ArgumentError(
            "rate= and dividend= need spot=, got none; with forward=, pass discount= instead."
        )
    is_coin = np.asarray(settlement == "coin")
    names = ("forward", "strike", "maturity", "discount")
    return Terms(**{name: arrays[name] for name in names}, is_call=is_call, is_coin=is_coin)


def _check_consistent(
    forward: Values | None, discount: Values, rate: Values | None, dividend: Values | None
) -> None:
    """Refuse two arguments that state the same: forward and dividend, or discount and rate."""
    has_discount = isinstance(discount, Tracer) or bool(np.any(np.asarray(discount) != 1.0))
    pairs = {
        "forward= and dividend=": forward is not None and dividend is not None,
        "discount= and rate=": has_discount and rate is not None,
    }
    for pair, both in pairs.items():
        if both:
            raise ArgumentError(
                f"{pair} state the same with spot=, and may contradict each other; pass one of the two. The "
                "forward is spot e^{(rate - dividend) maturity}, and the discount factor e^{-rate maturity}."
            )


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
    """Convert an argument to a numpy array of the dtype; a traced array remains traced.

    Masked and missing entries become nan.

    Args:
        name: Name of the argument, for the error message.
        value: The argument.
        dtype: A floating-point dtype.

    Returns:
        The array.

    Raises:
        ArgumentError: the argument does not contain numbers; the message names it.
    """
    if isinstance(value, Tracer):
        return value.astype(dtype)
    try:
        if isinstance(value, np.ma.MaskedArray):
            value = np.ma.filled(value.astype(dtype), np.nan)
        raw = np.asarray(value)
        if raw.dtype.kind in "USTMm" or (raw.dtype == object and any(map(_is_no_number, raw.flat))):
            raise TypeError
        return raw.astype(dtype, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        shown = reprlib.repr(value)
        raise ArgumentError(f"{name} must be numbers, got {type(value).__name__}: {shown}.") from error


def _is_no_number(x: object) -> bool:
    return isinstance(x, str | Date | timedelta)


def check_aligned(columns: Mapping[str, object]) -> None:
    """Refuse columns of pandas whose rows have different labels: they would be combined in the wrong order.

    Args:
        columns: Arguments by name; those that are no column of pandas do not matter.

    Raises:
        ArgumentError: Two columns of one length have different indexes; the message names them.
    """
    indexes: dict[str, Any] = {
        name: getattr(column, "index")  # noqa: B009 - of pandas, which this module does not import
        for name, column in columns.items()
        if hasattr(column, "iloc") and hasattr(column, "index")
    }
    first = next(iter(indexes), "")
    for name, index in indexes.items():
        if index is not indexes[first] and len(index) == len(indexes[first]) and len(index) > 1:
            if not index.equals(indexes[first]):
                raise ArgumentError(
                    f"the columns {first} and {name} have different indexes: their rows do not match; align "
                    f"them, as with {name}.reindex({first}.index), or pass {name}.to_numpy()."
                )


_SIGNS = {"forward": "> 0", "strike": "> 0", "maturity": ">= 0", "discount": "> 0", "spot": "> 0"}


def _check_signs(arrays: dict[str, Numbers], missing: bool) -> None:
    for name, value in arrays.items():
        if isinstance(value, Tracer):
            continue
        rule = _SIGNS.get(name, "finite")
        wrong = np.isinf(value) if missing else ~np.isfinite(value)
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
            f"Shapes do not broadcast: {listed}. For a grid, pass maturity[:, None] and strike."
        ) from error


def moneyness(forward: Real, strike: Real) -> Real:
    """Compute the log-forward moneyness k = log(strike / forward); nan where either is not positive."""
    valid = (forward > 0) & (strike > 0)
    return jnp.where(valid, jnp.log(jnp.where(valid, strike, 1.0) / jnp.where(valid, forward, 1.0)), jnp.nan)


def from_out_of_the_money(otm: Real, k: Real, is_call: Flags) -> Real:
    """Compute the normalised price of a call or put from the out-of-the-money price.

    Put-call parity (1) only ever adds intrinsic value here, so that no digits cancel.

    Args:
        otm: Price of the call for k >= 0, of the put for k < 0.
        k: Log-forward moneyness; all arguments broadcast.
        is_call: True to return the price of the call, False for that of the put.

    Returns:
        Normalised price, in the broadcast shape.
    """
    # `where` and not `maximum`: at k = 0 the out-of-the-money option is the call, also for derivatives
    intrinsic = jnp.where(is_call, jnp.where(k < 0, -jnp.expm1(k), 0.0), jnp.where(k >= 0, jnp.expm1(k), 0.0))
    return otm + intrinsic


def settled(normalised: Real, option: Terms) -> Real:
    """Convert a normalised price to the payment currency (cash) or to the underlying (coin)."""
    return option.discount * jnp.where(option.is_coin, normalised, option.forward * normalised)


def unit(discount: Scalar, forward: Real, settlement: Settlement) -> Real:
    """Compute the unit of quoted prices (2): the quoted price is the unit times the normalised price.

    Args:
        discount: Discount factor of the payment currency, broadcast.
        forward: Forward of the expiry, any shape.
        settlement: "cash" for quotes in the payment currency; "coin" for quotes in the underlying, where
            normalised and quoted price are the same.

    Returns:
        The unit, in the shape of the forward.
    """
    return np.ones(np.shape(forward)) if settlement == "coin" else discount * forward
