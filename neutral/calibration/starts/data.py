"""Where a fit begins: at the market's variance at the money, which each model turns into its parameters."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...models.parameters import domains
from ...models.starts import Level, ParameterValues
from ...quotes.surface import QuoteSurface
from ...typing import Real
from ..coordinates import AbstractCoordinates, increment_unit

_SHIFT = 0.1  # increments at a start, in units of the market's; up to three times as much in the box
_ASIDE = 2.0  # how far the box reaches in coordinates of parameters for which a model names no interval


def data_starts(coordinates: AbstractCoordinates, surface: QuoteSurface) -> Real:
    """Starting vectors of one surface, shape (starts, size).

    Args:
        coordinates: Coordinates of the model to fit.
        surface: One surface, T maturities.
    """
    starts = coordinates.model.starts(level_of(surface))
    return jax.lax.stop_gradient(_vectors(coordinates, surface, starts, (_SHIFT,) * len(starts)))


def data_bounds(surface: QuoteSurface) -> dict[str, tuple[float, float]]:
    """Intervals of stochastic-variance parameters on an equity index, from the variance at the money.

    v0 within a factor 2 of the variance of the shortest expiry, theta of that of the longest; kappa from 0.01
    to 10, sigma_v from 0.01 to 3, rho from -0.99 to -0.01: a smile that slopes down.

    Args:
        surface: One surface, or a stack: the intervals then hold those of every surface.

    Returns:
        What `calibrate` and `calibrate_batch` take as `bounds`.

    Raises:
        ArgumentError: no expiry has quotes.
    """
    many = surface if np.ndim(surface.t) == 2 else jax.tree.map(lambda x: x[None], surface)
    level = jax.vmap(level_of)(many)
    bounds = {"v0": _around(np.asarray(level.near)), "theta": _around(np.asarray(level.far))}
    return bounds | {"kappa": (0.01, 10.0), "sigma_v": (0.01, 3.0), "rho": (-0.99, -0.01)}


def search_box(coordinates: AbstractCoordinates, surface: QuoteSurface) -> tuple[Real, Real]:
    """Corners of the box in which a global search of one surface begins, each of shape (size,).

    Args:
        coordinates: Coordinates of the model to fit.
        surface: One surface, T maturities.
    """
    box = coordinates.model.search_box(level_of(surface))
    corners: list[ParameterValues] = [{name: ends[i] for name, ends in box.items()} for i in (0, 1)]
    # the box holds free values: as if held, no parameter takes part in the joint map
    free = coordinates.holding(domains(coordinates.model))
    low, high = _vectors(free, surface, corners, (0.0, 3.0 * _SHIFT))
    middle = data_starts(coordinates, surface)[0]
    shift = (True,) * (coordinates.size - len(coordinates.parameters))
    named = np.array([name in box for name in coordinates.parameters] + list(shift))
    low = jnp.where(named, low, middle - _ASIDE)
    high = jnp.where(named, high, middle + _ASIDE)
    return jax.lax.stop_gradient((jnp.minimum(low, high), jnp.maximum(low, high)))


def level_of(surface: QuoteSurface) -> Level:
    """Variance at the money of a surface: at its shortest and longest maturity with quotes, and the mean."""
    used = jnp.any(surface.mask, axis=(-3, -1))
    variance = surface.stdev**2 / surface.t
    short = jnp.min(jnp.where(used, surface.t, jnp.inf))
    long = jnp.max(jnp.where(used, surface.t, 0.0))
    count = jnp.maximum(jnp.sum(used), 1)
    return Level(
        near=jnp.sum(jnp.where(surface.t == short, variance, 0.0)),
        far=jnp.sum(jnp.where(surface.t == long, variance, 0.0)),
        mean=jnp.sum(jnp.where(used, variance, 0.0)) / count,
        time=jnp.sum(jnp.where(used, surface.t, 0.0)) / count,
    )


def _around(variance: np.ndarray) -> tuple[float, float]:
    """Half of the smallest and twice the largest positive variance."""
    positive = variance[np.isfinite(variance) & (variance > 0)]
    if not positive.size:
        raise ArgumentError("data_bounds needs a surface with quotes: none has a variance at the money.")
    return 0.5 * float(positive.min()), 2.0 * float(positive.max())


def _vectors(
    coordinates: AbstractCoordinates,
    surface: QuoteSurface,
    models: Sequence[ParameterValues],
    shifts: tuple[float, ...],
) -> Real:
    """One vector for each set of values, at typical values where it names none; shape (models, size)."""
    unit = increment_unit(surface)
    typical = coordinates.typical()
    counts = dict(coordinates.axes)
    vectors = []
    for values, shift in zip(models, shifts, strict=True):
        fields = {
            name: jnp.broadcast_to(
                jnp.asarray(values.get(name, getattr(typical, name)), float),
                (counts[name],) if name in counts else (),
            )
            for name in domains(coordinates.model)
        }
        vector = coordinates.vector(coordinates.model.with_lanes(**fields), unit, surface.t)
        own = jnp.arange(coordinates.size) < len(coordinates.parameters)
        vectors.append(jnp.where(own, vector, shift))
    return jnp.stack(vectors)
