"""A solver that leaves no digit to chance: refits that are differenced need it."""

import jax
import jax.numpy as jnp

import neutral as nt
from neutral.calibration.solvers import AbstractSolver, movable


class Polished(AbstractSolver):
    """Levenberg-Marquardt, then Newton steps with the full Hessian: central differences see every digit."""

    inner: nt.LevenbergMarquardt = nt.LevenbergMarquardt()
    max_steps: int = 1000
    gtol: float = 1e-6

    def init(self, objective, y, record=False):
        return self.inner.init(objective, y, record)

    def run(self, objective, state, until):
        state = self.inner.run(objective, state, until)
        moving = movable(objective, state.y, state.at.gradient)[0]
        slope = jax.grad(lambda y: objective.cost(y[None])[0])

        def newton(_, y):
            both = moving[:, None] & moving[None, :]
            hessian = jnp.where(both, jax.jacfwd(slope)(y), jnp.eye(y.size))
            return y - jnp.linalg.solve(hessian, jnp.where(moving, slope(y), 0.0))

        y = jax.lax.fori_loop(0, 4, newton, state.y[0])[None]
        return state._replace(y=y, at=objective.evaluate(y))

    def solution(self, objective, state):
        return self.inner.solution(objective, state)
