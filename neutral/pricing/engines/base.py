"""The interface of all pricing engines, and what they share: statuses, quadratures, refusals."""

import abc
import enum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ...models import AbstractFourierModel
from ...presentation.frame import Labels, frame_of_arrays
from ...typing import Codes, Flags, Numbers, Real

if TYPE_CHECKING:
    import pandas as pd

Model = TypeVar("Model", bound=AbstractFourierModel)
Grid = TypeVar("Grid")


class PriceStatus(enum.IntEnum):
    """How far a price can be trusted; `PriceStatus(code).message` states what to do."""

    accurate = 0
    inaccurate = 1
    invalid = 2
    refused = 3

    @property
    def message(self) -> str:
        """One sentence: what the status means and what to do about it."""
        return _MESSAGES[self]

    @classmethod
    def names(cls, codes: Codes) -> np.ndarray:
        """Names of codes, in their shape."""
        return np.array([status.name for status in cls], object)[np.asarray(codes)]


_MESSAGES = {
    PriceStatus.accurate: "The estimated error is below the engine's tolerance.",
    PriceStatus.inaccurate: "The quadrature has not converged: use more nodes, or neutral.certify.",
    PriceStatus.invalid: "A term or a parameter is outside its domain, or not a number.",
    PriceStatus.refused: "The engine cannot price this option (its damping is outside the strip of finite "
    "moments, the strike is off its grid, or its range is too short): take the default engine.",
}


_NO_DIGIT = 1e-2  # estimated error, in units of max(1, K/F), above which a price has no correct digit


class Quadrature(NamedTuple):
    """Out-of-the-money normalised prices and estimates of their quadrature error; both have one shape.

    An option that the engine refuses has the value nan and the error inf.
    """

    value: Real
    error: Real


def with_refusals(value: Real, error: Real, k: Real, good: Flags) -> Quadrature:
    """Prices, with the value nan and the error inf for options that the engine refuses.

    An option is refused where `good` is false, and where its error leaves no correct digit.

    Args:
        value: Out-of-the-money prices, finite or not.
        error: Estimates of their error, without the rounding of the price itself.
        k: Log-forward moneyness.
        good: Whether the engine covers the option; broadcasts against the other arguments.

    Returns:
        Prices and errors of the shape of k; errors are constants of differentiation.
    """
    unit = jnp.maximum(1.0, jnp.exp(k))
    error = error + 4.0 * jnp.finfo(k.dtype).eps * unit
    good = good & (error <= _NO_DIGIT * unit)
    error = jax.lax.stop_gradient(jnp.where(good, error, jnp.inf))
    return Quadrature(jnp.where(good, value, jnp.nan), error)


def like(row: ArrayLike, leading: Numbers) -> Real:
    """The row in the dtype of `leading`, with as many new axes in front as `leading` has axes.

    JAX may be set to refuse the promotion of ranks, so these axes must be explicit.
    """
    row = jnp.asarray(row, leading.dtype)
    return jnp.reshape(row, (1,) * jnp.ndim(leading) + row.shape)


def beyond(n: int, stride: int, reach: int) -> np.ndarray:
    """Indices of the n nodes of an even rule, then further ones, `stride` apart, up to `reach` times n.

    The further nodes measure what the rule omits, because a characteristic function may vanish and grow
    again. With jumps of nearly one size it does so near every multiple of 2 pi / size.
    """
    return np.concatenate([np.arange(n), np.arange(n - 1 + stride, reach * n, stride)]).astype(float)


class AbstractEngine(eqx.Module):
    """An engine turns the characteristic function of a model into prices."""

    tolerance: eqx.AbstractVar[float]
    """Estimated error of an out-of-the-money price, in units of `unit`, above which it is inaccurate."""
    shares_strikes: ClassVar[bool] = True
    """Whether the strikes of one maturity share work, so that options are laid out by maturity."""

    def unit(self, k: Real) -> Real:
        """The unit of the tolerance, in forwards: max(1, K/F) for an engine whose accuracy is absolute."""
        return jnp.maximum(1.0, jnp.exp(k))

    def prepare(self, model: AbstractFourierModel, t: np.ndarray) -> "AbstractEngine":
        """Make the choices that must be made before compiling; called only with concrete numbers.

        Args:
            model: Concrete parameters.
            t: Maturities in years, >= 0, any shape.

        Returns:
            An engine in which every choice is made. Inside jit an engine is used unprepared.

        Raises:
            ArgumentError: the engine cannot price a maturity; the message names a setting that can.
        """
        del model, t
        return self

    @abc.abstractmethod
    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> Any:
        """Choose where to integrate.

        Args:
            model: Scalar parameters.
            k: Log-forward moneyness, shape (maturities, strikes).
            t: Maturities in years, > 0, shape (maturities,).

        Returns:
            A pytree for `otm`. Derivatives treat it as a constant, so one plan serves all of them.
        """

    @abc.abstractmethod
    def otm(self, model: AbstractFourierModel, k: Real, t: Real, plan: Any = None) -> Quadrature:
        """Out-of-the-money normalised prices: calls for k >= 0, puts below.

        Args:
            model: Scalar parameters.
            k: Log-forward moneyness, shape (maturities, strikes).
            t: Maturities in years, > 0, shape (maturities,).
            plan: What `plan` returned for these arguments; where None, `otm` calls `plan`.

        Returns:
            Values and estimates of their errors, each of shape (maturities, strikes). Values are
            differentiable in model, k and t.
        """


class AbstractGridEngine(AbstractEngine, Generic[Grid]):
    """An engine that can calibrate: it prices from a grid of constants that do not depend on the parameters.

    All arrays may have leading axes, such as one of surfaces, in front of maturities T and strikes K. A
    leading axis of length 1 on the grid serves many models.
    """

    @abc.abstractmethod
    def grid(self, k: Real, t: Real, stdev: Real) -> Grid:
        """Compute the constants of a whole calibration; they may be differentiated in traced arguments.

        Args:
            k: Log-forward moneyness, shape (..., T, K).
            t: Maturities in years, > 0, shape (..., T).
            stdev: Scale of frequencies and strikes, such as the market's total standard deviation at the
                money, > 0, shape (..., T).

        Returns:
            A pytree of arrays, for the other methods.
        """

    @abc.abstractmethod
    def prices(self, model: AbstractFourierModel, grid: Grid) -> Real:
        """Out-of-the-money normalised prices, shape (..., T, K), of a model whose fields have shape (...).

        A price for which `refused` is true is an arbitrary number or nan.

        Args:
            model: Fields of shape (...).
            grid: What `grid` returned.
        """

    @abc.abstractmethod
    def prices_and_jacobian(self, model: Model, grid: Grid) -> tuple[Real, Model]:
        """Prices, and a model whose fields are their derivatives in each parameter.

        Args:
            model: Fields of shape (...).
            grid: What `grid` returned.

        Returns:
            Prices of shape (..., T, K), and derivatives of the same shape, to which a parameter with an axis
            of entries adds that axis at the end.
        """

    @abc.abstractmethod
    def refused(self, model: AbstractFourierModel, grid: Grid) -> Flags:
        """Whether the engine cannot compute a price under this model, shape (..., T, K).

        Args:
            model: Fields of shape (...).
            grid: What `grid` returned.
        """

    @abc.abstractmethod
    def judge(self, model: AbstractFourierModel, k: Real, t: Real, stdev: Real, grid: Grid) -> Quadrature:
        """Prices with an estimate of their error, for a fitted model.

        Args:
            model: Fields of shape (...).
            k: As in `grid`.
            t: As in `grid`.
            stdev: As in `grid`.
            grid: What `grid` returned.

        Returns:
            The value of `prices`, and its estimated error, which is inf where the price is refused, each of
            shape (..., T, K).
        """


class PriceInfo(NamedTuple):
    """Prices, a `PriceStatus` code for each, and their estimated errors in the unit of the price."""

    price: Real
    status: Codes
    error_estimate: Real

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per option.

        Columns: `price`, `status` (the name of a `PriceStatus`) and `error_estimate`.

        Args:
            index: Labels of the rows, such as the index of the table of the options; positions where None.
        """
        columns = {"price": self.price, "status": PriceStatus.names(self.status)}
        return frame_of_arrays(columns | {"error_estimate": self.error_estimate}, index)
