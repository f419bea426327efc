"""The judge: prices refined until they stop changing, with a bound on their error."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ...models import AbstractFourierModel
from ...typing import Real
from .base import AbstractEngine, Quadrature
from .contour import Line, choose, in_chunks, integrand, offset

_BLOCK = 64  # nodes evaluated at once
_CHUNK = 32  # options refined together: all go as far as the slowest
_FIRST = 3  # blocks of the first rule
_DEEP = 6  # halvings at least where the integrand comes back: 12,288 nodes step over nothing
_LEVELS = 8  # halvings: at most 49,152 nodes


class Certify(AbstractEngine):
    """Trapezoidal rules on two lines, each halved until it is stable; returns value and error bound.

    The bound adds the last change of the rule, the distance between two lines that share nothing but the
    model, and the rounding of every term. Not differentiable in reverse mode: it is a judge, not a pricer.
    """

    tolerance: float = eqx.field(static=True, default=1e-12)

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> None:
        """Nothing: the judge finds its own lines."""

    def otm(self, model: AbstractFourierModel, k: Real, t: Real, plan: None = None) -> Quadrature:
        """See `AbstractEngine.otm`; `error` is a bound."""
        later = jnp.broadcast_to(jnp.expand_dims(t, -1), k.shape)
        return in_chunks(lambda k, t: _judge(model, k, t), (k, later), _CHUNK)


class _Refinement(NamedTuple):
    total: Real  # sum of the integrand over all nodes so far, first one halved
    rounding: Real
    step: Real
    change: Real
    blocks: Any
    level: Any


def _judge(model: AbstractFourierModel, k: Real, t: Real) -> Quadrature:
    """Options of shape (n,), on the chosen line and on one moved and less tilted."""
    path = choose(model, k, t)
    pole = jnp.where(path.inside, 0.0, jnp.where(path.a > 0, 1.0, 0.0))
    nearer = pole + 0.8 * (path.a - pole)
    other = path._replace(a=nearer, scale=0.7 * path.scale, tilt=0.6 * path.tilt, length=path.length + 1.5)
    both = jax.tree.map(lambda *fields: jnp.stack(fields), path, other)
    # one loop for both lines: the characteristic function is compiled once for them
    (value, check), (bound, check_bound) = jax.lax.map(lambda line: _refine(model, k, t, line), both)
    # k itself is rounded, and d log V / dk is about 1 - a
    rounding = 2.0 * jnp.finfo(k.dtype).eps * (1.0 + jnp.abs(k)) * (1.0 + jnp.abs(path.a)) * jnp.abs(value)
    return Quadrature(value, bound + check_bound + jnp.abs(value - check) + rounding)


def _refine(model: AbstractFourierModel, k: Real, t: Real, path: Line) -> tuple[Real, Real]:
    """The integral on one line and a bound on the error of the rule."""
    eps = jnp.finfo(k.dtype).eps

    def add(y0: Real, step: Real, blocks: Any) -> tuple[Real, Real]:
        def block(i: Any, sums: tuple[Real, Real]) -> tuple[Real, Real]:
            y = jnp.expand_dims(y0, -1) + jnp.expand_dims(step, -1) * (
                i * _BLOCK + jnp.arange(float(_BLOCK))[None, :]
            )
            f, e = integrand(model, k, t, path, y)
            once = jnp.where(y == 0.0, 0.5 * f, f)
            return sums[0] + jnp.sum(once, -1), sums[1] + jnp.sum(jnp.abs(f) * (4.0 + jnp.abs(e)), -1)

        return jax.lax.fori_loop(0, blocks, block, (jnp.zeros_like(k), jnp.zeros_like(k)))

    zero, step = jnp.zeros_like(k), path.length / (_FIRST * _BLOCK)
    start = _Refinement(zero, zero, step, jnp.full_like(k, jnp.inf), jnp.asarray(_FIRST), jnp.asarray(-1))

    least = jnp.where(jnp.any(path.returns), _DEEP, 2)

    def unstable(s: _Refinement) -> Any:
        return (s.level < least) | ((s.level < _LEVELS) & jnp.any(s.change > 2.0 * eps * s.rounding * s.step))

    def refine(s: _Refinement) -> _Refinement:
        """The first rule, or the nodes between those of the last one."""
        first = s.level < 0
        added, rounding = add(jnp.where(first, 0.0, 0.5 * s.step), s.step, s.blocks)
        total, step = s.total + added, jnp.where(first, s.step, 0.5 * s.step)
        change = jnp.where(first, jnp.inf, jnp.abs(0.5 * total - s.total) * s.step)
        blocks = jnp.where(first, s.blocks, 2 * s.blocks)
        return _Refinement(total, s.rounding + rounding, step, change, blocks, s.level + 1)

    s = jax.lax.while_loop(unstable, refine, start)
    bound = (s.change + eps * s.rounding * s.step) / jnp.pi
    return offset(path, k) - s.total * s.step / jnp.pi, bound
