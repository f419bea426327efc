"""The vector a solver moves, and the model it stands for.

Every parameter has a coordinate on a bounded interval of the real line: a logarithm that reaches zero at a
finite point, atanh of a correlation, the value itself elsewhere. A variance shift adds one coordinate per
maturity, its increment over that of the market's variance at the money.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel, Shifted
from ..models.shifted import WithVariance
from ..parameters import Domain, domains, is_concrete, search_ranges
from ..quote_surface import QuoteSurface
from ..typing import Real

_STEEPEST = 6.0  # |atanh| of a correlation ends here: 0.99999
_LINEAR_BELOW = 0.01  # of a typical value: where a coordinate turns from logarithm to line
_MOST_SHIFT = 10.0  # bound of an increment, in increments of the market's variance
Bounds = dict[str, tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """Coordinates of a model class on surfaces with a number of padded maturities; hashable.

    A vector has the `size` coordinates `names`: the model's parameters in field order, then the increments.
    """

    model: type[AbstractFourierModel]
    shifted: bool
    maturities: int

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the model's own parameters."""
        return tuple(domains(self.model))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all coordinates."""
        shift = (f"increments[{i}]" for i in range(self.maturities)) if self.shifted else ()
        return (*self.parameters, *shift)

    @property
    def size(self) -> int:
        """Length of a vector."""
        return len(self.parameters) + self.maturities * self.shifted

    @property
    def _scales(self) -> dict[str, float]:
        return _scales(self.model)

    def natural(self, y: Real, unit: Real) -> Real:
        """Parameters, and total variances added at the maturities: shape of y.

        Args:
            y: Vectors, shape (..., size).
            unit: Increments of variance that count as 1, shape (..., maturities); `increment_unit`.
        """
        values, count = {}, len(self.parameters)
        for i, (name, domain) in enumerate(domains(self.model).items()):
            x = domain.from_unconstrained(y[..., i], self._scales[name])
            # rounding below the bound is cut off, without hiding the slope there from the solver
            below = jax.lax.stop_gradient(jnp.minimum(x - domain.lower, 0.0))
            values[name] = x - below if np.isfinite(domain.lower) else x
        own = jnp.stack([self.model.from_free(values)[name] for name in self.parameters], axis=-1)
        if not self.shifted:
            return own
        return jnp.concatenate([own, jnp.cumsum(y[..., count:] * unit, axis=-1)], axis=-1)

    def kernel(self, natural: Real) -> AbstractFourierModel:
        """The model an engine evaluates on a grid: fields (...), added variance (..., maturities)."""
        count = len(self.parameters)
        model = unchecked(self.model, {name: natural[..., i] for i, name in enumerate(self.parameters)})
        return WithVariance(model, natural[..., count:]) if self.shifted else model

    def build(self, y: Real, unit: Real, t: Real) -> AbstractFourierModel:
        """The model of a vector, for people; leading axes on its fields."""
        natural = self.natural(y, unit)
        model = self.kernel(natural)
        if not isinstance(model, WithVariance):
            return model
        return unchecked(
            Shifted, {"model": model.model, "times": t, "increments": y[..., len(self.parameters) :] * unit}
        )

    def vector(self, model: AbstractFourierModel, unit: Real, t: Real) -> Real:
        """The vector of a model, inside the bounds; the inverse of `build` for one model.

        Args:
            model: Of the class; of `Shifted` on it, or unshifted, where this is shifted.
            unit: Increments of variance that count as 1, shape (maturities,).
            t: Maturities, shape (maturities,).
        """
        base = model.model if isinstance(model, Shifted) else model
        if not isinstance(base, self.model) or (isinstance(model, Shifted) and not self.shifted):
            raise ArgumentError(f"a start must be a {self.model.__name__}, got {type(model).__name__}.")
        own = self.own_vector({name: jnp.asarray(getattr(base, name)) for name in self.parameters})
        if not self.shifted:
            return own
        variance = model.added_variance(t) if isinstance(model, Shifted) else jnp.zeros_like(t)
        return jnp.concatenate([own, jnp.diff(variance, prepend=jnp.zeros(1)) / unit])

    def own_vector(self, values: dict[str, Real]) -> Real:
        """Coordinates of the model's own parameters, shape (parameters,)."""
        free, scales = self.model.to_free(values), self._scales
        return jnp.stack(
            [
                domain.to_unconstrained(free[name], scales[name])
                for name, domain in domains(self.model).items()
            ]
        )

    def bounds(self, given: Bounds | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper coordinates, shape (size,).

        Args:
            given: Intervals of parameters by name that replace the default ones; of `rho_j` above 0, the
                interval of its free slope (`SVCJ.from_free`).

        Raises:
            ArgumentError: an unknown name, an empty interval or one outside the domain.
        """
        ranges = search_ranges(self.model)
        for name, interval in (given or {}).items():
            ranges[name] = _checked(name, interval, domains(self.model))
        low, high, scales = [], [], self._scales
        for name, domain in domains(self.model).items():
            ends = [_coordinate(domain, float(x), scales[name]) for x in ranges[name]]
            limit = _STEEPEST if np.isfinite(domain.lower) and np.isfinite(domain.upper) else np.inf
            low.append(max(ends[0], -limit))
            high.append(min(ends[1], limit))
        shift = self.maturities * self.shifted
        return np.array(low + [0.0] * shift), np.array(high + [_MOST_SHIFT] * shift)


def increment_unit(surface: QuoteSurface) -> Real:
    """Market variance at the money gained since the maturity before, at least a tenth of it: (..., T)."""
    w = surface.stdev**2
    gained = jnp.diff(w, prepend=jnp.zeros_like(w[..., :1]), axis=-1)
    return jnp.maximum(gained, 0.1 * w)


def unchecked(cls: Any, fields: dict[str, Any]) -> Any:
    """A model whose fields may have leading axes: built without the checks meant for typed numbers."""
    model = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(model, name, value)
    return model


@functools.cache
def _scales(cls: type[AbstractFourierModel]) -> dict[str, float]:
    """Where each parameter's coordinate turns from logarithm to line."""
    with jax.ensure_compile_time_eval():
        typical = typical_of(cls)
        return {name: _LINEAR_BELOW * abs(float(getattr(typical, name))) for name in domains(cls)}


@functools.cache
def _coordinate(domain: Domain, x: float, scale: float) -> float:
    with jax.ensure_compile_time_eval():
        return float(domain.to_unconstrained(jnp.asarray(x), scale))


def typical_of(cls: type[AbstractFourierModel]) -> AbstractFourierModel:
    """`cls.typical()`.

    Raises:
        ArgumentError: a model of the user's own that does not define it.
    """
    try:
        return cls.typical()
    except TypeError as error:
        raise ArgumentError(
            f"{cls.__name__} needs a classmethod typical() that returns the model at typical values: "
            "calibration takes the scale of each parameter from it."
        ) from error


def _checked(name: str, interval: Any, known: dict[str, Any]) -> tuple[float, float]:
    if name not in known:
        raise ArgumentError(f"bounds: there is no parameter {name!r}; there are {', '.join(known)}.")
    try:
        low, high = (float(x) for x in interval)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"bounds of {name} must be a pair (lower, upper), got {interval!r}.") from error
    domain = known[name]
    if not (domain.lower <= low < high <= domain.upper):
        raise ArgumentError(f"bounds of {name} must ascend inside its domain {domain}, got ({low}, {high}).")
    return low, high


def split_recipe(recipe: Any) -> tuple[type[AbstractFourierModel], bool, AbstractFourierModel | None]:
    """Model class, whether shifted, and the starting model where the recipe holds numbers.

    Raises:
        ArgumentError: it is neither a class, nor a recipe, nor a model.
    """
    shifted = isinstance(recipe, Shifted)
    base = recipe.model if shifted else recipe
    cls = base if isinstance(base, type) else type(base)
    if not issubclass(cls, AbstractFourierModel) or issubclass(cls, Shifted):
        raise ArgumentError(
            "recipe must be a model class (neutral.Heston), neutral.Shifted of one, or a starting model, "
            f"got {recipe!r}."
        )
    start = None if isinstance(base, type) else recipe
    if start is not None and not all(is_concrete(x) for x in jax.tree.leaves(start)):
        raise ArgumentError("A starting model must hold numbers, not traced values.")
    return cls, shifted, start
