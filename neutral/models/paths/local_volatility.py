"""`LocalVolatility`: paths under the local variance of any surface."""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Float

from ...typing import Numbers, Real, Scalar
from .base import AbstractScheme


class LocalVolatility(AbstractScheme[Float[Numbers, " paths"]]):
    """Local volatility, dX = -v/2 dt + sqrt(v) dW with v = v(X, t), by Platen's weak scheme of order 2.

    The scheme is the explicit one of Kloeden and Platen (1992), section 15.1, eq. (1.1). Each step takes the
    local variance at its midpoint in time, so v is never evaluated at t = 0, and no step takes values from
    both sides of an expiry that is on the grid. A negative variance counts as 0; on a surface free of
    arbitrage only rounding makes a variance negative.

    Attributes:
        local_variance: v(k, t), 1/yr, elementwise for arguments of one shape.
        places: Values at which X may start, (J,): a mixture whose components have means other than 1 jumps at
            time 0.
        weights: Probabilities of the places, (J,); a path has no derivative in them.
    """

    local_variance: Callable[[Real, Real], Real]
    places: Float[Numbers, " J"] | tuple[float, ...] = (0.0,)
    weights: Float[Numbers, " J"] | tuple[float, ...] = (1.0,)
    normals: ClassVar[int] = 1  # pyright: ignore[reportIncompatibleVariableOverride]

    def start(self, u: Float[Numbers, " paths"]) -> Float[Numbers, " paths"]:
        """See `AbstractScheme.start`."""
        until = jnp.cumsum(jnp.asarray(self.weights, float))[:-1]
        return jnp.asarray(self.places, float)[jnp.searchsorted(until, u, side="right")]

    def step(
        self, state: Float[Numbers, " paths"], t: Scalar, dt: Scalar, z: Float[Numbers, "paths 1"]
    ) -> Float[Numbers, " paths"]:
        """See `AbstractScheme.step`."""
        z = z[:, 0]
        middle = jnp.full_like(state, t + 0.5 * dt)
        root = jnp.sqrt(dt)

        def coefficients(x: Real) -> tuple[Real, Real]:
            """Drift and volatility of X at the middle of the step."""
            v = jnp.maximum(self.local_variance(x, middle), 0.0)
            return -0.5 * v, jnp.sqrt(v)

        a, b = coefficients(state)
        drifted = state + a * dt
        ahead, _ = coefficients(drifted + b * root * z)
        (_, up), (_, down) = (coefficients(drifted + side * b * root) for side in (1.0, -1.0))
        noise = (up + down + 2.0 * b) * z + (up - down) * (z * z - 1.0)
        return state + 0.5 * (a + ahead) * dt + 0.25 * root * noise

    def log_forward(self, state: Float[Numbers, " paths"]) -> Float[Numbers, " paths"]:
        """See `AbstractScheme.log_forward`."""
        return state
