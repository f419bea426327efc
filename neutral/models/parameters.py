"""Parameters of models: their domains, which constructors check, and the maps to unconstrained space.

A domain is closed, because limits such as sigma_v = 0 are valid models. Its map to the real line covers the
open interior and is used by calibration alone.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..errors import ArgumentError
from ..typing import Real, Values


@dataclasses.dataclass(frozen=True)
class Domain:
    """The closed interval [lower, upper] of a parameter, with its map to the real line."""

    lower: float
    upper: float

    def contains(self, x: Values) -> bool:
        """Whether every entry is finite and lies in the closed interval."""
        return bool(np.all(np.isfinite(x) & (np.asarray(x) >= self.lower) & (np.asarray(x) <= self.upper)))

    def to_unconstrained(self, x: Real, scale: float = 0.0) -> Real:
        """Map to the real line: by the identity, by log for a half line, or by atanh for an interval.

        Args:
            x: Values in the open interior.
            scale: For a half line, the map is log(x - lower + scale). It is close to a logarithm where
                x - lower is far above `scale`, close to linear where it is far below, and finite at the bound
                where `scale` is positive.

        Returns:
            Real numbers, shape of x.
        """
        if np.isinf(self.lower):
            return x
        if np.isinf(self.upper):
            return jnp.log(x - self.lower + scale)
        return jnp.arctanh((2.0 * x - self.lower - self.upper) / (self.upper - self.lower))

    def from_unconstrained(self, z: Real, scale: float = 0.0) -> Real:
        """Inverse of `to_unconstrained`, with the same scale; shape of z."""
        if np.isinf(self.lower):
            return z
        if np.isinf(self.upper):
            return self.lower + (jnp.exp(z) - scale)
        return 0.5 * (self.lower + self.upper) + 0.5 * (self.upper - self.lower) * jnp.tanh(z)

    def __str__(self) -> str:
        """The domain in interval notation."""
        left = "(-inf" if np.isinf(self.lower) else f"[{self.lower:g}"
        return left + (", inf)" if np.isinf(self.upper) else f", {self.upper:g}]")


def Unbounded() -> Domain:  # noqa: N802 - reads as a type beside the field
    """The domain of all real numbers."""
    return Domain(-np.inf, np.inf)


def Positive() -> Domain:  # noqa: N802
    """The domain [0, inf)."""
    return Domain(0.0, np.inf)


def Interval(lower: float, upper: float) -> Domain:  # noqa: N802
    """The domain [lower, upper]."""
    return Domain(lower, upper)


def as_parameter(x: object) -> Any:
    """Convert numbers to a strongly typed floating-point array; other objects are returned as they are.

    While JAX runs in single precision a float64 array is one of NumPy, because JAX would truncate it.
    """
    if isinstance(x, Tracer | jax.Array):
        return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(float)
    numbers = isinstance(x, np.ndarray | np.generic | float | int | list | tuple)
    if not numbers and not hasattr(x, "__array__"):
        return x  # a placeholder that a JAX transformation puts into the pytree
    is_single = isinstance(x, np.ndarray) and x.dtype == np.float32
    x = np.asarray(x, np.float32 if is_single else np.float64)
    return jnp.asarray(x) if jax.config.jax_enable_x64 else x  # pyright: ignore[reportAttributeAccessIssue]


UNITS = ("1/yr", "1/sqrt(yr)", "yr")
"""The units with which the description of a parameter may end."""


def split_unit(description: str) -> tuple[str, str]:
    """Split the description of a parameter into its meaning and its unit; "" for a number without one."""
    meaning, _, unit = description.rpartition(", ")
    return (meaning, unit) if unit in UNITS else (description, "")


def param(
    domain: Domain, description: str, search: tuple[float, float] | None = None, **field: object
) -> Any:
    """Declare a model field.

    Args:
        domain: Legal values.
        description: Meaning, and after a comma the unit if it is one of `UNITS`.
        search: Range that calibration searches by default; where None, the part of the domain between -100
            and 100.
        field: Further arguments of `equinox.field`, such as a default.

    Returns:
        The field.
    """
    if search is None:
        search = (max(domain.lower, -100.0), min(domain.upper, 100.0))
    metadata = {"domain": domain, "description": description, "search": search}
    options: dict[str, Any] = dict(field)
    return eqx.field(converter=as_parameter, metadata=metadata, **options)


def domains(model: eqx.Module | type[eqx.Module]) -> dict[str, Domain]:
    """Domain of each declared parameter of a model or model class, in field order."""
    return {f.name: f.metadata["domain"] for f in dataclasses.fields(model) if "domain" in f.metadata}


def search_ranges(model: eqx.Module | type[eqx.Module]) -> dict[str, tuple[float, float]]:
    """Range that calibration searches for each declared parameter, in field order."""
    return {f.name: f.metadata["search"] for f in dataclasses.fields(model) if "domain" in f.metadata}


def is_concrete(x: object) -> bool:
    """Whether a value is a number or array whose entries can be read, not traced and not a placeholder."""
    return isinstance(x, np.ndarray | np.generic | jax.Array | float | int) and not isinstance(x, Tracer)


def check_domains(model: eqx.Module, ndim: Callable[[str], int] = lambda _: 0) -> None:
    """Refuse a parameter that is outside its domain, of the wrong shape, or nan.

    Args:
        model: The model.
        ndim: Maps the name of a parameter to its number of axes.

    Raises:
        ArgumentError: a parameter fails a check; the message names the model, the parameter, its value or
            shape, and what is accepted.
    """
    for name, domain in domains(model).items():
        value = getattr(model, name)
        if isinstance(value, str | bytes):
            raise ArgumentError(f"{type(model).__name__}.{name} must be a number, got the text {value!r}.")
        if not is_concrete(value):
            continue
        if np.ndim(value) != ndim(name):
            raise ArgumentError(
                f"{type(model).__name__}.{name} must have {ndim(name)} axes (0: a scalar), got shape "
                f"{np.shape(value)}; to price many models, build one at a time inside jax.vmap."
            )
        if not domain.contains(value):
            raise ArgumentError(f"{type(model).__name__}.{name} = {value} is outside its domain {domain}.")
