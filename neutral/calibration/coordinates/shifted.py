"""Coordinates of a model with a variance shift: those of the model, and one more per maturity."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Self, TypeVar

import jax.numpy as jnp
import numpy as np

from ...models import AbstractFourierModel, Shifted
from ...models.fourier.shifted import WithVariance
from ...typing import Flags, Real
from ..recipe import Recipe, entries_of
from .base import AbstractCoordinates, Bounds, Columns
from .model import ModelCoordinates

Row = TypeVar("Row", Real, np.ndarray)
_MOST_SHIFT = 10.0  # bound of an increment, in increments of the market's variance


def coordinates_of(recipe: Recipe, maturities: int, fixed: Iterable[str] = ()) -> AbstractCoordinates:
    """Coordinates of the model that a recipe describes.

    Args:
        recipe: A model class, a recipe or a starting model.
        maturities: Number of padded maturities of the surfaces.
        fixed: Names of parameters whose values are fixed.
    """
    base = recipe if isinstance(recipe, type) else recipe.base
    axes, _ = entries_of(recipe)
    inner = ModelCoordinates(base if isinstance(base, type) else type(base), axes).holding(fixed)
    return ShiftedCoordinates(inner, maturities) if recipe.is_extension else inner


@dataclasses.dataclass(frozen=True)
class ShiftedCoordinates(AbstractCoordinates):
    """The coordinates of a model, then the increment of the shift at each maturity.

    The coordinate of an increment is in units of the increment of the market's variance at the money.

    Attributes:
        inner: Coordinates of the model that is shifted.
        maturities: Number T of padded maturities.
    """

    inner: AbstractCoordinates
    maturities: int

    @property
    def model(self) -> type[AbstractFourierModel]:
        """See `AbstractCoordinates.model`."""
        return self.inner.model

    @property
    def label(self) -> str:
        """See `AbstractCoordinates.label`."""
        return f"{self.inner.label}++"

    @property
    def axes(self) -> tuple[tuple[str, int], ...]:
        """See `AbstractCoordinates.axes`."""
        return self.inner.axes

    @property
    def parameters(self) -> tuple[str, ...]:
        """See `AbstractCoordinates.parameters`."""
        return self.inner.parameters

    @property
    def names(self) -> tuple[str, ...]:
        """See `AbstractCoordinates.names`."""
        return (*self.inner.names, *(f"increments[{i}]" for i in range(self.maturities)))

    def typical(self) -> AbstractFourierModel:
        """See `AbstractCoordinates.typical`; the model has no shift."""
        return self.inner.typical()

    def gather(self, columns: Sequence[Real]) -> dict[str, Real]:
        """See `AbstractCoordinates.gather`."""
        return self.inner.gather(columns)

    def spread(self, values: Mapping[str, Real]) -> list[Real]:
        """See `AbstractCoordinates.spread`."""
        return self.inner.spread(values)

    def by_name(self, values: Mapping[str, float]) -> dict[str, float]:
        """See `AbstractCoordinates.by_name`."""
        return self.inner.by_name(values)

    def holding(self, fixed: Iterable[str]) -> Self:
        """See `AbstractCoordinates.holding`."""
        return dataclasses.replace(self, inner=self.inner.holding(fixed))

    def parameter_vector(self, values: Mapping[str, Real]) -> Real:
        """See `AbstractCoordinates.parameter_vector`."""
        return self.inner.parameter_vector(values)

    def vector(self, model: AbstractFourierModel, unit: Real, t: Real) -> Real:
        """See `AbstractCoordinates.vector`; a model without a shift has increments of 0."""
        inner = self.inner.vector(model.base, unit, t)
        variance = model.added_variance(t)
        return jnp.concatenate([inner, jnp.diff(variance, prepend=jnp.zeros(1)) / unit])

    def natural(self, y: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.natural`: those of the model, then the variance added at each maturity."""
        inner = self.inner.natural(self._inner(y), unit)
        return jnp.concatenate([inner, jnp.cumsum(self._shift(y) * unit, axis=-1)], axis=-1)

    def kernel(self, natural: Real) -> AbstractFourierModel:
        """See `AbstractCoordinates.kernel`."""
        return WithVariance(self.inner.kernel(self._inner(natural)), self._shift(natural))

    def build(self, y: Real, unit: Real, t: Real) -> AbstractFourierModel:
        """See `AbstractCoordinates.build`."""
        model = self.inner.build(self._inner(y), unit, t)
        return Shifted.with_lanes(model=model, times=t, increments=self._shift(y) * unit)

    def columns(self, slopes: AbstractFourierModel) -> Columns:
        """See `AbstractCoordinates.columns`: an added variance moves the prices of its maturity alone."""
        assert isinstance(slopes, WithVariance)
        return Columns(self.inner.columns(slopes.base).shared, slopes.variance)

    def named(self, natural: Real, y: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.named`."""
        inner = self.inner.named(self._inner(natural), self._inner(y), unit)
        return jnp.concatenate([inner, self._shift(y) * unit], axis=-1)

    def named_chain(self, chain: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.named_chain`: an increment is its coordinate times its unit."""
        count = self.inner.size
        inner = self.inner.named_chain(chain[:, :count], unit)
        padded = jnp.pad(unit, ((0, 0), (count, 0)))
        increments = jnp.expand_dims(padded, -1) * jnp.eye(self.size)[None]
        return jnp.concatenate([inner, increments[:, count:]], axis=-2)

    def free(self, used: Flags) -> Flags:
        """See `AbstractCoordinates.free`."""
        xp = np if isinstance(used, np.ndarray) else jnp  # on the host no program is started
        return xp.concatenate([self.inner.free(used), xp.any(used, axis=(-3, -1))], axis=-1)

    def bounds(self, intervals: Bounds | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractCoordinates.bounds`."""
        lower, upper = self.inner.bounds(intervals)
        shift = np.full(self.maturities, _MOST_SHIFT)
        return np.concatenate([lower, np.zeros(self.maturities)]), np.concatenate([upper, shift])

    def steps(self) -> np.ndarray:
        """See `AbstractCoordinates.steps`."""
        return np.concatenate([self.inner.steps(), np.ones(self.maturities)])

    def sizes(self, values: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.sizes`."""
        return jnp.concatenate([self.inner.sizes(self._inner(values), unit), jnp.asarray(unit)], axis=-1)

    def _inner(self, row: Row) -> Row:
        """The part of a row of `size` entries that belongs to the model that is shifted."""
        return row[..., : self.inner.size]

    def _shift(self, row: Row) -> Row:
        """The part of a row of `size` entries that belongs to the shift."""
        return row[..., self.inner.size :]
