"""The calibration of surfaces inside jit, from quotes to results; every surface is a separate lane."""

from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from ..pricing import AbstractGridEngine
from ..quotes.surface import QuoteSurface
from ..typing import Codes, Flags, Real
from .condition import condition_number
from .coordinates import increment_unit
from .damping import MOST_LOSS, sloppy_directions
from .history import history_of
from .implicit import constant, follow
from .losses import in_the_money_part
from .problem import Problem, Setting
from .request import Lane, Request
from .result import CalibrationResult
from .solvers import EXACT, Solution, Stop, gradient_norm, movable, select
from .standard_errors import standard_errors
from .starts.data import data_starts, search_box
from .starts.global_search import relative_spread
from .starts.search import SearchResult, search, search_together
from .status import QUADRATURE_ERROR, QUADRATURE_SHARE, CalibrationStatus
from .usefulness import is_useless

Tree = TypeVar("Tree")
_DECADES = (-8.0, 4.0)  # range of log10 of the strength of a pull over the loss
_ATTEMPTS = 8  # number of refits, each of which halves that range


def solve_lane(request: Request, lane: Lane) -> CalibrationResult:
    """Calibrate one surface, without a leading axis.

    The result is differentiable, by the implicit function theorem, in everything from which the problem is
    computed; the pull of a damped fit counts as a constant.

    Args:
        request: The calibration, as `Request.shared` returns it.
        lane: The surface.
    """
    lanes = jax.tree.map(lambda x: x[None], lane)
    return jax.tree.map(lambda x: x[0], _solve(request, lanes, together=False))


def solve_lanes(request: Request, lanes: Lane, together: bool) -> CalibrationResult:
    """Calibrate every surface of a leading axis.

    Args:
        request: The calibration, as `Request.shared` returns it.
        lanes: Surfaces.
        together: Whether all lanes take each step together, as accelerators need; else they run one after the
            other, which on a CPU costs no more per step and lets no lane wait for the slowest.
    """
    if together or len(lanes.surface) == 1:
        return _solve(request, lanes, together)
    return jax.lax.map(lambda lane: solve_lane(request, lane), lanes)


class _Damped(NamedTuple):
    """A fit with a pull in the directions that the quotes do not determine."""

    undamped: Real  # (S,) loss of the first fit
    pull: Real  # (S, n, n) precision of the pull
    best: SearchResult


def _solve(request: Request, lanes: Lane, together: bool) -> CalibrationResult:
    """Make the problem, search, damp the fit if the request asks for it, and make the result."""
    setting = request.setting
    usable, used, clean = setting.loss.usable(lanes.surface, lanes.used)
    problem = make_problem(request, lanes, clean, used)
    frozen_request = constant(request)
    frozen_lanes, frozen_surfaces, frozen_problem = constant((lanes, clean, problem))
    best = _search(
        frozen_request,
        frozen_lanes,
        frozen_surfaces,
        problem=frozen_problem,
        usable=usable,
        together=together,
    )
    strikes = jnp.sum(jnp.any(used, axis=-3), axis=(-2, -1))
    undamped = None
    pull = None
    if request.damp:
        undamped, pull, best = _damped(frozen_request, frozen_problem, strikes, best, together)
        problem = problem._replace(precision=problem.precision + pull)
        frozen_problem = frozen_problem._replace(precision=frozen_problem.precision + pull)
    at = best.solution.evaluation
    objective = frozen_request.setting.objective(frozen_problem)
    beyond = setting.engine.refused(setting.model(frozen_problem, best.solution.y), frozen_problem.grid)
    moving = movable(objective, best.solution.y, at.gradient)
    follows = moving & jnp.expand_dims(usable & (best.solution.stop == Stop.converged), -1)
    y = follow(setting, problem, best.solution.y, follows)
    price, quadrature = _judged(setting.engine, setting.model(problem, y), frozen_surfaces, problem.grid)
    at_bound = objective.free & ~moving
    useless = is_useless(price, clean, problem.targets, free=objective.free, at_bound=at_bound)
    both = jnp.expand_dims(price, -3) + in_the_money_part(clean.k)
    refused = jnp.any(beyond & jnp.any(used, axis=-3), axis=(-2, -1))
    refused = refused | _misled(frozen_problem, quadrature, at.error)
    status = CalibrationStatus.from_stop(best.solution.stop, usable, refused)
    follows = follows & jnp.expand_dims(status == CalibrationStatus.converged, -1)
    status = CalibrationStatus.where_useless(status, useless)
    # every number of the result is multiplied by 1 where there is a result, and by nan elsewhere
    one = jnp.where(usable & (status != CalibrationStatus.nonfinite), 1.0, jnp.nan)
    loss = setting.data_loss(problem, price) * one
    mask = lanes.surface.mask
    return CalibrationResult(
        model=_scaled(setting.coordinates.build(y, problem.unit, clean.t), one),
        status=status,
        loss=loss,
        prior_loss=setting.prior(problem, y) * one,
        steps=best.steps,
        residuals=jnp.where(mask, _scaled(both - lanes.surface.prices, one), 0.0),
        prices=jnp.where(mask, _scaled(both, one), 0.0),
        gradient_norm=jnp.where(at.error <= EXACT, 0.0, gradient_norm(objective, best.solution.y, at)) * one,
        condition_number=_condition_numbers(frozen_request.setting, frozen_problem, best.solution, moving)
        * one,
        at_bound=at_bound & jnp.expand_dims(jnp.isfinite(one), -1),
        agreement=best.agreement,
        spread=_spread(frozen_request.setting, frozen_problem, best) * one,
        minima=best.minima,
        standard_errors=standard_errors(
            frozen_request.setting, frozen_problem, best.solution, follows, strikes
        ),
        quadrature_error=jnp.max(jnp.where(jnp.any(used, axis=-3), quadrature, 0.0), axis=(-2, -1)) * one,
        coordinates=_scaled(y, one),
        undamped_loss=loss if undamped is None else undamped * one,
        damping=pull,
        names=setting.coordinates.names,
        history=None
        if best.solution.trace is None
        else history_of(frozen_request.setting, frozen_problem, best.solution.trace),
    )


def _scaled(tree: Tree, factor: Real) -> Tree:
    """The tree with every leaf multiplied by a factor per surface."""
    return jax.tree.map(lambda x: x * jnp.reshape(factor, factor.shape + (1,) * (x.ndim - 1)), tree)


def _search(
    request: Request,
    lanes: Lane,
    surfaces: QuoteSurface,
    problem: Problem,
    usable: Flags,
    together: bool,
) -> SearchResult:
    """Minimise from the starts of the data, those of the request, and those of a global search."""
    coordinates = request.setting.coordinates
    starts = lanes.starts
    if request.from_data:
        from_data = jax.vmap(lambda surface: data_starts(coordinates, surface))(surfaces)
        starts = jnp.concatenate([from_data, starts], axis=1)
    if request.search.explore is not None:
        explored = jax.lax.map(lambda one: _explored(request, *one), (lanes, surfaces, problem))
        starts = jnp.concatenate([starts, explored], axis=1)
    starts = jnp.where(request.fixed[None, None], jnp.expand_dims(lanes.fixed, 1), starts)
    valid = jnp.all(jnp.isfinite(starts), axis=-1) & jnp.expand_dims(usable, -1)
    return _minimised(request, problem, jnp.where(jnp.expand_dims(valid, -1), starts, 0.0), valid, together)


def _minimised(
    request: Request, problem: Problem, starts: Real, valid: Flags, together: bool
) -> SearchResult:
    setting = request.setting
    if together:
        return search_together(
            request.solver,
            setting.objective,
            problem,
            starts,
            valid,
            plan=request.search,
            record=request.history,
        )
    return search(
        request.solver,
        setting.objective(problem),
        starts[0],
        valid[0],
        plan=request.search,
        record=request.history,
    )


def _damped(
    request: Request, problem: Problem, strikes: Codes, best: SearchResult, together: bool
) -> _Damped:
    """Fit again with a pull to the center in the directions that the quotes do not determine.

    The pull is the strongest that raises the loss by at most `MOST_LOSS`, by bisection of the logarithm of
    its strength.
    """
    setting = request.setting
    first = best.solution
    center = jnp.where(problem.free, problem.center, first.y)
    loss = first.evaluation.cost - setting.prior(problem, first.y)
    size = jnp.asarray(setting.coordinates.steps())
    noise = loss / jnp.maximum(strikes, 1)
    directions = sloppy_directions(first.evaluation, noise, problem.free, size)
    converged = first.stop == Stop.converged

    def attempt(
        _: Codes, state: tuple[Real, Real, Real, Solution, Codes]
    ) -> tuple[Real, Real, Real, Solution, Codes]:
        low, high, pull, solution, steps = state
        middle = 0.5 * (low + high)
        strength = jnp.where(converged, loss * 10.0**middle, 0.0)
        extra = directions * jnp.reshape(strength, (-1, 1, 1))
        pulled = problem._replace(precision=problem.precision + extra)
        starts = jnp.stack([solution.y, center], axis=1)
        valid = jnp.broadcast_to(jnp.expand_dims(converged, -1), starts.shape[:2])
        new = _minimised(request, pulled, starts, valid, together)
        rise = new.solution.evaluation.cost - setting.prior(pulled, new.solution.y) - loss
        allowed = converged & (new.solution.stop == Stop.converged) & (rise <= MOST_LOSS * loss)
        return (
            jnp.where(allowed, middle, low),
            jnp.where(allowed, high, middle),
            select(allowed, extra, pull),
            select(allowed, new.solution, solution),
            steps + new.steps,
        )

    ends = (jnp.full_like(loss, end) for end in _DECADES)
    state = (*ends, jnp.zeros_like(problem.precision), first, best.steps)
    _, _, pull, solution, steps = jax.lax.fori_loop(0, _ATTEMPTS, attempt, state)
    return _Damped(undamped=loss, pull=pull, best=best._replace(solution=solution, steps=steps))


def make_problem(request: Request, lanes: Lane, surfaces: QuoteSurface, used: Flags) -> Problem:
    """Constants of the fits.

    Args:
        request: The calibration.
        lanes: The S surfaces of the request.
        surfaces: The same surfaces with finite numbers only, as `Loss.usable` returns them.
        used: Quotes that are fitted, shape (S, 2, T, K).

    Returns:
        Constants with a leading axis of surfaces.
    """
    setting = request.setting
    count = len(surfaces)
    free = setting.coordinates.free(used)

    def every(row: Real | Flags) -> Real | Flags:
        return jnp.broadcast_to(jnp.asarray(row)[None], (count, *jnp.shape(row)))

    return Problem(
        grid=setting.engine.grid(surfaces.k, surfaces.t, surfaces.stdev),
        targets=setting.loss.targets(surfaces, used),
        unit=increment_unit(surfaces.stdev),
        lower=every(request.lower),
        upper=every(request.upper),
        free=free & ~every(request.fixed),
        precision=every(request.precision),
        center=lanes.center,
    )


def _explored(request: Request, lane: Lane, surface: QuoteSurface, problem: Problem) -> Real:
    """Starts of one surface by the global search of the request, (starts, n)."""
    assert request.search.explore is not None
    box = (
        jnp.clip(corner, request.lower, request.upper)
        for corner in search_box(request.setting.coordinates, surface)
    )
    box = (jnp.where(request.fixed, lane.fixed, corner) for corner in box)
    objective = request.setting.objective(jax.tree.map(lambda x: x[None], problem))
    return request.search.explore.starts(objective, *box)


def _spread(setting: Setting, problem: Problem, best: SearchResult) -> Real:
    """Largest relative range of a parameter of the model without its shift, among the best fits, (S,)."""
    coordinates = setting.coordinates
    count = len(coordinates.parameters)
    values = coordinates.natural(best.solution.y, problem.unit)[:, :count]
    ends = coordinates.natural(best.ends, jnp.expand_dims(problem.unit, 1))[..., :count]
    moving = problem.free[:, :count]
    ends = jnp.where(jnp.expand_dims(moving, 1), ends, jnp.expand_dims(values, 1))
    return jax.vmap(relative_spread)(ends, best.near, values)


def _judged(
    engine: AbstractGridEngine[Any], model: Any, surface: QuoteSurface, grid: Any
) -> tuple[Real, Real]:
    """Prices and estimates of their quadrature error, (S, T, K)."""
    return engine.judge(model, surface.k, surface.t, surface.stdev, grid)


def _misled(problem: Problem, quadrature: Real, error: Real) -> Flags:
    """Whether errors of the quadrature, (S, T, K), matter beside the errors of a fit, (S,); shape (S,).

    Both are root mean squares in prices with the weights of the loss, as `Evaluation.error` is.
    """
    target = problem.targets
    weight = target.share / target.scale**2
    total = jnp.sum(weight, axis=(-3, -2, -1))
    square = jnp.sum(
        jnp.where(weight > 0.0, weight * jnp.expand_dims(quadrature, -3) ** 2, 0.0), axis=(-3, -2, -1)
    )
    size = jnp.sqrt(square / jnp.where(total > 0.0, total, 1.0))
    return ~(jax.lax.stop_gradient(size) <= jnp.maximum(QUADRATURE_ERROR, QUADRATURE_SHARE * error))


def _condition_numbers(setting: Setting, problem: Problem, solution: Solution, moving: Flags) -> Real:
    """Condition numbers of the fits, (S,)."""
    natural, chain = setting.natural_and_chain(problem, solution.y)
    coordinates = setting.coordinates
    values = coordinates.named(natural, solution.y, problem.unit)
    data = solution.evaluation.curvature - setting.prior_curvature(problem, solution.y)
    chain = coordinates.named_chain(chain, problem.unit)
    return jax.vmap(condition_number)(data, chain, coordinates.sizes(values, problem.unit), moving)
