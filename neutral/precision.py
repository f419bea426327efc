"""Switches on double precision; refuses to compute in single precision unasked, or in a forked process."""

import os
from typing import Literal

import numpy as np

from .errors import ForkError, PrecisionError

_first_process: int | None = None  # the process that computed first, or one that it was forked from

Precision = Literal["float64", "float32"]


def enable_x64() -> None:
    """Switch JAX to double precision for the whole process. Call it before creating any array."""
    import jax

    jax.config.update("jax_enable_x64", True)


def is_double() -> bool:
    """Whether JAX computes in double precision."""
    import jax

    return bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]


def require_precision(precision: Precision, **arrays: object) -> type:
    """Return the dtype to compute in, and refuse inputs that have already lost digits.

    Args:
        precision: "float64", or "float32" where its error of about 1e-6 of the forward is acceptable.
        arrays: Inputs by name. Arrays and columns of float32 or float16 are refused in double precision;
            single numbers of NumPy are accepted.

    Returns:
        `numpy.float64` or `numpy.float32`.

    Raises:
        PrecisionError: `precision` is unknown, or it is "float64" and JAX runs without double precision or an
            input is float32 or float16.
        ForkError: This process was forked from one that had computed before.
    """
    _refuse_fork()

    if precision == "float32":
        return np.float32
    if precision != "float64":
        raise PrecisionError(f"precision={precision!r} is not supported; use 'float64' or 'float32'.")
    if not is_double():
        raise PrecisionError(
            "Double precision is off in JAX: call neutral.enable_x64() first (or set JAX_ENABLE_X64=1). "
            "Prices in float32 lose about 10 of 16 digits; precision='float32' accepts that."
        )
    for name, value in arrays.items():
        dtype = getattr(value, "dtype", getattr(value, "type", None))  # columns of Arrow have a type
        # those of pandas have capitals, and the pyarrow columns of pandas a suffix
        lost = str(dtype).lower().split("[")[0] in ("float32", "float16", "float", "halffloat")
        if lost and not isinstance(value, np.generic):
            raise PrecisionError(
                f"{name} is {dtype} and has already lost digits. Pass float64 "
                "(after neutral.enable_x64()), or set precision='float32'."
            )
    return np.float64


def _refuse_fork() -> None:
    """Raise an error in a process that was forked after a computation, where JAX would wait without end.

    The threads of JAX are not copied by a fork, but their locks and queues are.
    """
    global _first_process
    process = os.getpid()
    if _first_process is None:
        _first_process = process
    if process != _first_process:
        raise ForkError(
            f"Process {process} was forked from process {_first_process} after that had computed with JAX, "
            "whose threads a fork does not copy: the next computation would wait without end. Start "
            "processes with multiprocessing.get_context('spawn'), or use threads."
        )
