"""How a fit moves with its quotes and constants: the implicit function theorem, with the full Hessian.

At a minimum the gradient g(y, p) of the cost vanishes, so dy = -(dg/dy)^{-1} (dg/dp) dp on the coordinates
that move; those on a bound stay. Gauss-Newton's Hessian would be wrong by the size of the residuals.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..quote_surface import QuoteSurface
from ..typing import Flags, Real
from .problem import Problem, Setting


def hessian(gradient: Callable[[Real], Real], y: Real) -> Real:
    """Derivatives (S, n, n) of the gradients (S, n) of separate costs, one direction at a time."""
    _, along = jax.linearize(gradient, y)
    rows = jax.lax.map(lambda unit: along(jnp.broadcast_to(unit[None], y.shape)), jnp.eye(y.shape[-1]))
    return jnp.moveaxis(rows, 0, -1)


@eqx.filter_custom_jvp
def follow(
    setting: Setting,
    problem: Problem,
    surfaces: QuoteSurface,
    used: Flags,
    y: Real,
    moving: Flags,
    prices: Real,
) -> Real:
    """The solutions y themselves, with their derivative in the prices and in the problem's constants.

    Args:
        setting: The calibration.
        problem: Its constants, such as the center of a prior; its targets are those of `prices`.
        surfaces: Their weights, spreads and vegas are constants. Leading axis of surfaces S.
        used: Quotes that were fitted, (S, 2, T, K).
        y: Solutions, (S, n).
        moving: Coordinates that are free, not on a bound, of a fit that has converged, (S, n); the derivative
            of the others is 0.
        prices: Prices of the quotes, (S, 2, T, K).
    """
    del setting, problem, surfaces, used, moving, prices
    return y


@follow.def_jvp
def _follow_jvp(primals, tangents):
    setting, problem, surfaces, used, y, moving, prices = primals
    given, changes = (problem, prices), (tangents[1], tangents[-1])
    if not jax.tree.leaves(changes):
        return y, jnp.zeros_like(y)

    def gradient(y: Real, given: Any) -> Real:
        """Of each surface's cost in its own coordinates, by the derivative of their sum."""
        problem, prices = given
        targets = setting.loss.targets(surfaces.with_prices(prices), used)
        return jax.grad(lambda y: jnp.sum(setting.cost(problem._replace(targets=targets), y)))(y)

    second = hessian(lambda y: gradient(y, given), y)
    _, pull = eqx.filter_jvp(lambda given: gradient(y, given), (given,), (changes,))
    both = jnp.expand_dims(moving, -1) & jnp.expand_dims(moving, -2)
    system = jnp.where(both, second, jnp.eye(y.shape[-1])[None])
    right = jnp.expand_dims(jnp.where(moving, pull, 0.0), -1)
    return y, -jnp.linalg.solve(system, right)[..., 0]
