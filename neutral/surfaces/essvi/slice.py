"""One eSSVI smile: its total variance, exact butterfly and calendar conditions, and theta through a point.

The smile is w(k) = (L + R) / 2 with L = theta + rho psi k, R^2 = L^2 + P k^2 and P = psi^2 (1 - rho^2): theta
is the total variance at the money, rho psi the slope there, and psi (1 +- rho) / 2 are the slopes of the
wings (SSVI of Gatheral and Jacquier 2014, equation 4.1, with psi = theta phi and a rho for each smile as in
Hendriks and Martini 2019). All functions are elementwise, and their arguments broadcast.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from ...numerics.golden_section import golden_section
from ...numerics.normal import as_float64
from ...typing import Real
from ..certificate import ROUNDING

_STEPS = 40  # of the golden section, which finds a maximum to 1e-9; a Newton step then finds all digits
_FAR = 1e8  # |k| in units of theta / psi beyond which a smile equals its asymptote to the last digit


Smile = tuple[Real, Real, Real]
"""theta, psi and rho of eSSVI smiles, of one shape."""


def variance(k: ArrayLike, theta: ArrayLike, psi: ArrayLike, rho: ArrayLike) -> Real:
    """Compute the total variance of an eSSVI smile.

    Args:
        k: Log-forward moneyness, any shape.
        theta: Total variance at the money, > 0.
        psi: Product theta phi, > 0; the slopes of the wings are psi (1 +- rho) / 2.
        rho: Tilt in (-1, 1).

    Returns:
        Total variance, in the broadcast shape, with full relative accuracy also far out in a flat wing.
    """
    k, theta, psi, rho = as_float64(k, theta, psi, rho)
    return _variance(theta + rho * psi * k, (psi * k) ** 2 * (1.0 - rho * rho))[0]


def _variance(line: Real, square: Real) -> tuple[Real, Real]:
    """Compute w and R from L = theta + rho psi k and P k^2."""
    root = jnp.sqrt(line * line + square)
    # for L < 0 the sum (L + R) / 2 cancels; w (w - L) = P k^2 / 4 gives w = P k^2 / (2 (R - L)) instead
    below = line < 0.0
    return jnp.where(below, 0.5 * square / jnp.where(below, root - line, 1.0), 0.5 * (line + root)), root


def variance_and_slopes(k: Real, theta: Real, psi: Real, tilt: Real) -> tuple[Real, tuple[Real, Real, Real]]:
    """Compute total variance and its derivatives in theta, psi and tilt = rho psi, all of one shape."""
    w, root = _variance(theta + tilt * k, (psi - tilt) * (psi + tilt) * k * k)
    return w, (w / root, 0.5 * psi * k * k / root, 0.5 * k * (1.0 + theta / root))


def theta_min(psi: ArrayLike, rho: ArrayLike) -> Real:
    """Compute the least theta without butterfly arbitrage, which is necessary and sufficient.

    With z > 0 defined by k = (theta / psi) ((1 - rho) z - 1 - rho)(z + 1) / (2 z), Durrleman's function
    is g = G1 + psi^2 / (4 theta) G2, where G1 and G2 are rational in z and do not depend on theta. So g >= 0
    everywhere if and only if theta >= theta_min = psi^2 / 4 sup(-G2 / G1), and that ratio has one maximum on
    each wing. theta_min is at most psi^2 (1 + |rho|) / 4, the sufficient condition (Gatheral and Jacquier
    2014, theorem 4.2).

    Args:
        psi: Product theta phi, > 0, any shape.
        rho: Tilt in (-1, 1), broadcast.

    Returns:
        theta_min, in the broadcast shape, with a relative error of 1e-14; inf where a wing violates the bound
        of Lee (2004), psi (1 + |rho|) <= 4. It can be differentiated twice.
    """
    return butterfly_bound(psi, rho)[0]


def butterfly_bound(psi: ArrayLike, rho: ArrayLike) -> tuple[Real, Real]:
    """Compute `theta_min`, and psi k / theta of the point where Durrleman's function is 0 at that theta."""
    psi, rho = as_float64(psi, rho)
    possible = psi * (1.0 + jnp.abs(rho)) <= 4.0 * (1.0 + ROUNDING)
    safe = jnp.where(possible, psi, 1.0)
    right, right_place = _wing(_theta_ratio, safe, rho)
    left, left_place = _wing(_theta_ratio, safe, -rho)
    bound = safe**2 * (1.0 - rho * rho) * jnp.maximum(right, left)
    return jnp.where(possible, bound, jnp.inf), jnp.where(right >= left, right_place, -left_place)


def psi_max(theta: ArrayLike, rho: ArrayLike) -> Real:
    """Compute the largest psi without butterfly arbitrage, the inverse of `theta_min`.

    Args:
        theta: Total variance at the money, > 0.
        rho: Tilt in (-1, 1), broadcast.

    Returns:
        psi, in the broadcast shape; at most 4 / (1 + |rho|), the bound of the wings (Lee 2004).
    """
    theta, rho = as_float64(theta, rho)
    right, _ = _wing(_psi_ratio, theta, rho)
    left, _ = _wing(_psi_ratio, theta, -rho)
    at_infinity = theta * (1.0 + jnp.abs(rho)) / (16.0 * (1.0 - jnp.abs(rho)))
    return jnp.sqrt(theta / ((1.0 - rho * rho) * jnp.maximum(jnp.maximum(right, left), at_infinity)))


def sufficient_psi(theta: ArrayLike, rho: ArrayLike) -> Real:
    """Compute the largest psi under the sufficient conditions of Gatheral and Jacquier (2014, theorem 4.2).

    The conditions are psi (1 + |rho|) <= 4 and psi^2 (1 + |rho|) <= 4 theta.
    """
    theta, rho = as_float64(theta, rho)
    steepness = 1.0 + jnp.abs(rho)
    return jnp.minimum(4.0 / steepness, 2.0 * jnp.sqrt(theta / steepness))


def _ratio_parts(v: Real, rho: Real) -> tuple[Real, Real, Real]:
    """Compute parts of both ratios at v = 1 / z on the right wing: numerator over v, denominator, and L."""
    q = (1.0 - rho) + (1.0 + rho) * v * v
    return (1.0 - v) ** 2 * q - 8.0 * v * v, (1.0 + v) ** 2 * q, (1.0 - rho) + (1.0 + rho) * v


def _theta_ratio(v: Real, psi: Real, rho: Real) -> Real:
    """Compute theta / (psi^2 (1 - rho^2)) at which Durrleman's function is 0 at v, given psi."""
    top, bottom, line = _ratio_parts(v, rho)
    slope_bound = 0.25 * psi * (1.0 - rho * rho)
    # (line - steep (1 - v)) / v, in a form that is finite where the wing's slope is at its bound
    gap = 1.0 - rho - slope_bound
    gap = jnp.where(gap > 1e-15, gap, 0.0) / v + (1.0 + rho + slope_bound)
    return top / (bottom * gap * (line + slope_bound * (1.0 - v)))


def _psi_ratio(v: Real, theta: Real, rho: Real) -> Real:
    """Compute theta / (psi^2 (1 - rho^2)) at which Durrleman's function is 0 at v, given theta."""
    top, bottom, line = _ratio_parts(v, rho)
    return theta * (1.0 - rho * rho) / 16.0 * ((1.0 - v) / line) ** 2 + v * top / (bottom * line * line)


def _wing(ratio: Callable[[Real, Real, Real], Real], size: Real, rho: Real) -> tuple[Real, Real]:
    """Compute the largest value of a ratio on the right wing, and psi k / theta at that point."""
    # beyond this end the numerator is negative; up to it both ratios rise, then fall (this was observed for
    # 10,000 draws of psi, theta and rho up to 0.9999, but is not proven)
    end = jnp.sqrt((1.0 - rho) / 6.0)

    # the golden section needs no derivative, because the Newton step carries it
    frozen_size, frozen_rho, frozen_end = jax.lax.stop_gradient((size, rho, end))

    def frozen(v: Real) -> Real:
        return ratio(v, frozen_size, frozen_rho)

    low, high = golden_section(frozen, jnp.zeros_like(end), frozen_end, _STEPS)
    v = jnp.where(low > 0.0, 0.5 * (low + high), 1e-14 * frozen_end)

    def slope(v: Real) -> Real:
        return jax.jvp(lambda v: ratio(v, size, rho), (v,), (jnp.ones_like(v),))[1]

    first, second = jax.jvp(slope, (v,), (jnp.ones_like(v),))
    inside = (second < 0.0) & (low > 0.0)
    step = jnp.where(inside, first / jnp.where(inside, second, 1.0), 0.0)
    v = v - jnp.where(jnp.abs(step) < 1e-6 * end, step, 0.0)
    return ratio(v, size, rho), (1.0 - rho - (1.0 + rho) * v) * (1.0 + v) / (2.0 * v)


def calendar_margin(earlier: Smile, later: Smile) -> tuple[Real, Real]:
    """Test exactly, for all k and without a grid, that a later smile nowhere lies below an earlier one.

    Because w (w - L) = P k^2 / 4 for each smile, they meet only at k = 0 or at the roots of a quadratic in k.
    Between those points and in the wings the sign of their difference is constant, so that one point of each
    interval decides it.

    Args:
        earlier: theta, psi and rho of the earlier smile, any shape.
        later: theta, psi and rho of the later smile, same shape.

    Returns:
        Smallest relative margin (w_later - w_earlier) / w_later over those points and both wings, which is
        negative where they cross, and its k (infinite in a wing).
    """
    k, far = _test_points(earlier, later)
    theta1, psi1, rho1, theta2, psi2, rho2 = (jnp.broadcast_to(x, k.shape) for x in (*earlier, *later))
    w1 = variance(k, theta1, psi1, rho1)
    w2 = variance(k, theta2, psi2, rho2)
    at_points = _margin(w1, w2, psi2 * jnp.abs(k) + theta2)
    in_wings = _wing_margins(earlier, later)
    margins = jnp.concatenate([at_points, jnp.stack(in_wings)])
    candidates_k = jnp.concatenate(
        [k, jnp.stack([jnp.full_like(far, -jnp.inf), jnp.full_like(far, jnp.inf)])]
    )
    worst = jnp.argmin(margins, axis=0)[None]
    margin = jnp.take_along_axis(margins, worst, axis=0)[0]
    worst_k = jnp.take_along_axis(candidates_k, worst, axis=0)[0]
    return margin, worst_k


def _test_points(earlier: Smile, later: Smile) -> tuple[Real, Real]:
    """Compute points k, along a new first axis, that decide the sign everywhere, and |k| of the outermost."""
    theta1, psi1, _ = earlier
    scale = theta1 / psi1  # unit of k, from the earlier smile
    roots = [scale * root for root in _meeting_points(earlier, later, scale)]
    points = jnp.sort(jnp.stack([*roots, jnp.zeros_like(scale)]), axis=0)
    far = jnp.maximum(jnp.abs(points[0]), jnp.abs(points[2])) + scale
    middles = 0.5 * (points[1:] + points[:-1])
    return jnp.concatenate([middles, points, jnp.stack([-far, far])]), far


def _wing_margins(earlier: Smile, later: Smile) -> list[Real]:
    """Compute relative margins of the slopes psi (1 -+ rho) of the left and right wing."""
    _, psi1, rho1 = earlier
    _, psi2, rho2 = later
    slopes1 = [psi1 * (1.0 + side * rho1) for side in (-1.0, 1.0)]
    slopes2 = [psi2 * (1.0 + side * rho2) for side in (-1.0, 1.0)]
    return [_margin(before, after, psi2) for before, after in zip(slopes1, slopes2, strict=True)]


def _margin(one: Real, two: Real, size: Real) -> Real:
    """Compute (two - one) / two; 0 where |two - one| <= 1e-15 size, the rounding of rho."""
    rise = two - one
    return jnp.where(jnp.abs(rise) <= 1e-15 * size, 0.0, rise) / two


def _meeting_points(one: Smile, two: Smile, scale: Real) -> list[Real]:
    """Solve (P1 - P2)^2 k^2 = 4 (L2 - L1)(P1 L2 - P2 L1) for x = k / scale; return real parts of the roots.

    The equation follows from w (w - L) = P k^2 / 4 of the two smiles by elimination of w.
    """
    theta1, psi1, rho1 = one
    theta2, psi2, rho2 = two
    p1 = (psi1 * scale) ** 2 * (1.0 - rho1 * rho1)
    p2 = (psi2 * scale) ** 2 * (1.0 - rho2 * rho2)
    slope1 = rho1 * psi1 * scale
    slope2 = rho2 * psi2 * scale
    # L2 - L1 = up + tilt x and P1 L2 - P2 L1 = high + turn x, with P in units of x
    up = theta2 - theta1
    tilt = slope2 - slope1
    high = p1 * theta2 - p2 * theta1
    turn = p1 * slope2 - p2 * slope1
    # a x^2 + 2 b x + c = 0
    a = (p1 - p2) ** 2 - 4.0 * tilt * turn
    b = -2.0 * (up * turn + tilt * high)
    c = -4.0 * up * high
    discriminant = b * b - a * c
    # q = -b -+ sqrt(discriminant), with the sign that adds
    q = -b - jnp.where(b < 0.0, -1.0, 1.0) * jnp.sqrt(jnp.maximum(discriminant, 0.0))
    middle = _ratio(-b, a)
    real = discriminant > 0.0
    return [jnp.where(real, _ratio(q, a), middle), jnp.where(real, _ratio(c, q), middle)]


def _ratio(top: Real, bottom: Real) -> Real:
    """Divide; 0 where the quotient is so large that it lies in a wing, which is tested separately."""
    ratio = top / jnp.where(bottom == 0.0, 1.0, bottom)
    return jnp.where((bottom != 0.0) & (jnp.abs(ratio) < _FAR), ratio, 0.0)


def anchored_theta(k: ArrayLike, w: ArrayLike, psi: ArrayLike, rho: ArrayLike) -> Real:
    """Compute the theta with which a smile passes exactly through total variance w at k.

    Corbetta, Cohort, Laachir and Martini (2019) use the first-order approximation w - rho psi k.

    Args:
        k: Log-forward moneyness, any shape.
        w: Total variance at k, > 0.
        psi: Product theta phi, > 0.
        rho: Tilt in (-1, 1).

    Returns:
        theta, in the broadcast shape; it is not positive where no such smile exists.
    """
    k, w, psi, rho = as_float64(k, w, psi, rho)
    # w (w - theta - rho psi k) = P k^2 / 4, solved for theta
    return w - rho * psi * k - (1.0 - rho * rho) * (psi * k) ** 2 / (4.0 * w)
