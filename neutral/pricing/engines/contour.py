"""The default engine: one Fourier integral per option, on a line with its own damping, tilt and step.

It computes V(k) = -(1/pi) Re int f(z(y)) z'(y) dy with f(z) = phi(z) e^{k(1 - iz)} / (z (z + i)), along the
sinh-deformed line z(y) = -i a + b [sinh(y + i tilt) - i sin(tilt)], y > 0. This is the integral of
Lewis (2001) on the line of Boyarchenko and Levendorskii (2019). V is the call for a > 1, the put for a < 0,
and the call less 1 for 0 < a < 1. The integrand is even in y, so that the trapezoidal rule converges
geometrically.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ...models import AbstractFourierModel
from ...typing import Flags, Numbers, Real
from .base import AbstractEngine, Quadrature
from .line import BLOCKS, Line, choose, integrand, offset, term

_CHUNK = 64  # options in one pass: as many as fit into the cache of a CPU
_GROUP = 8  # options in one pass of the second rule

Tree = TypeVar("Tree")


class Contour(AbstractEngine):
    """The default engine, which integrates every option on its own line.

    It covers maturities from one hour to decades, and strikes far into the wings, where out-of-the-money
    prices keep relative accuracy. The error estimate is the difference to the rule on every other node, which
    needs no further evaluation. Where it is too large, a second rule takes over: a sum over the number of
    jumps, or 96 times the nodes.
    """

    nodes: int = eqx.field(static=True, default=192)
    """Number of steps of the trapezoidal rule."""
    tolerance: float = eqx.field(static=True, default=1e-9)
    """See `AbstractEngine.tolerance`."""

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
        rule = map_options(lambda *x: self._rule(model, *x), (k, t, path), _CHUNK)
        doubt = ~(rule.error <= self.tolerance * self.unit(k))

        def again() -> Quadrature:
            return map_options(lambda *x: self._better(model, *x), (k, t, path, rule, doubt), _GROUP)

        return jax.lax.cond(anywhere(jnp.any(doubt)), again, lambda: rule)

    def _rule(self, model: AbstractFourierModel, k: Real, t: Real, path: Line) -> Quadrature:
        """The trapezoidal rule with `nodes` steps on the line of each option."""
        step = jnp.where(jnp.isfinite(path.length), path.length, 1.0) / self.nodes
        y = jnp.expand_dims(step, -1) * jnp.arange(self.nodes + 1.0, dtype=k.dtype)[None, :]
        f, _ = integrand(model, k, t, path, y)
        f = jnp.concatenate([0.5 * f[..., :1], f[..., 1:]], axis=-1)
        sums = _Sums.of(f, step)
        return _priced(path, k, sums.fine, sums.error() + jnp.abs(f[..., -1]) + path.unresolved)

    def _better(
        self, model: AbstractFourierModel, k: Real, t: Real, path: Line, rule: Quadrature, doubt: Flags
    ) -> Quadrature:
        """The second rule for a group of options where one is in doubt, if its error is smaller."""

        def better() -> Quadrature:
            dense = self._dense(model, k, t, path)
            lower = doubt & (dense.error < rule.error)
            return jax.tree.map(lambda new, old: jnp.where(lower, new, old), dense, rule)

        return jax.lax.cond(anywhere(jnp.any(doubt)), better, lambda: rule)

    def _dense(self, model: AbstractFourierModel, k: Real, t: Real, path: Line) -> Quadrature:
        """A rule of many blocks of nodes: a line for each number of jumps, or one line for all."""
        size = 3 * self.nodes // 2
        by_jumps = path.counts.by_jumps
        blocks = path.counts.blocks

        @jax.checkpoint
        def add(state: tuple[_Sums, Real], j: Real) -> tuple[_Sums, Real]:
            line, number = term(path, k, j)
            step = jnp.where(jnp.isfinite(line.length), line.length, 1.0) / size
            step = jnp.where(by_jumps, step, step / blocks)
            start = jnp.where(by_jumps, 0.0, step * size * j)
            nodes = jnp.arange(float(size), dtype=k.dtype)[None, :]
            y = jnp.expand_dims(start, -1) + jnp.expand_dims(step, -1) * nodes
            f, e = integrand(model, k, t, line, y, number)
            f = jnp.where(y == 0.0, 0.5 * f, f)
            f = jnp.where(jnp.expand_dims(j < blocks, -1), f, 0.0)
            sums = _Sums.of(f, step)
            total, error = state
            cut = jnp.where(by_jumps | (j == blocks - 1.0), jnp.abs(f[..., -1]), 0.0)
            # exponents of many jumps are sums of large numbers, and have rounding errors in proportion
            sizes = jnp.sum(jnp.abs(f) * (4.0 + jnp.abs(e)), axis=-1, where=f != 0.0)
            rounding = 10.0 * jnp.finfo(k.dtype).eps * step * sizes
            error = error + cut + rounding + jnp.where(by_jumps, sums.error(), 0.0)
            return jax.tree.map(jnp.add, total, sums), error

        def block(state: tuple[_Sums, Real], j: Real) -> tuple[tuple[_Sums, Real], None]:
            return jax.lax.cond(anywhere(jnp.any(j < blocks)), add, lambda state, _: state, state, j), None

        zero = jnp.zeros_like(k)
        start = (_Sums(zero, zero, zero, zero), zero)
        (sums, each), _ = jax.lax.scan(block, start, jnp.arange(float(BLOCKS), dtype=k.dtype))
        error = jnp.where(by_jumps, each, each + sums.error()) + path.counts.omitted
        return _priced(path, k, sums.fine, error)


class _Sums(NamedTuple):
    """Trapezoidal sums of the options' integrands."""

    fine: Real
    half: Real  # on every other node
    quarter: Real  # on every fourth node
    size: Real  # of the absolute values

    @classmethod
    def of(cls, f: Real, step: Real) -> "_Sums":
        """The sums of values f of shape (options, nodes)."""
        fine, half, quarter = (n * step * jnp.sum(f[..., ::n], -1) for n in (1, 2, 4))
        return cls(fine, half, quarter, step * jnp.sum(jnp.abs(f), -1))

    def error(self) -> Real:
        """Estimated error of the integral over pi.

        Halving the step squares the relative error of a geometrically convergent rule; where the gap to the
        rule on every other node shows that it does not, the gap shrinks at the rate at which it has shrunk.
        """
        gap = jnp.abs(self.fine - self.half)
        wider = jnp.abs(self.half - self.quarter)
        squared = jnp.sqrt(gap / jnp.where(self.size > 0, self.size, 1.0))
        share = jnp.minimum(jnp.maximum(squared, gap / jnp.where(wider > 0, wider, 1.0)), 1.0)
        return (10.0 * gap * share + 10.0 * jnp.finfo(gap.dtype).eps * self.size) / jnp.pi


def _priced(path: Line, k: Real, integral: Real, error: Real) -> Quadrature:
    """Prices from the integrals, where the line has a length; else 0, which is as far off as the price.

    No price is below 0 or above `ceiling`, so a price outside is at least as far off as it is outside.
    """
    value = jnp.where(jnp.isfinite(path.length), offset(path, k) - integral / jnp.pi, 0.0)
    error = jnp.where(jnp.isfinite(path.length), error, jnp.inf)
    error = jnp.maximum(error, jnp.maximum(-2.0 * value, 2.0 * (value - path.ceiling)))
    error = jnp.minimum(error, jnp.maximum(2.0 * jnp.abs(value), path.ceiling))
    return Quadrature(value, jax.lax.stop_gradient(error))


@jax.custom_batching.custom_vmap
def anywhere(flag: Flags) -> Flags:
    """The flag; under vmap whether it is true in any lane, so that `cond` skips what no lane needs."""
    return flag


@anywhere.def_vmap
def _anywhere_vmap(axis_size: int, in_batched: list[bool], flag: Flags) -> tuple[Flags, bool]:
    del axis_size, in_batched
    return anywhere(jnp.any(flag)), False


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
