"""What the fits of all surfaces share: the quotes they use, and many fits in chunks."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..calibration.losses import Loss
from ..errors import ArgumentError
from ..quotes.surface import QuoteSurface
from ..typing import Flags

CHUNK = 16  # surfaces of one compiled program


class Quotes(NamedTuple):
    """Quotes of one surface that can be fitted, harmless numbers elsewhere."""

    surface: QuoteSurface
    used: Flags  # (2, T, K)
    fine: Flags  # () whether there is something to fit


def usable(loss: Loss, surface: QuoteSurface, used: Flags) -> Quotes:
    """What of one surface can be fitted."""
    fine, used, clean = loss.usable(surface, used)
    return Quotes(clean, used, fine)


def asked_for(surfaces: QuoteSurface, mask: Any) -> Flags:
    """Quotes to fit: the mask, or the surfaces' `train` where None.

    Raises:
        ArgumentError: the mask has another shape than the quotes.
    """
    used = surfaces.train if mask is None else mask
    if np.shape(used) != np.shape(surfaces.mask):
        raise ArgumentError(f"mask must have shape {np.shape(surfaces.mask)}, got {np.shape(used)}.")
    return jnp.asarray(used, bool)


def in_chunks(solve: Callable[[Any], Any], tasks: Any, count: int, chunk: int, workers: int | None) -> Any:
    """Solve many tasks, a chunk of them at a time, on several threads; the last chunk is filled up.

    Args:
        solve: Compiled, from tasks with a leading axis to results with one.
        tasks: Arrays with a leading axis of `count`.
        count: Number of tasks.
        chunk: Tasks of one call.
        workers: Threads; the number of cores where None.
    """
    picks = [np.minimum(np.arange(i, i + chunk), count - 1) for i in range(0, count, chunk)]

    def solved(pick: np.ndarray) -> Any:
        return jax.device_get(solve(jax.tree.map(lambda x: np.asarray(x)[pick], tasks)))

    first = solved(picks[0])  # compiles, before there are threads
    with ThreadPoolExecutor(min(len(picks), workers or os.cpu_count() or 1)) as pool:
        done = [first, *pool.map(solved, picks[1:])]
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *done)
