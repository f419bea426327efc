"""Fair strikes of variance swaps, from the law of the forward that a surface implies."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..numerics.normal import as_float64
from ..typing import Real
from .base import VolSurface

_REACH = 13.0  # of the variable of integration: e^13 standard deviations to either side
_PER_UNIT = 32  # nodes


class VarianceSwap(NamedTuple):
    """A fair strike and what is known of its error, both annualised variances, 1/yr."""

    strike: Real
    error_estimate: Real


@eqx.filter_jit
def variance_swap(surface: VolSurface, t: Any) -> VarianceSwap:
    """Fair strike of the variance swap to t, E[-2 log(F_t / F_0)] / t: that of a continuous forward.

    Replication by calls and puts (Neuberger 1994; Demeterfi et al. 1999), written as the mean of -2 k under
    the surface's own density, so that surfaces whose volatility is not known in closed form lose nothing. The
    trapezoidal rule in k = s sinh(x), s the standard deviation at the money, converges exponentially, and
    reaches so far out that only a left wing near the steepest slope, w = 2 |k|, is cut off.

    Args:
        surface: Free of butterfly arbitrage at t. One that is not has no such strike.
        t: Maturity in years, any shape; nan where not positive.

    Returns:
        Strike and error estimate, shape of t. The estimate is the difference to the rule of half as many
        nodes, which is far more than the error of a smooth smile, and what a cut-off wing would still add.
    """
    (t,) = as_float64(t)
    known = t > 0.0
    t = jnp.where(known, t, 1.0)
    level = jnp.sqrt(surface.variance_at(jnp.zeros_like(t), t))
    size = jnp.expand_dims(jax.lax.stop_gradient(level), -1)  # nodes need no derivative
    count = int(_REACH * _PER_UNIT)
    x = jnp.reshape(jnp.arange(-count, count + 1) / _PER_UNIT, (1,) * t.ndim + (-1,))
    k = size * jnp.sinh(x)
    wide = jnp.broadcast_to(jnp.expand_dims(t, -1), k.shape)
    terms = -2.0 * k * surface.density_at(k, wide) * size * jnp.cosh(x) / _PER_UNIT
    total, coarse = jnp.sum(terms, axis=-1), 2.0 * jnp.sum(terms[..., ::2], axis=-1)
    rest = jnp.abs(terms[..., 0]) * _PER_UNIT
    error = jax.lax.stop_gradient(jnp.abs(total - coarse) + rest)
    return VarianceSwap(*(jnp.where(known, y / t, jnp.nan) for y in (total, error)))
