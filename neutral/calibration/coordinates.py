"""The vector a solver moves, and the model it stands for.

Every parameter has a coordinate on a bounded interval of the real line: a logarithm that reaches zero at a
finite point, atanh of a correlation, the value itself elsewhere. A variance shift adds one coordinate per
maturity, its increment over that of the market's variance at the money.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel, Shifted
from ..models.fourier.shifted import WithVariance
from ..models.parameters import Domain, domains, search_ranges
from ..quotes.surface import QuoteSurface
from ..typing import Real

_STEEPEST = 6.0  # |atanh| of a correlation ends here: 0.99999
_LINEAR_BELOW = 0.01  # of a typical value: where a coordinate turns from logarithm to line
_MOST_SHIFT = 10.0  # bound of an increment, in increments of the market's variance
Bounds = dict[str, tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Coordinates:
    """Coordinates of a model class on surfaces with a number of padded maturities; hashable.

    A vector has the `size` coordinates `names`: the model's parameters in field order, those with an axis
    entry by entry, then the increments. `axes` tells the entries of parameters with an axis, `held` the
    parameters that do not take part in the model's joint map since their value is fixed.
    """

    model: type[AbstractFourierModel]
    shifted: bool
    maturities: int
    axes: tuple[tuple[str, int], ...] = ()
    held: tuple[str, ...] = ()

    @property
    def _slots(self) -> tuple[tuple[str, str, Domain], ...]:
        """Name, parameter and domain of the model's own coordinates."""
        counts = dict(self.axes)
        return tuple(
            (f"{name}[{i}]" if name in counts else name, name, domain)
            for name, domain in domains(self.model).items()
            for i in range(counts.get(name, 1))
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the model's own coordinates: `kappa`, or `kappa[0]` of a parameter with an axis."""
        return tuple(slot for slot, _, _ in self._slots)

    def gather(self, columns: Sequence[Any]) -> dict[str, Any]:
        """Values by parameter from one column per coordinate; an axis of entries comes last."""
        found: dict[str, list] = {}
        for (_, name, _), column in zip(self._slots, columns, strict=False):
            found.setdefault(name, []).append(column)
        counts = dict(self.axes)
        return {
            name: _stacked(found.get(name, [])) if name in counts else found[name][0]
            for name in domains(self.model)
        }

    def spread(self, values: dict[str, Any]) -> list[Any]:
        """Inverse of `gather`."""
        counts = dict(self.axes)
        return [
            x
            for name in domains(self.model)
            for x in (
                [values[name][..., i] for i in range(counts[name])] if name in counts else [values[name]]
            )
        ]

    def by_name(self, given: dict[str, Any]) -> dict[str, Any]:
        """Fixed values by coordinate; a parameter's name stands for all its entries."""
        names = {slot for slot, _, _ in self._slots} | set(domains(self.model))
        unknown = set(given) - names
        if unknown:
            known = ", ".join(self.parameters)
            raise ArgumentError(f"fixed names {', '.join(sorted(unknown))}; there are {known}.")
        found, counts = {}, dict(self.axes)
        for name in domains(self.model):
            rows, count = np.ravel(given.get(name, np.nan)), counts.get(name, 1)
            if rows.size not in (1, count):
                raise ArgumentError(f"fixed {name} takes one number or {count}, got {given[name]!r}.")
            slots = [slot for slot, of, _ in self._slots if of == name]
            every = dict(zip(slots, np.broadcast_to(rows, (count,)), strict=True)) if name in given else {}
            found |= every | {slot: given[slot] for slot in slots if slot in given}
        return {slot: float(x) for slot, x in found.items()}

    def typical(self) -> AbstractFourierModel:
        """The class's typical model, with as many entries as are asked for."""
        model, counts = typical_of(self.model), dict(self.axes)
        if not counts:
            return model
        fields = {name: jnp.asarray(getattr(model, name)) for name in domains(self.model)}
        filled = {n: jnp.full(counts[n], jnp.mean(x)) if n in counts else x for n, x in fields.items()}
        return self.model.with_lanes(**filled)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all coordinates."""
        shift = (f"increments[{i}]" for i in range(self.maturities)) if self.shifted else ()
        return (*self.parameters, *shift)

    @property
    def size(self) -> int:
        """Length of a vector."""
        return len(self._slots) + self.maturities * self.shifted

    @property
    def _scales(self) -> dict[str, float]:
        return _scales(self.model)

    def steps(self) -> np.ndarray:
        """What counts as a step of 1: a coordinate, of a value without transformation its typical size."""
        slots, typical = self._slots, {name: x / _LINEAR_BELOW for name, x in self._scales.items()}
        own = [typical[name] if np.isinf(domain.lower) else 1.0 for _, name, domain in slots]
        return np.array(own + [1.0] * (self.size - len(own)))

    def natural(self, y: Real, unit: Real) -> Real:
        """Parameters, and total variances added at the maturities: shape of y.

        Args:
            y: Vectors, shape (..., size).
            unit: Increments of variance that count as 1, shape (..., maturities); `increment_unit`.
        """
        columns, scales, count = [], self._scales, len(self._slots)
        for i, (_, name, domain) in enumerate(self._slots):
            x = domain.from_unconstrained(y[..., i], scales[name])
            # rounding below the bound is cut off, without hiding the slope there from the solver
            below = jax.lax.stop_gradient(jnp.minimum(x - domain.lower, 0.0))
            columns.append(x - below if np.isfinite(domain.lower) else x)
        free = self.gather(columns)
        values = self.model.from_free(free) | {name: free[name] for name in self.held}
        own = jnp.stack(self.spread(values), axis=-1)
        if not self.shifted:
            return own
        return jnp.concatenate([own, jnp.cumsum(y[..., count:] * unit, axis=-1)], axis=-1)

    def kernel(self, natural: Real) -> AbstractFourierModel:
        """The model an engine evaluates on a grid: fields (...), added variance (..., maturities)."""
        count = len(self._slots)
        model = self.model.with_lanes(**self.gather(jnp.unstack(natural[..., :count], axis=-1)))
        return WithVariance(model, natural[..., count:]) if self.shifted else model

    def build(self, y: Real, unit: Real, t: Real) -> AbstractFourierModel:
        """The model of a vector, for people; leading axes on its fields."""
        natural = self.natural(y, unit)
        model = self.kernel(natural)
        if not isinstance(model, WithVariance):
            return model
        increments = y[..., len(self._slots) :] * unit
        return Shifted.with_lanes(model=model.model, times=t, increments=increments)

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
        values = {name: jnp.asarray(getattr(base, name)) for name in domains(self.model)}
        for name, count in self.axes:
            if values[name].shape[-1:] != (count,):
                raise ArgumentError(
                    f"a start must have {count} entries of {name}, got shape {values[name].shape}."
                )
        own = self.own_vector(values)
        if not self.shifted:
            return own
        variance = model.added_variance(t) if isinstance(model, Shifted) else jnp.zeros_like(t)
        return jnp.concatenate([own, jnp.diff(variance, prepend=jnp.zeros(1)) / unit])

    def own_vector(self, values: dict[str, Real]) -> Real:
        """Coordinates of the model's own parameters, shape (parameters,)."""
        free, scales = self.model.to_free(values) | {name: values[name] for name in self.held}, self._scales
        return jnp.stack(
            [
                domain.to_unconstrained(x, scales[name])
                for (_, name, domain), x in zip(self._slots, self.spread(free), strict=True)
            ]
        )

    def bounds(self, given: Bounds | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper coordinates, shape (size,).

        Args:
            given: Intervals by parameter or by entry (`kappa`, `kappa[1]`) that replace the default ones; of
                a parameter with a joint condition (`from_free`: rho_j above 0, nu, alpha of NIG, kappa1), the
                interval of its free value.

        Raises:
            ArgumentError: an unknown name, an empty interval or one outside the domain.
        """
        ranges: dict[str, tuple[float, float]] = dict(search_ranges(self.model))
        known = domains(self.model) | {slot: domain for slot, _, domain in self._slots}
        for name, interval in (given or {}).items():
            ranges[name] = _checked(name, interval, known)
        low, high, scales = [], [], self._scales
        for slot, name, domain in self._slots:
            ends = [_coordinate(domain, float(x), scales[name]) for x in ranges.get(slot, ranges[name])]
            limit = _STEEPEST if np.isfinite(domain.lower) and np.isfinite(domain.upper) else np.inf
            low.append(max(ends[0], -limit))
            high.append(min(ends[1], limit))
        shift = self.maturities * self.shifted
        return np.array(low + [0.0] * shift), np.array(high + [_MOST_SHIFT] * shift)


def _stacked(entries: list) -> Real:
    return jnp.stack(entries, axis=-1) if entries else jnp.zeros(0)


def increment_unit(surface: QuoteSurface) -> Real:
    """Market variance at the money gained since the maturity before, at least a tenth of it: (..., T)."""
    w = surface.stdev**2
    gained = jnp.diff(w, prepend=jnp.zeros_like(w[..., :1]), axis=-1)
    return jnp.maximum(gained, 0.1 * w)


@functools.cache
def _scales(cls: type[AbstractFourierModel]) -> dict[str, float]:
    """Where each parameter's coordinate turns from logarithm to line."""
    with jax.ensure_compile_time_eval():
        typical = typical_of(cls)
        size = {name: float(jnp.max(jnp.abs(jnp.asarray(getattr(typical, name))))) for name in domains(cls)}
        return {name: _LINEAR_BELOW * x for name, x in size.items()}


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
