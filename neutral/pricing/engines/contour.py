"""The default engine: one Fourier integral per option, on a line with its own damping, tilt and step.

It computes V(k) = -(1/pi) Re int f(z(y)) z'(y) dy with f(z) = phi(z) e^{k(1 - iz)} / (z (z + i)), along the
sinh-deformed line z(y) = -i a + b [sinh(y + i tilt) - i sin(tilt)], y > 0. This is the integral of
Lewis (2001) on the line of Boyarchenko and Levendorskii (2019). V is the call for a > 1, the put for a < 0,
and the call less 1 for 0 < a < 1. The integrand is even in y, so that the trapezoidal rule converges
geometrically.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ...models import AbstractFourierModel
from ...typing import Numbers, Real
from .base import AbstractEngine, Quadrature
from .choice import choose
from .line import Line
from .trapezoid import many_lines, one_line

_CHUNK = 64  # options in one pass: as many as fit into the cache of a CPU

Tree = TypeVar("Tree")


class Contour(AbstractEngine):
    """The default engine, which integrates every option on its own line.

    It covers maturities from one hour to decades, and strikes far into the wings, where out-of-the-money
    prices keep relative accuracy. The error estimate is the difference to the rule on every other node, which
    needs no further evaluation. Where it is too large under a model with jumps, a second rule takes over: a
    sum over the number of jumps, or 64 times the nodes.
    """

    nodes: int = eqx.field(static=True, default=192)
    """Number of steps of the trapezoidal rule."""
    tolerance: float = eqx.field(static=True, default=1e-9)
    """See `AbstractEngine.tolerance`."""

    shares_strikes: ClassVar[bool] = False

    def unit(self, k: Real) -> Real:
        """The largest value of an out-of-the-money option."""
        return jnp.minimum(1.0, jnp.exp(k))

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> Line:
        """One line per option, by `choose`; fields have the shape of k."""
        return map_options(lambda k, t: choose(model, k, t, self.nodes), (k, _per_option(t, k)), _CHUNK)

    def otm(self, model: AbstractFourierModel, k: Real, t: Real, plan: "Line | None" = None) -> Quadrature:
        """See `AbstractEngine.otm`; works through the options chunk by chunk."""
        path = self.plan(model, k, t) if plan is None else plan
        t = _per_option(t, k)
        limit = self.tolerance * self.unit(k)
        rule = one_line if path.counts is None else many_lines
        return map_options(lambda *x: rule(model, *x, nodes=self.nodes), (k, t, path, limit), _CHUNK)


def _per_option(t: Real, k: Real) -> Real:
    return jnp.broadcast_to(jnp.expand_dims(t, -1), k.shape)


def map_options(function: Callable[..., Tree], trees: tuple[Any, ...], chunk: int) -> Tree:
    """Apply a function of n options to pieces of `chunk` options, one after another, to bound memory.

    Args:
        function: Takes a tree with arrays of shape (n,) for each of `trees`, and returns such a tree.
        trees: Trees whose arrays have one common shape.
        chunk: Number of options in one piece.

    Returns:
        The result of the function, whose arrays have the common shape.
    """
    first = jax.tree.leaves(trees)[0]
    shape, n = first.shape, first.size
    flat = jax.tree.map(jnp.ravel, trees)
    if n <= chunk:
        result = function(*flat)
    else:
        pieces = -(-n // chunk)

        def rows(x: Numbers) -> Numbers:
            return jnp.reshape(jnp.pad(x, (0, pieces * chunk - n), mode="edge"), (pieces, chunk))

        result = jax.lax.map(lambda row: function(*row), jax.tree.map(rows, flat))
    return jax.tree.map(lambda x: jnp.reshape(jnp.ravel(x)[:n], shape), result)
