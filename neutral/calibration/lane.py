"""One surface from quotes to result: pure, without leading axes, what jit, grad and the batch are made of."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..pricing import Lewis
from ..pricing.lewis import LewisGrid
from ..quote_surface import QuoteSurface
from ..typing import Flags, Real
from .coordinates import increment_unit
from .implicit import follow
from .losses import in_the_money_part
from .problem import Problem, Setting
from .request import Lane, Request
from .result import CalibrationResult, CalibrationStatus
from .search import search
from .solvers import Stop, gradient_norm, movable
from .starts import data_starts

_LENGTH = 3.0  # nodes reach to 40 / stdev


def solve_lane(asked: Request, lane: Lane) -> CalibrationResult:
    """Calibrate one surface; pure, no leading axes. What jit, grad and the batch are made of.

    Differentiable in the surface's prices by the implicit rule; nodes, weights and starts are constants.
    """
    setting, still = asked.setting, jax.lax.stop_gradient(lane)
    fine, used, clean = _usable(setting, still)
    problem = _problem(asked, still, clean, used)
    objective = setting.objective(problem)
    starts = still.starts
    if asked.from_data:
        starts = jnp.concatenate([data_starts(setting.coordinates, clean), starts])
    starts = jnp.where(asked.fixed, still.fixed, starts)
    valid = jnp.all(jnp.isfinite(starts), axis=-1) & fine
    found = search(asked.solver, objective, jnp.where(valid[:, None], starts, 0.0), valid, asked.plan)
    solution = found.solution
    status = jnp.where(solution.stop[0] == Stop.running, int(Stop.max_steps), solution.stop[0])
    status = jnp.where(fine, status, int(CalibrationStatus.bad_quotes))
    moving = movable(objective, solution.y, solution.evaluation.gradient)[0]
    prices = jnp.where(used, lane.surface.prices, 0.0)
    y = follow(setting, problem, clean, used, solution.y[0], moving & (status == Stop.converged), prices)
    targets = setting.loss.targets(clean.with_prices(prices), used)
    now = problem._replace(targets=jax.tree.map(lambda x: x[None], targets))
    price, quadrature = _judged(setting.engine, setting.model(now, y[None]), clean, now.grid)
    data, prior = setting.data_loss(now, price)[0], setting.prior(now, y[None])[0]
    both = price[0][None] + in_the_money_part(clean.k)
    known = jnp.where(fine & (status != CalibrationStatus.nonfinite), 1.0, jnp.nan)
    model = setting.coordinates.build(y, problem.unit[0], clean.t)
    return CalibrationResult(
        model=jax.tree.map(lambda x: x * known, model),
        status=status,
        loss=data * known,
        prior_loss=prior * known,
        steps=found.steps[0],
        residuals=jnp.where(still.surface.mask, (both - lane.surface.prices) * known, 0.0),
        prices=jnp.where(still.surface.mask, both * known, 0.0),
        gradient_norm=gradient_norm(objective, solution.y, solution.evaluation)[0] * known,
        condition_number=_condition(solution.evaluation.curvature[0], moving) * known,
        at_bound=objective.free[0] & ~moving & jnp.isfinite(known),
        agreement=found.agreement[0],
        quadrature_error=jnp.max(jnp.where(jnp.any(used, axis=0), quadrature, 0.0)) * known,
        coordinates=y * known,
        names=setting.coordinates.names,
    )


def _usable(setting: Setting, lane: Lane) -> tuple[Flags, Flags, QuoteSurface]:
    """Whether the surface can be fitted, the quotes to use, the surface with harmless numbers elsewhere."""
    surface = lane.surface
    used = lane.used & surface.mask
    sound = jnp.isfinite(surface.prices) & jnp.isfinite(surface.weight) & jnp.isfinite(surface.k)[None]
    if setting.loss.needs_spread:
        sound = sound & jnp.isfinite(surface.spread)
    rows = jnp.any(used, axis=(0, 2))
    time = jnp.all(jnp.where(rows, (surface.t > 0.0) & jnp.isfinite(surface.t), True))
    fine = jnp.any(used) & jnp.all(jnp.where(used, sound, True)) & time
    harmless = jax.tree.map(lambda x: jnp.where(jnp.isfinite(x), x, 0.0) if x.dtype == float else x, surface)
    t = jnp.where(surface.t > 0.0, harmless.t, 1.0)
    return fine, used & fine, eqx.tree_at(lambda s: s.t, harmless, t)


def _problem(asked: Request, lane: Lane, surface: QuoteSurface, used: Flags) -> Problem:
    """Constants of the fit, with a leading axis of one lane."""
    setting, coordinates = asked.setting, asked.setting.coordinates
    one = jax.tree.map(lambda x: x[None], surface)
    grid = _grid(setting.engine, one)
    count = len(coordinates.parameters)
    free = jnp.ones(count, bool)
    if coordinates.shifted:
        free = jnp.concatenate([free, jnp.any(used, axis=(0, 2))])
    free = free & ~jnp.asarray(asked.fixed)
    return Problem(
        grid,
        setting.loss.targets(one, used[None]),
        increment_unit(one),
        jnp.asarray(asked.lower)[None],
        jnp.asarray(asked.upper)[None],
        free[None],
        jnp.asarray(asked.precision)[None],
        lane.center[None],
    )


def _grid(engine: Lewis, surface: QuoteSurface) -> LewisGrid:
    return engine.grid(surface.k, surface.t, surface.stdev, jnp.full_like(surface.t, _LENGTH))


def _judged(engine: Lewis, model: Any, surface: QuoteSurface, grid: LewisGrid) -> tuple[Real, Real]:
    """Prices (1, T, K), and how far twice the nodes are from them, (T, K).

    The finer rule is summed in two halves, so that one program of the size of the coarser serves all three.
    """
    fine = _grid(Lewis(2 * engine.nodes), jax.tree.map(lambda x: x[None], surface))
    halves = [fine.take(slice(None, engine.nodes)), fine.take(slice(engine.nodes, None))]
    grids = jax.tree.map(lambda *x: jnp.stack(x), grid, *halves)
    prices = jax.lax.map(lambda grid: engine.prices(model, grid) - grid.base, grids)
    return grid.base + prices[0], jax.lax.stop_gradient(jnp.abs(prices[1] + prices[2] - prices[0])[0])


def _condition(curvature: Real, moving: Flags) -> Real:
    """Ratio of the extreme eigenvalues of the curvature scaled to a unit diagonal, on moving coordinates."""
    diagonal = jnp.diagonal(curvature)
    seen = moving & (diagonal > 0.0)
    scale = jax.lax.rsqrt(jnp.where(seen, diagonal, 1.0))
    both = seen[:, None] & seen[None, :]
    scaled = jnp.where(both, curvature * scale[:, None] * scale[None, :], jnp.eye(diagonal.size))
    values = jnp.linalg.eigvalsh(jnp.where(jnp.isfinite(scaled), scaled, 0.0))
    lost = jnp.any(moving & (diagonal <= 0.0)) | (values[0] <= 0.0)
    return jnp.where(lost, jnp.inf, values[-1] / jnp.where(lost, 1.0, values[0]))
