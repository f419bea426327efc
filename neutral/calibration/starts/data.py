"""Starts from the data: each model turns the market's variance at the money into its parameters."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...models.parameters import domains
from ...models.starts import Level, ParameterValues
from ...quotes.given_surfaces import OneSurface, quote_surface
from ...quotes.surface import QuoteSurface
from ...typing import Real
from ..coordinates import AbstractCoordinates, increment_unit

_SHIFT = 0.1  # shift increments at a start, in units of the market's; the box reaches to three times that
_ASIDE = 2.0  # half width of the box in coordinates of parameters for which a model has no interval


def data_starts(coordinates: AbstractCoordinates, surface: QuoteSurface) -> Real:
    """Starting vectors of one surface, shape (starts, size).

    Args:
        coordinates: Coordinates of the model to fit.
        surface: One surface, T maturities.
    """
    starts = coordinates.model.starts(level_of(surface))
    return jax.lax.stop_gradient(_vectors(coordinates, surface, starts, (_SHIFT,) * len(starts)))


def data_bounds(surface: OneSurface) -> dict[str, tuple[float, float]]:
    """Intervals of stochastic-variance parameters for an equity index, from the variance at the money.

    v0 is within a factor 2 of the variance of the shortest expiry, and theta of that of the longest. kappa is
    from 0.01 to 10, sigma_v from 0.01 to 3, and rho from -0.99 to -0.01: a smile that slopes down.

    Args:
        surface: One surface or a table of its quotes, or a stack of surfaces, for which each interval covers
            those of all surfaces.

    Returns:
        Intervals by parameter name, as `calibrate` and `calibrate_batch` take them as `bounds`.

    Raises:
        ArgumentError: no expiry has quotes.
    """
    given = surface if isinstance(surface, QuoteSurface) else quote_surface(surface, "data_bounds")
    many = given if np.ndim(given.t) == 2 else jax.tree.map(lambda x: x[None], given)
    level = jax.vmap(level_of)(many)
    bounds = {"v0": _around(np.asarray(level.near)), "theta": _around(np.asarray(level.far))}
    return bounds | {"kappa": (0.01, 10.0), "sigma_v": (0.01, 3.0), "rho": (-0.99, -0.01)}


def search_box(coordinates: AbstractCoordinates, surface: QuoteSurface) -> tuple[Real, Real]:
    """Lower and upper corner of the box in which a global search begins, each of shape (size,).

    Args:
        coordinates: Coordinates of the model to fit.
        surface: One surface, T maturities.
    """
    box = coordinates.model.search_box(level_of(surface))
    corners: list[ParameterValues] = [{name: ends[i] for name, ends in box.items()} for i in (0, 1)]
    # the box has free values, so the joint map must not apply: every parameter counts as fixed
    free = coordinates.holding(domains(coordinates.model))
    low, high = _vectors(free, surface, corners, (0.0, 3.0 * _SHIFT))
    middle = data_starts(coordinates, surface)[0]
    shift = (True,) * (coordinates.size - len(coordinates.parameters))
    named = np.array([name in box for name in coordinates.parameters] + list(shift))
    low = jnp.where(named, low, middle - _ASIDE)
    high = jnp.where(named, high, middle + _ASIDE)
    return jax.lax.stop_gradient((jnp.minimum(low, high), jnp.maximum(low, high)))


def level_of(surface: QuoteSurface) -> Level:
    """Variance at the money of one surface: at its first and last maturity with quotes, and its mean."""
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
    """Half of the smallest and twice the largest positive variance, as an interval."""
    positive = variance[np.isfinite(variance) & (variance > 0)]
    if not positive.size:
        raise ArgumentError("data_bounds needs a surface with quotes, got none with a variance at the money.")
    return 0.5 * float(positive.min()), 2.0 * float(positive.max())


def _vectors(
    coordinates: AbstractCoordinates,
    surface: QuoteSurface,
    models: Sequence[ParameterValues],
    shifts: tuple[float, ...],
) -> Real:
    """One vector for each set of values, with typical values where one is missing; shape (models, size)."""
    unit = increment_unit(surface.stdev)
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
        is_parameter = jnp.arange(coordinates.size) < len(coordinates.parameters)
        vectors.append(jnp.where(is_parameter, vector, shift))
    return jnp.stack(vectors)
