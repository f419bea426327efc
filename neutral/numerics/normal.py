"""The normal distribution to machine accuracy: density, cdf, quantile, scaled erfc and Mills ratio.

The option formulas are built on the Mills ratio R(x) = N(-x) / n(x): Black's and Bachelier's prices are
differences of two of its values, and a difference of nearly equal numbers loses digits. This module therefore
also computes the divided difference of R, without subtraction. Equation numbers refer to docs/mathematics.md.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..precision import require_precision
from ..typing import Real, Values

INV_SQRT_2PI = 0.3989422804014327
SQRT_2PI = 2.5066282746310002

# F of (6): (x + a) R(x) as a polynomial in t = (x + a - 2 S) / (x + a), with a = _OFFSET and S = _SCALE; t
# maps [-0.75, inf) to [-1, 1). The polynomial was fitted for this package by Chebyshev interpolation in 60
# digits, then truncated and expanded in powers of t; the truncation error is 4e-19.
_OFFSET = 5.5
_SCALE = 4.75
_MILLS = (
    2.2481976376788264,
    -2.5702921305257713,
    2.50983090563931,
    -2.0852382586316383,
    1.4569992247923311,
    -0.8359249974455732,
    0.3748862419530852,
    -0.11612060638298326,
    0.013411866918545316,
    0.008069285892178077,
    -0.004433047573364882,
    0.00022158316885916593,
    0.0005731362464697619,
    -0.00015046028688327188,
    -6.497992927173453e-05,
    3.297802342423521e-05,
    7.977922945272471e-06,
    -6.3141928863713175e-06,
    -1.2627866949440557e-06,
    1.1903100143145022e-06,
    2.719230379565444e-07,
    -2.2104073217078848e-07,
    -6.813970605673676e-08,
    3.779109729691268e-08,
    1.592450533839842e-08,
    -5.11519659020865e-09,
    -2.778887952468215e-09,
    3.9047702811947827e-10,
    2.5448326951948264e-10,
)
# A series of 14 terms (relative error 1e-8) for the first steps of an iteration, whose last step uses _MILLS.
_MILLS_SHORT = (
    2.24819763245,
    -2.57029211574,
    2.50983142261,
    -2.08523881923,
    1.45699086015,
    -0.835918818592,
    0.374937231047,
    -0.116150888021,
    0.0132626400397,
    0.00814660527427,
    -0.00420512147136,
    0.000112684526883,
    0.000393258191282,
    -6.65671658765e-05,
)
MILLS_DOMAIN = -0.75
_HUGE = 1e308


def as_float64(*arrays: Values) -> list[Float[Array, "..."]]:
    """Convert the arguments to float64 and broadcast them to one shape.

    Args:
        arrays: Numbers or arrays of compatible shapes.

    Returns:
        The arrays, float64, all of the broadcast shape.

    Raises:
        PrecisionError: JAX runs in single precision, where these results would be meaningless.
    """
    require_precision("float64")
    return list(jnp.broadcast_arrays(*(jnp.asarray(a, dtype=jnp.float64) for a in arrays)))


def as_float64_with_flags(*arrays: Values) -> tuple[list[Float[Array, "..."]], Bool[Array, "..."]]:
    """Convert all arguments but the last to float64, the last to booleans, and broadcast them to one shape.

    Args:
        arrays: Numbers or arrays of compatible shapes; the last one contains booleans, or numbers of which
            0 is false.

    Returns:
        The numbers and the booleans, all of the broadcast shape.

    Raises:
        PrecisionError: JAX runs in single precision.
    """
    *numbers, flag = as_float64(*arrays)
    return numbers, flag != 0.0


def divide(a: Real, b: Real) -> Real:
    """Quotient a / b, capped at 1e308, in a form that XLA can fuse with all its uses.

    XLA treats a division as too expensive to repeat. A quotient with several uses therefore ends a fused
    loop: its result goes through memory, and everything cheap around it is computed again in each loop. Here
    the minimum has the several uses instead of the division, and the whole formula stays one loop, which is
    about twice as fast.
    """
    return jnp.minimum(a / b, _HUGE)


def square_root(x: Real) -> Real:
    """Square root in a form that XLA can fuse with all its uses; see `divide`."""
    return jnp.minimum(jnp.sqrt(x), _HUGE)


def _exp_square(factor: float, rate: float, x: Real) -> Real:
    """Compute factor exp(rate x^2) without the rounding error of x^2 (Cody 1969). Needs |rate| >= 0.5."""
    near = jnp.clip(x, -40.0, 40.0)  # for larger |x| the result leaves the range of float64
    head = jax.lax.stop_gradient(jnp.round(near * 16.0) / 16.0)
    # The factor is between the exponentials because XLA would rewrite exp(a) exp(b) as exp(a + b), and
    # that would round x^2 again.
    return (factor * jnp.exp(rate * head * head)) * jnp.exp(rate * (near - head) * (near + head))


@jax.jit
def pdf(x: Values) -> Real:
    """Standard normal density n(x).

    Args:
        x: Any shape.

    Returns:
        Same shape; the relative error is about 2 units in the last place up to |x| = 37, where the density
        underflows.
    """
    return _exp_square(INV_SQRT_2PI, -0.5, jnp.asarray(x))


def _horner(coefficients: tuple[float, ...], t: Real) -> Real:
    value = jnp.full_like(t, coefficients[-1])
    for c in coefficients[-2::-1]:
        value = value * t + c
    return value


def _mills_right(x: Real) -> Real:
    """Mills ratio for x >= MILLS_DOMAIN."""
    x = jnp.minimum(x, _HUGE)
    y = divide(jnp.ones_like(x), x + _OFFSET)
    return y * _horner(_MILLS, (x + (_OFFSET - 2.0 * _SCALE)) * y)


@jax.jit
def mills(x: Values) -> Real:
    """Mills ratio R(x) = N(-x) / n(x), for every real x.

    Args:
        x: Any shape. Below about -37.6 the result overflows to inf.

    Returns:
        Same shape; the relative error is about 4 units in the last place. R is differentiable any number of
        times.
    """
    x = jnp.asarray(x)
    left = x < -0.7
    right_value = _mills_right(jnp.where(left, -x, x))
    left_value = _exp_square(SQRT_2PI, 0.5, jnp.where(left, x, 0.0)) - right_value
    return jnp.where(left, left_value, right_value)


def _divided(coefficients: tuple[float, ...], t1: Real, t2: Real) -> tuple[Real, Real]:
    """Polynomial at t1 and its divided difference over (t1, t2), both by Horner's rule."""
    value = coefficients[-2] + t1 * coefficients[-1]
    slope = jnp.full_like(t1, coefficients[-1])
    for c in coefficients[-3::-1]:
        slope = slope * t2 + value
        value = value * t1 + c
    return value, slope


def mills_pair(x1: Real, x2: Real, exact: bool = True) -> tuple[Real, Real, Real]:
    """Mills ratios at two points and their divided difference, without cancellation.

    The divided difference is a sum of two positive terms, one with F and one with the divided difference of
    the polynomial F: nothing is subtracted, however close the points are.

    Args:
        x1: At least -0.75, any shape.
        x2: At least -0.75, same shape.
        exact: Whether to use the full series; the short one costs half as much, with a relative error of
            1e-7.

    Returns:
        R(x1), R(x2) and (R(x1) - R(x2)) / (x2 - x1) > 0; at x1 = x2 the last is -R'(x1).
    """
    z1 = jnp.minimum(x1, 1e150) + _OFFSET
    z2 = jnp.minimum(x2, 1e150) + _OFFSET
    y12 = divide(jnp.ones_like(z1), z1 * z2)
    y1 = y12 * z2
    y2 = y12 * z1
    t1 = (z1 - 2.0 * _SCALE) * y1
    t2 = (z2 - 2.0 * _SCALE) * y2
    value, slope = _divided(_MILLS if exact else _MILLS_SHORT, t1, t2)
    # (6): R(x1), R(x2) and [R(x1) - R(x2)] / (x2 - x1)
    mills_2 = y2 * (value + (2.0 * _SCALE) * (y1 - y2) * slope)
    return y1 * value, mills_2, y12 * (value - (2.0 * _SCALE) * y2 * slope)


@jax.jit
def erfcx(x: Values) -> Real:
    """Scaled complementary error function exp(x^2) erfc(x).

    Args:
        x: Any shape. Below about -26.6 the result overflows to inf.

    Returns:
        Same shape; the relative error is about 4 units in the last place. The derivative avoids the
        cancellation that the formula 2 x erfcx(x) - 2 / sqrt(pi) has at large x.
    """
    x = jnp.asarray(x)
    left = x < -0.5
    right_value = math.sqrt(2.0 / math.pi) * _mills_right(math.sqrt(2.0) * jnp.where(left, -x, x))
    left_value = _exp_square(2.0, 1.0, jnp.where(left, x, 0.0)) - right_value
    return jnp.where(left, left_value, right_value)


@jax.jit
def cdf(x: Values) -> Real:
    """Standard normal distribution function N(x).

    Args:
        x: Any shape.

    Returns:
        Same shape; in the left tail, down to the underflow, the relative error is a few units in the last
        place.
    """
    x = jnp.asarray(x)
    # `where`, not `abs`, whose derivative at 0 is 0
    tail = pdf(x) * _mills_right(jnp.where(x > 0.0, x, -x))
    return jnp.where(x > 0.0, 1.0 - tail, tail)


@jax.custom_jvp
@jax.jit
def quantile(p: Real) -> Real:
    """Inverse of the standard normal distribution function.

    Args:
        p: Probabilities in [0, 1], any shape.

    Returns:
        Same shape: -inf at 0, inf at 1, nan outside [0, 1].
    """
    p = jnp.asarray(p)
    x = jax.scipy.special.ndtri(p)
    # ndtri has an error of a few 1e-15, and one Newton step reduces it to the last place. The step is taken
    # in the left half only, where N has full relative accuracy.
    inner = (p > 0.0) & (p < 0.5) & (x > -37.0)
    x_in = jnp.where(inner, x, -1.0)
    step = (_mills_right(-x_in) - jnp.where(inner, p, 0.0) / pdf(x_in)) * inner
    return jnp.where(inner, x_in - step, x)


@quantile.defjvp
def _quantile_jvp(primals: tuple[Real], tangents: tuple[Real]) -> tuple[Real, Real]:
    x = quantile(*primals)
    inside = jnp.isfinite(x)
    slope = jnp.where(inside, 1.0 / pdf(jnp.where(inside, x, 0.0)), 0.0)
    return x, slope * tangents[0]
