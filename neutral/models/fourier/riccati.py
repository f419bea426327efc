"""The Riccati solution of every affine model here, its derivatives, and when moments explode."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from ...numerics import complex_math as cm
from ...typing import Frequencies, Real, Scalar
from ..base import Strip

_DEGENERATE = 1e-6  # |d| t below which the Riccati solution is taken from its Taylor series


@runtime_checkable
class HasDiffusion(Protocol):
    """Any model with Heston's five parameters."""

    v0: Scalar
    kappa: Scalar
    theta: Scalar
    sigma_v: Scalar
    rho: Scalar


class Riccati(NamedTuple):
    """Pieces of the Riccati solution B, I = int_0^t B ds at the points z; see `riccati`."""

    q: Frequencies
    beta: Frequencies
    d: Frequencies
    inverse: Frequencies  # 1/d
    decay: Frequencies
    s: Frequencies
    m: Frequencies
    y: Frequencies
    n: Frequencies  # 1/(1 + y)
    log_y: Frequencies
    quotient: Frequencies  # log(1 + y)/y
    b: Frequencies
    integral: Frequencies
    degenerate: jax.Array


class Slopes(NamedTuple):
    """Derivatives of the Riccati pieces in beta and in sigma_v^2 (at fixed beta)."""

    s: tuple[Frequencies, Frequencies]
    m: tuple[Frequencies, Frequencies]
    b: tuple[Frequencies, Frequencies]
    integral: tuple[Frequencies, Frequencies]


def riccati(kappa: Scalar, sigma_v: Scalar, rho: Scalar, z: Frequencies, t: Real) -> Riccati:
    """Solve B' = -q/2 - beta B + sigma_v^2 B^2/2, B(0) = 0, q = z^2 + iz, beta = kappa - i rho sigma_v z.

    With d = sqrt(beta^2 + sigma_v^2 q), s = (1 - e^{-dt})/d, m = (beta - d)/sigma_v^2, y = sigma_v^2 m s/2:
    B = -q s / (2 (1 + y)) and int B = m (t - s log(1 + y)/y). The principal logarithm is the right branch
    (Lord and Kahl 2010), nothing is divided by sigma_v, kappa or t, and m has its cancellation removed.
    """
    return riccati_from_zero(z * (z + 1j), kappa - 1j * (rho * sigma_v) * z, sigma_v, t)


def riccati_from_zero(q: Frequencies, beta: Frequencies, sigma_v: Scalar, t: Real) -> Riccati:
    """`riccati` of any q and beta."""
    d = cm.sqrt(beta * beta + sigma_v**2 * q)
    degenerate = (jnp.abs(jnp.real(d)) + jnp.abs(jnp.imag(d))) * t < _DEGENERATE
    d = jnp.where(degenerate, 1.0, d)
    minus = -cm.expm1(-d * t)
    inverse = cm.reciprocal(d)
    s = minus * inverse
    # beta - d cancels where Re beta >= 0, beta + d where it is negative
    forward = jnp.real(beta) >= 0
    m = jnp.where(forward, -q, beta - d) * cm.reciprocal(jnp.where(forward, beta + d, sigma_v**2 + 0j))
    y = 0.5 * sigma_v**2 * m * s
    log_y = cm.log1p(y)
    quotient = cm.log_quotient(y, log_y)
    n = cm.reciprocal(1.0 + y)
    b = -0.5 * q * s * n
    integral = m * (t - s * quotient)
    b = jnp.where(degenerate, -0.5 * q * t * (1.0 - 0.5 * beta * t), b)
    integral = jnp.where(degenerate, -0.25 * q * t * t * (1.0 - beta * t / 3.0), integral)
    return Riccati(q, beta, d, inverse, 1.0 - minus, s, m, y, n, log_y, quotient, b, integral, degenerate)


def riccati_slopes(sigma_v: Scalar, r: Riccati, t: Real) -> Slopes:
    """Derivatives of `riccati` in beta and sigma_v^2, each at fixed other; kappa, rho, sigma_v follow."""
    inverse, n = r.inverse, r.n
    bend = (r.decay * t - r.s) * inverse  # ds/dd
    s_beta, s_var = bend * r.beta * inverse, 0.5 * bend * r.q * inverse
    m_beta, m_var = -r.m * inverse, 0.5 * r.m * r.m * inverse
    half = 0.5 * r.m * r.s
    half_beta = 0.5 * (m_beta * r.s + r.m * s_beta)
    half_var = 0.5 * (m_var * r.s + r.m * s_var)
    variance = sigma_v**2
    y_beta, y_var = variance * half_beta, half + variance * half_var
    quotient_slope = cm.log_quotient_slope(r.y, r.quotient)
    scale = -0.5 * r.q * n
    b_beta = scale * (s_beta - r.s * y_beta * n)
    b_var = scale * (s_var - r.s * y_var * n)
    integral_beta = m_beta * t - 2.0 * half_beta * n
    integral_var = m_var * t - 2.0 * (half_var * n + half * half * quotient_slope)
    series = _degenerate_slopes(r.q, t)
    b_beta, b_var, integral_beta, integral_var = (
        jnp.where(r.degenerate, limit, value)
        for limit, value in zip(series, (b_beta, b_var, integral_beta, integral_var), strict=True)
    )
    return Slopes((s_beta, s_var), (m_beta, m_var), (b_beta, b_var), (integral_beta, integral_var))


def riccati_slopes_in_q(sigma_v: Scalar, r: Riccati, t: Real) -> tuple[Frequencies, Frequencies]:
    """Derivatives of B and its integral in q, at fixed beta and sigma_v^2."""
    variance = sigma_v**2
    s_q = 0.5 * variance * (r.decay * t - r.s) * r.inverse * r.inverse
    half_q = 0.5 * (r.m * s_q - 0.5 * r.s * r.inverse)
    b_q = -0.5 * r.n * (r.s + r.q * (s_q - r.s * variance * half_q * r.n))
    integral_q = -0.5 * r.inverse * t - 2.0 * half_q * r.n
    short = 1.0 - r.beta * t
    b_q = jnp.where(r.degenerate, -0.25 * t * (1.0 + short), b_q)
    return b_q, jnp.where(r.degenerate, -(t * t) * (2.0 + short) / 12.0, integral_q)


def _degenerate_slopes(q: Frequencies, t: Real) -> tuple[Frequencies, ...]:
    """Leading Taylor terms in t of the slopes of B and its integral, used where |d| t is tiny."""
    t2 = t * t
    return 0.25 * q * t2, q * q * t2 * t / 24.0, q * t2 * t / 12.0, q * q * t2 * t2 / 96.0


def diffusion_log_cf(model: "HasDiffusion", r: Riccati) -> Frequencies:
    """kappa theta int B + v0 B, of any model with Heston's diffusion parameters."""
    return model.kappa * model.theta * r.integral + model.v0 * r.b


def diffusion_gradient(
    model: "HasDiffusion", z: Frequencies, r: Riccati, s: Slopes
) -> tuple[Frequencies, ...]:
    """Derivative of `diffusion_log_cf` in v0, kappa, theta, sigma_v, rho, in this order."""
    level = model.kappa * model.theta
    beta = level * s.integral[0] + model.v0 * s.b[0]
    variance = level * s.integral[1] + model.v0 * s.b[1]
    turn = -1j * z * beta
    return (
        r.b,
        model.theta * r.integral + beta,
        model.kappa * r.integral,
        model.rho * turn + 2.0 * model.sigma_v * variance,
        model.sigma_v * turn,
    )


def reversion_time(kappa: Scalar, t: Real) -> Real:
    """(1 - e^{-kappa t})/kappa, t at kappa = 0."""
    x = kappa * t
    small = x < 1e-8
    return t * jnp.where(small, 1.0 - 0.5 * x, -jnp.expm1(-x) / jnp.where(small, 1.0, x))


def explosion_time(kappa: Scalar, sigma_v: Scalar, rho: Scalar, a: Real) -> Real:
    """Time at which E[e^{aX}] becomes infinite (Andersen and Piterbarg 2007, prop. 3.1), a outside [0, 1]."""
    return explosion_time_from(kappa - rho * sigma_v * a, a * (a - 1.0), sigma_v)


def explosion_time_from(beta: Real, force: Real, sigma_v: Scalar) -> Real:
    """Time at which B' = force/2 - beta B + sigma_v^2 B^2/2 with B(0) = 0, all real, becomes infinite."""
    discriminant = beta * beta - sigma_v**2 * force
    g = jnp.sqrt(jnp.abs(discriminant))
    safe = jnp.where(g > 0, g, 1.0)
    real = jnp.where(
        beta >= 0, jnp.inf, jnp.log((beta - safe) / jnp.minimum(beta + safe, -jnp.finfo(g.dtype).tiny)) / safe
    )
    # arctan2 holds both signs of beta: T* = (2/g)(arctan(g / -beta) + pi [beta > 0])
    imaginary = 2.0 / safe * jnp.arctan2(g, -beta)
    double = jnp.where(beta >= 0, jnp.inf, -2.0 / jnp.where(beta < 0, beta, -1.0))
    time = jnp.where(discriminant > 0, real, jnp.where(discriminant < 0, imaginary, double))
    return jnp.where(force <= 0, jnp.inf, time)


def moment_strip(finite, t: Real) -> Strip:  # noqa: ANN001
    """Bisect the two edges of {a: finite(a)} outside [0, 1], in log distance from it.

    Args:
        finite: Maps moment orders a (shape of t) to booleans, true between the edges.
        t: Maturities; sets the shape.

    Returns:
        a_-(t), a_+(t); infinite where no moment of order up to 1e12 explodes.
    """
    low, high = jnp.full_like(t, -60.0), jnp.full_like(t, 28.0)

    def edge(order):  # noqa: ANN001, ANN202
        def halve(_, bounds):  # noqa: ANN001, ANN202
            lo, hi = bounds
            middle = 0.5 * (lo + hi)
            inside = finite(order(jnp.exp(middle)))
            return jnp.where(inside, middle, lo), jnp.where(inside, hi, middle)

        lo, _ = jax.lax.fori_loop(0, 60, halve, (low, high))
        return jnp.where(finite(order(jnp.exp(high))), order(jnp.inf), order(jnp.exp(lo)))

    return edge(lambda x: -x), edge(lambda x: 1.0 + x)
