"""Fair strikes of variance swaps, from the distribution of the forward that a surface implies."""

from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from ..numerics.compiled import compiled
from ..presentation.frame import Labels, frame_of_arrays
from ..typing import Real
from .base import VolSurface, call_on_points

if TYPE_CHECKING:
    import pandas as pd

_REACH = 13.0  # largest |x| of k = s sinh(x): nodes reach e^13 / 2 standard deviations to either side
_PER_UNIT = 32  # nodes per unit of x


class VarianceSwap(NamedTuple):
    """Fair strike of a variance swap and an estimate of its error, both as annualised variance, 1/yr."""

    strike: Real
    error_estimate: Real

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per maturity: columns `strike` and `error_estimate`, 1/yr.

        Args:
            index: Labels of the rows, such as the maturities; positions where None.
        """
        return frame_of_arrays(self._asdict(), index)


def variance_swap(surface: VolSurface, t: ArrayLike) -> VarianceSwap:
    """Compute the fair strike E[-2 log(F_t / F_0)] / t of a variance swap, for a continuous forward.

    The replication by calls and puts (Neuberger 1994; Demeterfi et al. 1999) is written as the mean of -2 k
    under the surface's density, so that surfaces whose volatility has no closed form lose no accuracy. The
    trapezoidal rule in k = s sinh(x), with s the standard deviation at the money, converges exponentially. It
    reaches so far out that it truncates only left wings near the steepest slope, w = 2 |k|.

    Args:
        surface: A surface free of butterfly arbitrage at t; the strike of any other is meaningless.
        t: Maturity in years, > 0, any shape.

    Returns:
        Strike and error estimate, in the shape of t; nan where t is not positive. The estimate is the
        difference to the rule with half as many nodes, which far exceeds the error for a smooth smile, plus
        the size of the truncated left wing.
    """
    return call_on_points(lambda t: _variance_swap(surface, t), t=t)


@compiled
def _variance_swap(surface: VolSurface, t: Real) -> VarianceSwap:
    valid = t > 0.0
    t = jnp.where(valid, t, 1.0)
    stdev = jnp.sqrt(surface.variance_at(jnp.zeros_like(t), t))
    size = jnp.expand_dims(
        jax.lax.stop_gradient(stdev), -1
    )  # the result does not depend on the nodes, so they need no derivative
    count = int(_REACH * _PER_UNIT)
    x = jnp.reshape(jnp.arange(-count, count + 1) / _PER_UNIT, (1,) * t.ndim + (-1,))
    k = size * jnp.sinh(x)
    maturities = jnp.broadcast_to(jnp.expand_dims(t, -1), k.shape)
    # E[-2 k] = integral of -2 k p(k) dk with dk = s cosh(x) dx
    terms = -2.0 * k * surface.density_at(k, maturities) * size * jnp.cosh(x) / _PER_UNIT
    total = jnp.sum(terms, axis=-1)
    coarse = 2.0 * jnp.sum(terms[..., ::2], axis=-1)
    cut_off = jnp.abs(terms[..., 0]) * _PER_UNIT
    error = jax.lax.stop_gradient(jnp.abs(total - coarse) + cut_off)
    return VarianceSwap(
        strike=jnp.where(valid, total / t, jnp.nan), error_estimate=jnp.where(valid, error / t, jnp.nan)
    )
