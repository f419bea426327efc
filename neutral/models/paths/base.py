"""The interface of path schemes: a process is simulated one step at a time."""

import abc
from typing import Generic, TypeVar

import equinox as eqx
from jaxtyping import Float

from ...typing import Numbers, Scalar

State = TypeVar("State")
"""State of all paths: a pytree whose arrays have a leading axis of paths."""


class AbstractScheme(eqx.Module, Generic[State]):
    """A process that is simulated one step at a time.

    Attributes:
        normals: Number of independent standard normal variables that one step of one path takes.
    """

    normals: eqx.AbstractClassVar[int]

    @abc.abstractmethod
    def start(self, u: Float[Numbers, " paths"]) -> State:
        """The state of all paths at time 0, drawn with numbers u that are uniform in (0, 1)."""

    @abc.abstractmethod
    def step(self, state: State, t: Scalar, dt: Scalar, z: Float[Numbers, "paths normals"]) -> State:
        """The state at t + dt, from the state at t and standard normal variables z; times are in years."""

    @abc.abstractmethod
    def log_forward(self, state: State) -> Float[Numbers, " paths"]:
        """log(F_t / F_0) of every path."""
