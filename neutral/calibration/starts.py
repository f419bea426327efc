"""Where a fit begins: from the market's variance at the money, short and long, never from luck."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..quote_surface import QuoteSurface
from ..typing import Real
from .coordinates import Coordinates, increment_unit, typical_of, unchecked

# Share of the market's variance left to diffusion, mean reversion, vol-of-vol over sqrt(variance),
# correlation, jump intensity, mean and width of jumps over sqrt(variance), variance jump over variance,
# slope rho_j.
_PLAIN = ((1.0, 3.0, 2.0, -0.4, 0.3, -0.2, 0.4, 0.3, -0.1),)
_WITH_JUMPS = (  # jumps moderate, larger, small and incessant, rare and huge
    (0.85, 8.0, 4.0, -0.3, 0.30, -0.20, 0.60, 2.00, -0.1),
    (0.80, 10.0, 5.0, -0.4, 1.30, -0.50, 0.30, 2.00, -0.1),
    (0.70, 8.0, 8.0, -0.4, 40.0, -0.03, 0.07, 0.03, -0.1),
    (1.00, 30.0, 10.0, -0.3, 0.05, -2.00, 1.00, 5.00, -0.5),
)
_BOX = (  # corners of where a global search looks first
    (0.1, 0.5, 0.3, -0.9, 0.05, -1.0, 0.03, 0.05, -2.0),
    (1.5, 30.0, 30.0, 0.5, 40.0, 0.5, 1.0, 5.0, 0.0),
)
_MOST_SLOPE = 1.0  # of the free slope rho_j, in the box
_MOST_SIGMA_V = 3.0  # at a start
_SHIFT = 0.1  # increments at a start, in units of the market's; up to three times as much in the box
_ASIDE = 2.0  # how far the box reaches in coordinates of parameters that are not known by name


class Level(NamedTuple):
    """Variance at the money of one surface, per year."""

    near: Real
    far: Real
    mean: Real


def data_starts(coordinates: Coordinates, surface: QuoteSurface) -> Real:
    """Starting vectors of one surface, shape (starts, size).

    Args:
        coordinates: Of the model to fit.
        surface: One surface, T maturities.
    """
    rows = _WITH_JUMPS if "mu_v" in coordinates.parameters else _PLAIN
    return jax.lax.stop_gradient(_vectors(coordinates, surface, rows, (_SHIFT,) * len(rows), _MOST_SIGMA_V))


def search_box(coordinates: Coordinates, surface: QuoteSurface) -> tuple[Real, Real]:
    """Corners of the box in which a global search of one surface begins, each of shape (size,).

    Args:
        coordinates: Of the model to fit.
        surface: One surface, T maturities.
    """
    low, high = _vectors(coordinates, surface, _BOX, (0.0, 3.0 * _SHIFT), jnp.inf)
    middle = data_starts(coordinates, surface)[0]
    shift = (True,) * (coordinates.size - len(coordinates.parameters))
    named = np.array([name in _KNOWN for name in coordinates.parameters] + list(shift))
    slope = np.array([name == "rho_j" for name in coordinates.names])
    high = jnp.where(slope, _MOST_SLOPE, high)
    low, high = jnp.where(named, low, middle - _ASIDE), jnp.where(named, high, middle + _ASIDE)
    return jax.lax.stop_gradient((jnp.minimum(low, high), jnp.maximum(low, high)))


def _vectors(
    coordinates: Coordinates, surface: QuoteSurface, rows: Any, shifts: tuple[float, ...], most_sigma_v: float
) -> Real:
    """One vector per row of the tables above, (rows, size)."""
    level, unit = _level(surface), increment_unit(surface)
    vectors = []
    for row, shift in zip(rows, shifts, strict=True):
        vector = coordinates.vector(_model(coordinates, row, level, most_sigma_v), unit, surface.t)
        own = jnp.arange(coordinates.size) < len(coordinates.parameters)
        vectors.append(jnp.where(own, vector, shift))
    return jnp.stack(vectors)


def _level(surface: QuoteSurface) -> Level:
    used = jnp.any(surface.mask, axis=(-3, -1))
    variance = surface.stdev**2 / surface.t
    short = jnp.min(jnp.where(used, surface.t, jnp.inf))
    long = jnp.max(jnp.where(used, surface.t, 0.0))
    near = jnp.sum(jnp.where(surface.t == short, variance, 0.0))
    far = jnp.sum(jnp.where(surface.t == long, variance, 0.0))
    mean = jnp.sum(jnp.where(used, variance, 0.0)) / jnp.maximum(jnp.sum(used), 1)
    return Level(near, far, mean)


_KNOWN = frozenset(
    ("sigma", "v0", "theta", "kappa", "sigma_v", "rho", "lam", "mu_y", "sigma_y", "mu_v", "rho_j")
)


def _model(coordinates: Coordinates, row: tuple[float, ...], level: Level, most_sigma_v: float) -> Any:
    share, kappa, sigma_v, rho, lam, mu_y, sigma_y, mu_v, rho_j = row
    root = jnp.sqrt(level.mean)
    known = {
        "sigma": jnp.sqrt(share) * root, "v0": share * level.near, "theta": share * level.far, "kappa": kappa,
        "sigma_v": jnp.minimum(sigma_v * root, most_sigma_v), "rho": rho, "lam": lam,
        "mu_y": mu_y * root, "sigma_y": sigma_y * root, "mu_v": mu_v * level.mean, "rho_j": rho_j,
    }  # fmt: skip
    typical = typical_of(coordinates.model)
    names = coordinates.parameters
    return unchecked(
        coordinates.model, {n: jnp.asarray(known.get(n, getattr(typical, n)), float) for n in names}
    )
