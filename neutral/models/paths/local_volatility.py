"""`LocalVolatility`: paths under the local variance of any surface."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp

from ...typing import Real
from .base import AbstractScheme


class LocalVolatility(AbstractScheme):
    """Local volatility, dX = -v/2 dt + sqrt(v) dW with v = v(X, t), by Platen's weak scheme of order 2.

    The explicit one (Kloeden and Platen 1992, 15.1.1), each step with the local variance of its middle: v is
    never asked for at t = 0, nor on both sides of an expiry that is on the grid. A variance below 0, which a
    surface free of arbitrage shows by rounding at most, counts as 0.

    Attributes:
        local_variance: v(k, t), 1/yr, elementwise for arguments of one shape.
        places: Where X may start, (J,): a mixture whose components have other means than 1 jumps at once.
        weights: Probabilities of the places, (J,); a path has no derivative in them.
    """

    local_variance: Callable[[Real, Real], Real]
    places: Any = (0.0,)
    weights: Any = (1.0,)
    normals: ClassVar[int] = 1

    def start(self, u: Real) -> Real:
        """See `AbstractScheme.start`."""
        until = jnp.cumsum(jnp.asarray(self.weights, float))[:-1]
        return jnp.asarray(self.places, float)[jnp.searchsorted(until, u, side="right")]

    def step(self, state: Real, t: Real, dt: Real, z: Real) -> Real:
        """See `AbstractScheme.step`."""
        z, middle, root = z[:, 0], jnp.full_like(state, t + 0.5 * dt), jnp.sqrt(dt)

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
