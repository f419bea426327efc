"""The course of a fit, step by step."""

import equinox as eqx

from ..typing import Real
from .problem import Problem, Setting
from .solvers import Trace


class History(eqx.Module):
    """The points that the solver evaluated in the run that led to the fit, in order; nan after the last step.

    Every step evaluates one point, and the solver moves there if the point is better than the best so far.
    The best loss up to each step is `numpy.minimum.accumulate(loss)`. A batch has a leading axis on every
    field. m is `max_steps` of the solver, n the number of coordinates.

    Attributes:
        loss: Loss and prior together, shape (m,).
        gradient_norm: Largest cosine between residuals and derivatives in a free parameter, shape (m,).
        damping: Damping of the step that led to the point, relative to the curvature, shape (m,); nan for
            `AdamLBFGS`, which has none.
        parameters: Values of the `names` of the result, in natural units, shape (m, n).
    """

    loss: Real
    gradient_norm: Real
    damping: Real
    parameters: Real


def history_of(setting: Setting, problem: Problem, trace: Trace) -> History:
    """The trace of a solver in terms of the model's parameters, with a leading axis of surfaces."""
    unit = problem.unit[:, None]
    natural = setting.coordinates.natural(trace.y, unit)
    return History(
        loss=trace.cost,
        gradient_norm=trace.gradient_norm,
        damping=trace.damping,
        parameters=setting.coordinates.named(natural, trace.y, unit),
    )
