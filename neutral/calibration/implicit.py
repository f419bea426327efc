"""Derivatives of a fit in its inputs: the implicit function theorem, with the full Hessian.

At a minimum the gradient g(y, p) of the cost vanishes, so dy = -(dg/dy)^{-1} (dg/dp) dp on the coordinates
that move; those on a bound stay. The Hessian of Gauss-Newton would have an error of the size of the
residuals. The chain rule extends these derivatives to everything from which p is computed: prices, weights,
forwards, the center of a prior.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp

from ..typing import Flags, Real

Tree = TypeVar("Tree")


@runtime_checkable
class HasCost(Protocol):
    """A calibration or a fit of a surface, whose cost covers separate problems on a leading axis."""

    def cost(self, problem: Any, y: Real) -> Real:  # `Any`, because each class has its own kind of problem
        """Costs (S,) of the S problems at the points y, shape (S, n)."""
        ...


def hessian(gradient: Callable[[Real], Real], y: Real) -> Real:
    """Hessians of separate costs, computed one direction at a time.

    Args:
        gradient: Maps points (S, n) to the gradients (S, n) of the costs.
        y: Points, (S, n).

    Returns:
        Shape (S, n, n).
    """
    _, along = jax.linearize(gradient, y)
    rows = jax.lax.map(lambda unit: along(jnp.broadcast_to(unit[None], y.shape)), jnp.eye(y.shape[-1]))
    return jnp.moveaxis(rows, 0, -1)


@eqx.filter_custom_jvp
def follow(setting: HasCost, problem: object, y: Real, moving: Flags) -> Real:
    """Return the solutions y, with their derivatives in setting and problem.

    Args:
        setting: The calibration, or the fit of a surface.
        problem: The constants of S fits; derivatives go through everything from which they are computed.
        y: Solutions, (S, n).
        moving: Whether a coordinate is free, not on a bound, and of a fit that has converged, (S, n); the
            derivatives of the other coordinates are 0.

    Returns:
        The values of y, (S, n).
    """
    del setting, problem, moving
    return y


def constant(tree: Tree) -> Tree:
    """The tree with arrays that derivatives treat as constants; other leaves stay as they are."""
    return jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, tree)


@follow.def_jvp
def _follow_jvp(
    primals: tuple[HasCost, object, Real, Flags], tangents: tuple[Any, Any, Any, Any]
) -> tuple[Real, Real]:
    inputs = primals[:2]
    y, moving = primals[2:]
    changes = tangents[:2]
    if not jax.tree.leaves(changes):
        return y, jnp.zeros_like(y)

    def gradient(y: Real, inputs: tuple[HasCost, Any]) -> Real:
        """The gradient of each cost in its own coordinates, which is the gradient of their sum."""
        setting, problem = inputs
        return jax.grad(lambda y: jnp.sum(setting.cost(problem, y)))(y)

    second = hessian(lambda y: gradient(y, inputs), y)
    _, pull = eqx.filter_jvp(lambda inputs: gradient(y, inputs), (inputs,), (changes,))
    both = jnp.expand_dims(moving, -1) & jnp.expand_dims(moving, -2)
    system = jnp.where(both, second, jnp.eye(y.shape[-1])[None])
    right = jnp.expand_dims(jnp.where(moving, pull, 0.0), -1)
    return y, -jnp.linalg.solve(system, right)[..., 0]
