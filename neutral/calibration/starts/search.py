"""Search from several starts: a short run from each, the best ones to the end, and then the best of all."""

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
_SAME = 1.001  # costs within this factor count as those of one minimum
_TOGETHER = 20  # steps that all lanes take together before those that still run are gathered
_SHARE = 4  # lanes over the number of lanes gathered at a time


class Search(eqx.Module):
    """How many steps each start gets before the best `finalists` are run to the end.

    Attributes:
        screening: Number of steps from each start before the starts are compared.
        finalists: Number of best starts that are run to the end.
        explore: A global search that adds starts: `QuasiRandom` or `DifferentialEvolution`; None for none.
    """

    screening: int = eqx.field(static=True, default=15)
    finalists: int = eqx.field(static=True, default=2)
    explore: AbstractExploration | None = None


class SearchResult(NamedTuple):
    """The fit from the best start of each surface, and how the fits from the other starts compare.

    Every field has a leading axis of surfaces, of length 1 from `search`.
    """

    solution: Solution
    steps: Codes  # number of evaluations, all starts together
    agreement: Real  # share of the starts that have converged whose cost is as low as the best
    minima: Codes  # number of distinct costs of the starts that have converged
    ends: Real  # (surfaces, starts, n) best points of the starts that were run last
    near: Flags  # (surfaces, starts) whether a start has converged to a cost as low as the best


def search(
    solver: AbstractSolver[Any],
    objective: Objective,
    starts: Real,
    valid: Flags,
    plan: Search,
    record: bool = False,
) -> SearchResult:
    """Minimise from every start of one surface, one after the other.

    On a CPU no start then waits for the slowest; on an accelerator, where lanes are cheap, `search_together`
    moves all starts at once.

    Args:
        solver: Any solver.
        objective: The objective of one lane.
        starts: Starting vectors, shape (starts, n).
        valid: Which starts exist, shape (starts,).
        plan: Numbers of screening steps and of finalists.
        record: Whether the solution keeps a trace of its run.
    """
    count = starts.shape[0]

    def begin(y: Real) -> Any:
        return jax.tree.map(lambda x: x[0], solver.init(objective, y[None], record=record))

    states = jax.vmap(begin)(starts)
    states = states._replace(stop=jnp.where(valid, states.stop, int(Stop.nonfinite)))

    def advance(i: Codes, states: Any) -> Any:
        cost = _cost(states)
        running = states.stop == Stop.running
        # the first finalist is the best start, the next one the best start that still runs
        finalist = jnp.where(i == count, jnp.argmin(cost), jnp.argmin(jnp.where(running, cost, jnp.inf)))
        lane = jnp.where(i < count, i, finalist)
        until = jnp.where(i < count, plan.screening if count > 1 else solver.max_steps, solver.max_steps)
        state = solver.run(objective, jax.tree.map(lambda x: x[lane][None], states), until)
        return jax.tree.map(lambda old, new: old.at[lane].set(new[0]), states, state)

    states = jax.lax.fori_loop(0, count + (plan.finalists if count > 1 else 0), advance, states)
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
    """Minimise as `search` does, but for many surfaces at once: all starts together, then all finalists.

    Args:
        solver: Any solver.
        objective: Makes the objective of a problem.
        problem: Constants with a leading axis of surfaces S.
        starts: Starting vectors, shape (S, starts, n).
        valid: Which starts exist, shape (S, starts).
        plan: Numbers of screening steps and of finalists.
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
    """Run lanes to the end: some steps together, then the slowest lanes alone, so that no other one waits."""
    states = solver.run(objective(problem), states, states.steps + _TOGETHER)
    few = -(-states.stop.size // _SHARE)

    def more(states: Any) -> Any:
        slowest = jnp.argsort(states.stop != Stop.running)[:few]
        part, running = jax.tree.map(lambda x: x[slowest], (problem, states))
        done = solver.run(objective(part), running, solver.max_steps)
        return jax.tree.map(lambda old, new: old.at[slowest].set(new), states, done)

    return jax.lax.while_loop(lambda states: jnp.any(states.stop == Stop.running), more, states)


def _cost(states: Any) -> Real:
    """Costs of the best points so far, inf where nothing finite was evaluated."""
    return jnp.where(jnp.isfinite(states.at.cost), states.at.cost, jnp.inf)


def _pick(solver: AbstractSolver[Any], objective: Objective, states: Any, surfaces: int) -> SearchResult:
    """The start of lowest cost of each surface; of two equally good starts the one that has converged."""
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
