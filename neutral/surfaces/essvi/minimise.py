"""What the fits of all surfaces share: usable quotes, one minimisation, many of them in chunks."""

import jax
import jax.numpy as jnp

from ...calibration import CalibrationStatus
from ...calibration.implicit import constant, follow
from ...calibration.solvers import AbstractSolver, gradient_norm, movable
from ...typing import Real
from ..evidence import SurfaceFit
from ..fitting import Quotes
from .problem import AbstractSetting, SurfaceProblem


def minimise(
    setting: AbstractSetting, solver: AbstractSolver, problem: SurfaceProblem, start: Real, quotes: Quotes
) -> tuple[Real, SurfaceFit]:
    """Fit one surface from one start.

    Returns:
        Coordinates (n,), which follow the problem's constants by the implicit function theorem, and the
        evidence, whose `at_bound` is (n,).
    """
    lanes, begin = jax.tree.map(lambda x: x[None], (problem, start))
    posed, begin = constant((lanes, begin))
    objective = constant(setting).objective(posed)
    state = solver.run(objective, solver.init(objective, begin), solver.max_steps)
    found = solver.solution(objective, state)
    status = CalibrationStatus.from_stop(found.stop, quotes.fine)
    moving = movable(objective, found.y, found.evaluation.gradient)
    follows = moving & jnp.expand_dims(status == CalibrationStatus.converged, -1)
    y = follow(setting, lanes, found.y, follows)
    sound = quotes.fine & (status[0] != CalibrationStatus.nonfinite)
    number = jnp.where(sound, 1.0, jnp.nan)
    return y[0], SurfaceFit(
        status=status[0],
        loss=setting.data_loss(lanes, y)[0] * number,
        prior_loss=setting.prior(lanes, y)[0] * number,
        steps=found.steps[0],
        gradient_norm=gradient_norm(objective, found.y, found.evaluation)[0] * number,
        at_bound=(objective.free & ~moving)[0] & sound,
    )
