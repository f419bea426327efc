"""Spline interpolation of trigonometric sums on an even grid.

The cardinal spline through e^{i theta u} (u = 0, 1, ...) has the coefficients e^{i theta u} / symbol(theta)
(Schoenberg 1973). To divide the terms of the sum by the symbol therefore replaces the solution of a linear
system for the spline. See (49) in docs/mathematics.md.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import ArgumentError
from ..typing import Flags, Numbers, Real

_DEGREE = {"linear": 1, "cubic": 3, "quintic": 5}


def degree_of(interpolation: str) -> int:
    """Degree of the polynomial pieces of a kind of interpolation.

    Args:
        interpolation: "linear", "cubic" or "quintic".

    Returns:
        1, 3 or 5.

    Raises:
        ArgumentError: the name is none of "linear", "cubic", "quintic".
    """
    if interpolation not in _DEGREE:
        raise ArgumentError(f"interpolation must be one of {', '.join(_DEGREE)}, got {interpolation!r}.")
    return _DEGREE[interpolation]


def symbol(theta: Real, interpolation: str) -> Real:
    """Transform of the B-spline's values on the grid, by which the terms of the sum are divided; see (49).

    Args:
        theta: Radians per step of the grid, any shape.
        interpolation: "linear", "cubic" or "quintic".

    Returns:
        The symbol, same shape as theta; 1 for "linear".
    """
    cos = jnp.cos(theta)
    # (49)
    if interpolation == "cubic":
        return (2.0 + cos) / 3.0
    if interpolation == "quintic":
        return (32.0 + cos * (26.0 + 2.0 * cos)) / 60.0
    return jnp.ones_like(theta)


def interpolation_error(theta: Real, v: Real, alpha: Real, interpolation: str) -> Real:
    """Bound on the interpolation error of one term e^{-ivk} of the damped sum.

    The spline of degree d through a wave has the share L = sinc(theta/2pi)^{d+1}/symbol of this wave, and
    aliases of total weight 1 - L. A line between strikes dK apart has an error of dK^2/8 times the second
    derivative, which for the price e^{-(alpha + iv)k} is (alpha + iv)(alpha + 1 + iv) at K = 1.

    Args:
        theta: Radians per step of the grid, any shape.
        v: Frequencies, same shape.
        alpha: Damping, broadcasting against theta.
        interpolation: "linear", "cubic" or "quintic".

    Returns:
        Errors relative to the size of the term, shape of theta.
    """
    if interpolation == "linear":
        spacing = theta / jnp.where(v > 0, v, 1.0)
        bend = jnp.sqrt((alpha**2 + v**2) * ((alpha + 1.0) ** 2 + v**2))
        return jnp.minimum(bend * jnp.max(spacing, axis=-1, keepdims=True) ** 2 / 8.0, 2.0)
    share = jnp.sinc(theta / (2.0 * jnp.pi)) ** (degree_of(interpolation) + 1) / symbol(theta, interpolation)
    return 2.0 * jnp.abs(1.0 - share)


def interpolate(
    values: Float[Numbers, "... T N"],
    k: Float[Numbers, "... T K"],
    start: Float[Numbers, "... T"],
    spacing: Float[Numbers, "... T"],
    alpha: Float[Numbers, "... T"],
    interpolation: str,
) -> tuple[Real, Flags]:
    """Interpolate damped prices between the nodes of each maturity's grid.

    Args:
        values: Damped prices (linear) or spline coefficients on the N nodes of each maturity's grid.
        k: Log-forward moneyness.
        start: Log-forward moneyness of the first node.
        spacing: Distance between nodes.
        alpha: Damping.
        interpolation: "linear" (of undamped prices, in the strike), "cubic" or "quintic".

    Returns:
        Damped prices of the shape of k, and flags that are true where the strike lies inside the grid; a
        price outside the grid is meaningless.
    """
    degree = degree_of(interpolation)
    start, spacing, alpha = (x[..., None] for x in (start, spacing, alpha))
    position = (k - start) / spacing
    node = jnp.floor(position)
    below = (degree - 1) // 2
    inside = (node >= below) & (node + degree - below <= values.shape[-1] - 1)
    node = jnp.where(inside, node, below)
    share = jnp.where(inside, position - node, 0.0)
    weights = _line(share, spacing, alpha) if degree == 1 else _b_spline(share, degree)
    first = node.astype(int) - below
    total = jnp.zeros_like(k)
    for i, weight in enumerate(weights):
        total = total + weight * jnp.take_along_axis(values, first + i, axis=-1)
    return total, inside


def _line(share: Real, spacing: Real, alpha: Real) -> list[Float[Array, "..."]]:
    """Weights of two nodes' damped prices that interpolate the undamped prices linearly in the strike."""
    offset = share * spacing
    upper = jnp.expm1(offset) / jnp.expm1(spacing)
    return [(1.0 - upper) * jnp.exp(alpha * offset), upper * jnp.exp(alpha * (offset - spacing))]


def _b_spline(share: Real, degree: int) -> list[Float[Array, "..."]]:
    """Values of the degree + 1 B-splines at `share` of a step, by de Boor's recursion (1972)."""
    weights = [jnp.ones_like(share)]
    for p in range(1, degree + 1):
        raised = [jnp.zeros_like(share)] * (p + 1)
        for i, weight in enumerate(weights):
            # the i-th spline of degree p - 1 starts i - p + 1 steps from the node
            rise = (share + (p - 1 - i)) / p
            raised[i + 1] = raised[i + 1] + rise * weight
            raised[i] = raised[i] + (1.0 - rise) * weight
        weights = raised
    return weights
