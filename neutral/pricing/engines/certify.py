"""The engine by which others are judged: it refines a price until it is stable, and bounds its error."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ...models import AbstractFourierModel
from ...typing import Codes, Flags, Real
from .base import AbstractEngine, Quadrature
from .contour import Line, choose, integrand, map_options, offset

_BLOCK = 64  # nodes evaluated at once
_CHUNK = 32  # options refined together, all as often as the slowest of them
_FIRST = 3  # blocks of nodes in the first rule
_DEEP = 6  # least number of halvings where the integrand vanishes and returns: 12,288 nodes miss nothing
_LEVELS = 8  # largest number of halvings: 49,152 nodes


class Certify(AbstractEngine):
    """Trapezoidal rules on two lines, with steps halved until the sums are stable, and a bound on the error.

    The bound is the sum of the last changes of the two rules, the difference of the two prices, whose lines
    share nothing but the model, and the rounding errors of all terms. Prices are not differentiable in
    reverse mode.
    """

    tolerance: float = eqx.field(static=True, default=1e-12)

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
    step: Real  # (n,) distance between nodes
    change: Real  # (n,) change of the integral at the last halving
    blocks: Codes  # number of blocks in the next rule
    level: Codes  # number of halvings so far, -1 before the first rule


def _judge(model: AbstractFourierModel, k: Real, t: Real) -> Quadrature:
    """Prices and bounds for n options, from the line that `choose` returns and from a flatter one."""
    path = choose(model, k, t)
    pole = jnp.where(path.inside, 0.0, jnp.where(path.a > 0, 1.0, 0.0))
    nearer = pole + 0.8 * (path.a - pole)
    other = path._replace(a=nearer, scale=0.7 * path.scale, tilt=0.6 * path.tilt, length=path.length + 1.5)
    both = jax.tree.map(lambda *fields: jnp.stack(fields), path, other)
    # one loop serves both lines, so that the characteristic function is compiled once
    (value, check), (bound, check_bound) = jax.lax.map(lambda line: _refine(model, k, t, line), both)
    # k itself is rounded, and d log V / dk is about 1 - a
    rounding = 2.0 * jnp.finfo(k.dtype).eps * (1.0 + jnp.abs(k)) * (1.0 + jnp.abs(path.a)) * jnp.abs(value)
    return Quadrature(value, bound + check_bound + jnp.abs(value - check) + rounding)


def _refine(model: AbstractFourierModel, k: Real, t: Real, path: Line) -> tuple[Real, Real]:
    """The integral on one line, and a bound on the error of the rule; shape (n,)."""
    eps = jnp.finfo(k.dtype).eps

    def add(y0: Real, step: Real, blocks: Codes) -> tuple[Real, Real]:
        """Sums of the integrand, and of the sizes of its terms, over blocks of nodes from y0 on."""

        def block(i: Codes, sums: tuple[Real, Real]) -> tuple[Real, Real]:
            y = jnp.expand_dims(y0, -1) + jnp.expand_dims(step, -1) * (
                i * _BLOCK + jnp.arange(float(_BLOCK))[None, :]
            )
            f, e = integrand(model, k, t, path, y)
            halved = jnp.where(y == 0.0, 0.5 * f, f)
            return sums[0] + jnp.sum(halved, -1), sums[1] + jnp.sum(jnp.abs(f) * (4.0 + jnp.abs(e)), -1)

        return jax.lax.fori_loop(0, blocks, block, (jnp.zeros_like(k), jnp.zeros_like(k)))

    start = _Refinement(
        total=jnp.zeros_like(k),
        rounding=jnp.zeros_like(k),
        step=path.length / (_FIRST * _BLOCK),
        change=jnp.full_like(k, jnp.inf),
        blocks=jnp.asarray(_FIRST),
        level=jnp.asarray(-1),
    )
    least = jnp.where(jnp.any(path.returns), _DEEP, 2)

    def unstable(s: _Refinement) -> Flags:
        return (s.level < least) | ((s.level < _LEVELS) & jnp.any(s.change > 2.0 * eps * s.rounding * s.step))

    def refine(s: _Refinement) -> _Refinement:
        """Sum the nodes of the first rule, or those of the next rule that lie between the earlier ones."""
        first = s.level < 0
        added, rounding = add(jnp.where(first, 0.0, 0.5 * s.step), s.step, s.blocks)
        total = s.total + added
        return _Refinement(
            total=total,
            rounding=s.rounding + rounding,
            step=jnp.where(first, s.step, 0.5 * s.step),
            change=jnp.where(first, jnp.inf, jnp.abs(0.5 * total - s.total) * s.step),
            blocks=jnp.where(first, s.blocks, 2 * s.blocks),
            level=s.level + 1,
        )

    s = jax.lax.while_loop(unstable, refine, start)
    bound = (s.change + eps * s.rounding * s.step) / jnp.pi
    return offset(path, k) - s.total * s.step / jnp.pi, bound
