"""What the fits of all surfaces share: usable quotes, one minimisation, many of them in chunks."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calibration import CalibrationStatus
from ..calibration.implicit import follow
from ..calibration.losses import Loss
from ..calibration.solvers import AbstractSolver, Stop, gradient_norm, movable
from ..quote_surface import QuoteSurface
from ..typing import Flags, Real
from .evidence import SurfaceFit
from .problem import AbstractSetting, SurfaceProblem

CHUNK = 16  # surfaces of one compiled program


class Quotes(NamedTuple):
    """Quotes of one surface that can be fitted, harmless numbers elsewhere."""

    surface: QuoteSurface
    used: Flags  # (2, T, K)
    prices: Real  # (2, T, K) that derivatives are taken in, 0 where not used
    fine: Flags  # () whether there is something to fit


def usable(loss: Loss, surface: QuoteSurface, used: Flags) -> Quotes:
    """What of one surface can be fitted; the surface itself is a constant, only its prices are followed."""
    still, used = jax.lax.stop_gradient(surface), used & surface.mask
    sound = jnp.isfinite(still.prices) & jnp.isfinite(still.weight) & jnp.isfinite(still.k)[None]
    if loss.needs_spread:
        sound = sound & jnp.isfinite(still.spread)
    rows = jnp.any(used, axis=(0, 2))
    time = jnp.all(~rows | ((still.t > 0.0) & jnp.isfinite(still.t)))
    fine = jnp.any(used) & jnp.all(~used | sound) & time
    clean = jax.tree.map(lambda x: jnp.where(jnp.isfinite(x), x, 0.0) if x.dtype == float else x, still)
    clean = eqx.tree_at(lambda s: s.t, clean, jnp.where(clean.t > 0.0, clean.t, 1.0))
    used = used & fine
    return Quotes(clean, used, jnp.where(used, surface.prices, 0.0), fine)


def minimise(
    setting: AbstractSetting, solver: AbstractSolver, problem: SurfaceProblem, start: Real, quotes: Quotes
) -> tuple[Real, SurfaceFit]:
    """Fit one surface from one start.

    Returns:
        Coordinates (n,), which follow the quotes' prices by the implicit function theorem, and the evidence,
        whose `at_bound` is (n,).
    """
    one = jax.tree.map(lambda x: x[None], (problem, quotes))
    lanes, (surface, used, prices, _) = one
    objective = setting.objective(lanes)
    state = solver.run(objective, solver.init(objective, start[None]), solver.max_steps)
    found = solver.solution(objective, state)
    status = jnp.where(found.stop == Stop.running, int(Stop.max_steps), found.stop)
    status = jnp.where(quotes.fine, status, int(CalibrationStatus.bad_quotes))
    moving = movable(objective, found.y, found.evaluation.gradient)
    follows = moving & jnp.expand_dims(status == Stop.converged, -1)
    y = follow(setting, lanes, surface, used, found.y, follows, prices)  # pyright: ignore[reportArgumentType]
    now = lanes._replace(targets=setting.loss.targets(surface.with_prices(prices), used))
    sound = quotes.fine & (status[0] != CalibrationStatus.nonfinite)
    number = jnp.where(sound, 1.0, jnp.nan)
    return y[0], SurfaceFit(
        status=status[0],
        loss=setting.data_loss(now, y)[0] * number,
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
