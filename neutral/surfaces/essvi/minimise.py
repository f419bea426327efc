"""The minimisation in every fit of eSSVI smiles: one run of a solver, its status and its record."""

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
        quotes: The quotes of the problem; if they are insufficient, the status is `bad_quotes`.

    Returns:
        Coordinates (n,), which can be differentiated in the problem's constants by the implicit function
        theorem, and the record of the fit, whose `at_bound` is (n,).
    """
    lanes, initial = jax.tree.map(lambda x: x[None], (problem, start))
    frozen_problem, initial = constant((lanes, initial))
    objective = constant(setting).objective(frozen_problem)
    state = solver.run(objective, solver.init(objective, initial), solver.max_steps)
    solution = solver.solution(objective, state)
    status = CalibrationStatus.from_stop(solution.stop, quotes.sufficient)
    not_at_bound = movable(objective, solution.y, solution.evaluation.gradient)
    differentiable = not_at_bound & jnp.expand_dims(status == CalibrationStatus.converged, -1)
    y = follow(setting, lanes, solution.y, differentiable)
    valid = quotes.sufficient & (status[0] != CalibrationStatus.nonfinite)
    one_or_nan = jnp.where(valid, 1.0, jnp.nan)
    return y[0], SurfaceFit(
        status=status[0],
        loss=setting.data_loss(lanes, y)[0] * one_or_nan,
        prior_loss=setting.prior(lanes, y)[0] * one_or_nan,
        steps=solution.steps[0],
        gradient_norm=gradient_norm(objective, solution.y, solution.evaluation)[0] * one_or_nan,
        at_bound=(objective.free & ~not_at_bound)[0] & valid,
    )
