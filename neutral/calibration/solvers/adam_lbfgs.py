"""Adam, then L-BFGS, for any cost with a gradient; each lane has its own phase, line search and stop.

Equation numbers are those of Nocedal and Wright, Numerical Optimization, 2nd edition (2006).
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from ...typing import Codes, Flags, Real
from .base import (
    EXACT,
    AbstractSteppingSolver,
    Evaluation,
    Objective,
    Solution,
    Stop,
    Trace,
    gradient_norm,
    movable,
    select,
)

_LONGEST = 2.0  # largest change of a coordinate in one step of L-BFGS
_ENOUGH = 1e-4  # c1 of eq. 3.6a (Armijo): share of the decrease predicted by the slope that a step must reach
_FLATTER = 0.9  # c2 of eq. 3.6b (Wolfe): share of the slope that may remain where a step ends
_ROUNDING = 1e-13  # relative increase of the cost that counts as rounding (Hager and Zhang 2005)
_TRIALS = 25  # largest number of trials along one direction
_GAIN = 1e-3  # relative decrease of the cost that counts as a gain of Adam
_LEAST_NORM = 1e-6  # least norm of a column, as a share of the largest, that scales a coordinate


class State(NamedTuple):
    """The best point of each lane with its evaluation, the next trial, and the state of both methods."""

    y: Real  # (B, n)
    at: Evaluation  # at y
    trial: Real  # (B, n)
    adam: optax.OptState  # a leading axis on every array
    warming: Flags  # (B,) whether the lane runs Adam
    quiet: Codes  # (B,) number of steps of Adam since its last gain
    direction: Real  # (B, n) direction of the line search of L-BFGS
    length: Real  # (B,) step length of the trial along the direction
    short: Real  # (B,) longest step length that was too short
    long: Real  # (B,) shortest step length that was too long
    trials: Codes  # (B,) number of trials along this direction
    moves: Real  # (B, m, n) past steps, the newest first; 0 where there is none
    changes: Real  # (B, m, n) changes of the gradient along them
    steps: Codes  # (B,) number of evaluations
    stop: Codes  # (B,) codes of `Stop`
    trace: Trace | None = None


class AdamLBFGS(AbstractSteppingSolver[State]):
    """Adam (Kingma and Ba 2015) from rough starts, then L-BFGS (Nocedal 1980) with a line search.

    It needs a cost and its gradient, but no curvature. The lengths of the Jacobian's columns, if the cost is
    a sum of squares, scale the coordinates. Coordinates that are on a bound beyond which the cost would fall
    do not move; a step out of the bounds is projected onto them. Each step takes one evaluation. A lane
    converges as in `LevenbergMarquardt`, when the gradient vanishes on its movable coordinates.

    Attributes:
        gtol: Largest cosine between residuals and columns of the Jacobian at a stationary point.
        max_steps: Largest number of evaluations per start, in both phases together.
        adam_steps: Largest number of these evaluations for Adam; 0 leaves Adam out.
        rate: Adam's first step in every coordinate; the rate falls to 0 along a cosine.
        patience: Number of steps of Adam without gain after which L-BFGS takes over.
        memory: Number of past steps that L-BFGS uses.
    """

    gtol: float = eqx.field(static=True, default=1e-6)
    max_steps: int = eqx.field(static=True, default=1000)
    adam_steps: int = eqx.field(static=True, default=30)
    rate: float = eqx.field(static=True, default=0.1)
    patience: int = eqx.field(static=True, default=8)
    memory: int = eqx.field(static=True, default=20)

    def init(self, objective: Objective, y: Real, record: bool = False) -> State:
        """See `AbstractSolver.init`."""
        lanes, n = y.shape
        y = jnp.clip(y, objective.lower, objective.upper)
        none = jnp.zeros(lanes, int)
        at = Evaluation.unknown(y)
        past = jnp.zeros((lanes, self.memory, n))
        return State(
            y=y,
            at=at,
            trial=y,
            adam=jax.vmap(self._adam().init)(y),
            warming=jnp.full(lanes, self.adam_steps > 0),
            quiet=none,
            direction=jnp.zeros_like(y),
            length=jnp.ones(lanes),
            short=jnp.zeros(lanes),
            long=at.cost,
            trials=none,
            moves=past,
            changes=past,
            steps=none,
            stop=jnp.full(lanes, int(Stop.running)),
            trace=Trace.empty(y, self.max_steps) if record else None,
        )

    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.rate, max(self.adam_steps, 1)))

    def step(self, objective: Objective, state: State) -> State:
        """Evaluate the trial, move there if it is good enough, and choose the next trial."""
        first = state.steps == 0
        steps = state.steps + 1
        new = objective.evaluate(state.trial)
        finite = jnp.isfinite(new.cost) & jnp.all(jnp.isfinite(new.gradient), axis=-1)
        accept, too_long, too_short = _judge(objective, state, new, finite)
        better = finite & (new.cost < state.at.cost)
        accept = jnp.where(first | state.warming, better, accept)
        y = select(accept, state.trial, state.y)
        at = select(accept, new, state.at)

        gain = first | (new.cost < (1.0 - _GAIN) * state.at.cost)
        quiet = jnp.where(gain, 0, state.quiet + 1)
        warming = state.warming & finite & (quiet < self.patience) & (steps < self.adam_steps)
        move, adam = self._adam_move(objective, state, new)

        # a line search that fails with the curvature of past steps begins again without them
        moves, changes = _remember(state, new, accept & ~state.warming & ~first)
        failed = ~accept & ~state.warming & (state.trials >= _TRIALS)
        bare = jnp.all(moves == 0.0, axis=(-2, -1))
        moves = select(failed, jnp.zeros_like(moves), moves)
        changes = select(failed, 0.0 * changes, changes)
        fresh = accept | failed | state.warming
        direction = select(fresh, _direction(objective, y, at, moves, changes), state.direction)
        short = jnp.where(too_short, state.length, state.short)
        long = jnp.where(too_long, state.length, state.long)
        length = jnp.where(fresh, 1.0, _next_length(state, new, finite, short, long))
        trial = jnp.clip(y + jnp.expand_dims(length, -1) * direction, objective.lower, objective.upper)
        trial = select(warming, jnp.clip(state.trial + move, objective.lower, objective.upper), trial)

        stop = jnp.where(steps >= self.max_steps, Stop.max_steps, Stop.running)
        stuck = ~warming & ((failed & bare) | jnp.all(trial == y, axis=-1))
        stop = jnp.where(stuck, jnp.where(finite, Stop.stalled, Stop.nonfinite), stop)
        done = (gradient_norm(objective, y, at) <= self.gtol) | (at.error <= EXACT)
        stop = jnp.where(done, Stop.converged, stop)
        stop = jnp.where(first & ~finite, Stop.nonfinite, stop)
        trace = state.trace
        if trace is not None:
            norm = gradient_norm(objective, state.trial, new)
            trace = trace.record(state.steps, y=state.trial, cost=new.cost, gradient_norm=norm)
        return State(
            y=y,
            at=at,
            trial=trial,
            adam=adam,
            warming=warming,
            quiet=quiet,
            direction=direction,
            length=length,
            short=jnp.where(fresh, 0.0, short),
            long=jnp.where(fresh, jnp.inf, long),
            trials=jnp.where(fresh, 0, state.trials + 1),
            moves=moves,
            changes=changes,
            steps=steps,
            stop=stop,
            trace=trace,
        )

    def _adam_move(self, objective: Objective, state: State, new: Evaluation) -> tuple[Real, optax.OptState]:
        """Adam's next step from the trial, and its state."""
        gradient = jnp.where(movable(objective, state.trial, new.gradient), new.gradient, 0.0)
        move, adam = jax.vmap(self._adam().update)(gradient, state.adam)
        return jnp.where(objective.free, jnp.asarray(move), 0.0), adam

    def solution(self, objective: Objective, state: State) -> Solution:
        """See `AbstractSolver.solution`."""
        del objective
        return Solution(y=state.y, evaluation=state.at, stop=state.stop, steps=state.steps, trace=state.trace)


def _judge(objective: Objective, state: State, new: Evaluation, finite: Flags) -> tuple[Flags, Flags, Flags]:
    """Whether the trial ends the search along its direction, or is too long, or is too short.

    Evaluations have half of the gradient g, so the slope is 2 g'p. A trial ends the search where the cost
    falls enough, f(y + p) <= f(y) + c1 slope (eq. 3.6a), and the slope is flatter, c2 slope <= slope there
    (eq. 3.6b).
    """
    move = state.trial - state.y
    slope = jnp.sum(state.at.gradient * move, axis=-1)
    slope_there = jnp.sum(new.gradient * move, axis=-1)
    falls = new.cost <= state.at.cost + 2.0 * _ENOUGH * slope
    # near a minimum rounding hides the decrease of the cost, but not the slope, hence the approximate Wolfe
    # condition of Hager and Zhang (2005), slope there <= (2 c1 - 1) slope
    level = new.cost <= state.at.cost + _ROUNDING * jnp.abs(state.at.cost)
    falls = falls | (level & (slope_there <= (2.0 * _ENOUGH - 1.0) * slope))
    falls = falls & finite
    reach = jnp.max(jnp.abs(jnp.expand_dims(state.length, -1) * state.direction), axis=-1)
    at_bound = jnp.any((move != 0.0) & _on_bound(objective, state.trial), axis=-1)
    steep = (slope_there < _FLATTER * slope) & (reach < _LONGEST) & ~at_bound & (state.long == jnp.inf)
    return falls & ~steep, ~falls, falls & steep


def _on_bound(objective: Objective, y: Real) -> Flags:
    return (y <= objective.lower) | (y >= objective.upper)


def _next_length(state: State, new: Evaluation, finite: Flags, short: Real, long: Real) -> Real:
    """The step length of the next trial along the direction, shape (B,).

    It is the minimum of the parabola through both costs and the first slope (eq. 3.58), limited to the inner
    part of the bracket, or three times the last length while no trial was too long.
    """
    slope = 2.0 * jnp.sum(state.at.gradient * (state.trial - state.y), axis=-1)
    bend = new.cost - state.at.cost - slope
    best = jnp.where(bend > 0.0, -0.5 * slope / jnp.where(bend > 0.0, bend, 1.0), 1.0) * state.length
    width = jnp.where(long < jnp.inf, long, 0.0) - short
    inside = jnp.clip(jnp.where(finite, best, short), short + 0.1 * width, short + 0.5 * width)
    reach = jnp.max(jnp.abs(state.direction), axis=-1)
    longest = _LONGEST / jnp.where(reach > 0.0, reach, 1.0)
    return jnp.where(long < jnp.inf, inside, jnp.minimum(3.0 * short, longest))


def _remember(state: State, new: Evaluation, accept: Flags) -> tuple[Real, Real]:
    """Past moves and changes of the gradient, with the step to the trial in front where it is accepted.

    A step that does not meet the curvature condition s'y > 0 (eq. 6.7) is left out.
    """
    move = state.trial - state.y
    change = new.gradient - state.at.gradient
    size = jnp.sqrt(jnp.sum(move**2, axis=-1) * jnp.sum(change**2, axis=-1))
    convex = accept & (jnp.sum(move * change, axis=-1) > 1e-10 * size)

    def push(past: Real, now: Real) -> Real:
        return select(convex, jnp.concatenate([jnp.expand_dims(now, -2), past[:, :-1]], axis=-2), past)

    return push(state.moves, move), push(state.changes, change)


def _direction(objective: Objective, y: Real, at: Evaluation, moves: Real, changes: Real) -> Real:
    """Direction of L-BFGS on the movable coordinates, (B, n), or the scaled gradient where it ascends."""
    free = movable(objective, y, at.gradient)
    gradient = jnp.where(free, at.gradient, 0.0)
    norms = jnp.where(free, at.norms, 0.0)
    largest = jnp.max(norms, axis=-1, keepdims=True)
    norms = jnp.maximum(norms, _LEAST_NORM * jnp.where(largest > 0.0, largest, 1.0))
    scaling = jnp.where(free, 1.0 / norms**2, 0.0)
    wide = jnp.expand_dims(free, -2)
    moves = jnp.where(wide, moves, 0.0)
    changes = jnp.where(wide, changes, 0.0)
    step = _two_loops(gradient, scaling, moves, changes)
    downhill = jnp.sum(step * gradient, axis=-1) > 0.0
    step = jnp.where(jnp.expand_dims(downhill, -1), step, scaling * gradient)
    reach = jnp.max(jnp.abs(step), axis=-1, keepdims=True)
    return -step * jnp.minimum(1.0, _LONGEST / jnp.where(reach > 0.0, reach, 1.0))


def _two_loops(gradient: Real, scaling: Real, moves: Real, changes: Real) -> Real:
    """The inverse curvature of past steps times the gradient, shape (B, n), by algorithm 7.4.

    Args:
        gradient: Shape (B, n).
        scaling: Diagonal of the initial inverse curvature, up to a factor, shape (B, n).
        moves: Past steps s, the newest first, 0 where there is none, shape (B, m, n).
        changes: Changes y of the gradient along them, shape (B, m, n).
    """
    bend = jnp.sum(moves * changes, axis=-1)  # s'y, (B, m)
    size = jnp.sqrt(jnp.sum(moves**2, axis=-1) * jnp.sum(changes**2, axis=-1))
    convex = bend > 1e-10 * size
    inverse = jnp.where(convex, 1.0 / jnp.where(convex, bend, 1.0), 0.0)  # rho of eq. 7.17

    def backwards(left: Real, pair: tuple[Real, Real, Real]) -> tuple[Real, Real]:
        """Return q - alpha y with alpha = rho s'q (first loop)."""
        move, change, inverse = pair
        share = inverse * jnp.sum(move * left, axis=-1)
        return left - jnp.expand_dims(share, -1) * change, share

    def forwards(step: Real, pair: tuple[Real, Real, Real, Real]) -> tuple[Real, None]:
        """Return r + (alpha - beta) s with beta = rho y'r (second loop)."""
        move, change, inverse, share = pair
        rest = share - inverse * jnp.sum(change * step, axis=-1)
        return step + jnp.expand_dims(rest, -1) * move, None

    pairs = (jnp.swapaxes(moves, 0, 1), jnp.swapaxes(changes, 0, 1), inverse.T)
    left, shares = jax.lax.scan(backwards, gradient, pairs)
    # gamma = s'y / y'y of the newest step (eq. 7.20), in the metric of the scaling
    newest = jnp.argmax(convex, axis=-1, keepdims=True)
    bend = jnp.take_along_axis(bend, newest, -1)[:, 0]
    change = _row(changes, newest)
    stiff = jnp.sum(scaling * change**2, axis=-1)
    gamma = jnp.where(
        jnp.any(convex, axis=-1) & (stiff > 0.0), bend / jnp.where(stiff > 0.0, stiff, 1.0), 1.0
    )
    step = jnp.expand_dims(gamma, -1) * scaling * left
    step, _ = jax.lax.scan(forwards, step, (*pairs, shares), reverse=True)
    return step


def _row(rows: Real, index: Codes) -> Real:
    """One row (B, n) of (B, m, n), by an index (B, 1)."""
    return jnp.take_along_axis(rows, jnp.expand_dims(index, -1), axis=-2)[:, 0]


def scalar_objective(
    cost: Callable[[Real], Real], lower: Real, upper: Real, free: Flags | None = None, scale: float = 1.0
) -> Objective:
    """An objective for `AdamLBFGS` from any cost, whose gradient comes from automatic differentiation.

    Args:
        cost: A differentiable function from points (B, n) to costs (B,), each of its own point alone.
        lower: Lower bounds, shape (B, n).
        upper: Upper bounds, shape (B, n).
        free: Coordinates that may move, shape (B, n); all where None.
        scale: The size of costs that matter; the test of convergence divides half of the gradient by it.

    Returns:
        The objective.
    """

    def evaluate(y: Real) -> Evaluation:
        def total(y: Real) -> tuple[Real, Real]:
            each = cost(y)
            return jnp.sum(each), each

        gradient, each = jax.grad(total, has_aux=True)(y)
        lanes, n = y.shape
        curvature = jnp.broadcast_to(jnp.eye(n), (lanes, n, n))
        return Evaluation(
            cost=each,
            gradient=0.5 * gradient,
            curvature=curvature,
            norms=jnp.ones_like(y),
            length=jnp.full(lanes, scale),
            error=jnp.full(lanes, jnp.inf),
            scatter=jnp.full_like(curvature, jnp.nan),
        )

    free = jnp.ones(jnp.shape(lower), bool) if free is None else free
    return Objective(evaluate=evaluate, cost=cost, lower=lower, upper=upper, free=free)
