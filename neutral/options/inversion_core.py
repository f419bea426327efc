"""The core of the inversion of Black's formula: an explicit start and two fourth-order steps.

These functions neither check arguments nor define derivatives; `inversion` does both. The steps are those of
(8)-(10) in docs/mathematics.md. The start is a closed form with the right asymptotics times a polynomial
correction; its error is below 5 % of s, or of 1 + |d1|, everywhere. One step reduces the error to 1e-6, two
to rounding.

The formulas are written so that XLA fuses them into one loop over the options: see `numerics.normal.divide`.
"""

import jax.numpy as jnp

from ..numerics.logarithm import fast_log
from ..numerics.normal import INV_SQRT_2PI, divide, square_root
from ..typing import Flags, Real
from .black import tail_ratio

# Corrections of the start, fitted over the whole domain by reweighted least squares close to the minimax fit.
# Row i has the coefficients of the i-th power of the first coordinate.
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
    """Evaluate the polynomial with terms rows[i][j] x^i y^j.

    Args:
        rows: Coefficients; row i has those of the powers of y that multiply x^i.
        x: First coordinate, any shape.
        y: Second coordinate, same shape.

    Returns:
        The sum of all terms, same shape.
    """
    total = jnp.zeros_like(x)
    for row in reversed(rows):
        value = jnp.full_like(y, row[-1])
        for c in row[-2::-1]:
            value = value * y + c
        total = total * x + value
    return total


def small_price_start(m: Real, b: Real) -> tuple[Real, Real, Flags]:
    """Compute rho of the logarithm ln(1 + rho) in the start: the log-moneyness in units of the price.

    Args:
        m: |k|, any shape.
        b: Normalised out-of-the-money price, same shape.

    Returns:
        rho = m / (b (1 + 0.4 m)), capped; the product b (1 + 0.4 m); and the flag rho < 1e-8.
    """
    scaled = jnp.maximum(b, 1e-307) * (1.0 + 0.4 * m)
    rho = divide(m, scaled)
    return rho, scaled, rho < 1e-8


def distance_start(m: Real, rho: Real, scaled: Real, tiny: Flags, log_rho: Real) -> tuple[Real, Real]:
    """Compute the start of h = m / s from ln(1 + rho), as in Bachelier's model.

    It is exact to first order at the money and far out of the money.

    Args:
        m: |k|, any shape.
        rho: First result of `small_price_start`.
        scaled: Second result of `small_price_start`.
        tiny: Third result of `small_price_start`.
        log_rho: ln(1 + rho), any positive number where `tiny`.

    Returns:
        h, and s = m / h in a form that is also right for m = 0.
    """
    bend = square_root(1.0 + 0.08 * log_rho)
    h = jnp.where(tiny, 0.4 * rho, divide(0.4 * log_rho, bend))
    return h, jnp.where(tiny, scaled, divide(m, log_rho)) * (2.5 * bend)


def _start(m: Real, b: Real, q: Real, low: Flags) -> Real:
    """Compute the start of s. Its error is below 5 % of s and, in d1, below 5 % of 1 + |d1|."""
    rho, scaled, tiny = small_price_start(m, b)
    log = fast_log(jnp.where(low, 1.0 + rho, q))
    log_rho = jnp.where(low & ~tiny, log, 1.0)
    h, s = distance_start(m, rho, scaled, tiny, log_rho)
    s = divide(2.0 * s, 1.0 + square_root(1.0 + divide(2.0 * s * (1.0 + s), h + m + 6.0)))
    correction = polynomial(_START_LOW, divide(h, 1.0 + h), divide(s, s + h + 4.0))
    s_low = s * (1.0 + divide(1.0 + h, 1.0 + h + s) * correction)
    tail = jnp.where(low, 1.0, -2.0 * log)  # q = N(-u) is about exp(-u^2 / 2)
    u = square_root(tail)
    v = square_root(tail + 2.0 * m)
    s_high = u + v + polynomial(_START_HIGH, divide(jnp.ones_like(u), 0.5 + u), divide(u, v))
    return jnp.where(low, s_low, s_high)


def householder(nu: Real, residual: Real, bend: Real, third: Real) -> tuple[Real, Real]:
    """Compute the relative step (8) of Householder's fourth-order method for the logarithm of a price.

    With f = ln c - ln b, c' = vega and primes for derivatives in s, the arguments are nu = -f / (s f'),
    bend = s vega' / vega and third = s^2 vega'' / vega. The step also serves ln(1 - c), whose f' has the
    other sign.

    Args:
        nu: Relative Newton step, any shape.
        residual: f, same shape.
        bend: beta of (9), same shape.
        third: gamma of (10), same shape.

    Returns:
        Numerator and denominator of ds / s.
    """
    a = bend * nu
    numerator = nu * (1.0 + 0.5 * (a + residual))
    return numerator, 1.0 + a + residual + (third * nu * nu + (3.0 * a + 2.0 * residual) * residual) / 6.0


def _step(m: Real, s: Real, target: Real, low: Flags, exact: bool) -> tuple[Real, Real]:
    """Compute numerator and denominator of the relative step from s towards the root."""
    inverse = divide(jnp.ones_like(s), s)
    h = m * inverse
    t = 0.5 * s
    a = h - t
    width = tail_ratio(h, t, low, exact)
    # ln c or ln(1 - c), which is ln(width n(d1)) by (3) or (4) with d1 = -a, less ln target
    residual = fast_log(divide(width * INV_SQRT_2PI, target)) - 0.5 * a * a
    bend = a * (h + t)
    nu = jnp.where(low, -residual, residual) * width * inverse
    return householder(nu, residual, bend, bend * bend - 3.0 * h * h - t * t)


def stdev_fraction(m: Real, b: Real, q: Real) -> tuple[Real, Real]:
    """Compute the total standard deviation of an out-of-the-money call as numerator and denominator.

    The division is left to the caller, because it ends the loop that XLA fuses.

    Args:
        m: Log-moneyness >= 0, any shape.
        b: Normalised call price, 0 < b < 1, same shape.
        q: 1 - b, same shape.

    Returns:
        Numerator and denominator of s, same shape.
    """
    low = b < 0.5
    target = jnp.where(low, b, q)
    s = _start(m, b, q, low)
    numerator, denominator = _step(m, s, target, low, exact=False)
    s = s + jnp.maximum(divide(s * numerator, denominator), -0.9 * s)
    numerator, denominator = _step(m, s, target, low, exact=True)
    return s * (denominator + numerator), denominator


def implied_stdev_otm(b: Real, m: Real, q: Real | None = None) -> Real:
    """Compute the total standard deviation of an out-of-the-money call, without checks or derivatives.

    Args:
        b: Normalised call price, 0 < b < 1, float64, any shape.
        m: Log-moneyness >= 0, same shape.
        q: 1 - b, where the caller knows it more accurately than the subtraction gives it.

    Returns:
        s = sigma sqrt(T), same shape; meaningless outside the domain.
    """
    numerator, denominator = stdev_fraction(m, b, 1.0 - b if q is None else q)
    return numerator / denominator
