"""The base class of path schemes: a process, simulated one step at a time."""

import abc

import equinox as eqx
from jaxtyping import Float, PyTree

from ...typing import Numbers, Real


class AbstractScheme(eqx.Module):
    """A process, simulated one step at a time. Every array of its state has a leading axis of paths.

    Attributes:
        normals: Number of independent standard normals that one step of one path needs.
    """

    normals: eqx.AbstractClassVar[int]

    @abc.abstractmethod
    def start(self, u: Float[Numbers, "paths"]) -> PyTree:
        """The state at time 0.

        Args:
            u: Independent uniforms in (0, 1).
        """

    @abc.abstractmethod
    def step(self, state: PyTree, t: Real, dt: Real, z: Float[Numbers, "paths normals"]) -> PyTree:
        """Advance the state from t to t + dt.

        Args:
            state: The state at t.
            t: Years.
            dt: Years.
            z: Independent standard normals.

        Returns:
            The state at t + dt.
        """

    @abc.abstractmethod
    def log_forward(self, state: PyTree) -> Float[Numbers, "paths"]:
        """log(F_t / F_0) of each path."""
