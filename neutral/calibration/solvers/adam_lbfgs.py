"""Adam, then L-BFGS, for any cost with a gradient: phase, line search and stop of each lane its own.

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

_LONGEST = 2.0  # a step of L-BFGS changes no coordinate by more
_ENOUGH = 1e-4  # c1 of eq. 3.6a (Armijo): share of the decrease that the slope promises and a step must bring
_FLATTER = 0.9  # c2 of eq. 3.6b (Wolfe): share of the slope that may be left where a step ends
_ROUNDING = 1e-13  # of the cost: what its rounding may add in the last steps (Hager and Zhang 2005)
_TRIALS = 25  # along one direction
_GAIN = 1e-3  # of the cost: what Adam must gain in `patience` steps to go on
_LEAST_NORM = 1e-6  # of the largest column: a coordinate of less effect is scaled as if it had as much


class State(NamedTuple):
    """A lane's best point with its evaluation, the trial that is evaluated next, and how it was chosen."""

    y: Real  # (B, n)
    at: Evaluation
    trial: Real  # (B, n)
    adam: optax.OptState  # a leading axis on every array
    warming: Flags  # (B,) still Adam
    quiet: Codes  # (B,) steps of Adam since it last gained
    direction: Real  # (B, n)
    length: Real  # (B,) of the trial along the direction
    short: Real  # (B,) longest length that was too short
    long: Real  # (B,) shortest length that was too long
    trials: Codes  # (B,) along this direction
    moves: Real  # (B, m, n) of past steps, the newest first; 0 where there was none
    changes: Real  # (B, m, n) of the gradient along them
    steps: Codes  # (B,)
    stop: Codes  # (B,)
    trace: Trace | None = None


class AdamLBFGS(AbstractSteppingSolver[State]):
    """Adam (Kingma and Ba 2015) from rough starts, then L-BFGS (Nocedal 1980) with a line search.

    Needs a cost and its gradient alone: curvature is never read. Lengths of the Jacobian's columns, where the
    cost is a sum of squares, scale the coordinates. Coordinates that the gradient pushes against their bound
    do not move; a step out of the bounds is projected onto them. One evaluation per step. A lane converges
    as in `LevenbergMarquardt`, when the gradient vanishes on its movable coordinates.

    Attributes:
        gtol: Largest cosine between residuals and columns of the Jacobian at a stationary point.
        max_steps: Evaluations per start, of both phases.
        adam_steps: Of them at most for Adam; 0 leaves it out.
        rate: Adam's first step in every coordinate; it falls to 0 along a cosine.
        patience: Steps of Adam without gain after which L-BFGS takes over.
        memory: Past steps that L-BFGS uses.
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
        """Evaluate the trial, move there if it is good enough, choose the next."""
        first = state.steps == 0
        steps = state.steps + 1
        new = objective.evaluate(state.trial)
        finite = jnp.isfinite(new.cost) & jnp.all(jnp.isfinite(new.gradient), axis=-1)
        taken, too_long, too_short = _judged(objective, state, new, finite)
        better = finite & (new.cost < state.at.cost)
        taken = jnp.where(first | state.warming, better, taken)
        y = select(taken, state.trial, state.y)
        at = select(taken, new, state.at)

        gained = first | (new.cost < (1.0 - _GAIN) * state.at.cost)
        quiet = jnp.where(gained, 0, state.quiet + 1)
        warming = state.warming & finite & (quiet < self.patience) & (steps < self.adam_steps)
        move, adam = self._adam_move(objective, state, new)

        # a search that fails on what past steps say of the curvature begins again without them
        moves, changes = _remember(state, new, taken & ~state.warming & ~first)
        failed = ~taken & ~state.warming & (state.trials >= _TRIALS)
        bare = jnp.all(moves == 0.0, axis=(-2, -1))
        moves = select(failed, jnp.zeros_like(moves), moves)
        changes = select(failed, 0.0 * changes, changes)
        fresh = taken | failed | state.warming
        newest = _direction(objective, y, at, moves, changes)
        direction = select(fresh, newest, state.direction)
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


def _judged(objective: Objective, state: State, new: Evaluation, finite: Flags) -> tuple[Flags, Flags, Flags]:
    """Whether the trial ends the search along its direction, or is too long, or too short.

    Gradients are half of the cost's, so 2 g'p is the slope: a trial ends the search where the cost falls
    enough, f(y + p) <= f(y) + c1 slope (eq. 3.6a), and the slope there has flattened, c2 slope <= slope there
    (eq. 3.6b).
    """
    move = state.trial - state.y
    slope = jnp.sum(state.at.gradient * move, axis=-1)
    slope_there = jnp.sum(new.gradient * move, axis=-1)
    falls = new.cost <= state.at.cost + 2.0 * _ENOUGH * slope
    # next to a minimum the cost is flat to rounding, its slope is not: the approximate Wolfe condition
    # slope there <= (2 c1 - 1) slope of Hager and Zhang (2005)
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
    """The length to try next along the direction, shape (B,).

    The minimum of the parabola through both costs and the first slope (eq. 3.58), kept well inside the
    bracket; three times the last length while no trial was too long.
    """
    slope = 2.0 * jnp.sum(state.at.gradient * (state.trial - state.y), axis=-1)
    bend = new.cost - state.at.cost - slope
    best = jnp.where(bend > 0.0, -0.5 * slope / jnp.where(bend > 0.0, bend, 1.0), 1.0) * state.length
    width = jnp.where(long < jnp.inf, long, 0.0) - short
    inside = jnp.clip(jnp.where(finite, best, short), short + 0.1 * width, short + 0.5 * width)
    reach = jnp.max(jnp.abs(state.direction), axis=-1)
    longest = _LONGEST / jnp.where(reach > 0.0, reach, 1.0)
    return jnp.where(long < jnp.inf, inside, jnp.minimum(3.0 * short, longest))


def _remember(state: State, new: Evaluation, taken: Flags) -> tuple[Real, Real]:
    """Past moves and changes of the gradient, with the step to the trial in front where it was taken.

    A step along which the gradient does not grow is left out: the curvature condition s'y > 0 (eq. 6.7).
    """
    move = state.trial - state.y
    change = new.gradient - state.at.gradient
    size = jnp.sqrt(jnp.sum(move**2, axis=-1) * jnp.sum(change**2, axis=-1))
    bent = taken & (jnp.sum(move * change, axis=-1) > 1e-10 * size)

    def push(past: Real, now: Real) -> Real:
        return select(bent, jnp.concatenate([jnp.expand_dims(now, -2), past[:, :-1]], axis=-2), past)

    return push(state.moves, move), push(state.changes, change)


def _direction(objective: Objective, y: Real, at: Evaluation, moves: Real, changes: Real) -> Real:
    """Direction of L-BFGS on the movable coordinates, (B, n); scaled gradient where it is no descent."""
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
    """The inverse curvature of past steps times the gradient, shape (B, n): algorithm 7.4.

    Args:
        gradient: Shape (B, n).
        scaling: Diagonal of the first inverse curvature, up to a factor, shape (B, n).
        moves: s of past steps, the newest first, 0 where there was none, shape (B, m, n).
        changes: y, the changes of the gradient along them, shape (B, m, n).
    """
    bend = jnp.sum(moves * changes, axis=-1)  # s'y, (B, m)
    size = jnp.sqrt(jnp.sum(moves**2, axis=-1) * jnp.sum(changes**2, axis=-1))
    bent = bend > 1e-10 * size
    inverse = jnp.where(bent, 1.0 / jnp.where(bent, bend, 1.0), 0.0)  # rho of eq. 7.17

    def backwards(left: Real, pair: tuple[Real, Real, Real]) -> tuple[Real, Real]:
        """First loop: alpha = rho s'q, then q - alpha y."""
        move, change, inverse = pair
        share = inverse * jnp.sum(move * left, axis=-1)
        return left - jnp.expand_dims(share, -1) * change, share

    def forwards(step: Real, pair: tuple[Real, Real, Real, Real]) -> tuple[Real, None]:
        """Second loop: r + (alpha - beta) s, beta = rho y'r."""
        move, change, inverse, share = pair
        rest = share - inverse * jnp.sum(change * step, axis=-1)
        return step + jnp.expand_dims(rest, -1) * move, None

    pairs = (jnp.swapaxes(moves, 0, 1), jnp.swapaxes(changes, 0, 1), inverse.T)
    left, shares = jax.lax.scan(backwards, gradient, pairs)
    # gamma = s'y / y'y of the newest step (eq. 7.20), in the metric of the scaling
    newest = jnp.argmax(bent, axis=-1, keepdims=True)
    bend = jnp.take_along_axis(bend, newest, -1)[:, 0]
    change = _row(changes, newest)
    stiff = jnp.sum(scaling * change**2, axis=-1)
    unit = jnp.where(jnp.any(bent, axis=-1) & (stiff > 0.0), bend / jnp.where(stiff > 0.0, stiff, 1.0), 1.0)
    step = jnp.expand_dims(unit, -1) * scaling * left
    step, _ = jax.lax.scan(forwards, step, (*pairs, shares), reverse=True)
    return step


def _row(rows: Real, index: Codes) -> Real:
    """One row (B, n) of (B, m, n), by an index (B, 1)."""
    return jnp.take_along_axis(rows, jnp.expand_dims(index, -1), axis=-2)[:, 0]


def scalar_objective(
    cost: Callable[[Real], Real], lower: Real, upper: Real, free: Flags | None = None, scale: float = 1.0
) -> Objective:
    """Any cost as an objective that `AdamLBFGS` minimises, its gradient by automatic differentiation.

    Args:
        cost: From points (B, n) to costs (B,), each a function of its point alone; differentiable.
        lower: Lower bounds, shape (B, n).
        upper: Upper bounds, shape (B, n).
        free: Coordinates that may move; all where None.
        scale: Half the gradient is divided by it for the test of convergence: the size of costs that matter.
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
