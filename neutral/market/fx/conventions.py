"""The conventions in which volatilities of a currency pair are quoted."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, get_args

from ...errors import ArgumentError

Delta = Literal["spot", "forward"]
AtTheMoney = Literal["delta_neutral_straddle", "unadjusted_straddle", "forward"]
Butterfly = Literal["market_strangle", "smile"]

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "delta": get_args(Delta),
    "premium_adjusted": (False, True),
    "atm": get_args(AtTheMoney),
    "butterfly": get_args(Butterfly),
}
"""The accepted values of each field of `FxConventions`."""


@dataclasses.dataclass(frozen=True)
class FxConventions:
    """The conventions in which volatilities of a currency pair are quoted.

    Raises:
        ArgumentError: A field has none of its accepted values; the message lists them.
    """

    delta: Delta = "spot"
    """Whether deltas are hedges in spot or in the forward. A spot delta is the forward delta x the foreign
    discount factor."""
    premium_adjusted: bool = False
    """Whether the premium is paid in foreign currency and is part of the hedge."""
    atm: AtTheMoney = "delta_neutral_straddle"
    """The strike at the money: where the deltas of call and put cancel, where their deltas without premium
    adjustment cancel, or the forward."""
    butterfly: Butterfly = "market_strangle"
    """What a strangle quote is, plus the volatility at the money: the one volatility at which brokers price
    put and call, or the mean of their two volatilities on the smile."""

    def __post_init__(self) -> None:
        check_conventions(dataclasses.asdict(self))


def check_conventions(stated: Mapping[str, object]) -> None:
    """Check conventions of which some may be stated and others not.

    Args:
        stated: Values by the names of the fields of `FxConventions`.

    Raises:
        ArgumentError: A name is no such field, or a value is not accepted; the message lists what is.
    """
    for name, value in stated.items():
        if name not in CHOICES:
            raise ArgumentError(
                f"{name!r} is no convention of a currency pair; the conventions are {', '.join(CHOICES)}."
            )
        if not any(value is choice or value == choice for choice in CHOICES[name]):
            raise ArgumentError(
                f"{name}={value!r} is unknown; expected {' or '.join(map(repr, CHOICES[name]))}."
            )
