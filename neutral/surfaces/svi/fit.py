"""`fit_svi`: least-squares fit of one raw SVI smile that is free of butterfly arbitrage."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ...errors import ArgumentError
from ...precision import require_precision
from ...typing import Numbers, Real, Scalar
from .svi import SVI

_SHIFTS = (-1.0, -0.3, 0.0, 0.3, 1.0)  # starting m, in units of the standard deviation of k
_BENDS = (0.03, 0.1, 0.3, 1.0, 3.0)  # starting sigma, in units of the standard deviation of k
_TEST_POINTS = np.sinh(
    np.linspace(-6.0, 6.0, 481)
)  # (k - m) / sigma where the fit evaluates Durrleman's function
_STEEPEST = 1.99999  # largest slope of a wing
_EVALUATIONS = 500  # limit of evaluations in one stage


class Stage(NamedTuple):
    """Settings of one of the successive fits, which end once the smile is free of arbitrage for all k."""

    penalty: float  # on the shortfall of Durrleman's function
    least: float  # value below which Durrleman's function is penalised


_STAGES = (
    Stage(penalty=0.0, least=0.0),
    Stage(penalty=1.0, least=1e-6),
    Stage(penalty=30.0, least=1e-6),
    Stage(penalty=1e3, least=1e-6),
    Stage(penalty=1e3, least=1e-5),
    Stage(penalty=1e3, least=1e-4),
    Stage(penalty=1e3, least=1e-3),
)


class SmileQuotes(NamedTuple):
    """Quotes of a smile and the units of its coordinates."""

    k: Real
    w: Real
    root: Real  # square root of the weights, over the unit of w
    unit: Scalar  # of k
    level: Scalar  # of w


Function = Callable[[Real, SmileQuotes, Stage], Real]


def fit_svi(k: ArrayLike, w: ArrayLike, weight: ArrayLike = 1.0) -> SVI:
    """Fit a raw SVI smile (Gatheral 2004), free of butterfly arbitrage for all k.

    The fit starts from the best of 25 smiles, each a linear least-squares fit at given m and sigma (De Marco
    and Martini 2009). If the result has butterfly arbitrage, the fit continues with penalties on a negative
    Durrleman function until the exact test passes.

    Args:
        k: Log-forward moneyness of the quotes, (K,), with at least five different values.
        w: Total variances of the quotes, (K,), > 0.
        weight: Weights of the squared errors, broadcast, >= 0; at least five different k need weight > 0.

    Returns:
        The smile.

    Raises:
        ArgumentError: the quotes are not as above, or the fit reaches no smile free of butterfly arbitrage.
    """
    from scipy.optimize import least_squares

    require_precision("float64")
    quotes = _check_quotes(k, w, weight)
    starts = [_linear_start(quotes, m, sigma) for m, sigma in itertools.product(_SHIFTS, _BENDS)]
    x = min(starts, key=lambda x: float(np.sum(np.asarray(_residuals(x, quotes, _STAGES[0])) ** 2)))
    for stage in _STAGES:
        # typed Any, because SciPy's stub accepts only the names of difference rules
        slopes: Any = _on_host(_slopes, quotes, stage)
        x = least_squares(
            _on_host(_residuals, quotes, stage),
            x,
            slopes,
            bounds=tuple(_limits(quotes)),
            x_scale="jac",
            max_nfev=_EVALUATIONS,
        ).x
        smile = _smile(x, quotes)
        if smile.butterfly()[0] >= 0.0:
            return smile
    raise ArgumentError(
        "fit_svi found no smile free of butterfly arbitrage near the quotes; check them for arbitrage."
    )


def _on_host(function: Function, quotes: SmileQuotes, stage: Stage) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.asarray(function(x, quotes, stage))


def _check_quotes(k: ArrayLike, w: ArrayLike, weight: ArrayLike) -> SmileQuotes:
    """Check the quotes, and return them with weights of sum 1 and the units of the coordinates."""
    k = np.asarray(k, np.float64)
    w = np.asarray(w, np.float64)
    if k.ndim != 1 or w.shape != k.shape or np.unique(k).size < 5:
        raise ArgumentError(
            "fit_svi needs k and w of one shape (K,), at least five different k; got shapes "
            f"{k.shape} and {w.shape}."
        )
    weight = np.broadcast_to(np.asarray(weight, np.float64), k.shape)
    if not np.all(np.isfinite(k) & np.isfinite(w) & (w > 0) & np.isfinite(weight) & (weight >= 0)):
        raise ArgumentError(
            "fit_svi needs finite k, finite w > 0 and finite weights >= 0; got a value that is none of these."
        )
    if np.unique(k[weight > 0]).size < 5:
        raise ArgumentError("fit_svi needs at least five different k with a weight above 0, got fewer.")
    level = float(np.average(w, weights=weight))
    root = np.sqrt(weight / np.sum(weight)) / level
    return SmileQuotes(
        k=jnp.asarray(k), w=jnp.asarray(w), root=jnp.asarray(root), unit=float(np.std(k)), level=level
    )


def _smile(x: Float[Numbers, "5"], quotes: SmileQuotes) -> SVI:
    """Build the smile from coordinates x: least w, slopes of the left and right wing, m, log sigma.

    The coordinates are in the units of `quotes`. The least w is a + b sigma sqrt(1 - rho^2), and the slopes
    of the wings are b (1 -+ rho), whose product is b^2 (1 - rho^2).
    """
    least, left, right, m, log_sigma = x
    unit = quotes.unit
    level = quotes.level
    sigma = jnp.exp(log_sigma)
    slope = level / unit
    a = least - sigma * jnp.sqrt(left * right)
    return SVI(
        a=level * a,
        b=0.5 * slope * (left + right),
        rho=(right - left) / (left + right),
        m=unit * m,
        sigma=unit * sigma,
    )


def _limits(quotes: SmileQuotes) -> np.ndarray:
    """Compute bounds of the coordinates, (2, 5): w is positive, wings are below the bound of Lee (2004)."""
    steep = _STEEPEST * quotes.unit / quotes.level
    return np.array([[1e-6, 1e-6, 1e-6, -10.0, -7.0], [1e3, steep, steep, 10.0, 4.0]])


@jax.jit
def _residuals(x: Float[Numbers, "5"], quotes: SmileQuotes, stage: Stage) -> Float[Numbers, " n"]:
    """Compute weighted errors of the quotes, then penalties on Durrleman's function, also in the wings."""
    smile = _smile(x, quotes)
    errors = quotes.root * (smile.total_variance(quotes.k) - quotes.w)
    # g tends to 1/4 - (slope / 4)^2 in a wing
    wings = [0.25 - (0.25 * smile.b * (1.0 + side * smile.rho)) ** 2 for side in (1.0, -1.0)]
    g = smile.durrleman(smile.m + smile.sigma * jnp.asarray(_TEST_POINTS))
    shortfall = jnp.minimum(jnp.append(g, jnp.stack(wings)) - stage.least, 0.0)
    return jnp.concatenate([errors, stage.penalty * shortfall])


_slopes = jax.jit(jax.jacfwd(_residuals))


def _linear_start(quotes: SmileQuotes, m: float, sigma: float) -> np.ndarray:
    """Fit by linear least squares at given m and sigma, and return coordinates inside the bounds.

    w is linear in a, b rho and b once m and sigma are given (De Marco and Martini 2009).
    """
    k, w, root = (np.asarray(x) for x in (quotes.k / quotes.unit, quotes.w, quotes.root))
    columns = np.stack([np.ones_like(k), k - m, np.hypot(k - m, sigma)], axis=1)
    a, tilt, b = np.linalg.lstsq(root[:, None] * columns, root * w / quotes.level, rcond=None)[0]
    left, right = np.maximum([b - tilt, b + tilt], 0.01)
    x = np.array([a + sigma * np.sqrt(left * right), left, right, m, np.log(sigma)])
    low, high = _limits(quotes)
    return np.clip(x, low + 1e-9, high - 1e-9)
