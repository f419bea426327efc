"""Adam, then L-BFGS, for any cost with a gradient: phase, line search and stop of each lane its own."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from ...typing import Codes, Flags, Real
from .base import EXACT, AbstractSolver, Evaluation, Objective, Solution, Stop, gradient_norm, movable
from .levenberg_marquardt import select

_LONGEST = 2.0  # a step of L-BFGS changes no coordinate by more
_ENOUGH = 1e-4  # share of the decrease that the slope promises and a step must bring (Armijo)
_FLATTER = 0.9  # of the slope that may be left where a step ends (Wolfe)
_ROUNDING = 1e-13  # of the cost: what its rounding may add in the last steps (Hager and Zhang 2005)
_TRIALS = 25  # along one direction
_GAIN = 1e-3  # of the cost: what Adam must gain in `patience` steps to go on
_LEAST_NORM = 1e-6  # of the largest column: a coordinate of less effect is scaled as if it had as much


class State(NamedTuple):
    """A lane's best point, what is known there, the trial that is evaluated next, and how it was chosen."""

    y: Real  # (B, n)
    at: Evaluation
    trial: Real  # (B, n)
    adam: Any  # optax's state, a leading axis on every array
    warming: Flags  # (B,) still Adam
    quiet: Codes  # (B,) steps of Adam since it last gained
    direction: Real  # (B, n)
    length: Real  # (B,) of the trial along the direction
    short: Real  # (B,) longest length known to be too short
    long: Real  # (B,) shortest length known to be too long
    trials: Codes  # (B,) along this direction
    moves: Real  # (B, m, n) of past steps, the newest first; 0 where there was none
    changes: Real  # (B, m, n) of the gradient along them
    steps: Codes  # (B,)
    stop: Codes  # (B,)


class AdamLBFGS(AbstractSolver):
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
        memory: Past steps that L-BFGS knows.
    """

    gtol: float = eqx.field(static=True, default=1e-6)
    max_steps: int = eqx.field(static=True, default=1000)
    adam_steps: int = eqx.field(static=True, default=30)
    rate: float = eqx.field(static=True, default=0.1)
    patience: int = eqx.field(static=True, default=8)
    memory: int = eqx.field(static=True, default=20)

    def init(self, objective: Objective, y: Real) -> State:
        """See `AbstractSolver.init`."""
        lanes, n = y.shape
        y = jnp.clip(y, objective.lower, objective.upper)
        none, one = jnp.zeros(lanes, int), jnp.full(lanes, jnp.inf)
        square = jnp.zeros((lanes, n, n))
        at = Evaluation(one, jnp.zeros_like(y), square, jnp.ones_like(y), jnp.ones(lanes), one, square)
        past = jnp.zeros((lanes, self.memory, n))
        return State(
            y, at, y, jax.vmap(self._adam().init)(y), jnp.full(lanes, self.adam_steps > 0), none,
            jnp.zeros_like(y), jnp.ones(lanes), jnp.zeros(lanes), one, none, past, past, none,
            jnp.full(lanes, int(Stop.running)),
        )  # fmt: skip

    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(optax.cosine_decay_schedule(self.rate, max(self.adam_steps, 1)))

    def run(self, objective: Objective, state: State, until: Codes | int) -> State:
        """See `AbstractSolver.run`."""

        def active(state: State) -> Flags:
            return (state.stop == Stop.running) & (state.steps < until)

        def body(state: State) -> State:
            return select(active(state), self.step(objective, state), state)

        return jax.lax.while_loop(lambda state: jnp.any(active(state)), body, state)

    def step(self, objective: Objective, state: State) -> State:
        """Evaluate the trial, move there if it is good enough, choose the next."""
        first, steps = state.steps == 0, state.steps + 1
        new = objective.evaluate(state.trial)
        finite = jnp.isfinite(new.cost) & jnp.all(jnp.isfinite(new.gradient), axis=-1)
        taken, too_long, too_short = _judged(objective, state, new, finite)
        better = finite & (new.cost < state.at.cost)
        taken = jnp.where(first | state.warming, better, taken)
        y, at = select(taken, state.trial, state.y), select(taken, new, state.at)

        gained = first | (new.cost < (1.0 - _GAIN) * state.at.cost)
        quiet = jnp.where(gained, 0, state.quiet + 1)
        warming = state.warming & finite & (quiet < self.patience) & (steps < self.adam_steps)
        move, adam = self._adam_move(objective, state, new)

        # a search that fails on what is known of the curvature begins again without it
        moves, changes = _remember(state, new, taken & ~state.warming & ~first)
        failed = ~taken & ~state.warming & (state.trials >= _TRIALS)
        bare = jnp.all(moves == 0.0, axis=(-2, -1))
        moves, changes = select(failed, jnp.zeros_like(moves), moves), select(failed, 0.0 * changes, changes)
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
        return State(
            y, at, trial, adam, warming, quiet, direction, length,
            jnp.where(fresh, 0.0, short), jnp.where(fresh, jnp.inf, long),
            jnp.where(fresh, 0, state.trials + 1), moves, changes, steps, stop,
        )  # fmt: skip

    def _adam_move(self, objective: Objective, state: State, new: Evaluation) -> tuple[Real, Any]:
        """Adam's next step from the trial."""
        gradient = jnp.where(movable(objective, state.trial, new.gradient), new.gradient, 0.0)
        move, adam = jax.vmap(self._adam().update)(gradient, state.adam)
        return jnp.where(objective.free, jnp.asarray(move), 0.0), adam

    def solution(self, objective: Objective, state: State) -> Solution:
        """See `AbstractSolver.solution`."""
        del objective
        return Solution(state.y, state.at, state.stop, state.steps)


def _judged(objective: Objective, state: State, new: Evaluation, finite: Flags) -> tuple[Flags, Flags, Flags]:
    """Whether the trial ends the search along its direction, or is too long, or too short."""
    move = state.trial - state.y
    slope = jnp.sum(state.at.gradient * move, axis=-1)  # half of the change of cost it promises
    slope_there = jnp.sum(new.gradient * move, axis=-1)
    falls = new.cost <= state.at.cost + 2.0 * _ENOUGH * slope
    # next to a minimum the cost is flat to rounding, its slope is not
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
    """The minimum of the parabola through both costs and the first slope, kept well inside the bracket."""
    slope = 2.0 * jnp.sum(state.at.gradient * (state.trial - state.y), axis=-1)
    bend = new.cost - state.at.cost - slope
    best = jnp.where(bend > 0.0, -0.5 * slope / jnp.where(bend > 0.0, bend, 1.0), 1.0) * state.length
    width = jnp.where(long < jnp.inf, long, 0.0) - short
    inside = jnp.clip(jnp.where(finite, best, short), short + 0.1 * width, short + 0.5 * width)
    reach = jnp.max(jnp.abs(state.direction), axis=-1)
    longest = _LONGEST / jnp.where(reach > 0.0, reach, 1.0)
    return jnp.where(long < jnp.inf, inside, jnp.minimum(3.0 * short, longest))


def _remember(state: State, new: Evaluation, taken: Flags) -> tuple[Real, Real]:
    """Past moves and changes of the gradient with the step to the trial in front, where it has been taken."""
    move, change = state.trial - state.y, new.gradient - state.at.gradient
    size = jnp.sqrt(jnp.sum(move**2, axis=-1) * jnp.sum(change**2, axis=-1))
    bent = taken & (jnp.sum(move * change, axis=-1) > 1e-10 * size)

    def push(past: Real, now: Real) -> Real:
        return select(bent, jnp.concatenate([jnp.expand_dims(now, -2), past[:, :-1]], axis=-2), past)

    return push(state.moves, move), push(state.changes, change)


def _direction(objective: Objective, y: Real, at: Evaluation, moves: Real, changes: Real) -> Real:
    """Two-loop recursion on the movable coordinates; scaled gradient where that is no descent."""
    free = movable(objective, y, at.gradient)
    gradient = jnp.where(free, at.gradient, 0.0)
    norms = jnp.where(free, at.norms, 0.0)
    largest = jnp.max(norms, axis=-1, keepdims=True)
    norms = jnp.maximum(norms, _LEAST_NORM * jnp.where(largest > 0.0, largest, 1.0))
    scaling = jnp.where(free, 1.0 / norms**2, 0.0)
    wide = jnp.expand_dims(free, -2)
    moves, changes = jnp.where(wide, moves, 0.0), jnp.where(wide, changes, 0.0)
    bend = jnp.sum(moves * changes, axis=-1)  # (B, m)
    size = jnp.sqrt(jnp.sum(moves**2, axis=-1) * jnp.sum(changes**2, axis=-1))
    known = bend > 1e-10 * size
    inverse = jnp.where(known, 1.0 / jnp.where(known, bend, 1.0), 0.0)

    def backwards(left: Real, pair: tuple[Real, Real, Real]) -> tuple[Real, Real]:
        move, change, inverse = pair
        share = inverse * jnp.sum(move * left, axis=-1)
        return left - jnp.expand_dims(share, -1) * change, share

    def forwards(found: Real, pair: tuple[Real, Real, Real, Real]) -> tuple[Real, None]:
        move, change, inverse, share = pair
        rest = share - inverse * jnp.sum(change * found, axis=-1)
        return found + jnp.expand_dims(rest, -1) * move, None

    pairs = (jnp.swapaxes(moves, 0, 1), jnp.swapaxes(changes, 0, 1), inverse.T)
    left, shares = jax.lax.scan(backwards, gradient, pairs)
    newest = jnp.argmax(known, axis=-1, keepdims=True)
    bend, change = (jnp.take_along_axis(bend, newest, -1)[:, 0], _row(changes, newest))
    stiff = jnp.sum(scaling * change**2, axis=-1)
    unit = jnp.where(jnp.any(known, axis=-1) & (stiff > 0.0), bend / jnp.where(stiff > 0.0, stiff, 1.0), 1.0)
    found = jnp.expand_dims(unit, -1) * scaling * left
    found, _ = jax.lax.scan(forwards, found, (*pairs, shares), reverse=True)
    downhill = jnp.sum(found * gradient, axis=-1) > 0.0
    found = jnp.where(jnp.expand_dims(downhill, -1), found, scaling * gradient)
    reach = jnp.max(jnp.abs(found), axis=-1, keepdims=True)
    return -found * jnp.minimum(1.0, _LONGEST / jnp.where(reach > 0.0, reach, 1.0))


def _row(rows: Real, index: Codes) -> Real:
    return jnp.take_along_axis(rows, jnp.expand_dims(index, -1), axis=-2)[:, 0]


def scalar_objective(
    cost: Callable[[Real], Real], lower: Real, upper: Real, free: Flags | None = None, scale: float = 1.0
) -> Objective:
    """A cost of one's own as an objective: `AdamLBFGS` minimises it by automatic differentiation.

    Args:
        cost: From points (B, n) to costs (B,), each of its own point alone; differentiable.
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
            each,
            0.5 * gradient,
            curvature,
            jnp.ones_like(y),
            jnp.full(lanes, scale),
            jnp.full(lanes, jnp.inf),
            jnp.full_like(curvature, jnp.nan),
        )

    free = jnp.ones(jnp.shape(lower), bool) if free is None else free
    return Objective(evaluate, cost, lower, upper, free)
