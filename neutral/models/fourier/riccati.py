"""The Riccati solution of the affine models, its derivatives, and the times at which moments explode.

Equation numbers refer to docs/mathematics.md.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from ...numerics import complex_math as cm
from ...typing import Codes, Flags, Frequencies, Real, Scalar
from ..base import Strip

_DEGENERATE = 1e-6  # |d| t below which the Riccati solution is taken from its Taylor series (19)


@runtime_checkable
class HasDiffusion(Protocol):
    """A model that has Heston's five parameters."""

    v0: Scalar
    kappa: Scalar
    theta: Scalar
    sigma_v: Scalar
    rho: Scalar


class Riccati(NamedTuple):
    """The Riccati solution B, its integral I = int_0^t B ds, and the quantities (12)-(18) in both."""

    q: Frequencies
    beta: Frequencies
    d: Frequencies  # 1 where degenerate
    inverse: Frequencies  # 1/d
    decay: Frequencies  # e^{-dt}
    s: Frequencies
    m: Frequencies
    y: Frequencies
    n: Frequencies  # 1/(1 + y)
    log_y: Frequencies
    quotient: Frequencies  # log(1 + y)/y
    b: Frequencies
    integral: Frequencies
    degenerate: Flags  # where B and I are from (19)


class Slopes(NamedTuple):
    """Derivatives of s, m, B and I of `Riccati`, each in beta and in sigma_v^2, at fixed q."""

    s: tuple[Frequencies, Frequencies]
    m: tuple[Frequencies, Frequencies]
    b: tuple[Frequencies, Frequencies]
    integral: tuple[Frequencies, Frequencies]


def riccati(kappa: Scalar, sigma_v: Scalar, rho: Scalar, z: Frequencies, t: Real) -> Riccati:
    """Solve B' = -q/2 - beta B + sigma_v^2 B^2/2, B(0) = 0, q = z^2 + iz, beta = kappa - i rho sigma_v z.

    With d = sqrt(beta^2 + sigma_v^2 q), s = (1 - e^{-dt})/d, m = (beta - d)/sigma_v^2, y = sigma_v^2 m s/2:
    B = -q s / (2 (1 + y)) and int B = m (t - s log(1 + y)/y). The principal logarithm is the right branch
    (Lord and Kahl 2010). m is computed without cancellation, and all parameters and t may be 0.

    Args:
        kappa: Mean-reversion speed, 1/yr.
        sigma_v: Volatility of variance, 1/yr.
        rho: Correlation of forward and variance.
        z: Frequencies, any shape.
        t: Maturities in years, broadcasting against z.

    Returns:
        The solution, whose fields have the shape of z and t broadcast.
    """
    # (12)
    return riccati_from_zero(z * (z + 1j), kappa - 1j * (rho * sigma_v) * z, sigma_v, t)


def riccati_from_zero(q: Frequencies, beta: Frequencies, sigma_v: Scalar, t: Real) -> Riccati:
    """Solve the Riccati equation of `riccati`, also from B(0) = 0, for any q and beta."""
    # (15)
    d = cm.sqrt(beta * beta + sigma_v**2 * q)
    degenerate = (jnp.abs(jnp.real(d)) + jnp.abs(jnp.imag(d))) * t < _DEGENERATE
    d = jnp.where(degenerate, 1.0, d)
    minus = -cm.expm1(-d * t)
    inverse = cm.reciprocal(d)
    s = minus * inverse
    # (16): beta - d cancels where Re beta >= 0, beta + d where Re beta < 0
    forward = jnp.real(beta) >= 0
    m = jnp.where(forward, -q, beta - d) * cm.reciprocal(jnp.where(forward, beta + d, sigma_v**2 + 0j))
    y = 0.5 * sigma_v**2 * m * s  # (17)
    log_y = cm.log1p(y)
    quotient = cm.log_quotient(y, log_y)
    n = cm.reciprocal(1.0 + y)
    # (18)
    b = -0.5 * q * s * n
    integral = m * (t - s * quotient)
    # (19)
    b = jnp.where(degenerate, -0.5 * q * t * (1.0 - 0.5 * beta * t), b)
    integral = jnp.where(degenerate, -0.25 * q * t * t * (1.0 - beta * t / 3.0), integral)
    return Riccati(
        q=q,
        beta=beta,
        d=d,
        inverse=inverse,
        decay=1.0 - minus,
        s=s,
        m=m,
        y=y,
        n=n,
        log_y=log_y,
        quotient=quotient,
        b=b,
        integral=integral,
        degenerate=degenerate,
    )


def riccati_slopes(sigma_v: Scalar, r: Riccati, t: Real) -> Slopes:
    """Derivatives (20)-(23) of the Riccati solution in beta and in sigma_v^2."""
    inverse = r.inverse
    n = r.n
    bend = (r.decay * t - r.s) * inverse  # ds/dd of (20)
    s_beta = bend * r.beta * inverse
    s_var = 0.5 * bend * r.q * inverse
    # (21)
    m_beta = -r.m * inverse
    m_var = 0.5 * r.m * r.m * inverse
    half = 0.5 * r.m * r.s
    half_beta = 0.5 * (m_beta * r.s + r.m * s_beta)
    half_var = 0.5 * (m_var * r.s + r.m * s_var)
    variance = sigma_v**2
    y_beta = variance * half_beta
    y_var = half + variance * half_var
    quotient_slope = cm.log_quotient_slope(r.y, r.quotient)
    # (22)
    scale = -0.5 * r.q * n
    b_beta = scale * (s_beta - r.s * y_beta * n)
    b_var = scale * (s_var - r.s * y_var * n)
    # (23), with half = h
    integral_beta = m_beta * t - 2.0 * half_beta * n
    integral_var = m_var * t - 2.0 * (half_var * n + half * half * quotient_slope)
    series = _degenerate_slopes(r.q, t)
    b_beta, b_var, integral_beta, integral_var = (
        jnp.where(r.degenerate, limit, value)
        for limit, value in zip(series, (b_beta, b_var, integral_beta, integral_var), strict=True)
    )
    return Slopes(
        s=(s_beta, s_var), m=(m_beta, m_var), b=(b_beta, b_var), integral=(integral_beta, integral_var)
    )


def riccati_slopes_in_q(sigma_v: Scalar, r: Riccati, t: Real) -> tuple[Frequencies, Frequencies]:
    """Derivatives (20)-(23) of B and of its integral in q, at fixed beta and sigma_v^2."""
    variance = sigma_v**2
    s_q = 0.5 * variance * (r.decay * t - r.s) * r.inverse * r.inverse
    half_q = 0.5 * (r.m * s_q - 0.5 * r.s * r.inverse)
    b_q = -0.5 * r.n * (r.s + r.q * (s_q - r.s * variance * half_q * r.n))
    integral_q = -0.5 * r.inverse * t - 2.0 * half_q * r.n
    short = 1.0 - r.beta * t
    b_q = jnp.where(r.degenerate, -0.25 * t * (1.0 + short), b_q)
    return b_q, jnp.where(r.degenerate, -(t * t) * (2.0 + short) / 12.0, integral_q)


def _degenerate_slopes(q: Frequencies, t: Real) -> tuple[Frequencies, ...]:
    """Leading Taylor terms in t of what `riccati_slopes` returns for B and I, used where |d| t is tiny."""
    t2 = t * t
    return 0.25 * q * t2, q * q * t2 * t / 24.0, q * t2 * t / 12.0, q * q * t2 * t2 / 96.0


def diffusion_log_cf(model: HasDiffusion, r: Riccati) -> Frequencies:
    """Log characteristic function (14), kappa theta int B + v0 B, of a model with Heston's parameters."""
    return model.kappa * model.theta * r.integral + model.v0 * r.b


def diffusion_gradient(model: HasDiffusion, z: Frequencies, r: Riccati, s: Slopes) -> tuple[Frequencies, ...]:
    """Derivatives (24) of `diffusion_log_cf` in v0, kappa, theta, sigma_v, rho, in this order."""
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
    """Integral (1 - e^{-kappa t})/kappa of e^{-kappa u} over [0, t], which is t at kappa = 0."""
    x = kappa * t
    small = x < 1e-8
    return t * jnp.where(small, 1.0 - 0.5 * x, -jnp.expm1(-x) / jnp.where(small, 1.0, x))


def explosion_time(kappa: Scalar, sigma_v: Scalar, rho: Scalar, a: Real) -> Real:
    """Time in years at which E[e^{aX}] becomes infinite, for a outside [0, 1].

    It is (25), from Andersen and Piterbarg (2007), proposition 3.1.
    """
    return explosion_time_from(kappa - rho * sigma_v * a, a * (a - 1.0), sigma_v)


def explosion_time_from(beta: Real, force: Real, sigma_v: Scalar) -> Real:
    """Time at which the real solution of B' = force/2 - beta B + sigma_v^2 B^2/2, B(0) = 0, explodes."""
    # (25) has three cases: two real roots, two complex roots, and one double root
    discriminant = beta * beta - sigma_v**2 * force
    g = jnp.sqrt(jnp.abs(discriminant))
    safe = jnp.where(g > 0, g, 1.0)
    real = jnp.where(
        beta >= 0, jnp.inf, jnp.log((beta - safe) / jnp.minimum(beta + safe, -jnp.finfo(g.dtype).tiny)) / safe
    )
    # arctan2 covers both signs of beta: T* = (2/g)(arctan(g / -beta) + pi [beta > 0])
    imaginary = 2.0 / safe * jnp.arctan2(g, -beta)
    double = jnp.where(beta >= 0, jnp.inf, -2.0 / jnp.where(beta < 0, beta, -1.0))
    time = jnp.where(discriminant > 0, real, jnp.where(discriminant < 0, imaginary, double))
    return jnp.where(force <= 0, jnp.inf, time)


def moment_strip(finite: Callable[[Real], Flags], t: Real) -> Strip:
    """Find the two ends of {a: finite(a)} by bisection in the logarithm of the distance from [0, 1].

    Args:
        finite: Maps moment orders a, of the shape of t, to booleans that are true between the ends.
        t: Maturities; only their shape matters.

    Returns:
        a_-(t) and a_+(t), each of the shape of t; infinite where no moment of order up to 1e12 explodes.
    """
    low = jnp.full_like(t, -60.0)
    high = jnp.full_like(t, 28.0)

    def edge(order: Callable[[Any], Any]) -> Real:
        def halve(_: Codes | int, bounds: tuple[Real, Real]) -> tuple[Real, Real]:
            lo, hi = bounds
            middle = 0.5 * (lo + hi)
            inside = finite(order(jnp.exp(middle)))
            return jnp.where(inside, middle, lo), jnp.where(inside, hi, middle)

        lo, _ = jax.lax.fori_loop(0, 60, halve, (low, high))
        return jnp.where(finite(order(jnp.exp(high))), order(jnp.inf), order(jnp.exp(lo)))

    return edge(lambda x: -x), edge(lambda x: 1.0 + x)
