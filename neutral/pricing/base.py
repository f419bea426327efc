"""What every pricing engine promises."""

import abc
import enum
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Int

from ..models import AbstractFourierModel
from ..typing import Real


class PriceStatus(enum.IntEnum):
    """What is known of a price; `PriceStatus(code).message` says what to do."""

    accurate = 0
    inaccurate = 1
    invalid = 2

    @property
    def message(self) -> str:
        """What it means and what to do."""
        return _MESSAGES[self]


_MESSAGES = {
    PriceStatus.accurate: "The estimated error is below the engine's tolerance.",
    PriceStatus.inaccurate: "The quadrature has not converged: use more nodes, or neutral.certify.",
    PriceStatus.invalid: "A term or a parameter is outside its domain, or not a number.",
}


class Quadrature(NamedTuple):
    """Out-of-the-money normalised prices and what their quadrature says of itself; one shape."""

    value: Real
    error: Real


class AbstractEngine(eqx.Module):
    """Turns a model's characteristic function into prices."""

    tolerance: eqx.AbstractVar[float]
    """Estimated error, in units of max(1, K/F), from which a price is called inaccurate."""

    @abc.abstractmethod
    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> Any:
        """Where to integrate: a pytree that derivatives take as constant, made once for all of them."""

    @abc.abstractmethod
    def otm(self, model: AbstractFourierModel, k: Real, t: Real, plan: Any = None) -> Quadrature:
        """Out-of-the-money normalised prices: calls for k >= 0, puts below.

        Args:
            model: Scalar parameters.
            k: Log-forward moneyness, shape (maturities, strikes).
            t: Maturities in years, > 0, shape (maturities,).
            plan: What `plan` returned for these arguments; made here where None.

        Returns:
            Value and an estimate of its error, shape (maturities, strikes). Differentiable in all arguments.
        """


class PriceInfo(NamedTuple):
    """Prices, what is known of them, and the estimated error in the price's own unit; one shape."""

    price: Real
    status: Int[Array, "..."]
    error_estimate: Real
