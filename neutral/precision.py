"""Switches on double precision; refuses to compute in single precision unasked, or in a forked process."""

import os
import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from .errors import ArgumentError, ForkError, PrecisionError

_first_process: int | None = None  # the process that computed first, or one that it was forked from

Precision = Literal["float64", "float32"]


def enable_x64(cache: bool | str | os.PathLike[str] = False) -> str | None:
    """Switch JAX to double precision for the whole process. Call it before creating any array.

    Args:
        cache: True also keeps compiled programs on the disk, so that later processes read them instead of
            compiling them again. The folder is that of the environment variable `JAX_COMPILATION_CACHE_DIR`
            or of the JAX setting of this name, or else `neutral/jax` in the user's folder of caches
            (`XDG_CACHE_HOME`, or `~/.cache`). A path names another folder. Nobody else should be able to
            write to it, because the programs in it are run.

    Returns:
        The folder of compiled programs, or None if they are not kept.

    Raises:
        ArgumentError: Nothing can be written to the folder that `cache` names. If it is the user's folder of
            caches, there is a warning instead.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    if cache is False:
        return None
    if cache is True:
        return _keep_programs(None)
    if not isinstance(cache, str | os.PathLike) or not os.fspath(cache):
        raise ArgumentError(f"cache must be True, False or the path of a folder, got {cache!r}.")
    return _keep_programs(os.path.expanduser(cache))


def _keep_programs(named: str | None) -> str | None:
    """Let JAX keep compiled programs in a folder, and return it; None if nothing can be written to it."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    setting: str | None = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    chosen = setting or os.environ.get("JAX_COMPILATION_CACHE_DIR")
    folder = named or chosen or str(caches / "neutral" / "jax")
    fault = "" if "://" in folder else _fault_of(Path(folder))  # JAX opens addresses such as gs://bucket
    if fault:
        remedy = "set JAX_COMPILATION_CACHE_DIR, or cache=, to a folder that can be written to"
        message = f"Compiled programs cannot be kept in {folder}: {fault}; {remedy}."
        if named:
            raise ArgumentError(message)
        warnings.warn(message, stacklevel=3)
        return None
    if setting and setting != folder:
        compilation_cache.reset_cache()  # JAX opens a folder once, and stays with it
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder


def _fault_of(folder: Path) -> str:
    """Make a folder, private if it is new, and return why nothing can be written to it; "" if it can be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(folder, os.W_OK | os.X_OK) else "no permission to write"


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
