"""Where a fit begins: from the market's variance at the money, short and long, never from luck."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...models import NIG, DoubleHeston, Kou, PiecewiseHeston, VarianceGamma
from ...models.parameters import domains
from ...quotes.surface import QuoteSurface
from ...typing import Real
from ..coordinates import AbstractCoordinates, increment_unit

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
    """Variance at the money of one surface, per year, and its mean maturity."""

    near: Real
    far: Real
    mean: Real
    time: Real


def data_starts(coordinates: AbstractCoordinates, surface: QuoteSurface) -> Real:
    """Starting vectors of one surface, shape (starts, size).

    Args:
        coordinates: Of the model to fit.
        surface: One surface, T maturities.
    """
    level = _level(surface)
    if coordinates.model in _OWN:
        models = _OWN[coordinates.model](level)
    else:
        rows = _WITH_JUMPS if "mu_v" in coordinates.parameters else _PLAIN
        models = [_known(row, level, _MOST_SIGMA_V) for row in rows]
    return jax.lax.stop_gradient(_vectors(coordinates, surface, models, (_SHIFT,) * len(models)))


def data_bounds(surface: QuoteSurface) -> dict[str, tuple[float, float]]:
    """Intervals for Heston's parameters on an equity index, from the market's variance at the money.

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
    level = jax.vmap(_level)(many)
    found = {}
    for name, variance in (("v0", np.asarray(level.near)), ("theta", np.asarray(level.far))):
        known = variance[np.isfinite(variance) & (variance > 0)]
        if not known.size:
            raise ArgumentError("data_bounds needs a surface with quotes: none has a variance at the money.")
        found[name] = (0.5 * float(known.min()), 2.0 * float(known.max()))
    return found | {"kappa": (0.01, 10.0), "sigma_v": (0.01, 3.0), "rho": (-0.99, -0.01)}


def search_box(coordinates: AbstractCoordinates, surface: QuoteSurface) -> tuple[Real, Real]:
    """Corners of the box in which a global search of one surface begins, each of shape (size,).

    Args:
        coordinates: Of the model to fit.
        surface: One surface, T maturities.
    """
    level = _level(surface)
    corners = [_known(row, level, jnp.inf) for row in _BOX]
    low, high = _vectors(coordinates, surface, corners, (0.0, 3.0 * _SHIFT))
    middle = data_starts(coordinates, surface)[0]
    shift = (True,) * (coordinates.size - len(coordinates.parameters))
    known = () if coordinates.model in _OWN else _KNOWN
    named = np.array([name in known for name in coordinates.parameters] + list(shift))
    slope = np.array([name == "rho_j" for name in coordinates.names])
    high = jnp.where(slope, _MOST_SLOPE, high)
    low, high = jnp.where(named, low, middle - _ASIDE), jnp.where(named, high, middle + _ASIDE)
    return jax.lax.stop_gradient((jnp.minimum(low, high), jnp.maximum(low, high)))


def _vectors(
    coordinates: AbstractCoordinates,
    surface: QuoteSurface,
    models: list[dict[str, Any]],
    shifts: tuple[float, ...],
) -> Real:
    """One vector per set of parameters, typical values where it names none; (models, size)."""
    unit, typical = increment_unit(surface), coordinates.typical()
    counts, vectors = dict(coordinates.axes), []
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


def _level(surface: QuoteSurface) -> Level:
    used = jnp.any(surface.mask, axis=(-3, -1))
    variance = surface.stdev**2 / surface.t
    short = jnp.min(jnp.where(used, surface.t, jnp.inf))
    long = jnp.max(jnp.where(used, surface.t, 0.0))
    near = jnp.sum(jnp.where(surface.t == short, variance, 0.0))
    far = jnp.sum(jnp.where(surface.t == long, variance, 0.0))
    mean = jnp.sum(jnp.where(used, variance, 0.0)) / jnp.maximum(jnp.sum(used), 1)
    time = jnp.sum(jnp.where(used, surface.t, 0.0)) / jnp.maximum(jnp.sum(used), 1)
    return Level(near, far, mean, time)


_KNOWN = frozenset(
    ("sigma", "v0", "theta", "kappa", "sigma_v", "rho", "lam", "mu_y", "sigma_y", "mu_v", "rho_j")
)


def _known(row: tuple[float, ...], level: Level, most_sigma_v: float) -> dict[str, Any]:
    """Parameters of a row of the tables above."""
    share, kappa, sigma_v, rho, lam, mu_y, sigma_y, mu_v, rho_j = row
    root = jnp.sqrt(level.mean)
    return {
        "sigma": jnp.sqrt(share) * root, "v0": share * level.near, "theta": share * level.far, "kappa": kappa,
        "sigma_v": jnp.minimum(sigma_v * root, most_sigma_v), "rho": rho, "lam": lam,
        "mu_y": mu_y * root, "sigma_y": sigma_y * root, "mu_v": mu_v * level.mean, "rho_j": rho_j,
    }  # fmt: skip


def _kou(level: Level) -> list[dict[str, Any]]:
    """Jumps small and frequent, large and rare, of 40 % of the variance; down twice what they are up."""
    root = jnp.sqrt(level.mean)
    starts = []
    for size in (0.3, 1.0):
        eta2 = 1.0 / (size * root)
        eta1 = 2.0 * eta2 + 1.0
        square = 2.0 * (0.3 / eta1**2 + 0.7 / eta2**2)
        starts.append(
            {
                "sigma": jnp.sqrt(0.6) * root,
                "lam": 0.4 * level.mean / square,
                "p_up": 0.3,
                "eta1": eta1,
                "eta2": eta2,
            }
        )
    return starts


def _variance_gamma(level: Level) -> list[dict[str, Any]]:
    """Clocks of little and of much variance at the mean maturity; a third of all variance is the drift's."""
    clocks = [share * level.time / (1.0 + level.mean * level.time) for share in (0.2, 1.0)]
    root = jnp.sqrt(level.mean / 3.0)
    return [{"sigma": jnp.sqrt(2.0) * root, "theta": -root / jnp.sqrt(nu), "nu": nu} for nu in clocks]


def _nig(level: Level) -> list[dict[str, Any]]:
    """Thin and fat tails at the mean maturity, beta/alpha = -0.3, of the market's variance."""
    starts = []
    for steepness in (4.0, 1.0):  # delta sqrt(alpha^2 - beta^2) t
        gamma = jnp.sqrt(steepness / (0.91 * level.time * level.mean)) + 1.5
        alpha = gamma / jnp.sqrt(0.91)
        starts.append({"alpha": alpha, "beta": -0.3 * alpha, "delta": 0.91 * level.mean * gamma})
    return starts


def _double_heston(level: Level) -> list[dict[str, Any]]:
    """A fast factor and a slow one, each with half of the variance."""
    root, half = jnp.sqrt(level.mean), {"v01": 0.5 * level.near, "v02": 0.5 * level.near}
    half |= {"theta1": 0.5 * level.far, "theta2": 0.5 * level.far}

    def start(fast: float, slow: float, one: float, two: float, rho1: float, rho2: float) -> dict[str, Any]:
        sigmas = {"sigma_v1": jnp.minimum(one * root, _MOST_SIGMA_V), "sigma_v2": two * root}
        return half | sigmas | {"kappa1": fast, "kappa2": slow, "rho1": rho1, "rho2": rho2}

    return [start(8.0, 0.8, 4.0, 1.0, -0.4, -0.6), start(3.0, 0.3, 2.0, 0.5, -0.7, -0.3)]


def _piecewise_heston(level: Level) -> list[dict[str, Any]]:
    """Heston's start on all pieces, and one that reverts slowly."""
    return [
        _known((1.0, kappa, sigma_v, rho, *_PLAIN[0][4:]), level, _MOST_SIGMA_V)
        for kappa, sigma_v, rho in ((3.0, 2.0, -0.4), (1.0, 1.5, -0.7))
    ]


_OWN = {
    Kou: _kou,
    VarianceGamma: _variance_gamma,
    NIG: _nig,
    DoubleHeston: _double_heston,
    PiecewiseHeston: _piecewise_heston,
}
