"""The choice of lines of integration: through the saddle point, tilted towards the integrand's decay."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...models import AbstractFourierModel
from ...models.base import Jumps
from ...numerics import complex_math as cm
from ...numerics.materialise import materialise
from ...typing import Codes, Flags, Frequencies, Numbers, Real
from .line import DECAYED, STEEPEST, Counts, Line, along, exponent

BLOCKS = 320  # most blocks of nodes in the second rule, if each is a number of jumps
_FURTHEST = 1e9  # cap on the damping where every moment is finite
_SEGMENTS = 64  # blocks of nodes in the second rule on one line
_NEGLIGIBLE = 40.0  # minus the log of a share that does not matter
_APART = 0.75  # distance in y of the points at which a line is examined
_TURN = 4.5  # phase of a jump per step, radians, from which on the rule may err; at 2 pi it does


def choose(model: AbstractFourierModel, k: Real, t: Real, nodes: int) -> Line:
    """Choose a line for each option: through the saddle point, tilted towards the decay of the integrand.

    Derivatives treat the line as a constant, because V does not depend on it.

    Args:
        model: Scalar parameters.
        k: Log-forward moneyness, shape (n,).
        t: Maturities in years, > 0, shape (n,).
        nodes: Number of steps of the first rule, and of each block of the second.

    Returns:
        Line of shape (n,).
    """
    model, k, t = jax.lax.stop_gradient((model, k, t))
    a, width, height, inside = _saddle(model, k, t)
    zero = jnp.zeros_like(a)
    nothing = jax.lax.complex(zero, zero)
    counts = Counts(
        by_jumps=jnp.zeros_like(inside),
        blocks=zero + _SEGMENTS,
        first=zero,
        omitted=zero,
        unresolved=zero,
        end=zero,
        smooth=(nothing, nothing),
        jump=(nothing, nothing),
    )
    flat = Line(
        a=a,
        scale=width,
        tilt=zero,
        length=jnp.full_like(a, jnp.inf),
        inside=inside,
        # (x - 1)^+ <= x^a / max(a, 1 - a), for all x and any a outside [0, 1]: the Chernoff bound
        ceiling=jnp.where(inside, jnp.inf, jnp.exp(height) * jnp.minimum(jnp.abs(a), jnp.abs(a - 1.0))),
        counts=None if model.jumps(-1j * a, t) is None else counts,
    )

    # one loop body serves the flat and the tilted line, so that the characteristic function is compiled once
    def attempt(state: tuple[Line, Real], _: None) -> tuple[tuple[Line, Real], None]:
        best, tilt = state
        tilted, angle = _decay(model, k, t, best._replace(tilt=tilt), height, nodes)
        shorter = tilted.length <= best.length
        best = jax.tree.map(lambda new, old: jnp.where(shorter, new, old), tilted, best)
        return (best, jnp.clip(-0.5 * angle, -STEEPEST, STEEPEST)), None

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
    share = jnp.linspace(0.0, 1.0, 13, dtype=k.dtype)[None, :]

    def order(q: Real) -> Real:
        flag = jnp.expand_dims(call, -1)
        return jnp.where(flag, 1.0 + jnp.exp(q), -jnp.exp(q))

    middle = jnp.broadcast_to(jnp.asarray([0.5, 0.55, 0.45], k.dtype), (k.size, 3))

    def narrow(_round: Codes, state: tuple[Real, ...]) -> tuple[Real, ...]:
        """Narrow the range to the neighbours of the lowest of 13 points; three rounds leave 0.5 % of it."""
        lo, hi, *_ = state
        gap = (hi - lo) / (share.size - 1)
        q = jnp.expand_dims(lo, -1) + jnp.expand_dims(hi - lo, -1) * share
        h = _height(model, k, t, jnp.concatenate([order(q), middle], axis=-1))
        best = jnp.clip(jnp.argmin(h[:, :-3], axis=-1), 1, share.size - 2)
        at = lambda i: jnp.take_along_axis(h, i[:, None], axis=-1)[:, 0]  # noqa: E731
        rises = at(best + 1) - at(best), at(best - 1) - at(best)
        # beyond a steep rise lies another regime, such as exploding jumps: the width would be too small
        bend = (jnp.minimum(*rises) + jnp.minimum(jnp.maximum(*rises), jnp.minimum(*rises) + 2.0)) / gap**2
        q = lo + best * gap
        return q - gap, q + gap, q, at(best), bend, h[:, -3], (h[:, -1] + h[:, -2] - 2.0 * h[:, -3]) / 0.05**2

    top = jnp.log(0.97 * room)
    zeros = (jnp.zeros_like(k),) * 5
    state = jax.lax.fori_loop(0, 3, narrow, (jnp.minimum(top - 7.0, -5.0), top, *zeros))
    _, _, q, outside, bend, centre, centre_bend = state
    inside = ~(outside <= centre)
    gap = jnp.where(inside, 0.5, jnp.minimum(jnp.exp(q), room - jnp.exp(q)))
    # second derivative in a, from that in log(a - 1) or log(-a) at a point where the slope is 0
    curve = jnp.where(inside, centre_bend, bend * jnp.exp(-2.0 * q))
    width = jnp.minimum(1.0 / jnp.sqrt(jnp.maximum(curve, 1e-300)), gap)
    a = jnp.where(inside, 0.5, order(q[:, None])[:, 0])
    return a, width, jnp.where(inside, centre, outside), inside


def _decay(
    model: AbstractFourierModel, k: Real, t: Real, c: Line, height: Real, nodes: int
) -> tuple[Line, Real]:
    """Find where the integrand has fallen by a factor e^-40, and the direction of its exponent there.

    Returns:
        The line with its length in y (inf where the integrand is not finite, or grows above its start), and
        the argument of -d exponent/dz, radians; shape (n,).
    """
    furthest = 34.0 if k.dtype == jnp.float64 else 12.0  # up to here the squares of z stay finite
    y = jnp.concatenate([jnp.zeros(1, k.dtype), jnp.arange(0.5, furthest, _APART, dtype=k.dtype)])
    z, slope = along(c, jnp.broadcast_to(y, k.shape + y.shape))
    parts = model.jumps(z, jnp.expand_dims(t, -1))
    if parts is None:
        e = smooth = jump = exponent(model, k, t, z)
        most = jnp.real(e)
    else:
        smooth = parts.smooth + jnp.expand_dims(k, -1) * (1.0 - 1j * z)
        smooth, jump, slope, z = materialise((smooth, parts.exponent, slope, z))
        parts = parts._replace(exponent=jump)
        e = smooth + parts.intensity * jnp.exp(jump)
        # a bound that does not oscillate: phi may vanish and grow again between these points
        most = jnp.real(smooth) + parts.intensity * jnp.exp(jnp.real(jump))
    grown = most - 0.5 * jnp.log(_square(z) * _square(z + 1j)) - jnp.expand_dims(height, -1)
    size = grown + 0.5 * jnp.log(_square(slope)) - jnp.expand_dims(jnp.log(c.scale), -1)
    alive = (size > -DECAYED)[..., 1:]
    last = 1 + jnp.max(jnp.where(alive, jnp.arange(y.size - 1), 0), axis=-1)
    following = jnp.minimum(last + 1, y.size - 1)
    before = _at(size, last)
    after = _at(size, following)
    share = jnp.clip((before + DECAYED) / jnp.where(before > after, before - after, 1.0), 0.05, 1.0)
    length = 0.5 + _APART * (last - 1 + share)
    bad = jnp.any(~(grown[..., 1:] < 3.0), axis=-1)
    line = c._replace(length=jnp.where(bad, jnp.inf, length))
    rise = jnp.maximum(last, 2)

    def slope_at(x: Frequencies, i: Codes) -> Frequencies:
        return (_at(x, i) - _at(x, i - 1)) * cm.reciprocal(_at(z, i) - _at(z, i - 1))

    angle = jnp.angle(-slope_at(e, rise))
    angle = jnp.where(jnp.isnan(angle), 0.0, angle)
    if parts is None or c.counts is None:
        return line, angle
    level = jnp.exp(height) * c.scale / jnp.pi
    counts = _counts(parts._replace(smooth=smooth), y, length, size, level=level, nodes=nodes)
    first = jnp.ones_like(rise)
    ends = (
        jnp.real(_at(z, following)),
        (slope_at(smooth, first), slope_at(smooth, rise)),
        (slope_at(jump, first), slope_at(jump, rise)),
    )
    known = (c.counts.end, c.counts.smooth, c.counts.jump)
    end, *slopes = jax.tree.map(lambda new, old: jnp.where(c.tilt == 0.0, new, old), ends, known)
    return line._replace(counts=counts._replace(end=end, smooth=slopes[0], jump=slopes[1])), angle


def _counts(parts: Jumps, y: Real, length: Real, size: Real, *, level: Real, nodes: int) -> Counts:
    """The second rule of lines without its ends, which are set to 0.

    Args:
        parts: The parts of the exponent with k (1 - iz) in the smooth one, shape (n, points).
        y: The points, shape (points,).
        length: Lengths of the lines, shape (n,).
        size: Logs of the size of the integrand in units of `level`, shape (n, points).
        level: Its size where the line crosses the axis, over pi, shape (n,).
        nodes: Number of steps of the first rule, and of each block of the second.
    """
    expected = parts.intensity * jnp.exp(jnp.real(parts.exponent))  # number of jumps, damped
    turn, steady = (_rate(jnp.imag(x), y)[None] for x in (parts.exponent, parts.smooth))
    # the phase turns too far in one step, in either rule, with fewer or more jumps than these
    steps = jnp.asarray([1.0, _SEGMENTS], y.dtype)[:, None, None] * nodes
    most = _TURN * steps / jnp.expand_dims(length, -1)[None]
    least, most = (
        jnp.clip((end - steady * jnp.sign(turn)) / jnp.maximum(jnp.abs(turn), 1e-300), -1.0, 1e6)
        for end in (-most, most)
    )
    share = _share_below(least, expected[None]) + _share_above(most, expected[None])
    # each jump adds to the exponent, whose parts nearly cancel, and so to its rounding error
    rounding = 4.0 * jnp.finfo(y.dtype).eps * (parts.intensity + expected)[None]
    missed = jnp.where(size[None] > -DECAYED, jnp.exp(size[None]) * (share + rounding), 0.0)
    unresolved = _APART * level[None] * jnp.sum(missed, axis=-1)
    mean = expected[..., 0]
    first, blocks = _window(mean)
    by_jumps = blocks <= BLOCKS
    zero = jnp.zeros_like(length)
    nothing = jax.lax.complex(zero, zero)
    return Counts(
        by_jumps=by_jumps,
        blocks=jnp.where(by_jumps, blocks, float(_SEGMENTS)),
        first=first,
        omitted=jnp.where(by_jumps, level * 2.0 * math.exp(-_NEGLIGIBLE), unresolved[1]),
        unresolved=unresolved[0],
        end=zero,
        smooth=(nothing, nothing),
        jump=(nothing, nothing),
    )


def _rate(x: Real, y: Real) -> Real:
    """Derivative of x, shape (n, points), in y, shape (points,), from each point to the next."""
    return jnp.diff(x, axis=-1, append=x[..., -1:]) / jnp.diff(y, append=y[-1:] + 1.0)[None, :]


def _share_above(number: Real, expected: Real) -> Real:
    """Chernoff's bound on the probability of more jumps than a number, where so many are expected."""
    share = jnp.exp(_log_tail(jnp.maximum(number, 1.0), expected))
    return jnp.where(number > expected, share, 1.0)


def _share_below(number: Real, expected: Real) -> Real:
    """Chernoff's bound on the probability of fewer jumps than a number, where so many are expected."""
    share = jnp.where(number < expected, jnp.exp(_log_tail(number, expected)), 1.0)
    return jnp.where(number > 0.0, share, 0.0)


def _log_tail(number: Real, expected: Real) -> Real:
    """Log of Chernoff's bound on the tail of Poisson's law that a number cuts off; 0 at the mean."""
    safe = jnp.where(number > 0.0, number, 1.0)
    return safe - expected + safe * jnp.log(expected / safe)


def _window(expected: Real) -> tuple[Real, Real]:
    """The least number of jumps that matters, and how many numbers do; others have a share of 2 e^-40.

    The bounds on the tails of Poisson's law are those of Chernoff. With no jumps expected, or more numbers
    than there are blocks, the second result is `BLOCKS` + 1.
    """
    first = jnp.floor(jnp.maximum(expected - jnp.sqrt(2.0 * _NEGLIGIBLE * expected), 0.0))
    number = jnp.expand_dims(first, -1) + 1.0 + jnp.arange(float(BLOCKS), dtype=expected.dtype)[None, :]
    mean = jnp.expand_dims(expected, -1)
    tail = jnp.where(number > mean, _log_tail(number, mean), 0.0)
    blocks = 1.0 + jnp.sum(tail > -_NEGLIGIBLE, axis=-1)
    return first, jnp.where(expected > 0.0, blocks, BLOCKS + 1.0)


def _at(x: Numbers, i: Codes) -> Array:
    """The element of each row of x, shape (n, points), at the positions i, shape (n,)."""
    return jnp.take_along_axis(x, jnp.expand_dims(i, -1), axis=-1)[..., 0]


def _square(z: Frequencies) -> Real:
    """The square |z|^2."""
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2
