"""Coordinates of a model's own parameters.

Every parameter has a coordinate on a bounded interval of the real line. For a positive parameter it is a
logarithm, shifted so that zero has a finite coordinate; for a correlation it is atanh; for any other
parameter it is the value itself.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...models import AbstractFourierModel
from ...models.parameters import Domain, domains, search_ranges
from ...typing import Flags, Real
from .base import AbstractCoordinates, Bounds, Columns

_STEEPEST = 6.0  # largest |atanh| of a correlation, which is then 0.99999
_LINEAR_BELOW = 0.01  # share of the typical value below which a logarithmic coordinate becomes linear


@dataclasses.dataclass(frozen=True)
class ModelCoordinates(AbstractCoordinates):
    """One coordinate per parameter, in field order; a parameter with an axis has one per entry.

    Attributes:
        cls: The model's class.
        entries: Parameters with an axis, each with its number of entries.
        held: Parameters that do not take part in the model's joint map, because their values are fixed.
    """

    cls: type[AbstractFourierModel]
    entries: tuple[tuple[str, int], ...] = ()
    held: tuple[str, ...] = ()

    @property
    def model(self) -> type[AbstractFourierModel]:
        """See `AbstractCoordinates.model`."""
        return self.cls

    @property
    def label(self) -> str:
        """See `AbstractCoordinates.label`."""
        return self.cls.__name__

    @property
    def axes(self) -> tuple[tuple[str, int], ...]:
        """See `AbstractCoordinates.axes`."""
        return self.entries

    @property
    def _slots(self) -> tuple[tuple[str, str, Domain], ...]:
        """Name, parameter and domain of every coordinate."""
        counts = dict(self.entries)
        return tuple(
            (f"{name}[{i}]" if name in counts else name, name, domain)
            for name, domain in domains(self.cls).items()
            for i in range(counts.get(name, 1))
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """See `AbstractCoordinates.parameters`."""
        return tuple(slot for slot, _, _ in self._slots)

    @property
    def names(self) -> tuple[str, ...]:
        """See `AbstractCoordinates.names`: the parameters alone."""
        return self.parameters

    @property
    def _scales(self) -> dict[str, float]:
        return _scales(self.cls)

    def typical(self) -> AbstractFourierModel:
        """See `AbstractCoordinates.typical`."""
        model = typical_of(self.cls)
        counts = dict(self.entries)
        if not counts:
            return model
        fields = {name: jnp.asarray(getattr(model, name)) for name in domains(self.cls)}
        filled = {n: jnp.full(counts[n], jnp.mean(x)) if n in counts else x for n, x in fields.items()}
        return self.cls.with_lanes(**filled)

    def gather(self, columns: Sequence[Real]) -> dict[str, Real]:
        """See `AbstractCoordinates.gather`; columns beyond the parameters are left out."""
        rows: dict[str, list[Real]] = {name: [] for name in domains(self.cls)}
        for (_, name, _), column in zip(self._slots, columns, strict=False):
            rows[name].append(column)
        counts = dict(self.entries)
        return {name: _stacked(row) if name in counts else row[0] for name, row in rows.items()}

    def spread(self, values: Mapping[str, Real]) -> list[Real]:
        """See `AbstractCoordinates.spread`."""
        counts = dict(self.entries)
        columns = []
        for name in domains(self.cls):
            value = values[name]
            columns += [value[..., i] for i in range(counts[name])] if name in counts else [value]
        return columns

    def by_name(self, values: Mapping[str, float]) -> dict[str, float]:
        """See `AbstractCoordinates.by_name`."""
        unknown = set(values) - set(self.parameters) - set(domains(self.cls))
        if unknown:
            accepted = ", ".join(self.parameters)
            names = ", ".join(sorted(unknown))
            raise ArgumentError(f"fixed: there is no parameter {names}; accepted: {accepted}.")
        counts = dict(self.entries)
        by_slot: dict[str, float] = {}
        for name in domains(self.cls):
            slots = [slot for slot, parameter, _ in self._slots if parameter == name]
            if name in values:
                row = np.ravel(values[name])
                count = counts.get(name, 1)
                if row.size not in (1, count):
                    raise ArgumentError(f"fixed {name} takes one number or {count}, got {values[name]!r}.")
                by_slot |= dict(zip(slots, np.broadcast_to(row, (count,)), strict=True))
            by_slot |= {slot: values[slot] for slot in slots if slot in values}
        return {slot: float(x) for slot, x in by_slot.items()}

    def holding(self, fixed: Iterable[str]) -> Self:
        """See `AbstractCoordinates.holding`; without a joint map the coordinates stay the same."""
        joint = self.cls.from_free.__func__ is not AbstractFourierModel.from_free.__func__  # pyright: ignore[reportFunctionMemberAccess]
        if not joint:
            return self
        names = {*self.held, *fixed}
        return dataclasses.replace(self, held=tuple(name for name in domains(self.cls) if name in names))

    def parameter_vector(self, values: Mapping[str, Real]) -> Real:
        """See `AbstractCoordinates.parameter_vector`."""
        scales = self._scales
        free = self.cls.to_free(dict(values)) | {name: values[name] for name in self.held}
        return jnp.stack(
            [
                domain.to_unconstrained(x, scales[name])
                for (_, name, domain), x in zip(self._slots, self.spread(free), strict=True)
            ]
        )

    def vector(self, model: AbstractFourierModel, unit: Real, t: Real) -> Real:
        """See `AbstractCoordinates.vector`; neither `unit` nor `t` matters here."""
        del unit, t
        if not isinstance(model, self.cls):
            raise ArgumentError(f"a start must be a {self.cls.__name__}, got {type(model).__name__}.")
        values = {name: jnp.asarray(getattr(model, name)) for name in domains(self.cls)}
        for name, count in self.entries:
            shape = values[name].shape
            if shape[-1:] != (count,):
                raise ArgumentError(f"a start must have {count} entries of {name}, got shape {shape}.")
        return self.parameter_vector(values)

    def natural(self, y: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.natural`."""
        del unit
        scales = self._scales
        columns = []
        for i, (_, name, domain) in enumerate(self._slots):
            x = domain.from_unconstrained(y[..., i], scales[name])
            # a value that rounding puts below its bound is cut off, but keeps its derivative for the solver
            below = jax.lax.stop_gradient(jnp.minimum(x - domain.lower, 0.0))
            columns.append(x - below if np.isfinite(domain.lower) else x)
        free = self.gather(columns)
        values = self.cls.from_free(free) | {name: free[name] for name in self.held}
        return jnp.stack(self.spread(values), axis=-1)

    def kernel(self, natural: Real) -> AbstractFourierModel:
        """See `AbstractCoordinates.kernel`: the model itself."""
        return self.cls.with_lanes(**self.gather(jnp.unstack(natural, axis=-1)))

    def build(self, y: Real, unit: Real, t: Real) -> AbstractFourierModel:
        """See `AbstractCoordinates.build`."""
        del t
        return self.kernel(self.natural(y, unit))

    def columns(self, slopes: AbstractFourierModel) -> Columns:
        """See `AbstractCoordinates.columns`: every parameter moves the prices of every maturity."""
        counts = dict(self.entries)
        blocks = []
        for name in domains(self.cls):
            slope = getattr(slopes, name)
            blocks.append(jnp.moveaxis(slope, -1, 1) if name in counts else slope[:, None])
        return Columns(jnp.concatenate(blocks, axis=1))

    def named(self, natural: Real, y: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.named`: the natural parameters."""
        del y, unit
        return natural

    def named_chain(self, chain: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.named_chain`."""
        del unit
        return chain

    def free(self, used: Flags) -> Flags:
        """See `AbstractCoordinates.free`: every coordinate, whatever the quotes."""
        return np.ones((used.shape[0], self.size), bool)

    def bounds(self, intervals: Bounds | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See `AbstractCoordinates.bounds`."""
        ranges: dict[str, tuple[float, float]] = dict(search_ranges(self.cls))
        by_name = domains(self.cls) | {slot: domain for slot, _, domain in self._slots}
        for name, interval in (intervals or {}).items():
            ranges[name] = _checked(name, interval, by_name)
        scales = self._scales
        lower: list[float] = []
        upper: list[float] = []
        for slot, name, domain in self._slots:
            low, high = (_coordinate(domain, float(x), scales[name]) for x in ranges.get(slot, ranges[name]))
            limit = _STEEPEST if _is_bounded(domain) else np.inf
            lower.append(max(low, -limit))
            upper.append(min(high, limit))
        return np.array(lower), np.array(upper)

    def steps(self) -> np.ndarray:
        """See `AbstractCoordinates.steps`: 1, or the typical size of a value that is not transformed."""
        typical = {name: x / _LINEAR_BELOW for name, x in self._scales.items()}
        return np.array([typical[name] if np.isinf(domain.lower) else 1.0 for _, name, domain in self._slots])

    def sizes(self, values: Real, unit: Real) -> Real:
        """See `AbstractCoordinates.sizes`."""
        del unit
        bounded = np.array([_is_bounded(domain) for _, _, domain in self._slots])
        shape = np.shape(values)
        least = np.broadcast_to(0.1 * _typical_sizes(self), shape)
        return jnp.where(np.broadcast_to(bounded, shape), 1.0, jnp.maximum(jnp.abs(values), least))


def _is_bounded(domain: Domain) -> bool:
    return bool(np.isfinite(domain.lower) and np.isfinite(domain.upper))


def _stacked(entries: list[Real]) -> Real:
    return jnp.stack(entries, axis=-1) if entries else jnp.zeros(0)


@functools.cache
def _scales(cls: type[AbstractFourierModel]) -> dict[str, float]:
    """For each parameter, the value below which its logarithmic coordinate becomes linear."""
    with jax.ensure_compile_time_eval():
        typical = typical_of(cls)
        size = {name: float(jnp.max(jnp.abs(jnp.asarray(getattr(typical, name))))) for name in domains(cls)}
        return {name: _LINEAR_BELOW * x for name, x in size.items()}


@functools.cache
def _typical_sizes(coordinates: ModelCoordinates) -> np.ndarray:
    """Absolute typical values, one per coordinate."""
    with jax.ensure_compile_time_eval():
        typical = coordinates.typical()
        values = {name: jnp.asarray(getattr(typical, name)) for name in domains(coordinates.cls)}
        return np.abs([float(x) for x in coordinates.spread(values)])


@functools.cache
def _coordinate(domain: Domain, x: float, scale: float) -> float:
    with jax.ensure_compile_time_eval():
        return float(domain.to_unconstrained(jnp.asarray(x), scale))


def typical_of(cls: type[AbstractFourierModel]) -> AbstractFourierModel:
    """Call `cls.typical()`.

    Raises:
        ArgumentError: the class, which a user has written, does not define it.
    """
    try:
        return cls.typical()
    except TypeError as error:
        raise ArgumentError(
            f"{cls.__name__} needs a classmethod typical() that returns the model at typical values, because "
            "calibration takes the scale of each parameter from it."
        ) from error


def _checked(name: str, interval: tuple[float, float], by_name: Mapping[str, Domain]) -> tuple[float, float]:
    if name not in by_name:
        raise ArgumentError(f"bounds: there is no parameter {name!r}; accepted: {', '.join(by_name)}.")
    try:
        low, high = (float(x) for x in interval)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"bounds of {name} must be a pair (lower, upper), got {interval!r}.") from error
    domain = by_name[name]
    if not (domain.lower <= low < high <= domain.upper):
        raise ArgumentError(f"bounds of {name} must ascend inside its domain {domain}, got ({low}, {high}).")
    return low, high
