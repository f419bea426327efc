"""How a fit moves with its quotes: the implicit function theorem, with the full Hessian.

At a minimum the gradient g(y, p) of the cost vanishes, so dy = -(dg/dy)^{-1} (dg/dp) dp on the coordinates
that move; those on a bound stay. Gauss-Newton's Hessian would be wrong by the size of the residuals.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from ..quote_surface import QuoteSurface
from ..typing import Flags, Real
from .problem import Problem, Setting


@eqx.filter_custom_jvp
def follow(
    setting: Setting,
    problem: Problem,
    surface: QuoteSurface,
    used: Flags,
    y: Real,
    moving: Flags,
    prices: Real,
) -> Real:
    """The solution y itself, with its derivative in the prices.

    Args:
        setting: The calibration.
        problem: Its constants, one lane.
        surface: One surface; its weights, spreads and vegas are constants.
        used: Quotes that were fitted, (2, T, K).
        y: Converged coordinates, (n,).
        moving: Coordinates that are free, not on a bound, of a fit that has converged, (n,); the derivative
            of the others is 0.
        prices: Prices of the quotes, (2, T, K).
    """
    del setting, problem, surface, used, moving, prices
    return y


@follow.def_jvp
def _follow_jvp(primals, tangents):
    setting, problem, surface, used, y, moving, prices = primals
    change = tangents[-1]
    if change is None:
        return y, jnp.zeros_like(y)

    def gradient(y: Real, prices: Real) -> Real:
        def cost(y: Real) -> Real:
            targets = setting.loss.targets(surface.with_prices(prices), used)
            now = problem._replace(targets=jax.tree.map(lambda x: x[None], targets))
            return setting.cost(now, y[None])[0]

        return jax.grad(cost)(y)

    hessian = jax.jacfwd(gradient)(y, prices)
    pull = jax.jvp(lambda p: gradient(y, p), (prices,), (change,))[1]
    both = moving[:, None] & moving[None, :]
    system = jnp.where(both, hessian, jnp.eye(y.size))
    return y, -jnp.linalg.solve(system, jnp.where(moving, pull, 0.0))
