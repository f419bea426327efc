"""Double precision: how it is switched on, and how its absence is refused."""

from typing import Literal

import numpy as np

from .errors import PrecisionError

Precision = Literal["float64", "float32"]


def enable_x64() -> None:
    """Switch JAX to double precision for the whole process; call it before making any array."""
    import jax

    jax.config.update("jax_enable_x64", True)


def require_precision(precision: Precision, **arrays: object) -> type:
    """The dtype to compute in, or a clear refusal to lose digits silently.

    Args:
        precision: "float64", or "float32" when its loss (about 1e-6 of the forward) is wanted.
        arrays: Inputs by name; a float32 array is refused in double precision.

    Raises:
        PrecisionError: double precision is asked for and not available, or an input has lost it already.
    """
    import jax

    if precision == "float32":
        return np.float32
    if precision != "float64":
        raise PrecisionError(f"precision={precision!r} is not known; use 'float64' or 'float32'.")
    if not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise PrecisionError(
            "Double precision is off in JAX: call neutral.enable_x64() first (or set JAX_ENABLE_X64=1). "
            "Prices in float32 lose about 10 of 16 digits; precision='float32' asks for that by name."
        )
    for name, value in arrays.items():
        dtype = getattr(value, "dtype", None)
        if dtype is not None and np.dtype(dtype) in (np.float32, np.float16):
            raise PrecisionError(
                f"{name} is {dtype}: its digits are lost already. Pass float64 "
                "(after neutral.enable_x64()), or ask for precision='float32' by name."
            )
    return np.float64
