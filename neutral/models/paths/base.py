"""What every path scheme is: a process, one step at a time."""

import abc
from typing import Any

import equinox as eqx

from ...typing import Real


class AbstractScheme(eqx.Module):
    """A process, one step at a time. Every array of its state has a leading axis of paths.

    Attributes:
        normals: Independent standard normals that one step of one path takes.
    """

    normals: eqx.AbstractClassVar[int]

    @abc.abstractmethod
    def start(self, u: Real) -> Any:
        """The state at time 0; u are uniform in (0, 1), (paths,)."""

    @abc.abstractmethod
    def step(self, state: Any, t: Real, dt: Real, z: Real) -> Any:
        """The state at t + dt from that at t; z are standard normals, (paths, normals)."""

    @abc.abstractmethod
    def log_forward(self, state: Any) -> Real:
        """log(F_t / F_0), (paths,)."""
