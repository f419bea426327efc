"""One eSSVI smile: total variance, the exact butterfly and calendar conditions, an anchor.

w(k) = (theta + rho psi k + R) / 2 with R^2 = (psi k + rho theta)^2 + theta^2 (1 - rho^2): theta is the total
variance at the money, rho psi its slope there, psi (1 +- rho) / 2 the slopes of the wings (Hendriks and
Martini 2019, with psi = theta phi). All functions broadcast and are elementwise.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import ArrayLike

from ...numerics.normal import as_float64
from ...typing import Real
from ..certificate import ROUNDING

_SHRINK = 0.6180339887498949
_STEPS = 40  # of the golden section: leaves 1e-9 of a maximum's position, a Newton step then all digits
_FAR = 1e8  # theta / psi: where a smile is its asymptote to the last digit


def variance(k: ArrayLike, theta: ArrayLike, psi: ArrayLike, rho: ArrayLike) -> Real:
    """Total variance of an eSSVI smile.

    Args:
        k: Log-forward moneyness, any shape.
        theta: Total variance at the money, > 0.
        psi: theta phi, > 0.
        rho: In (-1, 1).

    Returns:
        Broadcast shape, relative accuracy also far out in a flat wing.
    """
    k, theta, psi, rho = as_float64(k, theta, psi, rho)
    return _variance(theta + rho * psi * k, (psi * k) ** 2 * (1.0 - rho * rho))[0]


def _variance(line: Real, square: Real) -> tuple[Real, Real]:
    """w and R from L = theta + rho psi k and P k^2, R^2 = L^2 + P k^2."""
    root = jnp.sqrt(line * line + square)
    # w (w - L) = P k^2 / 4: the form that adds
    falls = line < 0.0
    return jnp.where(falls, 0.5 * square / jnp.where(falls, root - line, 1.0), 0.5 * (line + root)), root


def variance_and_slopes(k: Real, theta: Real, psi: Real, tilt: Real) -> tuple[Real, tuple[Real, Real, Real]]:
    """Total variance and its derivatives in theta, psi and tilt = rho psi; arguments of one shape."""
    w, root = _variance(theta + tilt * k, (psi - tilt) * (psi + tilt) * k * k)
    return w, (w / root, 0.5 * psi * k * k / root, 0.5 * k * (1.0 + theta / root))


def theta_min(psi: ArrayLike, rho: ArrayLike) -> Real:
    """Least theta at which the smile is free of butterfly arbitrage: necessary and sufficient.

    With z > 0 defined by k = (theta / psi) ((1 - rho) z - 1 - rho)(z + 1) / (2 z), Durrleman's function is a
    ratio of polynomials in z and theta, and theta_min the supremum of a rational function that has one
    maximum on each wing. Never above psi^2 (1 + |rho|) / 4, which suffices (Gatheral and Jacquier 2014).

    Args:
        psi: > 0, any shape.
        rho: In (-1, 1), broadcast.

    Returns:
        Broadcast shape, relative error 1e-14; inf where psi (1 + |rho|) > 4. Differentiable twice.
    """
    return butterfly_bound(psi, rho)[0]


def butterfly_bound(psi: ArrayLike, rho: ArrayLike) -> tuple[Real, Real]:
    """`theta_min`, and psi k / theta at the point where it binds."""
    psi, rho = as_float64(psi, rho)
    free = psi * (1.0 + jnp.abs(rho)) <= 4.0 * (1.0 + ROUNDING)
    safe = jnp.where(free, psi, 1.0)
    (right, x), (left, y) = _wing(_theta_ratio, safe, rho), _wing(_theta_ratio, safe, -rho)
    bound = safe**2 * (1.0 - rho * rho) * jnp.maximum(right, left)
    return jnp.where(free, bound, jnp.inf), jnp.where(right >= left, x, -y)


def psi_max(theta: ArrayLike, rho: ArrayLike) -> Real:
    """Largest psi at which the smile is free of butterfly arbitrage: the inverse of `theta_min`.

    Args:
        theta: Total variance at the money, > 0.
        rho: In (-1, 1), broadcast.

    Returns:
        Broadcast shape; at most 4 / (1 + |rho|), the bound of the wings (Lee 2004).
    """
    theta, rho = as_float64(theta, rho)
    right, left = (_wing(_psi_ratio, theta, r)[0] for r in (rho, -rho))
    at_infinity = theta * (1.0 + jnp.abs(rho)) / (16.0 * (1.0 - jnp.abs(rho)))
    return jnp.sqrt(theta / ((1.0 - rho * rho) * jnp.maximum(jnp.maximum(right, left), at_infinity)))


def sufficient_psi(theta: ArrayLike, rho: ArrayLike) -> Real:
    """Largest psi inside the sufficient butterfly conditions of Gatheral and Jacquier (2014, theorem 4.2)."""
    theta, rho = as_float64(theta, rho)
    wide = 1.0 + jnp.abs(rho)
    return jnp.minimum(4.0 / wide, 2.0 * jnp.sqrt(theta / wide))


def _pieces(v: Real, rho: Real) -> tuple[Real, Real, Real]:
    """Of the right wing at v = 1 / z: numerator over v, common denominator, and the line L."""
    q = (1.0 - rho) + (1.0 + rho) * v * v
    return (1.0 - v) ** 2 * q - 8.0 * v * v, (1.0 + v) ** 2 * q, (1.0 - rho) + (1.0 + rho) * v


def _theta_ratio(v: Real, psi: Real, rho: Real) -> Real:
    top, bottom, line = _pieces(v, rho)
    steep = 0.25 * psi * (1.0 - rho * rho)
    # line - steep (1 - v), over v: stays finite where the wing's slope is at its bound
    gap = 1.0 - rho - steep
    gap = jnp.where(gap > 1e-15, gap, 0.0) / v + (1.0 + rho + steep)
    return top / (bottom * gap * (line + steep * (1.0 - v)))


def _psi_ratio(v: Real, theta: Real, rho: Real) -> Real:
    top, bottom, line = _pieces(v, rho)
    return theta * (1.0 - rho * rho) / 16.0 * ((1.0 - v) / line) ** 2 + v * top / (bottom * line * line)


def _wing(ratio: Callable[[Real, Real, Real], Real], size: Real, rho: Real) -> tuple[Real, Real]:
    """Largest value of a ratio on the right wing, and psi k / theta there."""
    # beyond this end the numerator is negative; up to it both ratios rise, then fall (seen on 10,000 draws
    # of psi, theta and rho up to 0.9999, not proven)
    end = jnp.sqrt((1.0 - rho) / 6.0)

    # the position needs no derivative: the Newton step has it
    fixed, still_rho, still_end = jax.lax.stop_gradient((size, rho, end))

    def halve(_: int, bracket: tuple[Real, Real]) -> tuple[Real, Real]:
        low, high = bracket
        a, b = high - _SHRINK * (high - low), low + _SHRINK * (high - low)
        right = ratio(a, fixed, still_rho) < ratio(b, fixed, still_rho)
        return jnp.where(right, a, low), jnp.where(right, high, b)

    low, high = jax.lax.fori_loop(0, _STEPS, halve, (jnp.zeros_like(end), still_end))
    v = jnp.where(low > 0.0, 0.5 * (low + high), 1e-14 * still_end)

    def slope(v: Real) -> Real:
        return jax.jvp(lambda v: ratio(v, size, rho), (v,), (jnp.ones_like(v),))[1]

    first, second = jax.jvp(slope, (v,), (jnp.ones_like(v),))
    inside = (second < 0.0) & (low > 0.0)
    step = jnp.where(inside, first / jnp.where(inside, second, 1.0), 0.0)
    v = v - jnp.where(jnp.abs(step) < 1e-6 * end, step, 0.0)
    return ratio(v, size, rho), (1.0 - rho - (1.0 + rho) * v) * (1.0 + v) / (2.0 * v)


def calendar_margin(earlier: tuple[Any, ...], later: tuple[Any, ...]) -> tuple[Real, Real]:
    """Exact test that a later smile nowhere lies below an earlier one, at all k and without a grid.

    Smiles meet where k = 0 or where a quadratic in k vanishes, since w (w - L) = P k^2 / 4 for each of them,
    L = theta + rho psi k and P = psi^2 (1 - rho^2). Between those points and in the wings the sign of
    their difference is constant, and one point of each interval tells it.

    Args:
        earlier: theta, psi and rho of the earlier smile, any shape.
        later: Those of the later smile, same shape.

    Returns:
        Smallest relative margin (w_later - w_earlier) / w_later over those points and both wings, which is
        negative where they cross, and the k where it is found (infinite in a wing).
    """
    (theta1, psi1, rho1), (theta2, psi2, rho2) = earlier, later
    scale = theta1 / psi1  # k in units of the earlier smile's own
    roots = [scale * root for root in _meeting_points(earlier, later, scale)]
    points = jnp.sort(jnp.stack([*roots, jnp.zeros_like(scale)]), axis=0)
    far = jnp.maximum(jnp.abs(points[0]), jnp.abs(points[2])) + scale
    inner = 0.5 * (points[1:] + points[:-1])
    k = jnp.concatenate([inner, points, jnp.stack([-far, far])])
    wide = [jnp.broadcast_to(x, k.shape) for x in (theta1, psi1, rho1, theta2, psi2, rho2)]
    one, two = variance(k, *wide[:3]), variance(k, *wide[3:])
    inner = _margin(one, two, wide[4] * jnp.abs(k) + wide[3])
    slopes = [[psi * (1.0 + side * rho) for side in (-1.0, 1.0)] for psi, rho in ((psi1, rho1), (psi2, rho2))]
    wings = [_margin(before, after, psi2) for before, after in zip(*slopes, strict=True)]
    margins = jnp.concatenate([inner, jnp.stack(wings)])
    places = jnp.concatenate([k, jnp.stack([jnp.full_like(far, -jnp.inf), jnp.full_like(far, jnp.inf)])])
    worst = jnp.argmin(margins, axis=0)[None]
    margin, place = (jnp.take_along_axis(x, worst, axis=0)[0] for x in (margins, places))
    return margin, place


def _margin(one: Real, two: Real, size: Real) -> Real:
    """(two - one) / two, 0 where an ulp of rho, which moves both by so much of `size`, would do as well."""
    rise = two - one
    return jnp.where(jnp.abs(rise) <= 1e-15 * size, 0.0, rise) / two


def _meeting_points(one: tuple[Any, ...], two: tuple[Any, ...], scale: Real) -> list[Real]:
    """Roots x = k / scale of (P1 - P2)^2 k^2 = 4 (L2 - L1)(P1 L2 - P2 L1); their real part where complex."""
    (theta1, psi1, rho1), (theta2, psi2, rho2) = one, two
    p1, p2 = (psi1 * scale) ** 2 * (1.0 - rho1 * rho1), (psi2 * scale) ** 2 * (1.0 - rho2 * rho2)
    slope1, slope2 = rho1 * psi1 * scale, rho2 * psi2 * scale
    up, tilt = theta2 - theta1, slope2 - slope1
    high, turn = p1 * theta2 - p2 * theta1, p1 * slope2 - p2 * slope1
    a, b, c = (p1 - p2) ** 2 - 4.0 * tilt * turn, -2.0 * (up * turn + tilt * high), -4.0 * up * high
    square = b * b - a * c
    q = -b - jnp.where(b < 0.0, -1.0, 1.0) * jnp.sqrt(jnp.maximum(square, 0.0))
    middle = _ratio(-b, a)
    return [jnp.where(square > 0.0, _ratio(*pair), middle) for pair in ((q, a), (c, q))]


def _ratio(top: Real, bottom: Real) -> Real:
    """Quotient; 0 where it is so large that it belongs to the wings, which are tested beside."""
    ratio = top / jnp.where(bottom == 0.0, 1.0, bottom)
    return jnp.where((bottom != 0.0) & (jnp.abs(ratio) < _FAR), ratio, 0.0)


def anchored_theta(k: ArrayLike, w: ArrayLike, psi: ArrayLike, rho: ArrayLike) -> Real:
    """The theta with which a smile passes through total variance w at k, exactly.

    Corbetta, Cohort, Laachir and Martini (2019) use w - rho psi k, its first order in k.

    Args:
        k: Log-forward moneyness, any shape.
        w: Total variance there, > 0.
        psi: > 0.
        rho: In (-1, 1).

    Returns:
        Broadcast shape; not positive where no such smile exists.
    """
    k, w, psi, rho = as_float64(k, w, psi, rho)
    return w - rho * psi * k - (1.0 - rho * rho) * (psi * k) ** 2 / (4.0 * w)
