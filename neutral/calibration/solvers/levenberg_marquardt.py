"""Levenberg-Marquardt for many small problems at once; each lane has its own damping, bounds and stop.

Equation numbers are those of Madsen, Nielsen and Tingleff, Methods for Non-Linear Least Squares Problems,
2nd edition (2004).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.lax import linalg

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

_LONGEST = 2.0  # largest change of a coordinate in one step
_PASSES = 3  # number of solutions of a step that meets new bounds
_LEAST = 1e-300  # least predicted decrease of a cost
_ROUNDING = 1e-14  # relative difference of costs that may come from rounding alone
_PATIENCE = 300  # evaluations after which the curvature of the residuals is estimated
_RIDGE = 1e-14  # share of the largest diagonal entry, by which a coordinate without effect stays in place


class State(NamedTuple):
    """The best point of each lane with its evaluation, and the trial that is evaluated next."""

    y: Real  # (B, n)
    at: Evaluation  # at y
    trial: Real  # (B, n)
    predicted: Real  # (B,) decrease of the cost that the quadratic model predicts for the trial
    damping: Real  # (B,)
    growth: Real  # (B,) factor by which the next rejected step raises the damping
    steps: Codes  # (B,) number of evaluations
    stop: Codes  # (B,) codes of `Stop`
    bend: Real  # (B, n, n) estimate of the part of half of the Hessian that Gauss and Newton leave out
    trace: Trace | None = None


class LevenbergMarquardt(AbstractSteppingSolver[State]):
    """Damped Gauss-Newton with Marquardt's scaling and Nielsen's damping (Nielsen 1999), within bounds.

    Coordinates that are on a bound beyond which the cost would fall are left out of a step (active set); a
    step that meets further bounds is solved again for the other coordinates. Each step takes one evaluation
    and is accepted if the cost falls. A lane converges when the gradient vanishes on its movable coordinates,
    or the fit is exact, but never because a step was small. From its 300th evaluation on a lane estimates the
    curvature of the residuals, which matters along directions that hardly change the residuals.

    Attributes:
        gtol: Largest cosine between residuals and columns of the Jacobian at a stationary point.
        max_steps: Largest number of evaluations per start.
        damping: Damping of the first step, relative to the scaled curvature.
    """

    gtol: float = eqx.field(static=True, default=1e-6)
    max_steps: int = eqx.field(static=True, default=1000)
    damping: float = eqx.field(static=True, default=1e-2)

    def init(self, objective: Objective, y: Real, record: bool = False) -> State:
        """See `AbstractSolver.init`."""
        lanes = y.shape[0]
        y = jnp.clip(y, objective.lower, objective.upper)
        at = Evaluation.unknown(y)
        return State(
            y=y,
            at=at,
            trial=y,
            predicted=at.cost,
            damping=jnp.full(lanes, self.damping),
            growth=jnp.full(lanes, 2.0),
            steps=jnp.zeros(lanes, int),
            stop=jnp.full(lanes, int(Stop.running)),
            bend=jnp.zeros_like(at.curvature),
            trace=Trace.empty(y, self.max_steps) if record else None,
        )

    def step(self, objective: Objective, state: State) -> State:
        """Evaluate the trial, keep the better point, and choose the next trial."""
        first = state.steps == 0
        trial = objective.evaluate(state.trial)
        finite = jnp.isfinite(trial.cost) & jnp.all(jnp.isfinite(trial.gradient), axis=-1)
        # where costs differ by rounding alone, the gradient shows which point is nearer to the minimum
        flat = jnp.abs(trial.cost - state.at.cost) <= _ROUNDING * state.at.cost
        norm = gradient_norm(objective, state.y, state.at)
        trial_norm = gradient_norm(objective, state.trial, trial)
        nearer = flat & (trial_norm < 0.5 * norm)
        better = finite & ((trial.cost < state.at.cost) | nearer)
        # gain ratio, eq. 2.18, and Nielsen's rule, eq. 2.21; here an accepted step multiplies the damping by
        # 0.1 to 2
        gain = (state.at.cost - trial.cost) / state.predicted
        factor = jnp.clip(1.0 - (2.0 * gain - 1.0) ** 3, 0.1, 2.0)
        accepted = jnp.where(first, state.damping, state.damping * factor)
        damping = jnp.where(better, jnp.maximum(accepted, 1e-12), state.damping * state.growth)
        growth = jnp.where(better, 2.0, 2.0 * state.growth)
        y = select(better, state.trial, state.y)
        at = select(better, trial, state.at)
        plain = damped_step(objective, y, at, damping)
        late = state.steps >= _PATIENCE

        def curved() -> tuple[Real, tuple[Real, Real]]:
            bend = select(late & better, secant(state, at), state.bend)
            step = damped_step(objective, y, at, damping, bend)
            return bend, select(late & is_useful(step), step, plain)

        bend, (move, predicted) = jax.lax.cond(jnp.any(late), curved, lambda: (state.bend, plain))
        tiny = jnp.max(jnp.abs(move) / (1.0 + jnp.abs(y)), axis=-1) < 1e-15
        steps = state.steps + 1
        stop = jnp.where(steps >= self.max_steps, Stop.max_steps, Stop.running)
        stop = jnp.where(tiny | (damping > 1e20), Stop.stalled, stop)
        done = (gradient_norm(objective, y, at) <= self.gtol) | (at.error <= EXACT)
        stop = jnp.where(done, Stop.converged, stop)
        stop = jnp.where(first & ~finite, Stop.nonfinite, stop)
        trace = state.trace
        if trace is not None:
            trace = trace.record(
                state.steps, y=state.trial, cost=trial.cost, gradient_norm=trial_norm, damping=state.damping
            )
        return State(
            y=y,
            at=at,
            trial=y + move,
            predicted=predicted,
            damping=damping,
            growth=growth,
            steps=steps,
            stop=stop,
            bend=bend,
            trace=trace,
        )

    def solution(self, objective: Objective, state: State) -> Solution:
        """See `AbstractSolver.solution`."""
        del objective
        return Solution(y=state.y, evaluation=state.at, stop=state.stop, steps=state.steps, trace=state.trace)


def secant(state: State, at: Evaluation) -> Real:
    """The estimate `bend` after a step from the state to its trial, with the evaluation there.

    Along a direction that the quotes hardly determine, the curvature of the residuals exceeds that of Gauss
    and Newton, whose steps then zigzag. With the step s, the change d of half of the gradient and the
    curvature A at its end, the new S has S s = d - A s, and is nearest to the old one in the norm of diag A
    (the symmetric update of Powell, with the structure and the sizing of Dennis, Gay and Welsch 1981).
    """
    step = state.trial - state.y
    times = lambda matrix: jnp.einsum("bij,bj->bi", matrix, step)  # noqa: E731
    wanted = at.gradient - state.at.gradient - times(at.curvature)
    along = lambda vector: jnp.sum(step * vector, axis=-1)  # noqa: E731
    known = jnp.abs(along(times(state.bend)))
    size = jnp.minimum(jnp.abs(along(wanted)) / jnp.where(known > 0.0, known, 1.0), 1.0)
    bend = state.bend * jnp.expand_dims(size, (-2, -1))
    weight = jnp.diagonal(at.curvature, axis1=-2, axis2=-1) * step
    length = along(weight)
    weight = weight / jnp.expand_dims(jnp.where(length > 0.0, length, 1.0), -1)
    missing = wanted - times(bend)
    outer = jnp.einsum("bi,bj->bij", missing, weight)
    square = jnp.einsum("bi,bj->bij", weight, weight)
    new = bend + outer + jnp.swapaxes(outer, -1, -2) - jnp.expand_dims(along(missing), (-2, -1)) * square
    return select((length > 0.0) & jnp.all(jnp.isfinite(new), axis=(-2, -1)), new, bend)


def is_useful(step: tuple[Real, Real]) -> Flags:
    """Whether a step is finite and predicts a decrease of the cost, (B,): its model has a minimum."""
    move, predicted = step
    return jnp.all(jnp.isfinite(move), axis=-1) & (predicted > _LEAST)


def damped_step(
    objective: Objective, y: Real, at: Evaluation, damping: Real, bend: Real | None = None
) -> tuple[Real, Real]:
    """Step within the bounds that minimises the damped quadratic model, and the decrease that it predicts.

    The step h solves (A + mu diag A) h = -g (eq. 3.13 with Marquardt's diagonal in place of the identity),
    where g is half of the gradient and A half of the curvature. The predicted decrease is -2 g'h - h'A h
    (eq. 2.14).

    Args:
        objective: Bounds and free coordinates.
        y: Points, shape (B, n).
        at: The evaluation at y.
        damping: mu, shape (B,).
        bend: What the curvature A lacks, shape (B, n, n); nothing where None.

    Returns:
        The steps, shape (B, n), and the predicted decreases of the cost, shape (B,).
    """
    diagonal = jnp.diagonal(at.curvature, axis1=-2, axis2=-1)
    floor = _RIDGE * jnp.max(diagonal, axis=-1, keepdims=True) + 1e-300
    curvature = at.curvature if bend is None else at.curvature + bend
    damped = curvature + _diagonal(jnp.expand_dims(damping, -1) * diagonal + floor)
    room_down = objective.lower - y
    room_up = objective.upper - y

    def solve_again(_: Codes, state: tuple[Real, Flags]) -> tuple[Real, Flags]:
        move, free = state
        # coordinates that have reached a bound keep their part of the step
        pull = at.gradient + jnp.einsum("bij,bj->bi", curvature, jnp.where(free, 0.0, move))
        solved = _solve(damped, -pull, free)
        longest = jnp.max(jnp.abs(solved), axis=-1, keepdims=True)
        solved = solved * jnp.minimum(1.0, _LONGEST / jnp.where(longest > 0.0, longest, 1.0))
        move = jnp.where(free, solved, move)
        outside = free & ((move <= room_down) | (move >= room_up))
        return jnp.clip(move, room_down, room_up), free & ~outside

    start = jnp.zeros_like(y), movable(objective, y, at.gradient)
    move, _ = jax.lax.fori_loop(0, _PASSES, solve_again, start)
    linear = jnp.sum(at.gradient * move, axis=-1)
    square = jnp.einsum("bi,bij,bj->b", move, curvature, move)
    return move, jnp.maximum(-2.0 * linear - square, _LEAST)


def _solve(matrix: Real, right: Real, free: Flags) -> Real:
    """Solve for the free coordinates, with 0 for the others; the system is scaled to a unit diagonal."""
    both = jnp.expand_dims(free, -1) & jnp.expand_dims(free, -2)
    scale = jax.lax.rsqrt(jnp.where(free, jnp.diagonal(matrix, axis1=-2, axis2=-1), 1.0))
    scaled = matrix * jnp.expand_dims(scale, -1) * jnp.expand_dims(scale, -2)
    scaled = jnp.where(both, scaled, _diagonal(jnp.ones_like(right)))
    factor = linalg.cholesky(scaled, symmetrize_input=False)
    x = jnp.expand_dims(jnp.where(free, right * scale, 0.0), -1)
    x = linalg.triangular_solve(factor, x, left_side=True, lower=True)
    x = linalg.triangular_solve(factor, x, left_side=True, lower=True, transpose_a=True)
    return x[..., 0] * scale


def _diagonal(x: Real) -> Real:
    """Diagonal matrices (B, n, n) from their diagonals (B, n)."""
    return jnp.expand_dims(x, -1) * jnp.eye(x.shape[-1])[None]
