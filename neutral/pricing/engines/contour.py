"""The default engine: one Fourier integral per option, on a line with its own damping, tilt and step.

It computes V(k) = -(1/pi) Re int f(z(y)) z'(y) dy with f(z) = phi(z) e^{k(1 - iz)} / (z (z + i)), along the
sinh-deformed line z(y) = -i a + b [sinh(y + i tilt) - i sin(tilt)], y > 0. This is the integral of
Lewis (2001) on the line of Boyarchenko and Levendorskii (2019). V is the call for a > 1, the put for a < 0,
and the call less 1 for 0 < a < 1. The integrand is even in y, so that the trapezoidal rule converges
geometrically.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...models import AbstractFourierModel
from ...numerics import complex_math as cm
from ...typing import Codes, Flags, Frequencies, Numbers, Real
from .base import AbstractEngine, Quadrature

_FURTHEST = 1e9  # cap on the damping where every moment is finite
_COUNTS = -28.0  # log of the integrand's size, relative to its start, above which its return matters
_STEEPEST = 0.25  # largest tilt of the line, radians: more slows Gaussian decay, less leaves oscillation
_CHUNK = 64  # options in one pass: as many as fit into the cache of a CPU

Tree = TypeVar("Tree")


class Contour(AbstractEngine):
    """The default engine, which integrates every option on its own line.

    It covers maturities from one hour to decades, and strikes far into the wings, where out-of-the-money
    prices keep relative accuracy. The error estimate is the difference to the rule on every other node, which
    needs no further evaluation.
    """

    nodes: int = eqx.field(static=True, default=192)
    """Number of steps of the trapezoidal rule."""
    tolerance: float = eqx.field(static=True, default=1e-8)
    """See `AbstractEngine.tolerance`."""

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> "Line":
        """One line per option, by `choose`; fields have the shape of k."""
        return map_options(lambda k, t: choose(model, k, t), (k, _per_option(t, k)), _CHUNK)

    def otm(self, model: AbstractFourierModel, k: Real, t: Real, plan: "Line | None" = None) -> Quadrature:
        """See `AbstractEngine.otm`; works through the options chunk by chunk."""
        plan = self.plan(model, k, t) if plan is None else plan

        def options(k: Real, t: Real, *path: Real | Flags) -> Quadrature:
            return self._options(model, k, t, Line(*path))

        return map_options(options, (k, _per_option(t, k), *plan), _CHUNK)

    def _options(self, model: AbstractFourierModel, k: Real, t: Real, path: "Line") -> Quadrature:
        step = path.length / self.nodes
        y = jnp.expand_dims(step, -1) * jnp.arange(self.nodes + 1.0, dtype=k.dtype)[None, :]
        f, _ = integrand(model, k, t, path, y)
        f = jnp.concatenate([0.5 * f[..., :1], f[..., 1:]], axis=-1)
        fine = jnp.sum(f, -1) * step
        coarse = 2.0 * jnp.sum(f[..., ::2], -1) * step
        size = jnp.sum(jnp.abs(f), -1) * step / jnp.pi
        gap = jnp.abs(fine - coarse) / jnp.pi
        # halving the step squares the relative error of a geometrically convergent rule, unless jumps of
        # nearly one size make the law of the forward lumpy; both rules may miss an integrand that returns
        share = jnp.maximum(jnp.sqrt(jnp.minimum(gap / jnp.where(size > 0, size, 1.0), 1.0)), path.slack)
        error = 10.0 * gap * share + 10.0 * jnp.finfo(k.dtype).eps * size
        error = jnp.where(path.returns, size, error)
        return Quadrature(offset(path, k) - fine / jnp.pi, jax.lax.stop_gradient(error))


def _per_option(t: Real, k: Real) -> Real:
    return jnp.broadcast_to(jnp.expand_dims(t, -1), k.shape)


def map_options(function: Callable[..., Tree], arrays: tuple[Real | Flags, ...], chunk: int) -> Tree:
    """Apply a function of n options to pieces of `chunk` options, one after another, to bound memory.

    Args:
        function: Takes one array of shape (n,) for each of `arrays`, and returns a pytree of such arrays.
        arrays: Arrays of one common shape.
        chunk: Number of options in one piece.

    Returns:
        The result of the function, whose arrays have the common shape.
    """
    shape = arrays[0].shape
    n = arrays[0].size
    flat = tuple(jnp.ravel(x) for x in arrays)
    if n <= chunk:
        result = function(*flat)
    else:
        pieces = -(-n // chunk)
        rows = [jnp.reshape(jnp.pad(x, (0, pieces * chunk - n), mode="edge"), (pieces, chunk)) for x in flat]
        result = jax.lax.map(lambda row: function(*row), tuple(rows))
    return jax.tree.map(lambda x: jnp.reshape(jnp.ravel(x)[:n], shape), result)


def integrand(
    model: AbstractFourierModel, k: Real, t: Real, path: "Line", y: Real
) -> tuple[Real, Frequencies]:
    """Values Re f(z(y)) z'(y) at y of shape (options, nodes), and `exponent` at the same points."""
    z, slope = along(path, y)
    e = exponent(model, k, t, z)
    rest = slope * cm.reciprocal(z) * cm.reciprocal(z + 1j)
    turn = jnp.imag(e)
    f = jnp.exp(jnp.real(e)) * (jnp.cos(turn) * jnp.real(rest) - jnp.sin(turn) * jnp.imag(rest))
    return f, e


def offset(path: "Line", k: Real) -> Real:
    """Out-of-the-money price less V: a residue and parity for a line with 0 < a < 1, else 0."""
    # unlike `minimum`, `where` has the derivative of the call at k = 0
    return jnp.where(path.inside, jnp.exp(jnp.where(k < 0, k, 0.0)), 0.0)


class Line(NamedTuple):
    """One integration line per option; all fields have the options' shape."""

    a: Real  # damping: the line crosses the imaginary axis at -i a
    scale: Real  # the b of z(y)
    tilt: Real  # radians, positive upwards
    length: Real  # y at which the integrand has decayed
    inside: Flags  # whether 0 < a < 1, so that V is the call less 1
    returns: Flags  # whether the integrand vanishes and returns before `length`
    slack: Real  # largest `phase_slack` where the integrand matters, at most 1


def along(c: Line, y: Real) -> tuple[Frequencies, Frequencies]:
    """The points z(y) and the derivatives z'(y) for y of shape (*options, nodes)."""
    a, b, tilt = (jnp.expand_dims(x, -1) for x in (c.a, c.scale, c.tilt))
    sinh = jnp.sinh(y)
    cosh = jnp.cosh(y)
    cos = jnp.cos(tilt)
    sin = jnp.sin(tilt)
    z = jax.lax.complex(b * cos * sinh, b * sin * (cosh - 1.0) - a)
    return z, jax.lax.complex(b * cos * cosh, b * sin * sinh)


def exponent(model: AbstractFourierModel, k: Real, t: Real, z: Frequencies) -> Frequencies:
    """The exponent log phi(z) + k (1 - iz); k and t have the options' shape, and z has one axis more."""
    return model.log_cf(z, jnp.expand_dims(t, -1)) + jnp.expand_dims(k, -1) * (1.0 - 1j * z)


def choose(model: AbstractFourierModel, k: Real, t: Real) -> Line:
    """Choose a line for each option: through the saddle point, tilted towards the decay of the integrand.

    Derivatives treat the line as a constant, because V does not depend on it.

    Args:
        model: Scalar parameters.
        k: Log-forward moneyness, shape (n,).
        t: Maturities in years, > 0, shape (n,).

    Returns:
        Line of shape (n,).
    """
    model, k, t = jax.lax.stop_gradient((model, k, t))
    a, width, height, inside = _saddle(model, k, t)
    flat = Line(
        a=a,
        scale=width,
        tilt=jnp.zeros_like(a),
        length=jnp.full_like(a, jnp.inf),
        inside=inside,
        returns=inside,
        slack=a,
    )

    # one loop body serves the flat and the tilted line, so that the characteristic function is compiled once
    def attempt(state: tuple[Line, Real], _: None) -> tuple[tuple[Line, Real], None]:
        best, tilt = state
        tilted, angle = _decay(model, k, t, best._replace(tilt=tilt), height)
        shorter = tilted.length <= best.length
        best = jax.tree.map(lambda new, old: jnp.where(shorter, new, old), tilted, best)
        return (best, jnp.clip(-0.5 * angle, -_STEEPEST, _STEEPEST)), None

    (best, _), _ = jax.lax.scan(attempt, (flat, flat.tilt), None, length=2)
    return best


def _height(model: AbstractFourierModel, k: Real, t: Real, a: Real) -> Real:
    """Log of the integrand's size at z = -i a, for a of shape (n, m); inf where it is not a number."""
    psi = jnp.real(model.log_cf(-1j * a, jnp.expand_dims(t, -1)))
    h = psi + jnp.expand_dims(k, -1) * (1.0 - a) - jnp.log(jnp.abs(a * (a - 1.0)))
    return jnp.where(jnp.isnan(h), jnp.inf, h)


def _saddle(model: AbstractFourierModel, k: Real, t: Real) -> tuple[Real, Real, Real, Flags]:
    """Damping a at which the integrand is smallest on the out-of-the-money side (Lord and Kahl 2007).

    Where the strip leaves so little room that the integrand is smaller at a = 1/2, that damping is taken.

    Returns:
        Damping, width of the saddle, log of the integrand's size there, and whether a is 1/2; shape (n,).
    """
    low, high = model.strip(t)
    call = k >= 0
    room = jnp.minimum(jnp.where(call, high - 1.0, -low), _FURTHEST)
    share = jnp.linspace(0.0, 1.0, 18, dtype=k.dtype)[None, :]

    def order(q: Real) -> Real:
        flag = jnp.expand_dims(call, -1)
        return jnp.where(flag, 1.0 + jnp.exp(q), -jnp.exp(q))

    middle = jnp.broadcast_to(jnp.asarray([0.5, 0.55, 0.45], k.dtype), (k.size, 3))

    def narrow(_round: Codes, state: tuple[Real, ...]) -> tuple[Real, ...]:
        """Narrow the range to the neighbours of the lowest of 18 points; two rounds leave about 1 % of it."""
        lo, hi, *_ = state
        gap = (hi - lo) / (share.size - 1)
        q = jnp.expand_dims(lo, -1) + jnp.expand_dims(hi - lo, -1) * share
        h = _height(model, k, t, jnp.concatenate([order(q), middle], axis=-1))
        best = jnp.clip(jnp.argmin(h[:, :-3], axis=-1), 1, share.size - 2)
        at = lambda i: jnp.take_along_axis(h, i[:, None], axis=-1)[:, 0]  # noqa: E731
        bend = (at(best + 1) + at(best - 1) - 2.0 * at(best)) / gap**2
        q = lo + best * gap
        return q - gap, q + gap, q, at(best), bend, h[:, -3], (h[:, -1] + h[:, -2] - 2.0 * h[:, -3]) / 0.05**2

    top = jnp.log(0.97 * room)
    zeros = (jnp.zeros_like(k),) * 5
    state = jax.lax.fori_loop(0, 2, narrow, (jnp.minimum(top - 7.0, -5.0), top, *zeros))
    _, _, q, outside, bend, centre, centre_bend = state
    inside = ~(outside <= centre)
    gap = jnp.where(inside, 0.5, jnp.minimum(jnp.exp(q), room - jnp.exp(q)))
    # second derivative in a, from that in log(a - 1) or log(-a) at a point where the slope is 0
    curve = jnp.where(inside, centre_bend, bend * jnp.exp(-2.0 * q))
    width = jnp.minimum(1.0 / jnp.sqrt(jnp.maximum(curve, 1e-300)), gap)
    a = jnp.where(inside, 0.5, order(q[:, None])[:, 0])
    return a, width, jnp.where(inside, centre, outside), inside


def _decay(model: AbstractFourierModel, k: Real, t: Real, c: Line, height: Real) -> tuple[Line, Real]:
    """Find where the integrand has fallen by a factor e^-40, and the direction of its exponent there.

    Returns:
        The line with its length in y (inf where the integrand is not finite, or grows above its start), and
        the argument of -d exponent/dz, radians; shape (n,).
    """
    furthest = 34.0 if k.dtype == jnp.float64 else 12.0  # up to here the squares of z stay finite
    y = jnp.arange(0.5, furthest, 0.75, dtype=k.dtype)
    z, slope = along(c, jnp.broadcast_to(y, k.shape + y.shape))
    e = exponent(model, k, t, z)
    size = jnp.real(e) + 0.5 * jnp.log(_square(slope) / _square(z) / _square(z + 1j))
    relative = size - jnp.expand_dims(height + jnp.log(c.scale), -1)
    slack = model.phase_slack(z, jnp.expand_dims(t, -1))
    size = relative + slack  # a size that the integrand may reach between these points
    alive = size > -40.0
    last = jnp.max(jnp.where(alive, jnp.arange(y.size), 0), axis=-1)

    def at(x: Numbers, i: Codes) -> Array:
        return jnp.take_along_axis(x, jnp.expand_dims(i, -1), axis=-1)[..., 0]

    following = jnp.minimum(last + 1, y.size - 1)
    before = at(size, last)
    after = at(size, following)
    share = jnp.clip((before + 40.0) / jnp.where(before > after, before - after, 1.0), 0.05, 1.0)
    length = 0.5 + 0.75 * (last + share)
    bad = jnp.any(~(size < 3.0), axis=-1)
    rise = jnp.maximum(last, 1)
    direction = (at(e, rise - 1) - at(e, rise)) * cm.reciprocal(at(z, rise) - at(z, rise - 1))
    counts = size > _COUNTS
    line = c._replace(
        length=jnp.where(bad, jnp.inf, length),
        returns=jnp.any(counts & (relative < -40.0), axis=-1),
        slack=jnp.max(jnp.where(counts, jnp.minimum(slack, 1.0), 0.0), axis=-1),
    )
    return line, jnp.nan_to_num(jnp.angle(direction))


def _square(z: Frequencies) -> Real:
    """The square |z|^2."""
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2
