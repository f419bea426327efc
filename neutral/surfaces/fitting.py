"""What the fits of all surfaces share: the quotes they use, and many fits in chunks on several threads."""

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
"""Surfaces that one call of a compiled program fits, where the caller does not choose."""

Tasks = TypeVar("Tasks")
Results = TypeVar("Results")


class UsableQuotes(NamedTuple):
    """Quotes of one surface ready to be fitted; every number that is not used is finite."""

    surface: QuoteSurface
    used: Bool[Numbers, "2 T K"]
    sufficient: Bool[Numbers, ""] | np.bool_  # there are quotes to fit and none of them is bad


def usable_quotes(loss: Loss, surface: QuoteSurface, used: Flags) -> UsableQuotes:
    """Quotes of one surface that the loss can use, with finite numbers in the places of the others."""
    sufficient, used, clean = loss.usable(surface, used)
    return UsableQuotes(surface=clean, used=used, sufficient=sufficient)


def quotes_to_fit(surfaces: QuoteSurface, mask: ArrayLike | None) -> Flags:
    """Flags of the quotes to fit: the mask, or the surfaces' `train` where the mask is None.

    Raises:
        ArgumentError: the mask has another shape than the quotes.
    """
    used = surfaces.train if mask is None else mask
    if np.shape(used) != np.shape(surfaces.mask):
        raise ArgumentError(f"mask must have shape {np.shape(surfaces.mask)}, got {np.shape(used)}.")
    return jnp.asarray(used, bool)


def solve_in_chunks(
    solve: Callable[[Tasks], Results], tasks: Tasks, count: int, chunk: int, workers: int | None
) -> Results:
    """Solve many tasks, one chunk of them per call, on several threads.

    The last chunk is filled up with repetitions of the last task, so that every call has the same shape.

    Args:
        solve: Compiled function from tasks with a leading axis to results with a leading axis.
        tasks: Arrays with a leading axis of `count`.
        count: Number of tasks.
        chunk: Number of tasks per call.
        workers: Number of threads; the number of cores where None.

    Returns:
        Results of all tasks in their order, as numpy arrays with a leading axis of `count`.
    """
    picks = [np.minimum(np.arange(i, i + chunk), count - 1) for i in range(0, count, chunk)]

    def solved(pick: np.ndarray) -> Results:
        return jax.device_get(solve(jax.tree.map(lambda x: np.asarray(x)[pick], tasks)))

    first = solved(picks[0])  # compiles the program before there are threads
    with ThreadPoolExecutor(min(len(picks), workers or os.cpu_count() or 1)) as pool:
        results = [first, *pool.map(solved, picks[1:])]
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *results)
