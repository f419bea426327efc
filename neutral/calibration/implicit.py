"""How a fit moves with what it is made from: the implicit function theorem, with the full Hessian.

At a minimum the gradient g(y, p) of the cost vanishes, so dy = -(dg/dy)^{-1} (dg/dp) dp on the coordinates
that move; those on a bound stay. Gauss-Newton's Hessian would be wrong by the size of the residuals.
What p is made from - prices, weights, forwards, a prior's center - is left to the chain rule.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..typing import Flags, Real


def hessian(gradient: Callable[[Real], Real], y: Real) -> Real:
    """Derivatives (S, n, n) of the gradients (S, n) of separate costs, one direction at a time."""
    _, along = jax.linearize(gradient, y)
    rows = jax.lax.map(lambda unit: along(jnp.broadcast_to(unit[None], y.shape)), jnp.eye(y.shape[-1]))
    return jnp.moveaxis(rows, 0, -1)


@eqx.filter_custom_jvp
def follow(setting: Any, problem: Any, y: Real, moving: Flags) -> Real:
    """The solutions y themselves, with their derivative in the problem's constants.

    Args:
        setting: Of a calibration or of a surface's fit: has `cost(problem, y)`.
        problem: The constants of S fits, followed whatever they are computed from.
        y: Solutions, (S, n).
        moving: Coordinates that are free, not on a bound, of a fit that has converged, (S, n); the derivative
            of the others is 0.
    """
    del setting, problem, moving
    return y


def constant(tree: Any) -> Any:
    """The tree without derivatives; numbers that are no arrays stay as they are."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, tree)


@follow.def_jvp
def _follow_jvp(primals, tangents):
    given, (y, moving), changes = primals[:2], primals[2:], tangents[:2]
    if not jax.tree.leaves(changes):
        return y, jnp.zeros_like(y)

    def gradient(y: Real, given: Any) -> Real:
        """Of each surface's cost in its own coordinates, by the derivative of their sum."""
        setting, problem = given
        return jax.grad(lambda y: jnp.sum(setting.cost(problem, y)))(y)

    second = hessian(lambda y: gradient(y, given), y)
    _, pull = eqx.filter_jvp(lambda given: gradient(y, given), (given,), (changes,))
    both = jnp.expand_dims(moving, -1) & jnp.expand_dims(moving, -2)
    system = jnp.where(both, second, jnp.eye(y.shape[-1])[None])
    right = jnp.expand_dims(jnp.where(moving, pull, 0.0), -1)
    return y, -jnp.linalg.solve(system, right)[..., 0]
