"""The condition number of a fit: how well the quotes identify its parameters.

There is one, named by its scaling: that of the Jacobian J of the weighted residuals in the natural
parameters, with each column times the size of its parameter (`AbstractCoordinates.sizes`). It is the ratio of
the largest to the smallest singular value, over the parameters that are neither fixed nor on a bound. Priors
do not count.
"""

import jax.numpy as jnp

from ..typing import Flags, Real

UNDETERMINED = 200.0
"""Condition number above which the quotes do not determine some combination of the parameters."""
SCALING = "Jacobian with columns scaled by the sizes of the parameters"
"""Name of the scaling, for texts."""


def condition_number(curvature: Real, chain: Real, sizes: Real, moving: Flags) -> Real:
    """Compute the condition number of one fit from the normal matrix of its data.

    Args:
        curvature: J'J in the coordinates, without prior, (n, n).
        chain: Derivatives of the natural parameters in the coordinates, (n, n).
        sizes: Sizes of the natural parameters, (n,).
        moving: Coordinates that are neither fixed nor on a bound, (n,).

    Returns:
        The condition number, shape (): inf where a combination of parameters has no effect, nan where no
        parameter moves.
    """
    both = moving[:, None] & moving[None, :]
    unit = jnp.eye(moving.size)
    inverse = jnp.linalg.inv(jnp.where(both, chain, unit))
    scaled = inverse.T @ jnp.where(both, curvature, 0.0) @ inverse * sizes[:, None] * sizes[None, :]
    finite = jnp.all(jnp.isfinite(jnp.where(both, scaled, 0.0)))
    scaled = jnp.where(both & finite, scaled, 0.0)
    # a diagonal entry lies between the extreme eigenvalues, so one in place of what does not move is neutral
    scaled = scaled + jnp.where(moving, 0.0, jnp.max(jnp.diagonal(scaled)))[:, None] * unit
    values = jnp.linalg.eigvalsh(scaled)
    rounding = moving.size * jnp.finfo(scaled.dtype).eps * values[-1]
    singular = ~finite | (values[0] <= rounding)
    ratio = jnp.where(singular, jnp.inf, jnp.sqrt(values[-1] / jnp.where(singular, 1.0, values[0])))
    return jnp.where(jnp.any(moving), ratio, jnp.nan)
