"""`LocalVolatility`: paths under the local variance of any surface."""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp

from ...typing import Real, Values
from .base import AbstractScheme


class LocalVolatility(AbstractScheme):
    """Local volatility, dX = -v/2 dt + sqrt(v) dW with v = v(X, t), by Platen's weak scheme of order 2.

    The scheme is the explicit one (Kloeden and Platen 1992, 15.1.1). Each step takes the local variance at
    its middle: v is never evaluated at t = 0, nor on both sides of an expiry that is on the grid. A variance
    below 0, which a surface free of arbitrage gives by rounding at most, counts as 0.

    Attributes:
        local_variance: v(k, t), 1/yr, elementwise for arguments of one shape.
        places: Points at which X may start, (J,). A mixture whose components have means other than 1 jumps at
            time 0.
        weights: Probabilities of the places, (J,). Paths have no derivative in them.
    """

    local_variance: Callable[[Real, Real], Real]
    places: Values = (0.0,)
    weights: Values = (1.0,)
    normals: ClassVar[int] = 1  # pyright: ignore[reportIncompatibleVariableOverride]

    def start(self, u: Real) -> Real:
        """See `AbstractScheme.start`."""
        until = jnp.cumsum(jnp.asarray(self.weights, float))[:-1]
        return jnp.asarray(self.places, float)[jnp.searchsorted(until, u, side="right")]

    def step(self, state: Real, t: Real, dt: Real, z: Real) -> Real:
        """See `AbstractScheme.step`."""
        z = z[:, 0]
        middle = jnp.full_like(state, t + 0.5 * dt)
        root = jnp.sqrt(dt)

        def coefficients(x: Real) -> tuple[Real, Real]:
            v = jnp.maximum(self.local_variance(x, middle), 0.0)
            return -0.5 * v, jnp.sqrt(v)

        a, b = coefficients(state)
        drifted = state + a * dt
        ahead, _ = coefficients(drifted + b * root * z)
        (_, up), (_, down) = (coefficients(drifted + side * b * root) for side in (1.0, -1.0))
        noise = (up + down + 2.0 * b) * z + (up - down) * (z * z - 1.0)
        return state + 0.5 * (a + ahead) * dt + 0.25 * root * noise

    def log_forward(self, state: Real) -> Real:
        """See `AbstractScheme.log_forward`."""
        return state
