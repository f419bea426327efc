"""Functions shared by all surface fits: selection of usable quotes, and many fits in chunks on threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool
from numpy.typing import ArrayLike

from ..calibration.losses import Loss
from ..errors import ArgumentError
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Numbers

SURFACES_PER_PROGRAM = 16
"""Default number of surfaces per call of a compiled program."""

Tasks = TypeVar("Tasks")
Results = TypeVar("Results")


class UsableQuotes(NamedTuple):
    """Quotes of one surface, with finite numbers also in place of those not to be fitted.

    Attributes:
        surface: The quotes.
        used: True for quotes to fit.
        sufficient: True if there are quotes to fit and all of them are valid.
    """

    surface: QuoteSurface
    used: Bool[Numbers, "2 T K"]
    sufficient: Bool[Numbers, ""] | np.bool_


def usable_quotes(loss: Loss, surface: QuoteSurface, used: Flags) -> UsableQuotes:
    """Select the quotes of one surface that the loss can use, and make all other numbers finite."""
    sufficient, used, clean = loss.usable(surface, used)
    return UsableQuotes(surface=clean, used=used, sufficient=sufficient)


def quotes_to_fit(surfaces: QuoteSurface, mask: ArrayLike | None) -> Flags:
    """Return flags of the quotes to fit: the mask, or the surfaces' `train` if the mask is None.

    Raises:
        ArgumentError: the shape of the mask differs from that of the quotes.
    """
    used = surfaces.train if mask is None else mask
    if np.shape(used) != np.shape(surfaces.mask):
        raise ArgumentError(f"mask must have shape {np.shape(surfaces.mask)}, got {np.shape(used)}.")
    return jnp.asarray(used, bool)


def solve_in_chunks(
    solve: Callable[[Tasks], Results], tasks: Tasks, count: int, chunk: int, workers: int | None
) -> Results:
    """Solve many tasks on several threads, with one call per chunk of tasks.

    The last chunk is filled with repetitions of the last task, so that every call has the same shape.

    Args:
        solve: Compiled function from tasks with a leading axis to results with a leading axis.
        tasks: Arrays with a leading axis of `count`.
        count: Number of tasks.
        chunk: Number of tasks per call.
        workers: Number of threads; the number of cores if None.

    Returns:
        Results of all tasks in the same order, as numpy arrays with a leading axis of `count`.
    """
    picks = [np.minimum(np.arange(i, i + chunk), count - 1) for i in range(0, count, chunk)]

    def solve_chunk(pick: np.ndarray) -> Results:
        return jax.device_get(solve(jax.tree.map(lambda x: np.asarray(x)[pick], tasks)))

    first = solve_chunk(picks[0])  # compiles the program before the threads start
    with ThreadPoolExecutor(min(len(picks), workers or os.cpu_count() or 1)) as pool:
        results = [first, *pool.map(solve_chunk, picks[1:])]
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *results)
