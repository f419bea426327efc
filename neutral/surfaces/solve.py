"""What the fits of all surfaces share: usable quotes, one minimisation, many of them in chunks."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..calibration import CalibrationStatus
from ..calibration.implicit import constant, follow
from ..calibration.losses import Loss
from ..calibration.solvers import AbstractSolver, Stop, gradient_norm, movable
from ..errors import ArgumentError
from ..quote_surface import QuoteSurface
from ..typing import Flags, Real
from .evidence import SurfaceFit
from .problem import AbstractSetting, SurfaceProblem

CHUNK = 16  # surfaces of one compiled program


class Quotes(NamedTuple):
    """Quotes of one surface that can be fitted, harmless numbers elsewhere."""

    surface: QuoteSurface
    used: Flags  # (2, T, K)
    fine: Flags  # () whether there is something to fit


def usable(loss: Loss, surface: QuoteSurface, used: Flags) -> Quotes:
    """What of one surface can be fitted."""
    fine, used, clean = loss.usable(surface, used)
    return Quotes(clean, used, fine)


def asked_for(surfaces: QuoteSurface, mask: Any) -> Flags:
    """Quotes to fit: the mask, or the surfaces' `train` where None.

    Raises:
        ArgumentError: the mask has another shape than the quotes.
    """
    used = surfaces.train if mask is None else mask
    if np.shape(used) != np.shape(surfaces.mask):
        raise ArgumentError(f"mask must have shape {np.shape(surfaces.mask)}, got {np.shape(used)}.")
    return jnp.asarray(used, bool)


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
    status = jnp.where(found.stop == Stop.running, int(Stop.max_steps), found.stop)
    status = jnp.where(quotes.fine, status, int(CalibrationStatus.bad_quotes))
    moving = movable(objective, found.y, found.evaluation.gradient)
    follows = moving & jnp.expand_dims(status == Stop.converged, -1)
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


def in_chunks(solve: Callable[[Any], Any], tasks: Any, count: int, chunk: int, workers: int | None) -> Any:
    """Solve many tasks, a chunk of them at a time, on several threads; the last chunk is filled up.

    Args:
        solve: Compiled, from tasks with a leading axis to results with one.
        tasks: Arrays with a leading axis of `count`.
        count: Number of tasks.
        chunk: Tasks of one call.
        workers: Threads; the number of cores where None.
    """
    picks = [np.minimum(np.arange(i, i + chunk), count - 1) for i in range(0, count, chunk)]

    def solved(pick: np.ndarray) -> Any:
        return jax.device_get(solve(jax.tree.map(lambda x: np.asarray(x)[pick], tasks)))

    first = solved(picks[0])  # compiles, before there are threads
    with ThreadPoolExecutor(min(len(picks), workers or os.cpu_count() or 1)) as pool:
        done = [first, *pool.map(solved, picks[1:])]
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *done)
