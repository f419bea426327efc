"""A pull in the directions that a fit does not see, as strong as the loss allows."""

from typing import NamedTuple

import jax.numpy as jnp

from ..typing import Flags, Real
from .solvers import Evaluation

MOST_LOSS = 0.005  # relative rise of the loss that a damped fit may have
_SLOPPY = 0.1  # standard deviation, in steps, beyond which a direction is sloppy


class Pull(NamedTuple):
    """What a damped fit adds to the objective, for a strength of 1."""

    precision: Real  # (B, n, n) projector on the sloppy directions
    strength: Real  # (B,) at which the quadratic model of the loss rises by MOST_LOSS


def sloppy_pull(
    at: Evaluation, loss: Real, strikes: Real, y: Real, center: Real, free: Flags, size: Real
) -> Pull:
    """The projector V V' on the sloppy directions of the curvature, and a strength to begin with.

    A direction of curvature l that is d away from the center moves by d q/(l + q) under a strength q.

    Args:
        at: The first fit.
        loss: Its data term, (B,).
        strikes: Strikes with a quote that was fitted, (B,): loss / strikes is the variance of the noise.
        y: Its solution, (B, n).
        center: Where to, (B, n).
        free: Coordinates that may move, (B, n).
        size: What counts as a step of 1, (n,).
    """
    both = jnp.expand_dims(free, -1) & jnp.expand_dims(free, -2)
    outer = jnp.expand_dims(size, -1) * jnp.expand_dims(size, -2)
    scaled = jnp.where(both & jnp.isfinite(at.curvature), at.curvature * outer[None], 0.0)
    curvature, axes = jnp.linalg.eigh(scaled)
    inside = jnp.sum(axes**2 * jnp.expand_dims(free, -1), axis=-2) > 0.5
    noise = loss / jnp.maximum(strikes, 1)
    sloppy = inside & (curvature * _SLOPPY**2 < jnp.expand_dims(noise, -1))
    away = jnp.einsum("bij,bi->bj", axes, jnp.where(free, (center - y) / size[None], 0.0))
    strengths = jnp.expand_dims(loss, -1) * 10.0 ** jnp.linspace(-8.0, 4.0, 49)[None]
    bend = jnp.expand_dims(jnp.maximum(curvature, 0.0), -2)
    q = jnp.expand_dims(strengths, -1)
    cost = bend * (jnp.expand_dims(away, -2) * q / (bend + q)) ** 2
    rise = jnp.sum(jnp.where(jnp.expand_dims(sloppy, -2), cost, 0.0), axis=-1)
    allowed = rise <= MOST_LOSS * jnp.expand_dims(loss, -1)
    strength = jnp.max(jnp.where(allowed, strengths, 0.0), axis=-1)
    projector = jnp.einsum("bij,bj,bkj->bik", axes, jnp.where(sloppy, 1.0, 0.0), axes)
    return Pull(projector / outer[None], strength)
