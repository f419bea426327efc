"""The minimisation that every fit of eSSVI smiles runs: one solve, its status and its evidence."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ...calibration import CalibrationStatus
from ...calibration.implicit import constant, follow
from ...calibration.solvers import AbstractSolver, gradient_norm, movable
from ...typing import Numbers
from ..evidence import SurfaceFit
from ..fitting import UsableQuotes
from .problem import AbstractSetting, SurfaceProblem


def minimise(
    setting: AbstractSetting,
    solver: AbstractSolver,
    problem: SurfaceProblem,
    start: Float[Numbers, " n"],
    quotes: UsableQuotes,
) -> tuple[Float[Numbers, " n"], SurfaceFit]:
    """Fit one surface from one start.

    Args:
        setting: The kind of surface and its loss.
        solver: The least-squares solver.
        problem: Constants of the fit, without leading axis.
        start: Coordinates to start from, (n,).
        quotes: The quotes behind the problem; where they are insufficient the status is `bad_quotes`.

    Returns:
        Coordinates (n,), which follow the problem's constants by the implicit function theorem, and the
        evidence, whose `at_bound` is (n,).
    """
    lanes, begin = jax.tree.map(lambda x: x[None], (problem, start))
    frozen_problem, begin = constant((lanes, begin))
    objective = constant(setting).objective(frozen_problem)
    state = solver.run(objective, solver.init(objective, begin), solver.max_steps)
    solution = solver.solution(objective, state)
    status = CalibrationStatus.from_stop(solution.stop, quotes.sufficient)
    moving = movable(objective, solution.y, solution.evaluation.gradient)
    follows = moving & jnp.expand_dims(status == CalibrationStatus.converged, -1)
    y = follow(setting, lanes, solution.y, follows)
    sound = quotes.sufficient & (status[0] != CalibrationStatus.nonfinite)
    number = jnp.where(sound, 1.0, jnp.nan)
    return y[0], SurfaceFit(
        status=status[0],
        loss=setting.data_loss(lanes, y)[0] * number,
        prior_loss=setting.prior(lanes, y)[0] * number,
        steps=solution.steps[0],
        gradient_norm=gradient_norm(objective, solution.y, solution.evaluation)[0] * number,
        at_bound=(objective.free & ~moving)[0] & sound,
    )
