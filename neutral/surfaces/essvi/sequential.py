"""eSSVI fitted expiry by expiry, as it is often done, for comparison with the joint fit.

Each smile passes, to first order, through the quote nearest the money (Corbetta, Cohort, Laachir and Martini
2019), rho runs over a grid, and psi is searched between the bounds that the smile before leaves. The bounds
of the usual procedure are necessary for the absence of calendar arbitrage, not sufficient: its smiles may
cross.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ...quotes.surface import QuoteSurface
from ...typing import Codes, Numbers, Real
from .slice import variance
from .surface import ESSVI

_RHO = np.linspace(-0.95, 0.95, 41)
_SHRINK = 0.6180339887498949  # golden section
_STEPS = 30
_LEAST = 1e-8  # psi


class FittedSmile(NamedTuple):
    """theta, psi and rho of an expiry that has been fitted."""

    theta: float
    psi: float
    rho: float


class Slice(NamedTuple):
    """Out-of-the-money quotes of one expiry, (K,) each."""

    k: np.ndarray  # log-forward moneyness
    w: np.ndarray  # total variance
    weight: np.ndarray  # 0 where there is no quote


def sequential_essvi(surface: QuoteSurface, flattening: bool = False, mask: ArrayLike | None = None) -> ESSVI:
    """Fit one smile after another, by grid and golden section.

    Args:
        surface: Quotes of one underlying at one time.
        flattening: Add the bound that the usual procedure lacks: psi / theta must not rise. Then smiles
            cannot cross.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.

    Returns:
        The surface; nan at expiries without quotes, and where no psi was left between the bounds. Its
        `certificate` says whether it is free of static arbitrage.
    """
    used = np.asarray(surface.train if mask is None else mask) & np.asarray(surface.mask)
    rows = np.full((3, surface.shape[0]), np.nan)
    before: FittedSmile | None = None
    for i in range(surface.shape[0]):
        quotes = _slice(surface, used, i)
        smile = _fit(quotes, before, flattening) if np.any(quotes.weight) else None
        if smile is not None:
            rows[:, i] = smile
            before = smile
    theta, psi, rho = rows
    return ESSVI(expiries=np.asarray(surface.t), theta=theta, psi=psi, rho=rho)


def _slice(surface: QuoteSurface, used: np.ndarray, i: int) -> Slice:
    k = np.asarray(surface.k)[i]
    kind = np.where(k >= 0.0, 0, 1)
    pick, vol, vega = (np.asarray(x)[kind, i, np.arange(k.size)] for x in (used, surface.vol, surface.vega))
    w = np.where(pick, vol**2 * float(surface.t[i]), 1.0)
    # weighted errors in w are errors in price: vega / (2 sqrt(w)) per unit of w, up to a constant
    return Slice(k=k, w=w, weight=np.where(pick, vega**2 / w, 0.0))


def _fit(quotes: Slice, before: FittedSmile | None, flattening: bool) -> FittedSmile | None:
    """The best smile over the grid of rho; None where the bounds leave none."""
    anchor = int(np.argmin(np.where(quotes.weight > 0.0, np.abs(quotes.k), np.inf)))
    k = quotes.k[anchor]
    w = quotes.w[anchor]
    low, high = _bounds(k, w, before, flattening)
    some = low <= high
    smiles = _search(
        k=quotes.k,
        w=quotes.w,
        weight=quotes.weight,
        anchor_k=k,
        anchor_w=w,
        low=np.where(some, low, 1.0),
        high=np.where(some, high, 1.0),
    )
    theta, psi, error = (np.asarray(x) for x in smiles)
    error = np.where(some & (theta > 0.0), error, np.inf)
    best = int(np.argmin(error))
    if not np.isfinite(error[best]):
        return None
    return FittedSmile(theta=theta[best], psi=psi[best], rho=_RHO[best])


@jax.jit
def _search(
    k: Float[Numbers, " K"],
    w: Float[Numbers, " K"],
    weight: Float[Numbers, " K"],
    anchor_k: Float[Numbers, ""],
    anchor_w: Float[Numbers, ""],
    low: Float[Numbers, " rho"],
    high: Float[Numbers, " rho"],
) -> tuple[Float[Numbers, " rho"], Float[Numbers, " rho"], Float[Numbers, " rho"]]:
    """Golden section for psi between low and high at each rho: theta, psi and the weighted square error.

    theta = w - rho psi k at the anchor, to first order in k (Corbetta et al. 2019).
    """
    rho = jnp.asarray(_RHO)

    def smiles(psi: Real) -> tuple[Real, Real]:
        theta = anchor_w - rho * psi * anchor_k
        fitted = variance(k[None], jnp.maximum(theta, 1e-12)[:, None], psi[:, None], rho[:, None])
        return theta, jnp.sum(weight[None] * (fitted - w[None]) ** 2, axis=-1)

    def narrow(_: Codes | int, bracket: tuple[Real, Real]) -> tuple[Real, Real]:
        a, b = bracket
        one = b - _SHRINK * (b - a)
        two = a + _SHRINK * (b - a)
        falls = smiles(two)[1] < smiles(one)[1]
        return jnp.where(falls, one, a), jnp.where(falls, b, two)

    a, b = jax.lax.fori_loop(0, _STEPS, narrow, (low, high))
    psi = 0.5 * (a + b)
    theta, error = smiles(psi)
    return theta, psi, error


def _bounds(
    k: float, w: float, before: FittedSmile | None, flattening: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of psi for each rho, with theta = w - rho psi k."""
    steepness = 1.0 + np.abs(_RHO)
    lean = _RHO * k
    # psi (1 + |rho|) <= 4 and psi^2 (1 + |rho|) <= 4 theta = 4 (w - rho psi k) (Gatheral and Jacquier 2014,
    # theorem 4.2); the second is a quadratic in psi
    steep = 2.0 * (np.sqrt(lean**2 + steepness * w) - lean) / steepness
    low = np.full_like(_RHO, _LEAST)
    high = np.minimum(4.0 / steepness, steep)
    if before is None:
        return low, high
    # neither wing falls: psi (1 +- rho) is at least that of the smile before
    right = before.psi * (1.0 + before.rho) / (1.0 + _RHO)
    left = before.psi * (1.0 - before.rho) / (1.0 - _RHO)
    low = np.maximum(low, np.maximum(right, left))
    # theta does not fall
    low, high = _at_most(lean, w - before.theta, low, high)
    if flattening:
        # psi / theta does not rise
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
