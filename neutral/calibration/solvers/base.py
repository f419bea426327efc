"""What a solver sees and what it returns. Arrays have a leading axis of lanes, independent problems."""

import abc
import enum
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from ...typing import Codes, Flags, Real

EXACT = 1e-12  # weighted root mean square of residuals, in prices, that counts as an exact fit


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
    gradient: Real  # (B, n)
    curvature: Real  # (B, n, n) positive semidefinite
    norms: Real  # (B, n) lengths of the columns of the (reweighted) Jacobian of residuals
    length: Real  # (B,) length of the (reweighted) residuals
    error: Real  # (B,) weighted root mean square error in prices
    scatter: Real  # (B, n, n) sum over strikes of the squares of their parts of the gradient


class Objective(NamedTuple):
    """A problem as a solver sees it."""

    evaluate: Callable[[Real], Evaluation]
    cost: Callable[[Real], Real]  # (B, n) -> (B,), differentiable
    lower: Real  # (B, n)
    upper: Real  # (B, n)
    free: Flags  # (B, n) coordinates that may move


class Solution(NamedTuple):
    """Where each lane stands."""

    y: Real  # (B, n)
    evaluation: Evaluation
    stop: Codes  # (B,) `Stop`
    steps: Codes  # (B,) evaluations spent


class AbstractSolver(eqx.Module):
    """Settings of a solver. `init`, then `run` until all lanes have stopped or a number of steps is spent."""

    max_steps: eqx.AbstractVar[int]
    gtol: eqx.AbstractVar[float]

    @abc.abstractmethod
    def init(self, objective: Objective, y: Real) -> Any:
        """State at the starting points y of shape (B, n), nothing evaluated yet."""

    @abc.abstractmethod
    def run(self, objective: Objective, state: Any, until: Codes | int) -> Any:
        """Advance each lane until it stops or has spent `until` steps in all."""

    @abc.abstractmethod
    def solution(self, objective: Objective, state: Any) -> Solution:
        """What has been found."""


def movable(objective: Objective, y: Real, gradient: Real) -> Flags:
    """Coordinates that are free and not held at a bound by the gradient."""
    down, up = (y <= objective.lower) & (gradient > 0.0), (y >= objective.upper) & (gradient < 0.0)
    return objective.free & ~down & ~up


def gradient_norm(objective: Objective, y: Real, at: Evaluation) -> Real:
    """Largest cosine between residuals and a movable column of the Jacobian, shape (B,)."""
    scale = at.norms * jnp.expand_dims(at.length, -1)
    cosine = jnp.abs(at.gradient) / jnp.where(scale > 0.0, scale, 1.0)
    return jnp.max(jnp.where(movable(objective, y, at.gradient), cosine, 0.0), axis=-1)
