"""`calibrate_batch`: many surfaces, in chunks of one compiled shape, on every core or device."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..pricing import Lewis
from ..quote_surface import QuoteSurface, stack
from .coordinates import Bounds
from .lane import solve_lane
from .losses import Loss
from .request import Lane, Request, make_lanes, request
from .result import CalibrationResult
from .search import Search
from .solvers import AbstractSolver

CHUNK = 16  # surfaces of one compiled program


@eqx.filter_jit
def solve_chunk(asked: Request, lanes: Lane) -> CalibrationResult:
    """`solve_lane` for every surface of a chunk, one after the other."""
    return jax.lax.map(lambda lane: solve_lane(asked, lane), lanes)


def calibrate_batch(
    recipe: Any,
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    engine: Lewis | None = None,
    loss: Loss | None = None,
    prior: Any = None,
    solver: AbstractSolver | None = None,
    starts: Sequence[AbstractFourierModel] | None = None,
    fixed: dict[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Any = None,
    *,
    search: Search | None = None,
    workers: int | None = None,
) -> CalibrationResult:
    """Calibrate a model to many surfaces; every fit stands alone and reports its own status.

    Args:
        recipe: A model class, `Shifted` of one, or a model, which is then where fits start.
        surfaces: A stack of surfaces, or a sequence of them, padded to a common bucket.
        engine: `Lewis()` where None.
        loss: `Loss()` where None.
        prior: A `Tikhonov` and penalties, alone or in a list; a `center` may have a leading axis of surfaces.
        solver: `LevenbergMarquardt()` where None.
        starts: Further starting models; fields scalar, or with a leading axis of surfaces (nan: absent).
        fixed: Parameters by name that keep the value given.
        bounds: Intervals by parameter name instead of the default ones.
        mask: Quotes to fit, shape (surfaces, 2, T, K); the surfaces' `train` where None.
        search: How many steps the starts get.
        workers: Threads; the number of cores where None.

    Returns:
        A result with a leading axis of surfaces.

    Raises:
        ArgumentError: an argument is wrong, for all surfaces; trouble of one surface is its status.
    """
    surfaces = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if np.ndim(surfaces.t) != 2:
        raise ArgumentError("calibrate_batch takes a stack or a sequence of surfaces; one goes to calibrate.")
    asked, tikhonov, start = request(recipe, surfaces, engine, loss, prior, solver, search, fixed, bounds)
    lanes, asked = make_lanes(asked, surfaces, tikhonov, start, starts, fixed, mask)
    chunks = [_rows(lanes, i, CHUNK) for i in range(0, len(surfaces), CHUNK)]
    workers = min(len(chunks), workers or os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(lambda chunk: jax.device_get(solve_chunk(asked, chunk)), chunks))
    return jax.tree.map(lambda *x: np.concatenate(x)[: len(surfaces)], *done)


def _rows(lanes: Lane, first: int, size: int) -> Lane:
    """A chunk; a short one is filled up with surfaces that have nothing to fit and stop at once."""
    chunk = jax.tree.map(lambda x: np.asarray(x)[first : first + size], lanes)
    count = chunk.starts.shape[0]
    if count == size:
        return chunk
    index = np.minimum(np.arange(size), count - 1)
    chunk = jax.tree.map(lambda x: x[index], chunk)
    alive = (np.arange(size) < count)[:, None, None, None]
    return chunk._replace(used=chunk.used & alive)
