"""American options on an asset with a continuous yield: the price by its exercise boundary.

Prices follow from the exercise boundary B(tau), the solution of the fixed-point equation (52) of
docs/mathematics.md. The function log(B / B(0))^2 is represented by a Chebyshev polynomial in sqrt(tau);
integrals are Gauss-Legendre sums after a substitution that removes their square-root singularity (Andersen,
Lake and Offengenden 2016, "High performance American option pricing", their system B). A call is a put with
asset and strike, rate and yield exchanged.

With a negative rate and a yield below it, a put has two exercise boundaries, which this method does not
cover. The same is true of a call with a negative yield and a rate below it.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ...numerics.normal import cdf
from ...typing import Codes, Flags, Real
from .option import Option

# With these orders the error is below 1 bp of spot up to ten years (see tests/options/test_american.py).
_DEGREE = 10
_NODES = 16
_STEPS = 10
_PRICE_NODES = 32
_LOWEST_BOUNDARY = 1e-8  # of the strike


def _quadrature(nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute quadrature nodes s / tau = y^2 on (0, 1), their weights, and sqrt(1 - y^2) at each node."""
    y, weight = np.polynomial.legendre.leggauss(nodes)
    y = 0.5 * (1.0 + y)
    weight = 0.5 * weight
    return y**2, 2.0 * y * weight, np.sqrt(1.0 - y**2)


def _interpolation(at: np.ndarray) -> np.ndarray:
    """Build the matrix that interpolates (barycentric formula) from collocation points to points in [0, 1].

    The first collocation point, tau = 0, is left out, because the interpolated function is zero there.
    """
    sign = (-1.0) ** np.arange(_DEGREE + 1)
    sign[[0, -1]] *= 0.5
    terms = sign / (at[..., None] - _ALL_POINTS)
    return (terms / terms.sum(-1, keepdims=True))[..., 1:]


_ALL_POINTS = 0.5 - 0.5 * np.cos(np.pi * np.arange(_DEGREE + 1) / _DEGREE)  # sqrt(tau / maturity)
_POINTS = _ALL_POINTS[None, 1:]  # axes from here on: option, collocation point, quadrature node
_ELAPSED, _WEIGHTS, _ROOT_LEFT = (a[None, None] for a in _quadrature(_NODES))
_INNER = _interpolation(_POINTS[0, :, None] * _ROOT_LEFT[0])
_PRICE_ELAPSED, _PRICE_WEIGHTS, _PRICE_ROOT_LEFT = (a[None] for a in _quadrature(_PRICE_NODES))
_PRICE_INNER = _interpolation(_PRICE_ROOT_LEFT[0])


def _as_put(option: Option) -> tuple[Real, Real, Real, Real]:
    """Asset, strike, rate and yield of the put that is worth as much as the option."""
    is_call = option.is_call
    asset = jnp.where(is_call, option.strike, option.spot)
    cash = jnp.where(is_call, option.spot, option.strike)
    return asset, cash, jnp.where(is_call, option.q, option.r), jnp.where(is_call, option.r, option.q)


def has_two_boundaries(option: Option) -> Flags:
    """Whether exercise pays between two boundaries, and not beyond a single one; shape (lanes,)."""
    _, _, r, q = _as_put(option)
    return (r < 0.0) & (q < r)


def boundary_price(option: Option, vol: Real, european: Real) -> Real:
    """Price options by their exercise boundary.

    Args:
        option: The terms, with a maturity above 0.
        vol: Volatility, > 0, shape (lanes,).
        european: Prices of the European options, in the unit of the strike.

    Returns:
        Prices in the unit of the strike, shape (lanes,); of no meaning where there are two boundaries.
    """
    asset, cash, r, q = _as_put(option)
    never_early = (r <= 0.0) & (q >= r)  # exercise before maturity never pays
    excluded = never_early | has_two_boundaries(option)
    american = _put(
        asset / cash,
        european / cash,
        t=option.t,
        vol=vol,
        r=jnp.where(excluded, 0.05, r),
        q=jnp.where(excluded, 0.05, q),
    )
    return jnp.where(never_early, european, cash * american)


def _put(x: Real, european: Real, t: Real, vol: Real, r: Real, q: Real) -> Real:
    """Price an American put of strike 1 on an asset of price x, given the price of the European put."""
    end, log_ratio_squared = _boundary(t, vol, r, q)
    s = t[..., None] * _PRICE_ELAPSED
    root = vol[..., None] * jnp.sqrt(t[..., None] * _PRICE_ELAPSED)
    r = r[..., None]
    q = q[..., None]
    at = x[..., None]
    level = jnp.log(end)[..., None] - _root(log_ratio_squared @ _PRICE_INNER.T)
    # (50), with d_+- of (51) written as middle +- root / 2
    middle = (jnp.log(at) - level + (r - q) * s) / root
    interest = r * jnp.exp(-r * s) * cdf(0.5 * root - middle)
    dividends = q * at * jnp.exp(-q * s) * cdf(-0.5 * root - middle)
    premium = t * ((interest - dividends) @ _PRICE_WEIGHTS[0])
    exercise_now = jnp.log(x) <= jnp.log(end) - jnp.sqrt(log_ratio_squared[..., -1])
    continuation = jnp.maximum(european + jnp.maximum(premium, 0.0), 1.0 - x)
    return jnp.where(exercise_now, 1.0 - x, continuation)


def _root(x: Real) -> Real:
    """The square root, 0 below 0, with the derivative 0 where it is 0."""
    positive = x > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1.0)), 0.0)


def _boundary(t: Real, vol: Real, r: Real, q: Real) -> tuple[Real, Real]:
    """Compute the exercise boundary B of a put of strike 1: B(0) at expiry, log(B / B(0))^2 at `_POINTS`."""
    t, vol, r, q = (a[..., None] for a in (t, vol, r, q))
    tau = t * _POINTS**2
    end = jnp.where(q > r, r / jnp.where(q > r, q, 1.0), 1.0)
    lowest = _perpetual(vol, r, q)
    start = _flat_boundary(tau, vol, r, q, end=end, lowest=lowest)
    growth = (r - q) * tau
    root = vol * jnp.sqrt(tau)
    s = tau[..., None] * _ELAPSED
    step = vol[..., None] * jnp.sqrt(s)
    drift = (r - q)[..., None] * s
    left = tau[..., None] - s
    weight = tau[..., None] * _WEIGHTS
    by_rate = r[..., None] * weight * jnp.exp(r[..., None] * left)
    by_yield = q[..., None] * weight * jnp.exp(q[..., None] * left)

    def iterate(_: Codes | int, level: Real) -> Real:
        """Take one step of the fixed-point iteration (52) for level = log B."""
        log_ratio_squared = jnp.einsum("ok,ijk->oij", (level - jnp.log(end)) ** 2, _INNER)
        inner = jnp.log(end)[..., None] - _root(log_ratio_squared)
        middle = (level[..., None] - inner + drift) / step
        european_distance = (level + growth) / root
        cash_value = cdf(european_distance - 0.5 * root) + jnp.sum(by_rate * cdf(middle - 0.5 * step), -1)
        asset_value = cdf(european_distance + 0.5 * root) + jnp.sum(by_yield * cdf(middle + 0.5 * step), -1)
        return jnp.clip(jnp.log(cash_value / asset_value) - growth, jnp.log(lowest), jnp.log(end))

    level = jax.lax.fori_loop(0, _STEPS, iterate, jnp.log(start))
    return end[..., 0], (level - jnp.log(end)) ** 2


def _perpetual(vol: Real, r: Real, q: Real) -> Real:
    """Compute the exercise boundary of the perpetual put, as a fraction of the strike."""
    variance = vol**2
    a = 0.5 - (r - q) / variance
    root = jnp.sqrt(a**2 + 2.0 * r / variance)
    power = jnp.where(a > 0.0, -2.0 * r / variance / (a + root), a - root)
    return jnp.maximum(power / (power - 1.0), _LOWEST_BOUNDARY)


def _flat_boundary(tau: Real, vol: Real, r: Real, q: Real, end: Real, lowest: Real) -> Real:
    """Compute the flat exercise boundary of Bjerksund and Stensland (1993), which starts the iteration."""
    gap = jnp.maximum(1.0 / lowest - 1.0 / end, 1e-12)
    decay = ((r - q) * tau - 2.0 * vol * jnp.sqrt(tau)) / (end * gap)
    return jnp.clip(1.0 / (1.0 / end - gap * jnp.expm1(jnp.minimum(decay, 0.0))), lowest, end)
