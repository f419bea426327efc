"""The interface of solvers. All arrays have a leading axis of lanes, which are independent problems."""

import abc
import enum
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ...typing import Codes, Flags, Numbers, Real

State = TypeVar("State")
Tree = TypeVar("Tree")
EXACT = 1e-12  # weighted root mean square error in prices, up to which a fit counts as exact


class Stop(enum.IntEnum):
    """Why a lane stopped; `running` while it has not."""

    converged = 0
    max_steps = 1
    stalled = 2
    nonfinite = 3
    running = 9


class Evaluation(NamedTuple):
    """An objective at one point per lane: half of its gradient and of its Gauss-Newton curvature.

    Axes: lanes B, coordinates n.
    """

    cost: Real  # (B,) loss plus prior
    gradient: Real  # (B, n) half of the gradient of the cost
    curvature: Real  # (B, n, n) half of the Gauss-Newton curvature, positive semidefinite
    norms: Real  # (B, n) lengths of the columns of the (reweighted) Jacobian of residuals
    length: Real  # (B,) length of the (reweighted) residuals
    error: Real  # (B,) weighted root mean square error in prices
    scatter: Real  # (B, n, n) sum over strikes of the squares of their parts of the gradient

    @classmethod
    def unknown(cls, y: Real) -> Self:
        """The evaluation of lanes before their first step: an infinite cost at the points y, (B, n)."""
        lanes, n = y.shape
        infinite = jnp.full(lanes, jnp.inf)
        square = jnp.zeros((lanes, n, n))
        return cls(
            cost=infinite,
            gradient=jnp.zeros_like(y),
            curvature=square,
            norms=jnp.ones_like(y),
            length=jnp.ones(lanes),
            error=infinite,
            scatter=square,
        )


class Objective(NamedTuple):
    """The functions and bounds of a problem that a solver minimises."""

    evaluate: Callable[[Real], Evaluation]  # of points (B, n)
    cost: Callable[[Real], Real]  # (B, n) -> (B,), differentiable
    lower: Real  # (B, n) bounds
    upper: Real  # (B, n)
    free: Flags  # (B, n) coordinates that may move


class Trace(NamedTuple):
    """The points that a run of a solver has evaluated, in order; nan after its last step.

    Axes: lanes B, steps m (the solver's `max_steps`), coordinates n.
    """

    y: Real  # (B, m, n)
    cost: Real  # (B, m) loss plus prior
    gradient_norm: Real  # (B, m)
    damping: Real  # (B, m) damping of the step to the point; nan for a solver without damping

    @classmethod
    def empty(cls, y: Real, steps: int) -> Self:
        """A trace with room for `steps` steps from the points y, shape (B, n), and nan everywhere."""
        lanes, n = y.shape
        row = jnp.full((lanes, steps), jnp.nan)
        return cls(y=jnp.full((lanes, steps, n), jnp.nan), cost=row, gradient_norm=row, damping=row)

    def record(self, step: Codes, **point: Real) -> Self:
        """The trace with a point recorded at one step of each lane.

        Args:
            step: Position of the step in each lane, shape (B,).
            point: Fields of the trace at that step; other fields stay nan.
        """
        lanes = jnp.arange(step.shape[0])
        return self._replace(**{n: getattr(self, n).at[lanes, step].set(x) for n, x in point.items()})


class Solution(NamedTuple):
    """The best point of each lane, and why the lane stopped."""

    y: Real  # (B, n)
    evaluation: Evaluation  # at y
    stop: Codes  # (B,) codes of `Stop`
    steps: Codes  # (B,) number of evaluations
    trace: Trace | None = None  # None unless the run was recorded


class AbstractSolver(eqx.Module, Generic[State]):
    """Settings of a solver. Call `init`, then `run`, once or several times, then `solution`.

    Attributes:
        max_steps: Largest number of evaluations per start.
        gtol: Largest cosine between residuals and columns of the Jacobian at a stationary point.
    """

    max_steps: eqx.AbstractVar[int]
    gtol: eqx.AbstractVar[float]

    @abc.abstractmethod
    def init(self, objective: Objective, y: Real, record: bool = False) -> State:
        """State before the first evaluation: a NamedTuple with at least `y`, `at`, `steps` and `stop`.

        Args:
            objective: The problem.
            y: Starting points, shape (B, n); those outside the bounds are moved inside.
            record: Whether the state keeps a `Trace`.
        """

    @abc.abstractmethod
    def run(self, objective: Objective, state: State, until: Codes | int) -> State:
        """Advance each lane until it stops, or has taken `until` steps since `init`."""

    @abc.abstractmethod
    def solution(self, objective: Objective, state: State) -> Solution:
        """The best point of each lane."""


class AbstractSteppingSolver(AbstractSolver[State]):
    """A solver each of whose steps evaluates the objective once."""

    @abc.abstractmethod
    def step(self, objective: Objective, state: State) -> State:
        """The state after one more evaluation in every lane, including lanes that have stopped."""

    def run(self, objective: Objective, state: State, until: Codes | int) -> State:
        """See `AbstractSolver.run`."""

        def active(state: Any) -> Flags:
            return (state.stop == Stop.running) & (state.steps < until)

        def body(state: Any) -> Any:
            new = self.step(objective, state)
            # a single lane is active in every pass of the loop
            return new if state.stop.size == 1 else select(active(state), new, state)

        return jax.lax.while_loop(lambda state: jnp.any(active(state)), body, state)


def movable(objective: Objective, y: Real, gradient: Real) -> Flags:
    """Coordinates that are free, and not on a bound beyond which the cost would fall, shape (B, n)."""
    down = (y <= objective.lower) & (gradient > 0.0)
    up = (y >= objective.upper) & (gradient < 0.0)
    return objective.free & ~down & ~up


def gradient_norm(objective: Objective, y: Real, at: Evaluation) -> Real:
    """Largest cosine between the residuals and the Jacobian's column of a movable coordinate, shape (B,)."""
    scale = at.norms * jnp.expand_dims(at.length, -1)
    cosine = jnp.abs(at.gradient) / jnp.where(scale > 0.0, scale, 1.0)
    return jnp.max(jnp.where(movable(objective, y, at.gradient), cosine, 0.0), axis=-1)


def select(lanes: Flags, new: Tree, old: Tree) -> Tree:
    """The new tree in the lanes where `lanes` is true, and the old tree in the others."""

    def pick(a: Numbers, b: Numbers) -> Numbers:
        return jnp.where(jnp.reshape(lanes, lanes.shape + (1,) * (jnp.ndim(a) - 1)), a, b)

    return jax.tree.map(pick, new, old)
