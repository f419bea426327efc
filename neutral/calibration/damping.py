"""Directions in which the quotes do not determine a fit."""

import jax.numpy as jnp

from ..typing import Flags, Real
from .solvers import Evaluation

MOST_LOSS = 0.005  # relative rise of the loss that a damped fit may have
_SLOPPY = 0.1  # standard deviation, in steps, beyond which a direction is sloppy


def sloppy_directions(at: Evaluation, noise: Real, free: Flags, size: Real) -> Real:
    """The projector V V' on the directions that the quotes do not determine, in steps of `size`.

    The quotes do not determine a direction v of unit length if its standard deviation sqrt(noise / v'Av)
    exceeds a limit, where A is the curvature in steps of `size`.

    Args:
        at: The evaluation at the fits.
        noise: Variance of the noise, in units of the loss, (B,).
        free: Coordinates that may move, (B, n). They include those on a bound, because the quotes do not
            determine these either.
        size: The change of each coordinate that counts as a step of 1, (n,).

    Returns:
        One matrix per lane, in the coordinates themselves, shape (B, n, n).
    """
    both = jnp.expand_dims(free, -1) & jnp.expand_dims(free, -2)
    outer = (jnp.expand_dims(size, -1) * jnp.expand_dims(size, -2))[None]
    curvature, axes = jnp.linalg.eigh(jnp.where(both & jnp.isfinite(at.curvature), at.curvature * outer, 0.0))
    inside = jnp.sum(axes**2 * jnp.expand_dims(free, -1), axis=-2) > 0.5
    sloppy = inside & (curvature * _SLOPPY**2 < jnp.expand_dims(noise, -1))
    return jnp.einsum("bij,bj,bkj->bik", axes, jnp.where(sloppy, 1.0, 0.0), axes) / outer
