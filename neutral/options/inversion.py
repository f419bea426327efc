"""Black implied volatility, with its derivatives and a reason for every nan.

The price of a call or put is turned into that of an out-of-the-money call at m = |k|, with value b and
distance q = 1 - b to the upper bound. The equation is ln c(s) = ln b for b below 1/2, otherwise
ln(1 - c(s)) = ln q. Both residuals need one logarithm, two Mills ratios and no exponential, and neither
suffers cancellation. These ideas are Jaeckel's (2015, "Let's be rational"): only out-of-the-money prices are
inverted, residuals are logarithmic, and steps are Householder's of fourth order. The start and the steps are
in `inversion_core`. Equation numbers refer to docs/mathematics.md.
"""

from typing import SupportsInt

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ..numerics.normal import SQRT_2PI, as_float64_with_flags, mills, pdf
from ..typing import Codes, Flags, Real
from .inversion_core import stdev_fraction

EPS = 2.220446049250313e-16
# A price is ill-conditioned if its rounding changes the volatility by more than this fraction.
ILL_CONDITIONED = 1e-6


class ImpliedVolStatus:
    """Integer status codes returned by `implied_stdev_info`; `message` explains each."""

    ok = 0
    below_intrinsic = 1
    at_intrinsic = 2
    above_upper_bound = 3
    nonfinite = 4
    ill_conditioned = 5

    _messages = (
        "The price determines the volatility.",
        "The price is below intrinsic value, so that no volatility gives it (nan).",
        "The price equals intrinsic value, so that the volatility is 0.",
        "The price is at or above its upper bound (call 1, put K/F), so that no volatility gives it (nan).",
        "The price or the log-moneyness is nan or infinite, so that the volatility is nan.",
        "The time value is lost in the rounding of the price: the volatility has fewer than 6 digits.",
    )

    @classmethod
    def message(cls, code: SupportsInt) -> str:
        """Explain one status code.

        Args:
            code: An integer from 0 to 5.

        Returns:
            A sentence that explains the code.
        """
        return cls._messages[int(code)]


def _bounds(k: Real, is_call: Flags) -> tuple[Real, Real, Real]:
    """Compute both bounds of the price, and the factor from its time value to the price of a call at |k|."""
    below = k < 0.0
    lower = jnp.where(is_call == below, jnp.abs(jnp.expm1(k)), 0.0)
    upper = jnp.where(is_call, 1.0, jnp.exp(k))
    return lower, upper, jnp.where(below, jnp.exp(jnp.minimum(-k, 709.0)), 1.0)


def _classify(price: Real, k: Real, lower: Real, upper: Real) -> tuple[Flags, Flags, Flags]:
    """Flag finite arguments, prices at intrinsic value, and prices inside the bounds.

    A bound that contains e^k is irrational and therefore rounded, so a price within two units in the last
    place of it may lie on either side. At the lower bound such a price counts as equal to it, at the upper
    bound as inside (and as ill-conditioned). The bounds 0 and 1 are exact, and the comparison is strict.
    """
    finite = jnp.isfinite(price) & jnp.isfinite(k)
    time_value = price - lower
    at_lower = finite & (time_value <= 0.0) & (time_value >= -2.0 * EPS * lower)
    below_upper = (price < upper) | ((upper != 1.0) & (price <= upper * (1.0 + 2.0 * EPS)))
    return finite, at_lower, finite & (time_value > 0.0) & below_upper


@jax.jit
def _solve(price: Real, k: Real, is_call: Flags) -> Real:
    lower, upper, scale = _bounds(k, is_call)
    _, at_lower, inside = _classify(price, k, lower, upper)
    m = jnp.where(inside, jnp.abs(k), 0.0)
    b = jnp.where(inside, (price - lower) * scale, 0.25)
    q = jnp.where(inside, jnp.maximum(upper - price, 0.5 * EPS * upper) * scale, 0.75)
    numerator, denominator = stdev_fraction(m, b, q)
    return jnp.where(at_lower, 0.0, numerator) / jnp.where(inside | at_lower, denominator, jnp.nan)


@jax.custom_jvp
def _implied(price: Real, k: Real, is_call: Flags) -> Real:
    return _solve(price, k, is_call)


@_implied.defjvp
def _implied_jvp(primals, tangents):
    price, k, is_call = primals
    s = _implied(price, k, is_call)
    has_vol = s > 0.0
    s_in = jnp.where(has_vol, s, 1.0)
    k_in = jnp.where(has_vol, k, 0.0)
    d1 = 0.5 * s_in - k_in / s_in
    d2 = -0.5 * s_in - k_in / s_in
    # (11): ds/dk at fixed price, and ds/dprice
    in_k = jnp.where(is_call, 1.0, -1.0) * mills(jnp.where(is_call, -d2, d2))
    in_price = 1.0 / pdf(d1)
    ds = jnp.where(has_vol, in_price, 0.0) * tangents[0] + jnp.where(has_vol, in_k, 0.0) * tangents[1]
    return s, ds


@jax.jit
def implied_stdev(price: ArrayLike, k: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Compute the total standard deviation s = sigma sqrt(T) implied by a normalised undiscounted price.

    It can be differentiated any number of times by the implicit function theorem. Where there is no
    volatility, and at intrinsic value, derivatives are zero.

    Args:
        price: Undiscounted price of that kind over the forward, any shape.
        k: Log-moneyness log(K / F), broadcast.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        s in the broadcast shape: nan outside the open no-arbitrage interval, 0 at intrinsic value. The
        relative error is about 1e-15 times the condition number max(1, price / (s n(d1))). Prices below
        2.3e-308 count as zero.

    Raises:
        PrecisionError: JAX runs in single precision.
    """
    (price, k), call = as_float64_with_flags(price, k, is_call)
    return _implied(price, k, call)


@jax.jit
def implied_stdev_info(price: ArrayLike, k: ArrayLike, is_call: ArrayLike = True) -> tuple[Real, Codes]:
    """Compute `implied_stdev` and a status code that explains every nan and every ill-conditioned price.

    Args:
        price: Undiscounted price of that kind over the forward, any shape.
        k: Log-moneyness log(K / F), broadcast.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        s as from `implied_stdev`, and codes of `ImpliedVolStatus`, both in the broadcast shape.

    Raises:
        PrecisionError: JAX runs in single precision.
    """
    (price, k), call = as_float64_with_flags(price, k, is_call)
    s = _implied(price, k, call)
    return s, _status(*jax.lax.stop_gradient((price, k, s)), call)


@jax.jit
def _status(price: Real, k: Real, s: Real, is_call: Flags) -> Codes:
    lower, upper, _ = _bounds(k, is_call)
    finite, at_lower, inside = _classify(price, k, lower, upper)
    s_in = jnp.where(s > 0.0, s, 1.0)
    d1 = 0.5 * s_in - jnp.where(s > 0.0, k, 0.0) / s_in
    uncertain = EPS * price * SQRT_2PI > ILL_CONDITIONED * s_in * jnp.exp(-0.5 * d1 * d1)
    code = ImpliedVolStatus
    inside_code = jnp.where(uncertain, code.ill_conditioned, code.ok)
    outside = jnp.where(price >= upper, code.above_upper_bound, code.below_intrinsic)
    outside = jnp.where(at_lower, code.at_intrinsic, outside)
    return jnp.where(finite, jnp.where(inside, inside_code, outside), code.nonfinite).astype(jnp.int32)
