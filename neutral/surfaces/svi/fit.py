"""`fit_svi`: least squares of one raw SVI smile that is free of butterfly arbitrage."""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...precision import require_precision
from ...typing import Real
from .svi import SVI

_SHIFTS = (-1.0, -0.3, 0.0, 0.3, 1.0)  # starting m, in units of the spread of k
_BENDS = (0.03, 0.1, 0.3, 1.0, 3.0)  # starting sigma, likewise
_TESTED = np.sinh(np.linspace(-6.0, 6.0, 481))  # (k - m) / sigma where the fit watches Durrleman's function
# one fit after another: penalty on what g is below the least asked for, and that least, until g is not
# negative between the points either
_STAGES = ((0.0, 0.0), (1.0, 1e-6), (30.0, 1e-6), (1e3, 1e-6), (1e3, 1e-5), (1e3, 1e-4), (1e3, 1e-3))
_STEEPEST = 1.99999  # of the wings
_EVALUATIONS = 500


class Quotes(NamedTuple):
    """Quotes of a smile and the units of its coordinates."""

    k: Real
    w: Real
    root: Real  # square root of the weights
    unit: float  # of k
    level: float  # of w


def fit_svi(k: Any, w: Any, weight: Any = 1.0) -> SVI:
    """Fit a raw SVI smile (Gatheral 2004), free of butterfly arbitrage for all k.

    Least squares from the best of 25 starts, each linear in what is left once m and sigma are given (De Marco
    and Martini 2009); where that smile is not free, again under the conditions that make it so.

    Args:
        k: Log-forward moneyness of the quotes, (K,), at least five different.
        w: Their total variances, (K,), > 0.
        weight: Of their squared errors, broadcast, >= 0.

    Raises:
        ArgumentError: the quotes are not as above, or no smile near them is free.
    """
    from scipy.optimize import least_squares

    require_precision("float64")
    quotes = _checked(k, w, weight)
    starts = [_linear(quotes, m, sigma) for m, sigma in itertools.product(_SHIFTS, _BENDS)]
    x = min(starts, key=lambda x: float(np.sum(np.asarray(_residuals(x, quotes, *_STAGES[0])) ** 2)))
    for stage in _STAGES:
        residuals, slopes = (_on_host(f, quotes, stage) for f in (_residuals, _slopes))
        x = least_squares(
            residuals, x, slopes, bounds=tuple(_limits(quotes)), x_scale="jac", max_nfev=_EVALUATIONS
        ).x
        smile = _smile(x, quotes)
        if smile.butterfly()[0] >= 0.0:
            return smile
    raise ArgumentError("fit_svi found no smile free of butterfly arbitrage near the quotes.")


def _on_host(function: Any, quotes: Quotes, stage: tuple[float, float]) -> Any:
    return lambda x: np.asarray(function(x, quotes, *stage))


def _checked(k: Any, w: Any, weight: Any) -> Quotes:
    k, w = (np.asarray(x, np.float64) for x in (k, w))
    if k.ndim != 1 or w.shape != k.shape or np.unique(k).size < 5:
        raise ArgumentError(
            "fit_svi needs k and w of one shape (K,), at least five different k; got shapes "
            f"{k.shape} and {w.shape}."
        )
    weight = np.broadcast_to(np.asarray(weight, np.float64), k.shape)
    if not np.all(np.isfinite(k) & np.isfinite(w) & (w > 0) & np.isfinite(weight) & (weight >= 0)):
        raise ArgumentError("fit_svi needs finite k, w above 0 and weights that are not negative.")
    if np.unique(k[weight > 0]).size < 5:
        raise ArgumentError("fit_svi needs at least five quotes of a weight above 0.")
    level = float(np.average(w, weights=weight))
    root = np.sqrt(weight / np.sum(weight)) / level
    return Quotes(jnp.asarray(k), jnp.asarray(w), jnp.asarray(root), float(np.std(k)), level)


def _smile(x: Any, quotes: Quotes) -> SVI:
    """From coordinates: least w, slopes of the left and right wing, m, log sigma."""
    least, left, right, m, sigma = x
    unit, level = quotes.unit, quotes.level
    sigma, slope = jnp.exp(sigma), level / unit
    a = least - sigma * jnp.sqrt(left * right)
    return SVI(
        level * a, 0.5 * slope * (left + right), (right - left) / (left + right), unit * m, unit * sigma
    )


def _limits(quotes: Quotes) -> np.ndarray:
    """Bounds of the coordinates, (2, 5): a positive w, wings below the bound of Lee (2004)."""
    steep = _STEEPEST * quotes.unit / quotes.level
    return np.array([[1e-6, 1e-6, 1e-6, -10.0, -7.0], [1e3, steep, steep, 10.0, 4.0]])


@jax.jit
def _residuals(x: Real, quotes: Quotes, penalty: float, least: float) -> Real:
    """Weighted errors of the quotes, then what Durrleman's function lacks at many points and in the wings."""
    smile = _smile(x, quotes)
    errors = quotes.root * (smile.total_variance(quotes.k) - quotes.w)
    wings = [0.25 - (0.25 * smile.b * (1.0 + side * smile.rho)) ** 2 for side in (1.0, -1.0)]
    g = smile.durrleman(smile.m + smile.sigma * jnp.asarray(_TESTED))
    return jnp.concatenate([errors, penalty * jnp.minimum(jnp.append(g, jnp.stack(wings)) - least, 0.0)])


_slopes = jax.jit(jax.jacfwd(_residuals))


def _linear(quotes: Quotes, m: float, sigma: float) -> np.ndarray:
    """Coordinates of the least squares at given m and sigma, inside the bounds."""
    k, w, root = (np.asarray(x) for x in (quotes.k / quotes.unit, quotes.w, quotes.root))
    columns = np.stack([np.ones_like(k), k - m, np.hypot(k - m, sigma)], axis=1)
    a, tilt, b = np.linalg.lstsq(root[:, None] * columns, root * w / quotes.level, rcond=None)[0]
    left, right = np.maximum([b - tilt, b + tilt], 0.01)
    x = np.array([a + sigma * np.sqrt(left * right), left, right, m, np.log(sigma)])
    low, high = _limits(quotes)
    return np.clip(x, low + 1e-9, high - 1e-9)
