"""Surfaces from quotes to results, inside jit: every surface is a lane of its own."""

from typing import Any

import jax
import jax.numpy as jnp

from ..pricing import AbstractGridEngine
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Real
from .coordinates import increment_unit
from .damping import MOST_LOSS, sloppy_directions
from .implicit import constant, follow
from .losses import in_the_money_part
from .problem import Problem, Setting
from .request import Lane, Request
from .result import CalibrationResult, CalibrationStatus
from .solvers import Stop, gradient_norm, movable, select
from .standard_errors import standard_errors
from .starts.data import data_starts, search_box
from .starts.global_search import relative_spread
from .starts.search import Found, search, search_together

_DECADES, _ATTEMPTS = (-8.0, 4.0), 8  # of a pull's strength over the loss; refits that bisect them


def solve_lane(asked: Request, lane: Lane) -> CalibrationResult:
    """Calibrate one surface, without leading axis.

    Differentiable by the implicit rule in all that the problem is made from, but for a pull that damps.
    """
    one = jax.tree.map(lambda x: x[None], lane)
    return jax.tree.map(lambda x: x[0], _solve(asked, one, together=False))


def solve_lanes(asked: Request, lanes: Lane, together: bool) -> CalibrationResult:
    """Calibrate every surface of a leading axis.

    Args:
        asked: The calibration.
        lanes: Surfaces.
        together: All in lockstep, for accelerators; else one after the other, which on a processor costs no
            more per step and leaves no lane waiting for the slowest.
    """
    if together:
        return _solve(asked, lanes, together)
    return jax.lax.map(lambda lane: solve_lane(asked, lane), lanes)


def _solve(asked: Request, lanes: Lane, together: bool) -> CalibrationResult:
    fine, used, clean = asked.setting.loss.usable(lanes.surface, lanes.used)
    problem = make_problem(asked, lanes, clean, used)
    asked, setting, (still, quotes, posed) = constant(asked), asked.setting, constant((lanes, clean, problem))
    found = _search(asked, still, quotes, posed, fine, together)
    strikes = jnp.sum(jnp.any(used, axis=-3), axis=(-2, -1))
    undamped = pull = None
    if asked.damp:
        undamped, pull, found = _damped(asked, posed, strikes, found, together)
        problem, posed = (p._replace(precision=p.precision + pull) for p in (problem, posed))
    at, objective = found.solution.evaluation, asked.setting.objective(posed)
    status = jnp.where(found.solution.stop == Stop.running, int(Stop.max_steps), found.solution.stop)
    refused = setting.engine.refused(setting.model(posed, found.solution.y), posed.grid)
    refused = jnp.any(refused & jnp.any(used, axis=-3), axis=(-2, -1)) & (status != Stop.nonfinite)
    status = jnp.where(refused, int(CalibrationStatus.refused), status)
    status = jnp.where(fine, status, int(CalibrationStatus.bad_quotes))
    moving = movable(objective, found.solution.y, at.gradient)
    follows = moving & jnp.expand_dims(status == Stop.converged, -1)
    y = follow(setting, problem, found.solution.y, follows)
    price, quadrature = _judged(setting.engine, setting.model(problem, y), quotes, problem.grid)
    both = jnp.expand_dims(price, -3) + in_the_money_part(clean.k)
    known = jnp.where(fine & (status != CalibrationStatus.nonfinite), 1.0, jnp.nan)
    loss, mask = setting.data_loss(problem, price) * known, lanes.surface.mask
    return CalibrationResult(
        model=_scaled(setting.coordinates.build(y, problem.unit, clean.t), known),
        status=status,
        loss=loss,
        prior_loss=setting.prior(problem, y) * known,
        steps=found.steps,
        residuals=jnp.where(mask, _scaled(both - lanes.surface.prices, known), 0.0),
        prices=jnp.where(mask, _scaled(both, known), 0.0),
        gradient_norm=gradient_norm(objective, found.solution.y, at) * known,
        condition_number=jax.vmap(_condition)(at.curvature, moving) * known,
        at_bound=objective.free & ~moving & jnp.expand_dims(jnp.isfinite(known), -1),
        agreement=found.agreement,
        spread=_spread(asked.setting, posed, found) * known,
        minima=found.minima,
        standard_errors=standard_errors(asked.setting, posed, found.solution.y, at, follows, strikes),
        quadrature_error=jnp.max(jnp.where(jnp.any(used, axis=-3), quadrature, 0.0), axis=(-2, -1)) * known,
        coordinates=_scaled(y, known),
        undamped_loss=loss if undamped is None else undamped * known,
        damping=pull,
        names=setting.coordinates.names,
    )


def _scaled(tree: Any, factor: Real) -> Any:
    """Every leaf times a factor per surface."""
    return jax.tree.map(lambda x: x * jnp.reshape(factor, factor.shape + (1,) * (x.ndim - 1)), tree)


def _search(
    asked: Request, lanes: Lane, surfaces: QuoteSurface, problem: Problem, fine: Flags, together: bool
) -> Found:
    """Minimise from the data's starts, those given and those of a global search."""
    coordinates, starts = asked.setting.coordinates, lanes.starts
    if asked.from_data:
        known = jax.vmap(lambda surface: data_starts(coordinates, surface))(surfaces)
        starts = jnp.concatenate([known, starts], axis=1)
    if asked.plan.explore is not None:
        more = jax.lax.map(lambda one: _explored(asked, *one), (lanes, surfaces, problem))
        starts = jnp.concatenate([starts, more], axis=1)
    starts = jnp.where(asked.fixed[None, None], jnp.expand_dims(lanes.fixed, 1), starts)
    valid = jnp.all(jnp.isfinite(starts), axis=-1) & jnp.expand_dims(fine, -1)
    return _minimised(asked, problem, jnp.where(jnp.expand_dims(valid, -1), starts, 0.0), valid, together)


def _minimised(asked: Request, problem: Problem, starts: Real, valid: Flags, together: bool) -> Found:
    if together:
        return search_together(asked.solver, asked.setting.objective, problem, starts, valid, asked.plan)
    return search(asked.solver, asked.setting.objective(problem), starts[0], valid[0], asked.plan)


def _damped(
    asked: Request, problem: Problem, strikes: Real, found: Found, together: bool
) -> tuple[Real, Real, Found]:
    """Loss of the first fit; a pull to the center in the directions not seen by it, and the fit with that.

    The strongest pull, as a precision, whose loss is allowed, by bisection of its logarithm.
    """
    setting, first = asked.setting, found.solution
    center = jnp.where(problem.free, problem.center, first.y)
    loss = first.evaluation.cost - setting.prior(problem, first.y)
    size = jnp.asarray(setting.coordinates.steps())
    noise = loss / jnp.maximum(strikes, 1)
    directions = sloppy_directions(first.evaluation, noise, problem.free, size)
    fine = first.stop == Stop.converged

    def attempt(_: Any, state: Any) -> Any:
        low, high, kept, solution, steps = state
        middle = 0.5 * (low + high)
        strength = jnp.where(fine, loss * 10.0**middle, 0.0)
        extra = directions * jnp.reshape(strength, (-1, 1, 1))
        pulled = problem._replace(precision=problem.precision + extra)
        starts = jnp.stack([solution.y, center], axis=1)
        valid = jnp.broadcast_to(jnp.expand_dims(fine, -1), starts.shape[:2])
        new = _minimised(asked, pulled, starts, valid, together)
        rise = new.solution.evaluation.cost - setting.prior(pulled, new.solution.y) - loss
        good = fine & (new.solution.stop == Stop.converged) & (rise <= MOST_LOSS * loss)
        return (
            jnp.where(good, middle, low),
            jnp.where(good, high, middle),
            select(good, extra, kept),
            select(good, new.solution, solution),
            steps + new.steps,
        )

    ends = (jnp.full_like(loss, end) for end in _DECADES)
    state = (*ends, jnp.zeros_like(problem.precision), first, found.steps)
    _, _, pull, solution, steps = jax.lax.fori_loop(0, _ATTEMPTS, attempt, state)
    return loss, pull, found._replace(solution=solution, steps=steps)


def make_problem(asked: Request, lanes: Lane, surfaces: QuoteSurface, used: Flags) -> Problem:
    """Constants of the fits."""
    setting, count = asked.setting, len(surfaces)
    free = jnp.ones((count, len(setting.coordinates.parameters)), bool)
    if setting.coordinates.shifted:
        free = jnp.concatenate([free, jnp.any(used, axis=(-3, -1))], axis=-1)

    def every(row: Any) -> Real:
        return jnp.broadcast_to(jnp.asarray(row)[None], (count, *jnp.shape(row)))

    return Problem(
        setting.engine.grid(surfaces.k, surfaces.t, surfaces.stdev),
        setting.loss.targets(surfaces, used),
        increment_unit(surfaces),
        every(asked.lower),
        every(asked.upper),
        free & ~every(asked.fixed),
        every(asked.precision),
        lanes.center,
    )


def _explored(asked: Request, lane: Lane, surface: QuoteSurface, problem: Problem) -> Real:
    """Starts of one surface by the global search that is asked for, (starts, n)."""
    assert asked.plan.explore is not None
    box = (
        jnp.clip(corner, asked.lower, asked.upper)
        for corner in search_box(asked.setting.coordinates, surface)
    )
    box = (jnp.where(asked.fixed, lane.fixed, corner) for corner in box)
    objective = asked.setting.objective(jax.tree.map(lambda x: x[None], problem))
    return asked.plan.explore.starts(objective, *box)


def _spread(setting: Setting, problem: Problem, found: Found) -> Real:
    """Largest relative range of a parameter of the model itself among the ends as good as the best, (S,)."""
    count = len(setting.coordinates.parameters)
    best = setting.coordinates.natural(found.solution.y, problem.unit)[:, :count]
    ends = setting.coordinates.natural(found.ends, jnp.expand_dims(problem.unit, 1))[..., :count]
    moving = problem.free[:, :count]
    ends = jnp.where(jnp.expand_dims(moving, 1), ends, jnp.expand_dims(best, 1))
    return jax.vmap(relative_spread)(ends, found.near, best)


def _judged(
    engine: AbstractGridEngine[Any], model: Any, surface: QuoteSurface, grid: Any
) -> tuple[Real, Real]:
    """Prices and estimates of their quadrature error, (S, T, K)."""
    return engine.judge(model, surface.k, surface.t, surface.stdev, grid)


def _condition(curvature: Real, moving: Flags) -> Real:
    """Ratio of the extreme eigenvalues of one curvature scaled to a unit diagonal, on moving coordinates."""
    diagonal = jnp.diagonal(curvature)
    seen = moving & (diagonal > 0.0)
    scale = jax.lax.rsqrt(jnp.where(seen, diagonal, 1.0))
    both = seen[:, None] & seen[None, :]
    scaled = jnp.where(both, curvature * scale[:, None] * scale[None, :], jnp.eye(diagonal.size))
    values = jnp.linalg.eigvalsh(jnp.where(jnp.isfinite(scaled), scaled, 0.0))
    lost = jnp.any(moving & (diagonal <= 0.0)) | (values[0] <= 0.0)
    return jnp.where(lost, jnp.inf, values[-1] / jnp.where(lost, 1.0, values[0]))
