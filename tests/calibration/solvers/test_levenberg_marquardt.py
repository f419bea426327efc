"""Levenberg-Marquardt along a valley in which Gauss and Newton's curvature is far too small."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import neutral as nt
from neutral.calibration.solvers import Evaluation, Objective, Stop, gradient_norm

START = np.array([[1.0, -1.0]])
END = [5.5, 5.0]  # where the second and the third residual vanish


def residuals(y):
    """The first is large and curved across the valley, the second steep; the third slopes along it."""
    across = y[0] - y[1] - 0.02 * y[1] ** 2
    return jnp.stack([1.0 + 4.5 * across**2, across, 0.01 * (y[1] - 5.0)])


def evaluate(y):
    r = jax.vmap(residuals)(y)
    j = jax.vmap(jax.jacfwd(residuals))(y)
    cost = jnp.sum(r * r, axis=-1)
    return Evaluation(
        cost=cost,
        gradient=jnp.einsum("bij,bi->bj", j, r),
        curvature=jnp.einsum("bij,bik->bjk", j, j),
        norms=jnp.sqrt(jnp.sum(j * j, axis=1)),
        length=jnp.sqrt(cost),
        error=jnp.sqrt(cost),
        scatter=jnp.zeros((y.shape[0], 2, 2)),
    )


@pytest.mark.parametrize(("upper", "end"), [(20.0, END), (5.0, None)], ids=["free", "bound"])
def test_a_valley_that_gauss_newton_hardly_descends_is_followed_to_its_end(upper, end):
    """By Gauss-Newton alone it takes more than 1000 evaluations; the gradient vanishes, also on a bound."""

    def cost(y):
        return jnp.sum(jax.vmap(residuals)(y) ** 2, axis=-1)

    bound = jnp.full((1, 2), upper)
    objective = Objective(evaluate, cost, lower=-bound, upper=bound, free=jnp.ones((1, 2), bool))
    solver = nt.LevenbergMarquardt()
    start = solver.init(objective, jnp.asarray(START))
    state = jax.jit(lambda state: solver.run(objective, state, solver.max_steps))(start)
    assert int(state.stop[0]) == Stop.converged
    assert float(gradient_norm(objective, state.y, state.at)[0]) <= solver.gtol
    assert int(state.steps[0]) <= 600
    if end is None:
        assert float(state.y[0, 0]) == upper
    else:
        # along the valley the slope is 1e-4 of the distance, and both cosines may be gtol
        np.testing.assert_allclose(state.y[0], end, atol=3e-2)
