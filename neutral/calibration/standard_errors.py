"""Standard errors of the parameters of a fit: how far the noise of the quotes moves it."""

import jax.numpy as jnp

from ..typing import Codes, Flags, Real
from .problem import Problem, Setting
from .solvers import Solution


def standard_errors(
    setting: Setting, problem: Problem, solution: Solution, moving: Flags, strikes: Codes
) -> Real:
    """Sandwich standard errors (Huber 1967; White 1980), valid whatever the sizes of the quotes' errors.

    The covariance of the coordinates is V = A^{-1} S A^{-1} n/(n - p). A is the Gauss-Newton curvature, S the
    sum over strikes of the squares of their parts of the gradient (Liang and Zeger 1986: call and put of a
    strike are a cluster), n the number of strikes and p that of moving coordinates; the factor is that of
    MacKinnon and White (1985, HC1). Natural parameters have the covariance C V C', where C are their
    derivatives in the coordinates (delta method).

    Args:
        setting: The calibration.
        problem: Its constants for S surfaces.
        solution: The points where the fits end, with the evaluation there.
        moving: Coordinates that are free and not on a bound, of fits that have converged, (S, n).
        strikes: Number of strikes with a quote that was fitted, over all maturities, (S,).

    Returns:
        One per coordinate, in natural units, for a shift those of its increments, (S, n); nan for a
        coordinate that does not move.
    """
    at = solution.evaluation
    inverse = _inverse(at.curvature, moving)
    dof = strikes - jnp.sum(moving, axis=-1)
    inflation = jnp.where(dof > 0, strikes / jnp.where(dof > 0, dof, 1.0), jnp.nan)
    covariance = inverse @ at.scatter @ inverse * inflation[:, None, None]
    chain = setting.named_chain(problem, solution.y)
    variance = jnp.einsum("bij,bjk,bik->bi", chain, covariance, chain)
    return jnp.where(moving & (variance >= 0.0), jnp.sqrt(jnp.maximum(variance, 0.0)), jnp.nan)


def _inverse(curvature: Real, moving: Flags) -> Real:
    """Inverse on the moving coordinates, by scaling to a unit diagonal; 0 elsewhere, nan where singular."""
    both = jnp.expand_dims(moving, -1) & jnp.expand_dims(moving, -2)
    diagonal = jnp.where(moving, jnp.diagonal(curvature, axis1=-2, axis2=-1), 1.0)
    scale = jnp.where(diagonal > 0.0, diagonal, jnp.nan) ** -0.5
    outer = jnp.expand_dims(scale, -1) * jnp.expand_dims(scale, -2)
    scaled = jnp.where(both, curvature * outer, jnp.eye(curvature.shape[-1])[None])
    return jnp.where(both, jnp.linalg.inv(scaled) * outer, 0.0)
