"""Discrete dividends of an asset, in cash and in proportion to its price, and its path through them."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...errors import ArgumentError
from ...typing import Flags, Numbers, Real, Values
from ..terms import as_numbers
from .option import Option

DividendModel = Literal["spot", "escrowed"]
_SAME_MOMENT = 1e-9  # years: an ex-date so little after the maturity is on its day


class Dividends(eqx.Module):
    """Discrete dividends, the same for all options of a call.

    On its ex-date the price S becomes (1 - proportional) S - cash. Dividends after an option's maturity do
    not matter to it; one on the day of the maturity is paid before the pay-off. The volatility belongs to the
    spot itself ("spot": lognormal between ex-dates; where a cash dividend is more than the price, the price
    falls to zero), or to the spot less the value of the cash dividends that are still to come before the
    option's maturity ("escrowed"). A volatility means different things in the two, and so must be used with
    the model it was implied with.

    Attributes:
        times: Years from the valuation to the ex-dates, ascending, > 0, shape (dividends,).
        cash: Amounts in the unit of the spot, >= 0, shape (dividends,).
        proportional: Fractions of the price, in [0, 1), shape (dividends,).
        model: "spot" or "escrowed".
    """

    times: Real
    cash: Real
    proportional: Real
    model: DividendModel = eqx.field(static=True)

    def __init__(
        self,
        times: Values,
        cash: Values = 0.0,
        proportional: Values = 0.0,
        model: DividendModel = "spot",
    ) -> None:
        """Check and sort the dividends.

        Args:
            times: Years to the ex-dates, > 0, in any order, shape (dividends,).
            cash: Amounts, >= 0; one number for all or shape (dividends,).
            proportional: Fractions of the price, in [0, 1); one number for all or shape (dividends,).
            model: "spot" or "escrowed".

        Raises:
            ArgumentError: A value is outside its domain, the shapes differ, or the model is unknown.
        """
        if model not in ("spot", "escrowed"):
            raise ArgumentError(f"model must be 'spot' or 'escrowed', got {model!r}.")
        columns = {"times": times, "cash": cash, "proportional": proportional}
        arrays = {name: as_numbers(name, value) for name, value in columns.items()}
        shape = np.shape(arrays["times"])
        if len(shape) != 1 or any(np.shape(a) not in ((), shape) for a in arrays.values()):
            shapes = ", ".join(f"{name} {np.shape(a)}" for name, a in arrays.items())
            raise ArgumentError(
                f"dividends need times of shape (n,), and amounts of that shape or one number; got {shapes}."
            )
        _check(arrays)
        xp = jnp if any(isinstance(a, Tracer) for a in arrays.values()) else np
        order = xp.argsort(arrays["times"])
        self.times, self.cash, self.proportional = (xp.broadcast_to(a, shape)[order] for a in arrays.values())
        self.model = model


def _check(arrays: dict[str, Numbers]) -> None:
    """Refuse concrete values outside their domains."""
    highest = {"times": np.inf, "cash": np.inf, "proportional": 1.0}
    rules = {
        "times": "finite and > 0 (years; leave out dividends that have been paid)",
        "cash": "finite and >= 0 (in the unit of the spot)",
        "proportional": ">= 0 and < 1 (0.02 for 2 % of the price)",
    }
    for name, value in arrays.items():
        if isinstance(value, Tracer):
            continue
        wrong = ~((value > 0.0) | ((value == 0.0) & (name != "times"))) | ~(value < highest[name])
        if np.any(wrong):
            raise ArgumentError(
                f"dividends: {name} must be {rules[name]}, got {np.extract(wrong, value)[0]}."
            )


class Path(NamedTuple):
    """The forward of the asset as it is carried from ex-date to ex-date, by segment k = 0, ..., n and lane.

    Segment k lies between ex-dates k and k + 1; ex-date 0 is the valuation, and n + 1 the maturity. In it the
    forward for time s is kept_k e^{(r - q) s} left_k.

    Attributes:
        edges: Times of the ex-dates, at most the maturity, shape (n + 2, lanes).
        alive: Whether the ex-date is not after the maturity, shape (n, lanes).
        cash: Cash dividends, 0 after the maturity, shape (n, lanes).
        kept: Product of the factors 1 - proportional so far, shape (n + 1, lanes).
        left: Spot less the present value, at r - q, of the cash dividends so far, shape (n + 1, lanes).
    """

    edges: Real
    alive: Flags
    cash: Real
    kept: Real
    left: Real

    @property
    def ratio(self) -> Real:
        """The factor 1 - proportional of each ex-date, 1 after the maturity, shape (n, lanes)."""
        return self.kept[1:] / self.kept[:-1]


def path(option: Option, dividends: Dividends | None) -> Path:
    """Carry the forward of the asset through its dividends."""
    times, cash, proportional = (
        jnp.zeros((3, 0)) if dividends is None else (dividends.times, dividends.cash, dividends.proportional)
    )
    # an axis of ex-dates before the axes of the options
    ranks = (-1, *(1,) * option.t.ndim)
    times, cash, proportional = (jnp.asarray(a).reshape(ranks) for a in (times, cash, proportional))
    t = option.t[None]
    alive = times <= t + _SAME_MOMENT
    begin = jnp.zeros_like(t)
    kept = jnp.concatenate([begin + 1.0, jnp.cumprod(jnp.where(alive, 1.0 - proportional, 1.0), axis=0)])
    cash = jnp.where(alive, cash, 0.0)
    dates = jnp.minimum(times, t)
    present = cash * jnp.exp(-(option.r - option.q)[None] * dates) / kept[1:]
    paid = jnp.concatenate([begin, jnp.cumsum(present, axis=0)])
    edges = jnp.concatenate([begin, dates, t])
    return Path(edges=edges, alive=alive, cash=cash, kept=kept, left=option.spot[None] - paid)


def forward(option: Option, dividends: Dividends | None) -> Real:
    """The forward to the maturity, the same in both models; not positive where dividends exceed the spot."""
    carried = path(option, dividends)
    return carried.kept[-1] * carried.left[-1] * jnp.exp((option.r - option.q) * option.t)


def check_total(option: Option, dividends: Dividends | None) -> None:
    """Refuse options whose cash dividends are worth more than the spot.

    Raises:
        ArgumentError: There are such options; the message states how much the dividends are worth.
    """
    if dividends is None or any(isinstance(a, Tracer) for a in (*option, dividends.cash, dividends.times)):
        return
    left = np.asarray(path(option, dividends).left[-1])
    if np.any(left <= 0.0):
        row = int(np.argmin(left))
        spot = float(option.spot[row])
        raise ArgumentError(
            f"The cash dividends up to {float(option.t[row]):.4g} years are worth {spot - left[row]:.6g} of "
            f"a spot of {spot:.6g}, so no price is left. Check the unit of the amounts."
        )
