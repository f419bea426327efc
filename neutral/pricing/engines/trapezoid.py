"""The two trapezoidal rules of `Contour`: one line per option, or a line for each number of jumps."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ...models import AbstractFourierModel
from ...typing import Flags, Real
from .base import Quadrature
from .choice import BLOCKS
from .line import Line, integrand, offset, term

_CLAIMED = 3e-10  # least relative error of the second rule, of which some parts converge slowly
_SQUARE = 100.0  # times a square, what counts as one
_NESTED = math.isqrt(BLOCKS) + 1  # passes are skipped in groups of this many; its square exceeds `BLOCKS`


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

    def error(self, limit: Real) -> Real:
        """Estimated error of the integral over pi.

        Halving the step squares the relative error of a geometrically convergent rule; where the gap to the
        rule on every other node shows that it does not, the gap shrinks at the rate at which it has shrunk.
        A gap below the one that follows from the rule on every fourth node is small by chance. Beside a part
        of the integrand that converges fast there may be a small one that does not, so that the whole gap is
        left; where only this could make the error exceed a quarter of `limit`, it is not believed.
        """
        size = jnp.where(self.size > 0, self.size, 1.0)
        wider = jnp.abs(self.half - self.quarter)
        gap = jnp.maximum(jnp.abs(self.fine - self.half), wider**2 / size)
        squared = jnp.sqrt(gap / size)
        share = jnp.minimum(jnp.maximum(squared, gap / jnp.where(wider > 0, wider, 1.0)), 1.0)
        error = (10.0 * gap * share + 10.0 * jnp.finfo(gap.dtype).eps * self.size) / jnp.pi
        return jnp.maximum(error, jnp.minimum(gap / jnp.pi, 0.25 * limit))

    def cautious_error(self, limit: Real) -> Real:
        """Estimated error of an integral over pi of which a small part may converge slowly.

        It is twice `error`. Where the gap is not the square of the wider one, it may be small by chance, so
        that it is at least a sixteenth of the wider one, up to a quarter of `limit`.
        """
        wider = jnp.abs(self.half - self.quarter)
        gap = jnp.abs(self.fine - self.half)
        squared = wider**2 / jnp.where(self.size > 0, self.size, 1.0)
        is_square = gap <= _SQUARE * (squared + jnp.finfo(gap.dtype).eps * self.size)
        slow = jnp.where(is_square, 0.0, wider / 16.0 / jnp.pi)
        return jnp.maximum(2.0 * self.error(limit), jnp.minimum(slow, 0.25 * limit))


def one_line(
    model: AbstractFourierModel, k: Real, t: Real, path: Line, limit: Real, nodes: int
) -> Quadrature:
    """Prices by the rule on the line of each option.

    Args:
        model: Scalar parameters.
        k: Log-forward moneyness, shape (n,).
        t: Maturities, shape (n,).
        path: The lines.
        limit: See `many_lines`, shape (n,).
        nodes: Number of steps.
    """
    step = jnp.where(jnp.isfinite(path.length), path.length, 1.0) / nodes
    y = jnp.expand_dims(step, -1) * jnp.arange(nodes + 1.0, dtype=k.dtype)[None, :]
    f, _ = integrand(model, k, t, path, y)
    f = jnp.concatenate([0.5 * f[..., :1], f[..., 1:]], axis=-1)
    sums = _Sums.of(f, step)
    return _priced(path, k, sums.fine, sums.error(limit) + jnp.abs(f[..., -1]))


class _Passes(NamedTuple):
    """State of `many_lines`; all fields have the shape of the options."""

    rule: Quadrature  # by the first rule
    ends: Real  # cumulative numbers of the blocks of options in doubt, 0 before the first pass
    sums: _Sums  # of the second rule
    error: Real  # of its blocks


def many_lines(
    model: AbstractFourierModel, k: Real, t: Real, path: Line, limit: Real, nodes: int
) -> Quadrature:
    """Prices by the rule on one line, or by one of many blocks where the error exceeds `limit`.

    A block is a number of jumps, on a line of its own, or a segment of the line. Both rules are passes of one
    loop, so that the characteristic function is compiled once. The first pass is the first rule. Each other
    pass takes as many blocks as there are options, from the options in doubt.

    Args:
        model: Scalar parameters, with jumps.
        k: Log-forward moneyness, shape (n,).
        t: Maturities, shape (n,).
        path: The lines.
        limit: Largest error of the first rule, shape (n,).
        nodes: Number of steps of the first rule, and of each block of the second.
    """
    counts = path.counts
    assert counts is not None
    n = k.size
    options = jnp.arange(n)

    @jax.checkpoint
    def add(state: _Passes, number: Real) -> _Passes:
        first = number == 0.0
        row = (number - 1.0) * n + jnp.arange(float(n), dtype=k.dtype)
        option = jnp.searchsorted(state.ends, row, side="right")
        option = jnp.where(first, options, jnp.minimum(option, n - 1))
        each = jax.tree.map(lambda x: x[option], (k, t, path, limit))
        block = row - state.ends[option] + counts.blocks[option]
        parts = _block(model, *each, block=block, first=first, nodes=nodes)
        wanted = first | (row < state.ends[-1])
        onto = wanted[None, :] & (option[None, :] == options[:, None])
        sums, error = jax.tree.map(lambda x: jnp.sum(jnp.where(onto, x[None, :], 0.0), axis=-1), parts)
        rule = _priced(path, k, sums.fine, error)
        ends = jnp.cumsum(jnp.where(rule.error <= limit, 0.0, counts.blocks))
        begun = state._replace(rule=rule, ends=ends)
        added = jax.tree.map(jnp.add, (state.sums, state.error), (sums, error))
        later = state._replace(sums=added[0], error=added[1])
        return jax.tree.map(lambda x, y: jnp.where(first, x, y), begun, later)

    def one(state: _Passes, number: Real) -> tuple[_Passes, None]:
        return jax.lax.cond(wanted(state, number), add, lambda state, _: state, state, number), None

    def several(state: _Passes, numbers: Real) -> tuple[_Passes, None]:
        run = lambda state: jax.lax.scan(one, state, numbers)[0]  # noqa: E731
        return jax.lax.cond(wanted(state, numbers[0]), run, lambda state: state, state), None

    def wanted(state: _Passes, number: Real) -> Flags:
        return anywhere((number == 0.0) | ((number - 1.0) * n < state.ends[-1]))

    zero = jnp.zeros_like(k)
    start = _Passes(Quadrature(zero, zero), zero, _Sums(zero, zero, zero, zero), zero)
    numbers = jnp.reshape(jnp.arange(float(_NESTED**2), dtype=k.dtype), (_NESTED, _NESTED))
    passes, _ = jax.lax.scan(several, start, numbers)
    error = passes.error + jnp.where(counts.by_jumps, 0.0, passes.sums.error(limit)) + counts.omitted
    error = error + _CLAIMED * jnp.abs(passes.sums.fine) / jnp.pi
    second = _priced(path, k, passes.sums.fine, error)
    better = ~(passes.rule.error <= limit) & (second.error < passes.rule.error)
    return jax.tree.map(lambda x, y: jnp.where(better, x, y), second, passes.rule)


def _block(
    model: AbstractFourierModel,
    k: Real,
    t: Real,
    path: Line,
    limit: Real,
    block: Real,
    first: Flags,
    nodes: int,
) -> tuple[_Sums, Real]:
    """Sums over one block of each row, and bounds on their errors.

    Args:
        model: Scalar parameters.
        k: Log-forward moneyness, shape (rows,).
        t: Maturities, shape (rows,).
        path: The lines.
        limit: See `many_lines`, shape (rows,).
        block: Positions of the blocks, shape (rows,).
        first: Whether this is the first rule, which takes the whole line for a block.
        nodes: Number of steps.
    """
    counts = path.counts
    assert counts is not None
    block = jnp.clip(block, 0.0, counts.blocks - 1.0)
    own, number = term(path, counts, block)
    tilt = jnp.where(first, path.tilt, own.tilt)
    length = jnp.where(first, path.length, own.length)
    whole = first | counts.by_jumps
    length = jnp.where(jnp.isfinite(length), length, 1.0) / jnp.where(whole, 1.0, counts.blocks)
    step = length / nodes
    start = jnp.where(whole, 0.0, length * block)
    y = jnp.expand_dims(step, -1) * jnp.arange(float(nodes), dtype=k.dtype)[None, :]
    y = jnp.expand_dims(start, -1) + y
    number = jnp.where(first, jnp.nan, number)
    f, e = integrand(model, k, t, path._replace(tilt=tilt), y, number)
    f = jnp.where(y == 0.0, 0.5 * f, f)
    sums = _Sums.of(f, step)
    cut = jnp.where(whole | (block == counts.blocks - 1.0), jnp.abs(f[..., -1]), 0.0)
    # exponents of many jumps are sums of large numbers, and have rounding errors in proportion
    sizes = jnp.sum(jnp.abs(f) * (4.0 + jnp.abs(e)), axis=-1, where=f != 0.0)
    rounding = 10.0 * jnp.finfo(k.dtype).eps * step * sizes
    missed = jnp.where(first, counts.unresolved, rounding)
    error = jnp.where(first, sums.error(limit), sums.cautious_error(limit))
    return sums, cut + missed + jnp.where(whole, error, 0.0)


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
