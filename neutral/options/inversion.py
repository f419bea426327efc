"""Black implied volatility by an explicit start and two fourth-order steps, without loop or branch.

The price of either kind becomes an out-of-the-money call at m = |k|, value b and distance q = 1 - b to the
upper bound. Below b = 1/2 the equation solved is ln c(s) = ln b, above it ln(1 - c(s)) = ln q: both residuals
need one logarithm and two Mills ratios, no exponential, and do not cancel (Jaeckel 2015, "Let's be rational",
has the ideas: only out-of-the-money prices are inverted, residuals are logarithmic, steps are Householder's
of fourth order). The start is a closed form of the right asymptotics times a polynomial correction, within
5 % of s or of 1 + |d1| everywhere; one step leaves 1e-6, two leave rounding.

Everything is written so that XLA fuses it into one loop over the options: see `normal.divide`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ..numerics.normal import INV_SQRT_2PI, SQRT_2PI, as_float64, divide, mills, pdf, square_root
from ..typing import Codes, Flags, Real
from .black import tail_ratio

EPS = 2.220446049250313e-16
# A price whose rounding moves the volatility by more than this fraction does not determine it.
ILL_CONDITIONED = 1e-6


class ImpliedVolStatus:
    """Integer codes of `implied_stdev_info`; `message` puts them in words."""

    ok = 0
    below_intrinsic = 1
    at_intrinsic = 2
    above_upper_bound = 3
    nonfinite = 4
    ill_conditioned = 5

    _messages = (
        "The price determines the volatility.",
        "The price is below intrinsic value: no volatility gives it (nan).",
        "The price is intrinsic value: volatility 0.",
        "The price is at or above its upper bound (call 1, put K/F): no volatility gives it (nan).",
        "The price or the log-moneyness is nan or infinite (nan).",
        "The time value is lost in the rounding of the price: the volatility has fewer than 6 digits.",
    )

    @classmethod
    def message(cls, code: int) -> str:
        """The meaning of one code.

        Args:
            code: An integer from 0 to 5.

        Returns:
            One sentence.
        """
        return cls._messages[int(code)]


# Own least-squares fits over the whole domain, minimax-weighted: rows by power of the first coordinate.
_START_LOW = (
    (-0.04790463, 0.96382954, 11.406632, -6.3771072, -0.67376778),
    (0.81264273, -19.708498, -11.207559, 9.5811894),
    (-2.9741043, 30.494807, -3.8719923),
    (3.6447666, -10.477191),
    (-1.4910208,),
)
_START_HIGH = (
    (-0.045621857, -0.26027887, 0.15496237, -0.030006668),
    (-3.1276747, -0.63568919, -0.26475986),
    (3.2170297, 2.3686163),
    (-1.9002536,),
)


def polynomial(rows: tuple[tuple[float, ...], ...], x: Real, y: Real) -> Real:
    """Sum of rows[i][j] x^i y^j.

    Args:
        rows: Coefficients; row i holds the powers of y that go with x^i.
        x: Any shape.
        y: Same shape.

    Returns:
        Same shape.
    """
    total = jnp.zeros_like(x)
    for row in reversed(rows):
        value = jnp.full_like(y, row[-1])
        for c in row[-2::-1]:
            value = value * y + c
        total = total * x + value
    return total


# Coefficients of the fdlibm logarithm (Sun Microsystems 1993, e_log.c).
_LOG = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_SQRT_HALF_BITS, _ONE_BITS, _MANTISSA = 0x3FE6A09E667F3BCD, 0x3FF0000000000000, 0x000FFFFFFFFFFFFF


def fast_log(x: Real) -> Real:
    """Natural logarithm of positive, normal float64 numbers; other inputs give garbage.

    XLA's logarithm on CPU is a library call per number, ten times slower than this, which it can vectorise.

    Args:
        x: Any shape, in [2.3e-308, 1.7e308].

    Returns:
        Same shape; error below one unit in the last place.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.int64) + (_ONE_BITS - _SQRT_HALF_BITS)
    # The exponent field becomes the low bits of 2^52 + field: integer to float64 without a conversion.
    exponent = jax.lax.bitcast_convert_type((bits >> 52) | 0x4330000000000000, jnp.float64) - (2.0**52 + 1023)
    f = jax.lax.bitcast_convert_type((bits & _MANTISSA) + _SQRT_HALF_BITS, jnp.float64) - 1.0
    s = divide(f, 2.0 + f)
    z = s * s
    w = z * z
    odd = z * (_LOG[0] + w * (_LOG[2] + w * (_LOG[4] + w * _LOG[6])))
    even = w * (_LOG[1] + w * (_LOG[3] + w * _LOG[5]))
    half = 0.5 * f * f
    return exponent * _LN2_HIGH - ((half - (s * (half + odd + even) + exponent * _LN2_LOW)) - f)


def small_price_start(m: Real, b: Real) -> tuple[Real, Real, Real]:
    """Argument of the start's logarithm ln(1 + rho), by which strikes are far or near in units of the price.

    Args:
        m: |k|, any shape.
        b: Price.

    Returns:
        rho = m / (b (1 + 0.4 m)), capped; b (1 + 0.4 m); and the flag rho < 1e-8.
    """
    scaled = jnp.maximum(b, 1e-307) * (1.0 + 0.4 * m)
    rho = divide(m, scaled)
    return rho, scaled, rho < 1e-8


def distance_start(m: Real, rho: Real, scaled: Real, tiny: Flags, log_rho: Real) -> tuple[Real, Real]:
    """Bachelier-like start: h = m / s from ln(1 + rho), exact to first order at the money and far out.

    Args:
        m: |k|, any shape.
        rho: As from `small_price_start`.
        scaled: As from `small_price_start`.
        tiny: As from `small_price_start`.
        log_rho: ln(1 + rho), any positive number where `tiny`.

    Returns:
        h and s = m / h, the second also for m = 0.
    """
    bend = square_root(1.0 + 0.08 * log_rho)
    h = jnp.where(tiny, 0.4 * rho, divide(0.4 * log_rho, bend))
    return h, jnp.where(tiny, scaled, divide(m, log_rho)) * (2.5 * bend)


def _start(m: Real, b: Real, q: Real, low: Flags) -> Real:
    """Total deviation to within 5 %: relative to s, or to 1 + |d1| in terms of d1, whichever is stricter."""
    rho, scaled, tiny = small_price_start(m, b)
    log = fast_log(jnp.where(low, 1.0 + rho, q))
    log_rho = jnp.where(low & ~tiny, log, 1.0)
    h, s = distance_start(m, rho, scaled, tiny, log_rho)
    s = divide(2.0 * s, 1.0 + square_root(1.0 + divide(2.0 * s * (1.0 + s), h + m + 6.0)))
    correction = polynomial(_START_LOW, divide(h, 1.0 + h), divide(s, s + h + 4.0))
    s_low = s * (1.0 + divide(1.0 + h, 1.0 + h + s) * correction)
    tail = jnp.where(low, 1.0, -2.0 * log)  # q = N(-u) is about exp(-u^2 / 2)
    u, v = square_root(tail), square_root(tail + 2.0 * m)
    s_high = u + v + polynomial(_START_HIGH, divide(jnp.ones_like(u), 0.5 + u), divide(u, v))
    return jnp.where(low, s_low, s_high)


def householder(nu: Real, residual: Real, bend: Real, third: Real) -> tuple[Real, Real]:
    """Relative step of Householder's fourth-order method for a logarithm of price, as a fraction.

    With f = ln c - ln b, c' = vega and primes in s: nu = -f / (s f'), bend = s vega' / vega,
    third = s^2 vega'' / vega. It also serves ln(1 - c), whose f' has the other sign.

    Args:
        nu: Relative Newton step, any shape.
        residual: f.
        bend: h^2 - t^2 for Black, h^2 for Bachelier.
        third: bend^2 - 3 h^2 - t^2 for Black.

    Returns:
        Numerator and denominator of ds / s.
    """
    a = bend * nu
    numerator = nu * (1.0 + 0.5 * (a + residual))
    return numerator, 1.0 + a + residual + (third * nu * nu + (3.0 * a + 2.0 * residual) * residual) / 6.0


def _step(m: Real, s: Real, target: Real, low: Flags, exact: bool) -> tuple[Real, Real]:
    """Numerator and denominator of the relative step from s towards the root."""
    inverse = divide(jnp.ones_like(s), s)
    h, t = m * inverse, 0.5 * s
    a = h - t
    width = tail_ratio(h, t, low, exact)
    residual = fast_log(divide(width * INV_SQRT_2PI, target)) - 0.5 * a * a
    bend = a * (h + t)
    nu = jnp.where(low, -residual, residual) * width * inverse
    return householder(nu, residual, bend, bend * bend - 3.0 * h * h - t * t)


def _otm_fraction(m: Real, b: Real, q: Real) -> tuple[Real, Real]:
    """Total deviation of an out-of-the-money call as a quotient; the caller's division ends the loop."""
    low = b < 0.5
    target = jnp.where(low, b, q)
    s = _start(m, b, q, low)
    numerator, denominator = _step(m, s, target, low, exact=False)
    s = s + jnp.maximum(divide(s * numerator, denominator), -0.9 * s)
    numerator, denominator = _step(m, s, target, low, exact=True)
    return s * (denominator + numerator), denominator


def implied_stdev_otm(b: Real, m: Real, q: Real | None = None) -> Real:
    """Total deviation of an out-of-the-money call, without checks or derivatives; the core.

    Args:
        b: Normalised call price, 0 < b < 1, float64, any shape.
        m: Log-moneyness >= 0, same shape.
        q: 1 - b, where it is known to more digits than the subtraction gives.

    Returns:
        s = sigma sqrt(T), same shape; garbage outside the domain.
    """
    numerator, denominator = _otm_fraction(m, b, 1.0 - b if q is None else q)
    return numerator / denominator


def _bounds(k: Real, is_call: Flags) -> tuple[Real, Real, Real]:
    """Lower and upper bound of the price, and the factor that makes it a call at |k|."""
    below = k < 0.0
    lower = jnp.where(is_call == below, jnp.abs(jnp.expm1(k)), 0.0)
    upper = jnp.where(is_call, 1.0, jnp.exp(k))
    return lower, upper, jnp.where(below, jnp.exp(jnp.minimum(-k, 709.0)), 1.0)


def _classify(price: Real, k: Real, lower: Real, upper: Real) -> tuple[Flags, Flags, Flags]:
    """Flags: finite input, at intrinsic value, inside the bounds.

    A bound with e^k in it is irrational and comes rounded, so a price within two units in the last place of
    it may lie on either side. At the lower bound such a price counts as equal, at the upper bound as inside
    (and as ill-conditioned). The bounds 0 and 1 are exact, and strict.
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
    numerator, denominator = _otm_fraction(m, b, q)
    return jnp.where(at_lower, 0.0, numerator) / jnp.where(inside | at_lower, denominator, jnp.nan)


@jax.custom_jvp
def _implied(price: Real, k: Real, is_call: Flags) -> Real:
    return _solve(price, k, is_call)


@_implied.defjvp
def _implied_jvp(primals, tangents):
    price, k, is_call = primals
    s = _implied(price, k, is_call)
    solved = s > 0.0
    s_in, k_in = jnp.where(solved, s, 1.0), jnp.where(solved, k, 0.0)
    d1, d2 = 0.5 * s_in - k_in / s_in, -0.5 * s_in - k_in / s_in
    # ds/dk at fixed price = e^k N(d2) / n(d1) for a call, and n(d1) = e^k n(d2).
    in_k = jnp.where(is_call, 1.0, -1.0) * mills(jnp.where(is_call, -d2, d2))
    in_price = 1.0 / pdf(d1)
    ds = jnp.where(solved, in_price, 0.0) * tangents[0] + jnp.where(solved, in_k, 0.0) * tangents[1]
    return s, ds


def _prepare(price: ArrayLike, k: ArrayLike, is_call: ArrayLike) -> tuple[Real, Real, Flags]:
    price, k, flag = as_float64(price, k, is_call)
    return price, k, flag != 0.0


@jax.jit
def implied_stdev(price: ArrayLike, k: ArrayLike, is_call: ArrayLike = True) -> Real:
    """Total standard deviation s = sigma sqrt(T) implied by a normalised undiscounted price.

    Differentiable any number of times by the implicit function theorem; where there is no volatility, and at
    intrinsic value, derivatives are zero.

    Args:
        price: Undiscounted price over forward of that kind, any shape.
        k: Log-moneyness log(K / F), broadcast.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        Broadcast shape: nan outside the open no-arbitrage interval, 0 at intrinsic value. Relative error
        about 1e-15 times the conditioning max(1, price / (s n(d1))). Prices below 2.3e-308 count as zero.

    Raises:
        PrecisionError: JAX runs in single precision.
    """
    return _implied(*_prepare(price, k, is_call))


@jax.jit
def implied_stdev_info(price: ArrayLike, k: ArrayLike, is_call: ArrayLike = True) -> tuple[Real, Codes]:
    """As `implied_stdev`, with the reason for every nan and a warning where rounding hides the volatility.

    Args:
        price: Undiscounted price over forward of that kind, any shape.
        k: Log-moneyness log(K / F), broadcast.
        is_call: True for a call, False for a put; boolean, broadcast.

    Returns:
        s as `implied_stdev`, and codes of `ImpliedVolStatus`, both of the broadcast shape.
    """
    price, k, call = _prepare(price, k, is_call)
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
    solved = jnp.where(uncertain, code.ill_conditioned, code.ok)
    outside = jnp.where(price >= upper, code.above_upper_bound, code.below_intrinsic)
    outside = jnp.where(at_lower, code.at_intrinsic, outside)
    return jnp.where(finite, jnp.where(inside, solved, outside), code.nonfinite).astype(jnp.int32)
