"""What every pricing engine promises."""

import abc
import enum
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from ...models import AbstractFourierModel
from ...typing import Flags, Real


class PriceStatus(enum.IntEnum):
    """What is known of a price; `PriceStatus(code).message` says what to do."""

    accurate = 0
    inaccurate = 1
    invalid = 2
    refused = 3

    @property
    def message(self) -> str:
        """What it means and what to do."""
        return _MESSAGES[self]


_MESSAGES = {
    PriceStatus.accurate: "The estimated error is below the engine's tolerance.",
    PriceStatus.inaccurate: "The quadrature has not converged: use more nodes, or neutral.certify.",
    PriceStatus.invalid: "A term or a parameter is outside its domain, or not a number.",
    PriceStatus.refused: "Out of the engine's reach (damping outside the strip of finite moments, strike off "
    "the grid, range too short for the distribution): take the default engine.",
}


_NO_DIGIT = 1e-2  # estimated error, in units of max(1, K/F), from which a number is no price


class Quadrature(NamedTuple):
    """Out-of-the-money normalised prices and what their quadrature says of itself; one shape.

    An option that the engine refuses has the value nan and the error inf.
    """

    value: Real
    error: Real


def reached(value: Real, error: Real, k: Real, good: Flags) -> Quadrature:
    """Prices of an engine that refuses some: nan, with the error inf, where not `good` or without a digit.

    Args:
        value: Out-of-the-money prices, finite or not.
        error: Estimates of their error.
        k: Log-forward moneyness.
        good: Whether the engine covers the option; broadcasts against the rest.
    """
    unit = jnp.maximum(1.0, jnp.exp(k))
    error = error + 4.0 * jnp.finfo(k.dtype).eps * unit
    good = good & (error <= _NO_DIGIT * unit)
    error = jax.lax.stop_gradient(jnp.where(good, error, jnp.inf))
    return Quadrature(jnp.where(good, value, jnp.nan), error)


def like(row: Real | np.ndarray, leading: Real) -> Real:
    """A row of nodes with the axes of `leading` in front, for strict broadcasting."""
    row = jnp.asarray(row, leading.dtype)
    return jnp.reshape(row, (1,) * jnp.ndim(leading) + row.shape)


def beyond(n: int, stride: int, reach: int) -> np.ndarray:
    """Indices of the n nodes of an even rule, then further ones, `stride` apart up to `reach` n.

    The rest tells what the rule omits: a characteristic function may come back after it has vanished. With
    jumps of nearly one size it does so at every multiple of 2 pi / size.
    """
    return np.concatenate([np.arange(n), np.arange(n - 1 + stride, reach * n, stride)]).astype(float)


class AbstractEngine(eqx.Module):
    """Turns a model's characteristic function into prices."""

    tolerance: eqx.AbstractVar[float]
    """Estimated error, in units of max(1, K/F), from which a price is called inaccurate."""

    def prepare(self, model: AbstractFourierModel, t: np.ndarray) -> "AbstractEngine":
        """This engine with what must be known before compiling settled; called where all is concrete.

        Args:
            model: Concrete parameters.
            t: Maturities in years, >= 0, any shape.

        Returns:
            An engine without open choices. Inside jit an engine is used as it is.

        Raises:
            ArgumentError: the engine cannot price a maturity; names what would.
        """
        del model, t
        return self

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
