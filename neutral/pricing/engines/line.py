"""The lines on which `Contour` and `Certify` integrate: through the saddle point, tilted towards decay."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...models import AbstractFourierModel
from ...numerics import complex_math as cm
from ...typing import Codes, Flags, Frequencies, Numbers, Real

BLOCKS = 320  # most blocks of nodes in the second rule, if each is a number of jumps
_FURTHEST = 1e9  # cap on the damping where every moment is finite
_STEEPEST = 0.25  # largest tilt of the line, radians: more slows Gaussian decay, less leaves oscillation
_SEGMENTS = 64  # blocks of nodes in the second rule on one line
_DECAYED = 40.0  # an integrand has decayed where it has fallen by a factor e^40
_NEGLIGIBLE = 40.0  # minus the log of a share that does not matter
_APART = 0.75  # distance in y of the points at which a line is examined
_MARGIN = 2.0  # factor by which a line is longer than its estimated decay
_TURN = 4.5  # phase of a jump per step, radians, from which on the rule may err; at 2 pi it does


def integrand(
    model: AbstractFourierModel, k: Real, t: Real, path: "Line", y: Real, number: Real | None = None
) -> tuple[Real, Frequencies]:
    """Values Re f(z(y)) z'(y) on the line of each option, and the exponents at the same points.

    Args:
        model: Scalar parameters.
        k: Log-forward moneyness, shape (options,).
        t: Maturities, shape (options,).
        path: The lines.
        y: Shape (options, nodes).
        number: Number of jumps to which the integrand is restricted; nan stands for any number, as None does.
    """
    z, slope = along(path, y)
    e = exponent(model, k, t, z) if number is None else _exponent_of_term(model, k, t, z, number)
    rest = slope * cm.reciprocal(z) * cm.reciprocal(z + 1j)
    turn = jnp.imag(e)
    f = jnp.exp(jnp.real(e)) * (jnp.cos(turn) * jnp.real(rest) - jnp.sin(turn) * jnp.imag(rest))
    return f, e


def _exponent_of_term(
    model: AbstractFourierModel, k: Real, t: Real, z: Frequencies, number: Real
) -> Frequencies:
    parts = model.jumps(z, jnp.expand_dims(t, -1))
    if parts is None:
        return exponent(model, k, t, z)
    whole = jnp.isnan(jnp.expand_dims(number, -1))
    n = jnp.where(whole, 0.0, jnp.expand_dims(number, -1))
    # where jumps are never expected there is only the whole
    safe = jnp.where(parts.intensity > 0, parts.intensity, 1.0)
    one = n * (parts.exponent + jnp.log(safe)) - jax.lax.lgamma(n + 1.0)
    every = parts.intensity * jnp.exp(jnp.where(whole, parts.exponent, 0.0))
    return parts.smooth + jnp.where(whole, every, one) + jnp.expand_dims(k, -1) * (1.0 - 1j * z)


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
    ceiling: Real  # bound on the price, inf where the line is inside
    unresolved: Real  # what the first rule may miss of jumps of nearly one size
    counts: "Counts"  # of the second rule


class Counts(NamedTuple):
    """How the second rule splits the integral of each option; all fields have the options' shape.

    All lines cross the imaginary axis at one point, where every part of the integral is positive: no part
    is larger than the whole.
    """

    by_jumps: Flags  # whether the blocks are numbers of jumps, each with its own line; else one line for all
    blocks: Real  # how many blocks there are
    first: Real  # the least number of jumps
    omitted: Real  # bound on the parts with fewer or more jumps, and on what may stay unresolved
    end: Real  # the last frequency on the flat line
    smooth: tuple[Frequencies, Frequencies]  # derivative of the exponent without jumps, at both ends
    jump: tuple[Frequencies, Frequencies]  # derivative of the exponent of one jump, at both ends


def term(path: Line, k: Real, j: Real) -> tuple[Line, Real]:
    """The line for the j-th block of the second rule, and its number of jumps, nan where it is any.

    The derivative of its exponent is taken to have the imaginary part of the far end of the flat line, and a
    real part that is linear between the ends. As `choose` does for the whole, this tilts the line by half the
    angle towards the steepest decay.
    """
    c = path.counts
    number = c.first + j
    near, far = (-smooth - number * jump for smooth, jump in zip(c.smooth, c.jump, strict=True))
    bend = jnp.maximum(jnp.real(far - near) / c.end, 0.0)
    reach = jnp.minimum(jnp.sqrt(2.0 * _DECAYED / jnp.where(bend > 0, bend, 1e-300)), c.end)
    angle = jnp.arctan2(jnp.imag(far), bend * reach)
    tilt = jnp.clip(-0.5 * jnp.nan_to_num(angle), -_STEEPEST, _STEEPEST)
    # the decay over x is at least rate x + bend x^2/2
    rate = jnp.maximum(jnp.minimum(jnp.imag(near) * -jnp.sin(tilt), jnp.imag(far) * -jnp.sin(tilt)), 0.0)
    reach = 2.0 * _DECAYED / (rate + jnp.sqrt(rate**2 + 2.0 * _DECAYED * bend) + _DECAYED / c.end)
    line = path._replace(tilt=tilt, length=jnp.arcsinh(_MARGIN * reach / path.scale))
    line = jax.tree.map(lambda new, old: jnp.where(c.by_jumps, new, old), line, path)
    return line, jnp.where(c.by_jumps, number, jnp.nan)


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
    flat = Line(
        a=a,
        scale=width,
        tilt=zero,
        length=jnp.full_like(a, jnp.inf),
        inside=inside,
        # (x - 1)^+ <= x^a / max(a, 1 - a), for all x and any a outside [0, 1]: the Chernoff bound
        ceiling=jnp.where(inside, jnp.inf, jnp.exp(height) * jnp.minimum(jnp.abs(a), jnp.abs(a - 1.0))),
        unresolved=zero,
        counts=Counts(
            jnp.zeros_like(inside), zero + _SEGMENTS, zero, zero, zero, (nothing, nothing), (nothing, nothing)
        ),
    )

    # one loop body serves the flat and the tilted line, so that the characteristic function is compiled once
    def attempt(state: tuple[Line, Real], _: None) -> tuple[tuple[Line, Real], None]:
        best, tilt = state
        tilted, angle = _decay(model, k, t, best._replace(tilt=tilt), height, nodes)
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
        e = smooth = exponent(model, k, t, z)
        expected = jnp.zeros_like(y)[None, :]
    else:
        smooth = parts.smooth + jnp.expand_dims(k, -1) * (1.0 - 1j * z)
        e = smooth + parts.intensity * jnp.exp(parts.exponent)
        expected = parts.intensity * jnp.exp(jnp.real(parts.exponent))  # number of jumps, damped
    # a bound that does not oscillate: phi may vanish and grow again between these points
    size = jnp.real(smooth) + expected + 0.5 * jnp.log(_square(slope) / _square(z) / _square(z + 1j))
    size = size - jnp.expand_dims(height + jnp.log(c.scale), -1)
    alive = (size > -_DECAYED)[..., 1:]
    last = 1 + jnp.max(jnp.where(alive, jnp.arange(y.size - 1), 0), axis=-1)

    def at(x: Numbers, i: Codes) -> Array:
        return jnp.take_along_axis(x, jnp.expand_dims(i, -1), axis=-1)[..., 0]

    following = jnp.minimum(last + 1, y.size - 1)
    before = at(size, last)
    after = at(size, following)
    share = jnp.clip((before + _DECAYED) / jnp.where(before > after, before - after, 1.0), 0.05, 1.0)
    length = 0.5 + _APART * (last - 1 + share)
    bad = jnp.any(~(size[..., 1:] < 3.0), axis=-1)
    rise = jnp.maximum(last, 2)

    def slope_at(x: Frequencies, i: Codes) -> Frequencies:
        return (at(x, i) - at(x, i - 1)) * cm.reciprocal(at(z, i) - at(z, i - 1))

    def slopes(x: Frequencies) -> tuple[Frequencies, Frequencies]:
        return slope_at(x, jnp.ones_like(rise)), slope_at(x, rise)

    line = c._replace(length=jnp.where(bad, jnp.inf, length))
    angle = jnp.nan_to_num(jnp.angle(-slope_at(e, rise)))
    if parts is None:
        return line, angle

    turn = jnp.imag(parts.exponent)
    rate = jnp.abs(jnp.diff(turn, axis=-1, append=turn[..., -1:]) / jnp.diff(y, append=y[-1:] + 1.0)[None, :])
    level = jnp.exp(height) * c.scale / jnp.pi

    def unresolved(steps: int) -> Real:
        """Bound on the parts of the integral whose number of jumps turns the phase too far in one step."""
        number = _TURN * steps / jnp.maximum(rate * jnp.expand_dims(length, -1), 1e-300)
        number = jnp.clip(number, 1.0, 1e6)
        # the share of so many jumps is at most expected^number / number!, and that by Stirling's formula
        share = number * (1.0 + jnp.log(expected / number)) - 0.5 * jnp.log(2.0 * jnp.pi * number)
        parts = jnp.exp(size + jnp.minimum(share, 0.0))
        return _APART * level * jnp.sum(jnp.where(size > -_DECAYED, parts, 0.0), axis=-1)

    first, blocks, omitted = _window(expected[..., 0])
    by_jumps = blocks <= BLOCKS
    counts = Counts(
        by_jumps=by_jumps,
        blocks=jnp.where(by_jumps, blocks, float(_SEGMENTS)),
        first=first,
        omitted=jnp.where(by_jumps, omitted * level, unresolved(nodes * _SEGMENTS)),
        end=jnp.real(at(z, following)),
        smooth=slopes(smooth),
        jump=slopes(parts.exponent),
    )
    flat = c.tilt == 0.0
    return line._replace(
        unresolved=unresolved(nodes),
        counts=jax.tree.map(lambda new, old: jnp.where(flat, new, old), counts, c.counts),
    ), angle


def _window(expected: Real) -> tuple[Real, Real, Real]:
    """The least number of jumps that matters, how many numbers do, and a bound on the share of the others.

    The bounds on the tails of Poisson's law are those of Chernoff. With no jumps expected, or more numbers
    than there are blocks, the second result is `BLOCKS` + 1.
    """
    first = jnp.floor(jnp.maximum(expected - jnp.sqrt(2.0 * _NEGLIGIBLE * expected), 0.0))
    number = jnp.expand_dims(first, -1) + 1.0 + jnp.arange(float(BLOCKS), dtype=expected.dtype)[None, :]
    mean = jnp.expand_dims(expected, -1)
    tail = jnp.where(number > mean, number - mean + number * jnp.log(mean / number), 0.0)
    blocks = 1.0 + jnp.sum(tail > -_NEGLIGIBLE, axis=-1)
    blocks = jnp.where(expected > 0.0, blocks, BLOCKS + 1.0)
    return first, blocks, jnp.full_like(expected, 2.0 * math.exp(-_NEGLIGIBLE))


def _square(z: Frequencies) -> Real:
    """The square |z|^2."""
    return jnp.real(z) ** 2 + jnp.imag(z) ** 2
