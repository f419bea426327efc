"""Several starts of one fit: a short run of each, the best two to the end, the better one wins."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ...typing import Codes, Flags, Real
from ..solvers import AbstractSolver, Objective, Solution, Stop
from .global_search import AbstractExploration

State = TypeVar("State")
Problem = TypeVar("Problem")
_SAME = 1.001  # costs within this factor are of one minimum
_TOGETHER = 20  # steps that lanes in lockstep take before the slowest are gathered ...
_SHARE = 4  # ... a quarter of all at a time


class Search(eqx.Module):
    """How many steps each start gets before the best `finalists` are run to the end.

    Attributes:
        screening: Steps of each start before they are compared.
        finalists: Starts run to the end.
        explore: A global search that adds starts: `QuasiRandom` or `DifferentialEvolution`.
    """

    screening: int = eqx.field(static=True, default=15)
    finalists: int = eqx.field(static=True, default=2)
    explore: AbstractExploration | None = None


class SearchResult(NamedTuple):
    """The fit from the best start of each surface, and how the fits from the others compare.

    Leading axis of surfaces on every field; `search` returns one surface.
    """

    solution: Solution
    steps: Codes  # of all starts together
    agreement: Real
    minima: Codes
    ends: Real  # (surfaces, starts, n)
    near: Flags  # (surfaces, starts) ends as good as the best, of those that have converged


def search(
    solver: AbstractSolver[Any],
    objective: Objective,
    starts: Real,
    valid: Flags,
    plan: Search,
    record: bool = False,
) -> SearchResult:
    """Minimise from every start of one surface, one after the other.

    A lane of its own for every start leaves no processor waiting for the slowest; on an accelerator, where
    lanes are cheap, `search_together` moves all at once.

    Args:
        solver: Any solver.
        objective: Of one lane.
        starts: Starting vectors, shape (starts, n).
        valid: Which of them exist, shape (starts,).
        plan: Screening and finalists.
        record: Whether the solution keeps a trace of its run.
    """
    count = starts.shape[0]

    def begin(y: Real) -> Any:
        return jax.tree.map(lambda x: x[0], solver.init(objective, y[None], record=record))

    states = jax.vmap(begin)(starts)
    states = states._replace(stop=jnp.where(valid, states.stop, int(Stop.nonfinite)))

    def one(i: Codes, states: Any) -> Any:
        cost = _cost(states)
        running = states.stop == Stop.running
        # the first finalist is the best of all, the next the best that still runs
        late = jnp.where(i == count, jnp.argmin(cost), jnp.argmin(jnp.where(running, cost, jnp.inf)))
        lane = jnp.where(i < count, i, late)
        until = jnp.where(i < count, plan.screening if count > 1 else solver.max_steps, solver.max_steps)
        state = solver.run(objective, jax.tree.map(lambda x: x[lane][None], states), until)
        return jax.tree.map(lambda all_, new: all_.at[lane].set(new[0]), states, state)

    states = jax.lax.fori_loop(0, count + (plan.finalists if count > 1 else 0), one, states)
    return _pick(solver, objective, states, 1)


def search_together(
    solver: AbstractSolver[Any],
    objective: Callable[[Problem], Objective],
    problem: Problem,
    starts: Real,
    valid: Flags,
    plan: Search,
    record: bool = False,
) -> SearchResult:
    """`search` of many surfaces at once, all starts in lockstep, then all finalists.

    Args:
        solver: Any solver.
        objective: Makes the objective of a problem.
        problem: Constants with a leading axis of surfaces S.
        starts: Starting vectors, shape (S, starts, n).
        valid: Which of them exist, shape (S, starts).
        plan: Screening and finalists.
        record: Whether solutions keep a trace of their run.
    """
    surfaces, count = valid.shape

    def lanes_of(each: int) -> Problem:
        return jax.tree.map(lambda x: jnp.repeat(x, each, axis=0), problem)

    every = objective(lanes_of(count))
    states = solver.init(every, starts.reshape((surfaces * count, -1)), record=record)
    states = states._replace(stop=jnp.where(valid.reshape(-1), states.stop, int(Stop.nonfinite)))
    if count == 1:
        return _pick(solver, every, _finish(solver, objective, lanes_of(1), states), surfaces)
    states = solver.run(every, states, plan.screening)
    order = jnp.argsort(_cost(states).reshape((surfaces, count)), axis=-1)[:, : plan.finalists]
    index = (order + count * jnp.arange(surfaces)[:, None]).reshape(-1)
    last = lanes_of(order.shape[1])
    finalists = _finish(solver, objective, last, jax.tree.map(lambda x: x[index], states))
    best = _pick(solver, objective(last), finalists, surfaces)
    screened = jnp.sum(states.steps.reshape((surfaces, -1)), axis=-1)
    again = jnp.sum(states.steps[index].reshape((surfaces, -1)), axis=-1)
    return best._replace(steps=best.steps + screened - again)


def _finish(
    solver: AbstractSolver[State],
    objective: Callable[[Problem], Objective],
    problem: Problem,
    states: Any,
) -> Any:
    """Run lanes to the end: some steps in lockstep, then the slowest alone, so that no other waits."""
    states = solver.run(objective(problem), states, states.steps + _TOGETHER)
    few = -(-states.stop.size // _SHARE)

    def more(states: Any) -> Any:
        slowest = jnp.argsort(states.stop != Stop.running)[:few]
        theirs, some = jax.tree.map(lambda x: x[slowest], (problem, states))
        done = solver.run(objective(theirs), some, solver.max_steps)
        return jax.tree.map(lambda every, new: every.at[slowest].set(new), states, done)

    return jax.lax.while_loop(lambda states: jnp.any(states.stop == Stop.running), more, states)


def _cost(states: Any) -> Real:
    """Costs of the best points so far, inf where nothing finite was evaluated."""
    return jnp.where(jnp.isfinite(states.at.cost), states.at.cost, jnp.inf)


def _pick(solver: AbstractSolver[Any], objective: Objective, states: Any, surfaces: int) -> SearchResult:
    """The lane of lowest cost of each surface; of two equally good ones that which has converged."""
    by_surface = jax.tree.map(lambda x: x.reshape((surfaces, -1) + x.shape[1:]), states)
    cost = _cost(by_surface)
    handicap = jnp.where(by_surface.stop == Stop.converged, 0.0, 1e-7 * cost)
    best = jnp.argmin(cost + handicap, axis=-1)
    chosen = jax.tree.map(
        lambda x: jnp.take_along_axis(x, best.reshape((-1, 1) + (1,) * (x.ndim - 2)), axis=1)[:, 0],
        by_surface,
    )
    lowest = jnp.min(cost, axis=-1, keepdims=True)
    ended = by_surface.stop == Stop.converged
    near = ended & (cost <= lowest * _SAME + 1e-300)
    agreement = jnp.sum(near, axis=-1) / jnp.maximum(jnp.sum(ended, axis=-1), 1)
    ordered = jnp.sort(jnp.where(ended, cost, jnp.inf), axis=-1)
    apart = (ordered[:, 1:] > ordered[:, :-1] * _SAME + 1e-300) & (ordered[:, 1:] < jnp.inf)
    minima = jnp.sum(apart, axis=-1) + jnp.any(ended, axis=-1)
    steps = jnp.sum(by_surface.steps, axis=-1)
    return SearchResult(
        solution=solver.solution(objective, chosen),
        steps=steps,
        agreement=agreement,
        minima=minima,
        ends=by_surface.y,
        near=near,
    )
