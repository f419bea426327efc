"""American options on an asset with a continuous yield: price, implied volatility, European equivalent.

Prices follow from the exercise boundary B(tau), the solution of the fixed-point equation (52) of
docs/mathematics.md. The function log(B / B(0))^2 is represented by a Chebyshev polynomial in sqrt(tau);
integrals are Gauss-Legendre sums after a substitution that removes their square-root singularity (Andersen,
Lake and Offengenden 2016, "High performance American option pricing", their system B). A call is a put with
asset and strike, rate and yield exchanged.

Discrete dividends are not modelled; a continuous yield replaces them. With a negative rate and a yield below
it, a put has two exercise boundaries, which this method does not cover: the result is nan. The same holds for
a call with a negative yield and a rate below it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from ..numerics.normal import as_float64, cdf
from ..typing import Codes, Flags, Real
from . import black
from .inversion import implied_stdev

# With these orders the error is below 1 bp of spot up to ten years (see tests/options/test_american.py).
_DEGREE = 10
_NODES = 16
_STEPS = 10
_PRICE_NODES = 32
_LOWEST_BOUNDARY = 1e-8  # of the strike
TOLERANCE = 1e-8  # of spot plus strike: error of the American price at the implied volatility
_MAX_STEPS = 24


class Equivalent(NamedTuple):
    """European option with the volatility of an American one; arrays of one shape, nan where none exists.

    Attributes:
        price: Price of the European option, in the unit of the strike.
        vol: Annualised volatility of both options.
    """

    price: Real
    vol: Real


class _Option(NamedTuple):
    """Terms of options: flat float64 arrays of one length."""

    spot: Real
    strike: Real
    t: Real
    r: Real
    q: Real
    is_call: Flags


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


@jax.jit
def price(
    spot: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    vol: ArrayLike,
    rate: ArrayLike,
    dividend: ArrayLike,
    is_call: ArrayLike = True,
) -> Real:
    """Price American options. Arguments broadcast.

    Args:
        spot: Price of the asset, > 0.
        strike: Strike, in the unit of the spot, > 0.
        maturity: Maturity in years, > 0.
        vol: Annualised volatility, > 0.
        rate: Continuously compounded rate, 1/yr, of either sign.
        dividend: Continuous yield, 1/yr, of either sign.
        is_call: True for a call; boolean.

    Returns:
        Prices in the unit of the strike; nan where the option has two exercise boundaries. The error is below
        1 bp of spot up to ten years, for volatilities of 5 % to 100 % and rates and yields of -2 % to 12 %.
    """
    option, flat_vol, shape = _flat(
        vol, spot=spot, strike=strike, t=maturity, r=rate, q=dividend, is_call=is_call
    )
    return _price(option, flat_vol).reshape(shape)


@jax.jit
def european_equivalent(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    rate: ArrayLike,
    dividend: ArrayLike,
    is_call: ArrayLike = True,
) -> Equivalent:
    """Find the European option with the volatility implied by an American price. Arguments broadcast.

    Args:
        price: Price of the American option, in the unit of the strike.
        spot: Price of the asset, > 0.
        strike: Strike, in the unit of the spot, > 0.
        maturity: Maturity in years, > 0.
        rate: Continuously compounded rate, 1/yr.
        dividend: Continuous yield, 1/yr.
        is_call: True for a call; boolean.

    Returns:
        Price and volatility. Both are nan where the American price is at or below its exercise value (which
        every small enough volatility gives), at or below the lower bound of the European price, or at or
        above the upper bound; where the option has two exercise boundaries; or where the search fails.
    """
    option, target, shape = _flat(
        price, spot=spot, strike=strike, t=maturity, r=rate, q=dividend, is_call=is_call
    )
    return Equivalent(*(a.reshape(shape) for a in _equivalent(target, option)))


def implied_vol(
    price: ArrayLike,
    spot: ArrayLike,
    strike: ArrayLike,
    maturity: ArrayLike,
    rate: ArrayLike,
    dividend: ArrayLike,
    is_call: ArrayLike = True,
) -> Real:
    """Return the volatility implied by the price of an American option.

    The arguments are those of `european_equivalent`, and the result is the field `vol` of its result.
    """
    return european_equivalent(
        price, spot, strike, maturity, rate=rate, dividend=dividend, is_call=is_call
    ).vol


def _flat(value: ArrayLike, **terms: ArrayLike) -> tuple[_Option, Real, tuple[int, ...]]:
    """Return the terms and one value per option as flat float64 arrays, and the shape they broadcast to."""
    first, *columns = as_float64(value, *terms.values())
    fields = {name: jnp.ravel(column) for name, column in zip(terms, columns, strict=True)}
    option = _Option(**fields | {"is_call": fields["is_call"] != 0.0})
    return option, jnp.ravel(first), first.shape


def _european(option: _Option, vol: Real) -> Real:
    forward, discount = _forward_and_discount(option)
    k = jnp.log(option.strike / forward)
    return discount * forward * black.price(k, vol * jnp.sqrt(option.t), option.is_call)


def _forward_and_discount(option: _Option) -> tuple[Real, Real]:
    forward = option.spot * jnp.exp((option.r - option.q) * option.t)
    return forward, jnp.exp(-option.r * option.t)


def _price(option: _Option, vol: Real) -> Real:
    european = _european(option, vol)
    is_call = option.is_call
    asset = jnp.where(is_call, option.strike, option.spot)
    cash = jnp.where(is_call, option.spot, option.strike)
    r = jnp.where(is_call, option.q, option.r)
    q = jnp.where(is_call, option.r, option.q)
    never_early = (r <= 0.0) & (q >= r)  # exercise before maturity never pays
    two_boundaries = (r < 0.0) & (q < r)
    excluded = never_early | two_boundaries
    american = _put(
        asset / cash,
        european / cash,
        t=option.t,
        vol=vol,
        r=jnp.where(excluded, 0.05, r),
        q=jnp.where(excluded, 0.05, q),
    )
    return jnp.where(two_boundaries, jnp.nan, jnp.where(never_early, european, cash * american))


def _put(x: Real, european: Real, t: Real, vol: Real, r: Real, q: Real) -> Real:
    """Price an American put of strike 1 on an asset of price x, given the price of the European put."""
    end, log_ratio_squared = _boundary(t, vol, r, q)
    s = t[..., None] * _PRICE_ELAPSED
    root = vol[..., None] * jnp.sqrt(t[..., None] * _PRICE_ELAPSED)
    r = r[..., None]
    q = q[..., None]
    at = x[..., None]
    level = jnp.log(end)[..., None] - jnp.sqrt(jnp.maximum(log_ratio_squared @ _PRICE_INNER.T, 0.0))
    # (50), with d_+- of (51) written as middle +- root / 2
    middle = (jnp.log(at) - level + (r - q) * s) / root
    interest = r * jnp.exp(-r * s) * cdf(0.5 * root - middle)
    dividends = q * at * jnp.exp(-q * s) * cdf(-0.5 * root - middle)
    premium = t * ((interest - dividends) @ _PRICE_WEIGHTS[0])
    exercise_now = jnp.log(x) <= jnp.log(end) - jnp.sqrt(log_ratio_squared[..., -1])
    continuation = jnp.maximum(european + jnp.maximum(premium, 0.0), 1.0 - x)
    return jnp.where(exercise_now, 1.0 - x, continuation)


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
        inner = jnp.log(end)[..., None] - jnp.sqrt(jnp.maximum(log_ratio_squared, 0.0))
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


class _Search(NamedTuple):
    """State of the search for a European price.

    Attributes:
        at: European price to try next.
        previous: European price tried last.
        excess: American price at `previous` less the target.
        low: Lower end of the bracket of European prices.
        high: Upper end of the bracket.
        steps: Number of prices tried so far.
    """

    at: Real
    previous: Real
    excess: Real
    low: Real
    high: Real
    steps: Codes


def _equivalent(target: Real, option: _Option) -> Equivalent:
    """Search for the European price e by secant steps: the American price is nearly linear in e."""
    spot = option.spot
    strike = option.strike
    is_call = option.is_call
    forward, discount = _forward_and_discount(option)
    k = jnp.log(strike / forward)
    unit = discount * forward
    root = jnp.sqrt(option.t)
    exercise = jnp.where(is_call, spot - strike, strike - spot)
    floor = unit * black.intrinsic(k, is_call)
    cap = jnp.where(is_call, spot, strike)
    valid = (target > jnp.maximum(exercise, floor) + TOLERANCE * (spot + strike)) & (target < cap)
    tolerance = TOLERANCE * (spot + strike)
    high = jnp.minimum(target, discount * jnp.where(is_call, forward, strike) * (1.0 - 1e-9))
    high = jnp.where(valid, high, floor + 0.1 * jnp.minimum(spot, strike))

    def vol_of(european: Real) -> Real:
        return implied_stdev(european / unit, k, is_call) / root

    def excess(european: Real) -> Real:
        return _price(option, vol_of(european)) - target

    def advance(state: _Search) -> _Search:
        new = excess(state.at)
        low = jnp.where(new < 0.0, state.at, state.low)
        high = jnp.where(new > 0.0, state.at, state.high)
        slope = (new - state.excess) / (state.at - state.previous)
        # the first step takes the slope 1, as if the premium for early exercise were constant
        secant = state.at - new / jnp.where(state.steps == 0, 1.0, slope)
        at = jnp.where((secant > low) & (secant < high), secant, 0.5 * (low + high))
        at = jnp.where(jnp.abs(new) > tolerance, at, state.at)
        return _Search(at=at, previous=state.at, excess=new, low=low, high=high, steps=state.steps + 1)

    def unfinished(state: _Search) -> Flags:
        return (state.steps < _MAX_STEPS) & jnp.any(valid & ~(jnp.abs(state.excess) <= tolerance))

    start = _Search(
        at=high,
        previous=high,
        excess=jnp.full_like(high, jnp.inf),
        low=floor,
        high=high,
        steps=jnp.zeros((), int),
    )
    end = jax.lax.while_loop(unfinished, advance, start)
    converged = valid & (jnp.abs(end.excess) <= tolerance)
    price = jnp.where(converged, end.previous, jnp.nan)
    return Equivalent(price, vol_of(price))
