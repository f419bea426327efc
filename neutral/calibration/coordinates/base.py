"""The interface of coordinates: the vector that a solver moves, and the model that a vector represents."""

import abc
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import jax.numpy as jnp
import numpy as np

from ...models import AbstractFourierModel
from ...typing import Flags, Real

Bounds = dict[str, tuple[float, float]]


class Columns(NamedTuple):
    """Derivatives of prices in the natural parameters.

    Axes: surfaces B, parameters p, maturities T, strikes K.

    Attributes:
        shared: Derivatives in parameters that move the prices of every maturity, shape (B, p, T, K).
        local: Derivatives in one further parameter per maturity, which moves the prices of that maturity
            alone, shape (B, T, K); None where there is no such parameter.
    """

    shared: Real
    local: Real | None = None

    def gradient(self, pull: Real) -> Real:
        """The product J' pull, shape (B, p) or (B, p + T), for a pull of each cell, shape (B, T, K)."""
        gradient = jnp.einsum("bptk,btk->bp", self.shared, pull)
        if self.local is None:
            return gradient
        return jnp.concatenate([gradient, jnp.sum(self.local * pull, axis=-1)], axis=-1)

    def gram(self, weight: Real) -> Real:
        """The normal matrix J' W J, shape (B, n, n) with n = p or p + T, for weights of shape (B, T, K)."""
        weighted = self.shared * jnp.expand_dims(weight, -3)
        shared = jnp.einsum("bptk,bqtk->bpq", weighted, self.shared)
        if self.local is None:
            return shared
        mixed = jnp.einsum("bptk,btk->bpt", weighted, self.local)
        diagonal = jnp.sum(self.local * self.local * weight, axis=-1)
        local = jnp.expand_dims(diagonal, -1) * jnp.eye(diagonal.shape[-1])[None]
        top = jnp.concatenate([shared, mixed], axis=-1)
        bottom = jnp.concatenate([jnp.swapaxes(mixed, -1, -2), local], axis=-1)
        return jnp.concatenate([top, bottom], axis=-2)

    def dense(self) -> Real:
        """All columns of the Jacobian with their zeros, shape (B, p, T, K) or (B, p + T, T, K)."""
        if self.local is None:
            return self.shared
        diagonal = jnp.eye(self.local.shape[-2])[None, :, :, None] * jnp.expand_dims(self.local, -3)
        return jnp.concatenate([self.shared, diagonal], axis=-3)


class AbstractCoordinates(abc.ABC):
    """Coordinates of a model on surfaces with T padded maturities; they are hashable, fixed at compile time.

    A vector has `size` coordinates with the names `names`: first those of the model's own `parameters`, then
    those of each extension. The coordinates of an extension wrap those of the model that it extends.
    """

    @property
    @abc.abstractmethod
    def model(self) -> type[AbstractFourierModel]:
        """The class of the innermost model."""

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """The name of the model for people, with ++ for a shift."""

    @property
    @abc.abstractmethod
    def axes(self) -> tuple[tuple[str, int], ...]:
        """The model's parameters that have an axis, each with its number of entries."""

    @property
    @abc.abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """Names of the model's own coordinates: `kappa`, or `kappa[0]` for an entry of a parameter."""

    @property
    @abc.abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of all coordinates."""

    @property
    def size(self) -> int:
        """Length of a vector."""
        return len(self.names)

    @abc.abstractmethod
    def typical(self) -> AbstractFourierModel:
        """A typical model of the class, with as many entries as `axes` states."""

    @abc.abstractmethod
    def gather(self, columns: Sequence[Real]) -> dict[str, Real]:
        """Values by parameter name from one column per coordinate; the axis of a parameter comes last."""

    @abc.abstractmethod
    def spread(self, values: Mapping[str, Real]) -> list[Real]:
        """One column per coordinate from values by parameter name: the inverse of `gather`."""

    @abc.abstractmethod
    def by_name(self, values: Mapping[str, float]) -> dict[str, float]:
        """Values by coordinate name; the name of a parameter with an axis means all its entries.

        Args:
            values: Values by the name of a parameter or of a coordinate.

        Raises:
            ArgumentError: no parameter has one of the names, or the number of entries is wrong.
        """

    @abc.abstractmethod
    def holding(self, fixed: Iterable[str]) -> Self:
        """The same coordinates with further parameters fixed, which the joint map must not change."""

    @abc.abstractmethod
    def parameter_vector(self, values: Mapping[str, Real]) -> Real:
        """Coordinates of the model's own parameters, shape (parameters,), from their natural values."""

    @abc.abstractmethod
    def vector(self, model: AbstractFourierModel, unit: Real, t: Real) -> Real:
        """The vector of one model, shape (size,): the inverse of `build`.

        Args:
            model: A model of the class, or an extension of one.
            unit: Increments of variance that count as 1, shape (T,); see `increment_unit`.
            t: Maturities in years, shape (T,).

        Raises:
            ArgumentError: the model has another class, or another number of entries.
        """

    @abc.abstractmethod
    def natural(self, y: Real, unit: Real) -> Real:
        """The numbers that `kernel` takes: natural parameters, then those of extensions; shape of y.

        Args:
            y: Vectors, shape (..., size).
            unit: Increments of variance that count as 1, shape (..., T).
        """

    @abc.abstractmethod
    def kernel(self, natural: Real) -> AbstractFourierModel:
        """The model that an engine evaluates on a grid, from `natural` of shape (..., size)."""

    @abc.abstractmethod
    def build(self, y: Real, unit: Real, t: Real) -> AbstractFourierModel:
        """The model of a vector, as in results; its fields have the leading axes of y.

        Args:
            y: Vectors, shape (..., size).
            unit: Increments of variance that count as 1, shape (..., T).
            t: Maturities in years, shape (..., T).
        """

    @abc.abstractmethod
    def columns(self, slopes: AbstractFourierModel) -> Columns:
        """Derivatives of prices in `natural`, from an engine's Jacobian.

        Args:
            slopes: A model as `kernel` builds it, whose fields are the derivatives, shape (B, T, K).
        """

    @abc.abstractmethod
    def named(self, natural: Real, y: Real, unit: Real) -> Real:
        """Values of `names` in natural units: parameters, then increments of a shift; shape of y.

        Args:
            natural: What `natural` returns for y.
            y: Vectors, shape (..., size).
            unit: Increments of variance that count as 1, shape (..., T).
        """

    @abc.abstractmethod
    def named_chain(self, chain: Real, unit: Real) -> Real:
        """Derivatives of `named` in the coordinates, from those of `natural`.

        Args:
            chain: Derivatives of `natural` in the n coordinates, shape (B, size, n).
            unit: Increments of variance that count as 1, shape (B, T).

        Returns:
            Shape (B, size, n).
        """

    @abc.abstractmethod
    def free(self, used: Flags) -> Flags:
        """Coordinates that the quotes of a surface can move.

        Args:
            used: Quotes that are fitted, shape (B, 2, T, K).

        Returns:
            Flags of shape (B, size); a coordinate of one maturity needs a quote of that maturity.
        """

    @abc.abstractmethod
    def bounds(self, intervals: Bounds | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bounds of the coordinates, each of shape (size,).

        Args:
            intervals: Intervals by parameter or by entry (`kappa`, `kappa[1]`), in natural units, which
                replace the default ones. For a parameter with a joint condition (rho_j above 0, nu, alpha of
                NIG, kappa1) the interval is that of its free value, the argument of `from_free`.

        Raises:
            ArgumentError: a name is unknown, or an interval is empty or reaches outside the domain.
        """

    @abc.abstractmethod
    def steps(self) -> np.ndarray:
        """The change of each coordinate that counts as a step of 1, shape (size,)."""

    @abc.abstractmethod
    def sizes(self, values: Real, unit: Real) -> Real:
        """Sizes of the values of `names`, in natural units, to which changes and errors are relative.

        The size of a parameter is its absolute value, but at least a tenth of the typical one; it is 1 in a
        bounded domain, such as that of a correlation. The size of an increment of a shift is its unit.

        Args:
            values: As `named` returns them, shape (..., size).
            unit: Increments of variance that count as 1, shape (..., T).

        Returns:
            One size per coordinate, shape of `values`.
        """


def increment_unit(stdev: Real) -> Real:
    """Increments of variance that count as 1: those of the market's total variance at the money.

    Args:
        stdev: The market's total standard deviation at the money, shape (..., T).

    Returns:
        The increment since the maturity before, at least a tenth of the total variance, shape (..., T).
    """
    w = stdev**2
    increment = jnp.diff(w, prepend=jnp.zeros_like(w[..., :1]), axis=-1)
    return jnp.maximum(increment, 0.1 * w)
