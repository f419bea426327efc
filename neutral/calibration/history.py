"""The course of a fit, step by step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import equinox as eqx
import numpy as np

from ..errors import ArgumentError
from ..presentation.frame import frame_of_arrays
from ..typing import Real
from .problem import Problem, Setting
from .solvers import Trace

if TYPE_CHECKING:
    import pandas as pd


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

    def to_frame(self, names: Sequence[str] | None = None) -> "pd.DataFrame":
        """Return a table with one row per evaluated point: loss, gradient norm, damping, parameters.

        Args:
            names: Columns of the parameters, such as `names` of the result; "0", "1", ... where None.

        Raises:
            ArgumentError: the history is that of a batch.
        """
        if np.ndim(self.loss) != 1:
            raise ArgumentError("to_frame() needs the history of one fit, such as results[3].history.")
        parameters = np.asarray(self.parameters)
        labels = map(str, range(parameters.shape[-1])) if names is None else names
        columns = {"loss": self.loss, "gradient_norm": self.gradient_norm, "damping": self.damping}
        columns |= dict(zip(labels, parameters.T, strict=True))
        return frame_of_arrays(columns).dropna(how="all")


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
