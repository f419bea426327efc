"""eSSVI fitted expiry by expiry, as it is often done: for comparison with the joint fit.

Each smile passes, to first order, through the quote nearest the money (Corbetta, Cohort, Laachir and Martini
2019), rho runs over a grid, and psi is searched between the bounds that the smile before leaves. Those of the
usual procedure are necessary for the absence of calendar arbitrage, not sufficient: its smiles may cross.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...quotes.surface import QuoteSurface
from ...typing import Real
from .slice import variance
from .surface import ESSVI

_RHO = np.linspace(-0.95, 0.95, 41)
_SHRINK = 0.6180339887498949
_STEPS = 30
_LEAST = 1e-8  # psi


class Smile(NamedTuple):
    """theta, psi, rho of an expiry that has been fitted."""

    theta: float
    psi: float
    rho: float


class Slice(NamedTuple):
    """Out-of-the-money quotes of one expiry: log-moneyness, total variance, weight (0: no quote)."""

    k: np.ndarray
    w: np.ndarray
    weight: np.ndarray


def sequential_essvi(surface: QuoteSurface, flattening: bool = False, mask: Any = None) -> ESSVI:
    """Fit one smile after another, by grid and golden section.

    Args:
        surface: Quotes of one underlying at one time.
        flattening: Add the bound that is missing, psi / theta not rising, with which smiles cannot cross.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.

    Returns:
        The surface; nan at expiries without quotes, and where no psi was left between the bounds. Its
        `certificate` says whether it is free of static arbitrage.
    """
    used = np.asarray(surface.train if mask is None else mask) & np.asarray(surface.mask)
    rows = np.full((3, surface.shape[0]), np.nan)
    before: Smile | None = None
    for i in range(surface.shape[0]):
        quotes = _slice(surface, used, i)
        found = _fit(quotes, before, flattening) if np.any(quotes.weight) else None
        if found is not None:
            rows[:, i], before = found, found
    theta, psi, rho = rows
    return ESSVI(np.asarray(surface.t), theta, psi, rho)


def _slice(surface: QuoteSurface, used: np.ndarray, i: int) -> Slice:
    k = np.asarray(surface.k)[i]
    kind = np.where(k >= 0.0, 0, 1)
    pick, vol, vega = (np.asarray(x)[kind, i, np.arange(k.size)] for x in (used, surface.vol, surface.vega))
    w = np.where(pick, vol**2 * float(surface.t[i]), 1.0)
    return Slice(k, w, np.where(pick, vega**2 / w, 0.0))


def _fit(quotes: Slice, before: Smile | None, flattening: bool) -> Smile | None:
    """The best smile over the grid of rho; None where the bounds leave none."""
    anchor = int(np.argmin(np.where(quotes.weight > 0.0, np.abs(quotes.k), np.inf)))
    k, w = quotes.k[anchor], quotes.w[anchor]
    low, high = _bounds(k, w, before, flattening)

    some = low <= high
    bracket = np.where(some, low, 1.0), np.where(some, high, 1.0)
    theta, psi, error = (np.asarray(x) for x in _search(*quotes, k, w, *bracket))
    error = np.where(some & (theta > 0.0), error, np.inf)
    best = int(np.argmin(error))
    return Smile(theta[best], psi[best], _RHO[best]) if np.isfinite(error[best]) else None


@jax.jit
def _search(k: Real, w: Real, weight: Real, at: Real, level: Real, low: Real, high: Real) -> tuple[Real, ...]:
    """Golden section for each rho between low and high: theta, psi and the weighted square error, (41,)."""
    rho = jnp.asarray(_RHO)

    def smiles(psi: Real) -> tuple[Real, Real]:
        theta = level - rho * psi * at
        wide = variance(k[None], jnp.maximum(theta, 1e-12)[:, None], psi[:, None], rho[:, None])
        return theta, jnp.sum(weight[None] * (wide - w[None]) ** 2, axis=-1)

    def narrow(_: int, bracket: tuple[Real, Real]) -> tuple[Real, Real]:
        a, b = bracket
        one, two = b - _SHRINK * (b - a), a + _SHRINK * (b - a)
        right = smiles(two)[1] < smiles(one)[1]
        return jnp.where(right, one, a), jnp.where(right, b, two)

    a, b = jax.lax.fori_loop(0, _STEPS, narrow, (low, high))
    psi = 0.5 * (a + b)
    theta, error = smiles(psi)
    return theta, psi, error


def _bounds(k: float, w: float, before: Smile | None, flattening: bool) -> tuple[np.ndarray, np.ndarray]:
    """Interval of psi for each rho, with theta = w - rho psi k."""
    wide, lean = 1.0 + np.abs(_RHO), _RHO * k
    # psi^2 (1 + |rho|) <= 4 (w - rho psi k) (Gatheral and Jacquier 2014), and psi (1 + |rho|) <= 4
    steep = 2.0 * (np.sqrt(lean**2 + wide * w) - lean) / wide
    low, high = np.full_like(_RHO, _LEAST), np.minimum(4.0 / wide, steep)
    if before is None:
        return low, high
    wings = [before.psi * (1.0 + side * before.rho) / (1.0 + side * _RHO) for side in (1.0, -1.0)]
    low = np.maximum(low, np.maximum(*wings))
    low, high = _at_most(lean, w - before.theta, low, high)
    if flattening:
        low, high = _at_most(before.theta / before.psi + lean, w, low, high)
    return low, high


def _at_most(
    slope: np.ndarray, level: float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The part of the interval where slope psi <= level."""
    ratio = level / np.where(slope == 0.0, 1.0, slope)
    high = np.where(slope > 0.0, np.minimum(high, ratio), high)
    low = np.where(slope < 0.0, np.maximum(low, ratio), low)
    return low, np.where((slope == 0.0) & (level < 0.0), -np.inf, high)
