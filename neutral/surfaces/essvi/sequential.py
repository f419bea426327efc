"""Sequential fit of eSSVI, expiry by expiry, for comparison with the joint fit.

Each smile passes, to first order, through the quote nearest the money (Corbetta, Cohort, Laachir and Martini
2019). rho runs over a grid, and psi is searched between bounds that depend on the previous smile. The bounds
of the usual procedure are necessary for the absence of calendar arbitrage but not sufficient, so that its
smiles may cross.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ...numerics.golden_section import golden_section
from ...quotes.surface import QuoteSurface
from ...typing import Numbers, Real
from .slice import variance
from .surface import ESSVI

_RHO = np.linspace(-0.95, 0.95, 41)
_STEPS = 30  # of the golden section
_LEAST = 1e-8  # lower bound of psi


class FittedSmile(NamedTuple):
    """Parameters theta, psi and rho of a fitted smile."""

    theta: float
    psi: float
    rho: float


class Slice(NamedTuple):
    """Out-of-the-money quotes of one expiry, (K,) each."""

    k: np.ndarray  # log-forward moneyness
    w: np.ndarray  # total variance
    weight: np.ndarray  # 0 where there is no quote


def sequential_essvi(surface: QuoteSurface, flattening: bool = False, mask: ArrayLike | None = None) -> ESSVI:
    """Fit one smile after another, by a grid of rho and a golden-section search of psi.

    Args:
        surface: Quotes of one underlying at one time.
        flattening: True to add a bound that the usual procedure lacks, that psi / theta must not rise, with
            which smiles cannot cross.
        mask: True for quotes to fit, shape (2, T, K); the surface's `train` if None.

    Returns:
        The surface; nan at expiries without quotes, and where the bounds admit no psi. Its `certificate`
        reports whether it is free of static arbitrage.
    """
    used = np.asarray(surface.train if mask is None else mask) & np.asarray(surface.mask)
    rows = np.full((3, surface.shape[0]), np.nan)
    previous: FittedSmile | None = None
    for i in range(surface.shape[0]):
        quotes = _slice(surface, used, i)
        smile = _fit(quotes, previous, flattening) if np.any(quotes.weight) else None
        if smile is not None:
            rows[:, i] = smile
            previous = smile
    theta, psi, rho = rows
    return ESSVI(expiries=np.asarray(surface.t), theta=theta, psi=psi, rho=rho)


def _slice(surface: QuoteSurface, used: np.ndarray, i: int) -> Slice:
    k = np.asarray(surface.k)[i]
    kind = np.where(k >= 0.0, 0, 1)
    pick, vol, vega = (np.asarray(x)[kind, i, np.arange(k.size)] for x in (used, surface.vol, surface.vega))
    w = np.where(pick, vol**2 * float(surface.t[i]), 1.0)
    # these weights turn errors in w into errors in price: vega / (2 sqrt(w)) per unit of w, up to a constant
    return Slice(k=k, w=w, weight=np.where(pick, vega**2 / w, 0.0))


def _fit(quotes: Slice, previous: FittedSmile | None, flattening: bool) -> FittedSmile | None:
    """Find the best smile over the grid of rho; None if the bounds admit none."""
    anchor = int(np.argmin(np.where(quotes.weight > 0.0, np.abs(quotes.k), np.inf)))
    k = quotes.k[anchor]
    w = quotes.w[anchor]
    low, high = _bounds(k, w, previous, flattening)
    feasible = low <= high
    smiles = _search(
        k=quotes.k,
        w=quotes.w,
        weight=quotes.weight,
        anchor_k=k,
        anchor_w=w,
        low=np.where(feasible, low, 1.0),
        high=np.where(feasible, high, 1.0),
    )
    theta, psi, error = (np.asarray(x) for x in smiles)
    error = np.where(feasible & (theta > 0.0), error, np.inf)
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
    """Search psi between low and high at each rho by golden section; return theta, psi and squared error.

    To first order in k, theta = w - rho psi k at the anchor (Corbetta et al. 2019).
    """
    rho = jnp.asarray(_RHO)

    def smiles(psi: Real) -> tuple[Real, Real]:
        theta = anchor_w - rho * psi * anchor_k
        fitted = variance(k[None], jnp.maximum(theta, 1e-12)[:, None], psi[:, None], rho[:, None])
        return theta, jnp.sum(weight[None] * (fitted - w[None]) ** 2, axis=-1)

    a, b = golden_section(lambda psi: -smiles(psi)[1], low, high, _STEPS)
    psi = 0.5 * (a + b)
    theta, error = smiles(psi)
    return theta, psi, error


def _bounds(
    k: float, w: float, previous: FittedSmile | None, flattening: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the interval of psi for each rho, with theta = w - rho psi k."""
    steepness = 1.0 + np.abs(_RHO)
    lean = _RHO * k
    # psi (1 + |rho|) <= 4 and psi^2 (1 + |rho|) <= 4 theta = 4 (w - rho psi k) (Gatheral and Jacquier 2014,
    # theorem 4.2); the second is a quadratic in psi
    steep = 2.0 * (np.sqrt(lean**2 + steepness * w) - lean) / steepness
    low = np.full_like(_RHO, _LEAST)
    high = np.minimum(4.0 / steepness, steep)
    if previous is None:
        return low, high
    # neither wing falls: psi (1 +- rho) is at least that of the previous smile
    right = previous.psi * (1.0 + previous.rho) / (1.0 + _RHO)
    left = previous.psi * (1.0 - previous.rho) / (1.0 - _RHO)
    low = np.maximum(low, np.maximum(right, left))
    # theta does not fall
    low, high = _at_most(lean, w - previous.theta, low, high)
    if flattening:
        # psi / theta does not rise
        low, high = _at_most(previous.theta / previous.psi + lean, w, low, high)
    return low, high


def _at_most(
    slope: np.ndarray, level: float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intersect the interval [low, high] of psi with slope psi <= level."""
    ratio = level / np.where(slope == 0.0, 1.0, slope)
    high = np.where(slope > 0.0, np.minimum(high, ratio), high)
    low = np.where(slope < 0.0, np.maximum(low, ratio), low)
    return low, np.where((slope == 0.0) & (level < 0.0), -np.inf, high)
