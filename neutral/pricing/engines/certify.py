"""The engine by which others are judged: it refines a price until it is stable, and bounds its error."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ...models import AbstractFourierModel
from ...typing import Codes, Flags, Real
from .base import AbstractEngine, Quadrature
from .choice import choose
from .contour import map_options
from .line import Counts, Line, integrand, offset, term

_BLOCK = 64  # nodes evaluated at once
_CHUNK = 32  # options refined together, all as often as the slowest of them
_FIRST = 3  # blocks of nodes in the first rule
_LEVELS = 8  # largest number of halvings: 49,152 nodes
_UNSTABLE = 8.0  # factor of the last change of a rule that has not become stable
_LAST = 64  # the sizes in this share of a line, at its end, bound what lies beyond
_FEW = 2.0  # as many numbers of jumps are counted even if jumps differ: without jumps the phase may turn fast
_LUMPY = 1e-17  # jumps of nearly one size of which a rule of few nodes may miss more are counted


class Certify(AbstractEngine):
    """Trapezoidal rules on two lines, with steps halved until the sums are stable, and a bound on the error.

    The bound is the sum of the last changes of the two rules, the difference of the two prices, whose lines
    share nothing but the model, and the rounding errors of all terms. Prices are not differentiable in
    reverse mode.
    """

    tolerance: float = eqx.field(static=True, default=1e-12)

    shares_strikes: ClassVar[bool] = False

    def unit(self, k: Real) -> Real:
        """The largest value of an out-of-the-money option."""
        return jnp.minimum(1.0, jnp.exp(k))

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> None:
        """Return nothing, because `otm` chooses its own lines."""

    def otm(self, model: AbstractFourierModel, k: Real, t: Real, plan: None = None) -> Quadrature:
        """See `AbstractEngine.otm`; `error` is a bound."""
        later = jnp.broadcast_to(jnp.expand_dims(t, -1), k.shape)
        return map_options(lambda k, t: _judge(model, k, t), (k, later), _CHUNK)


class _Refinement(NamedTuple):
    """State of the refinement of n options."""

    total: Real  # (n,) sum of the integrand over all nodes so far, the node at 0 with weight 1/2
    rounding: Real  # (n,) sum of the sizes of the terms, to which rounding errors are proportional
    tail: Real  # (n,) sum of the sizes of the integrand over the last nodes
    step: Real  # distance between nodes, as a share of the length
    change: Real  # (n,) change of the integral at the last halving
    blocks: Codes  # number of blocks in the next rule
    level: Codes  # number of halvings so far, -1 before the first rule


def _judge(model: AbstractFourierModel, k: Real, t: Real) -> Quadrature:
    """Prices and bounds for n options, from the line that `choose` returns and from a flatter one."""
    path = choose(model, k, t, _FIRST * _BLOCK)
    counts = path.counts
    omitted = 0.0
    if counts is not None:
        lumpy = ~(counts.unresolved <= _LUMPY * jnp.minimum(1.0, jnp.exp(k))) | (counts.blocks <= _FEW)
        path = path._replace(counts=counts._replace(by_jumps=counts.by_jumps & lumpy))
        omitted = jnp.where(lumpy, counts.omitted, 0.0)
    pole = jnp.where(path.inside, 0.0, jnp.where(path.a > 0, 1.0, 0.0))
    nearer = pole + 0.8 * (path.a - pole)
    other = path._replace(a=nearer, scale=0.7 * path.scale, tilt=0.6 * path.tilt, length=path.length + 1.5)
    both = jax.tree.map(lambda *fields: jnp.stack(fields), path, other)
    # one loop serves both lines, so that the characteristic function is compiled once
    (value, check), (bound, check_bound) = jax.lax.map(lambda line: _refine(model, k, t, line), both)
    # k itself is rounded, and d log V / dk is about 1 - a
    rounding = 2.0 * jnp.finfo(k.dtype).eps * (1.0 + jnp.abs(k)) * (1.0 + jnp.abs(path.a)) * jnp.abs(value)
    error = bound + check_bound + jnp.abs(value - check) + rounding + omitted
    return Quadrature(value, jnp.where(jnp.isfinite(path.length), error, jnp.inf))


def _refine(model: AbstractFourierModel, k: Real, t: Real, path: Line) -> tuple[Real, Real]:
    """The integral on one line, or on a line for each number of jumps; and a bound on the error of the rule.

    Both have shape (n,). Nodes are shares of the length of each line.
    """
    eps = jnp.finfo(k.dtype).eps
    path = path._replace(length=jnp.where(jnp.isfinite(path.length), path.length, 1.0))

    def at(share: Real) -> tuple[Real, Real]:
        if path.counts is None:
            return _sized(model, k, t, path, length=jnp.expand_dims(path.length, -1), share=share)
        return _summed(model, k, t, path, counts=path.counts, share=share)

    def add(first: Real, step: Real, blocks: Codes) -> tuple[Real, Real, Real]:
        """Sums over blocks of nodes from `first` on: `total`, `rounding` and `tail`."""

        def block(i: Codes, sums: tuple[Real, Real, Real]) -> tuple[Real, Real, Real]:
            share = first + step * (i * _BLOCK + jnp.arange(float(_BLOCK))[None, :])
            f, size = at(share)
            halved = jnp.where(share == 0.0, 0.5 * f, f)
            last = jnp.where(share >= 1.0 - 1.0 / _LAST, jnp.abs(f), 0.0)
            total, rounding, tail = sums
            return total + jnp.sum(halved, -1), rounding + jnp.sum(size, -1), tail + jnp.sum(last, -1)

        zero = jnp.zeros_like(k)
        return jax.lax.fori_loop(0, blocks, block, (zero, zero, zero))

    start = _Refinement(
        total=jnp.zeros_like(k),
        rounding=jnp.zeros_like(k),
        tail=jnp.zeros_like(k),
        step=jnp.asarray(1.0 / (_FIRST * _BLOCK), k.dtype),
        change=jnp.full_like(k, jnp.inf),
        blocks=jnp.asarray(_FIRST),
        level=jnp.asarray(-1),
    )

    def unstable(s: _Refinement) -> Flags:
        return (s.level < 2) | ((s.level < _LEVELS) & jnp.any(s.change > 2.0 * eps * s.rounding * s.step))

    def refine(s: _Refinement) -> _Refinement:
        """Sum the nodes of the first rule, or those of the next rule that lie between the earlier ones."""
        first = s.level < 0
        added, rounding, tail = add(jnp.where(first, 0.0, 0.5 * s.step), s.step, s.blocks)
        total = s.total + added
        return _Refinement(
            total=total,
            rounding=s.rounding + rounding,
            tail=s.tail + tail,
            step=jnp.where(first, s.step, 0.5 * s.step),
            change=jnp.where(first, jnp.inf, jnp.abs(0.5 * total - s.total) * s.step),
            blocks=jnp.where(first, s.blocks, 2 * s.blocks),
            level=s.level + 1,
        )

    s = jax.lax.while_loop(unstable, refine, start)
    # a rule that is not stable after the last halving may be off by more than that has changed
    change = jnp.where(s.change > 2.0 * eps * s.rounding * s.step, _UNSTABLE, 1.0) * s.change
    bound = (change + (eps * s.rounding + _LAST * s.tail) * s.step) / jnp.pi
    return offset(path, k) - s.total * s.step / jnp.pi, bound


def _sized(
    model: AbstractFourierModel,
    k: Real,
    t: Real,
    path: Line,
    length: Real,
    share: Real,
    number: Real | None = None,
) -> tuple[Real, Real]:
    """The integrand, and the size of its rounding errors, shape (n, nodes), at shares of the length."""
    f, e = integrand(model, k, t, path, length * share, number)
    f = length * f
    return f, jnp.where(f == 0.0, 0.0, jnp.abs(f) * (4.0 + jnp.abs(e)))


def _summed(
    model: AbstractFourierModel, k: Real, t: Real, path: Line, counts: Counts, share: Real
) -> tuple[Real, Real]:
    """The results of `_sized`, summed over numbers of jumps where these are counted."""
    lines = jnp.where(counts.by_jumps, counts.blocks, 1.0)

    def add(j: Codes, sums: tuple[Real, Real]) -> tuple[Real, Real]:
        order = j.astype(k.dtype)
        line, number = term(path, counts, order)
        length = jnp.expand_dims(line.length + jnp.where(counts.by_jumps, 1.0, 0.0), -1)
        terms = _sized(model, k, t, line, length=length, share=share, number=number)
        counted = jnp.expand_dims(order < lines, -1)
        return sums[0] + jnp.where(counted, terms[0], 0.0), sums[1] + jnp.where(counted, terms[1], 0.0)

    zero = jnp.zeros(k.shape + share.shape[-1:], k.dtype)
    return jax.lax.fori_loop(0, jnp.max(lines).astype(int), add, (zero, zero))
