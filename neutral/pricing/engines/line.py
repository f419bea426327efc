"""The lines on which `Contour` and `Certify` integrate, and the integrand on them."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...models import AbstractFourierModel
from ...numerics import complex_math as cm
from ...typing import Flags, Frequencies, Real

STEEPEST = 0.25  # largest tilt of a line, radians: more slows Gaussian decay, less leaves oscillation
DECAYED = 40.0  # an integrand has decayed where it has fallen by a factor e^40
_MARGIN = 2.0  # factor by which the line of a number of jumps is longer than its estimated decay
# more jumps than the second rule counts; a table, because `lgamma` takes long to compile
_LOG_FACTORIALS = np.asarray([math.lgamma(n + 1.0) for n in range(1024)])


class Counts(NamedTuple):
    """How the second rule splits the integral of each option; all fields have the options' shape.

    All lines cross the imaginary axis at one point, where every part of the integral is positive: no part
    is larger than the whole.
    """

    by_jumps: Flags  # whether the blocks are numbers of jumps, each with its own line; else one line for all
    blocks: Real  # how many blocks there are
    first: Real  # the least number of jumps
    omitted: Real  # bound on the parts with fewer or more jumps, and on what may stay unresolved
    unresolved: Real  # what the first rule may miss of jumps of nearly one size
    end: Real  # the last frequency on the flat line
    smooth: tuple[Frequencies, Frequencies]  # derivative of the exponent without jumps, at both ends
    jump: tuple[Frequencies, Frequencies]  # derivative of the exponent of one jump, at both ends


class Line(NamedTuple):
    """One integration line per option; all fields have the options' shape."""

    a: Real  # damping: the line crosses the imaginary axis at -i a
    scale: Real  # the b of z(y)
    tilt: Real  # radians, positive upwards
    length: Real  # y at which the integrand has decayed
    inside: Flags  # whether 0 < a < 1, so that V is the call less 1
    ceiling: Real  # bound on the price, inf where the line is inside
    counts: Counts | None  # None for a model without jumps, which needs no second rule


def integrand(
    model: AbstractFourierModel, k: Real, t: Real, path: Line, y: Real, number: Real | None = None
) -> tuple[Real, Frequencies]:
    """Values Re f(z(y)) z'(y) on the line of each option, and the exponents at the same points.

    Args:
        model: Scalar parameters.
        k: Log-forward moneyness, shape (options,).
        t: Maturities, shape (options,).
        path: The lines.
        y: Shape (options, nodes).
        number: Number of jumps to which the integrand is restricted; nan means any number, as None does.
    """
    z, slope = along(path, y)
    e = exponent(model, k, t, z) if number is None else _exponent_of_term(model, k, t, z, number)
    rest = slope * cm.reciprocal(z) * cm.reciprocal(z + 1j)
    turn = jnp.imag(e)
    f = jnp.exp(jnp.real(e)) * (jnp.cos(turn) * jnp.real(rest) - jnp.sin(turn) * jnp.imag(rest))
    return f, e


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


def _exponent_of_term(
    model: AbstractFourierModel, k: Real, t: Real, z: Frequencies, number: Real
) -> Frequencies:
    """The exponent of the part of phi with a number of jumps, or of the whole where the number is nan."""
    parts = model.jumps(z, jnp.expand_dims(t, -1))
    if parts is None:
        return exponent(model, k, t, z)
    whole = jnp.isnan(jnp.expand_dims(number, -1))
    n = jnp.where(whole, 0.0, jnp.expand_dims(number, -1))
    # where jumps are never expected there is only the whole
    safe = jnp.where(parts.intensity > 0, parts.intensity, 1.0)
    orderings = jnp.take(jnp.asarray(_LOG_FACTORIALS, k.dtype), n.astype(int), mode="clip")
    one = n * (parts.exponent + jnp.log(safe)) - orderings
    every = parts.intensity * jnp.exp(jnp.where(whole, parts.exponent, 0.0))
    return parts.smooth + jnp.where(whole, every, one) + jnp.expand_dims(k, -1) * (1.0 - 1j * z)


def offset(path: Line, k: Real) -> Real:
    """Out-of-the-money price less V: a residue and parity for a line with 0 < a < 1, else 0."""
    # unlike `minimum`, `where` has the derivative of the call at k = 0
    return jnp.where(path.inside, jnp.exp(jnp.where(k < 0, k, 0.0)), 0.0)


def term(path: Line, c: Counts, j: Real) -> tuple[Line, Real]:
    """The line for the j-th block of the second rule, and its number of jumps, nan where it is any.

    The derivative of its exponent is taken to have the imaginary part of the far end of the flat line, and a
    real part that is linear between the ends. As `choose` does for the whole, this tilts the line by half the
    angle towards the steepest decay.
    """
    number = c.first + j
    near, far = (-smooth - number * jump for smooth, jump in zip(c.smooth, c.jump, strict=True))
    bend = jnp.maximum(jnp.real(far - near) / c.end, 0.0)
    reach = jnp.minimum(jnp.sqrt(2.0 * DECAYED / jnp.where(bend > 0, bend, 1e-300)), c.end)
    angle = jnp.arctan2(jnp.imag(far), bend * reach)
    tilt = jnp.clip(-0.5 * jnp.where(jnp.isnan(angle), 0.0, angle), -STEEPEST, STEEPEST)
    # the decay over x is at least rate x + bend x^2/2
    rate = jnp.maximum(jnp.minimum(jnp.imag(near) * -jnp.sin(tilt), jnp.imag(far) * -jnp.sin(tilt)), 0.0)
    reach = 2.0 * DECAYED / (rate + jnp.sqrt(rate**2 + 2.0 * DECAYED * bend) + DECAYED / c.end)
    length = jnp.arcsinh(_MARGIN * reach / path.scale)
    line = path._replace(
        tilt=jnp.where(c.by_jumps, tilt, path.tilt), length=jnp.where(c.by_jumps, length, path.length)
    )
    return line, jnp.where(c.by_jumps, number, jnp.nan)
