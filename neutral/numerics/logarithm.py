"""A natural logarithm in plain arithmetic, which XLA vectorises on CPU; XLA's own calls a library instead."""

import jax
import jax.numpy as jnp

from ..typing import Real
from .normal import divide

# Coefficients of the fdlibm logarithm (Sun Microsystems 1993, e_log.c).
_LOG = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 0x3FF0000000000000
_MANTISSA = 0x000FFFFFFFFFFFFF


def fast_log(x: Real) -> Real:
    """Natural logarithm of positive, normal float64 numbers, ten times as fast as XLA's on CPU.

    Other inputs give meaningless results.

    Args:
        x: Any shape, in [2.3e-308, 1.7e308].

    Returns:
        Same shape; error below one unit in the last place.
    """
    bits = jax.lax.bitcast_convert_type(x, jnp.int64) + (_ONE_BITS - _SQRT_HALF_BITS)
    # The exponent field becomes the low bits of the float64 2^52 + field, which needs no integer conversion.
    exponent = jax.lax.bitcast_convert_type((bits >> 52) | 0x4330000000000000, jnp.float64) - (2.0**52 + 1023)
    f = jax.lax.bitcast_convert_type((bits & _MANTISSA) + _SQRT_HALF_BITS, jnp.float64) - 1.0
    s = divide(f, 2.0 + f)
    z = s * s
    w = z * z
    odd = z * (_LOG[0] + w * (_LOG[2] + w * (_LOG[4] + w * _LOG[6])))
    even = w * (_LOG[1] + w * (_LOG[3] + w * _LOG[5]))
    half = 0.5 * f * f
    return exponent * _LN2_HIGH - ((half - (s * (half + odd + even) + exponent * _LN2_LOW)) - f)
