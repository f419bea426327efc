"""`calibrate_batch`: many surfaces, in chunks of one compiled shape, on every core or device."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.sharding import PartitionSpec as P

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..pricing import AbstractGridEngine
from ..quotes.stack import stack
from ..quotes.surface import QuoteSurface
from .coordinates import Bounds
from .lane import solve_lanes
from .losses import Loss
from .request import Lane, OnDegenerate, Request, make_lanes, request
from .result import CalibrationResult
from .solvers import AbstractSolver
from .starts.search import Search

CHUNK = 16  # surfaces of one compiled program

_COMPILING = threading.Lock()
_PROGRAMS: dict[Any, threading.Lock] = {}
_COMPILED: set[Any] = set()


@eqx.filter_jit
def solve_chunk(asked: Request, lanes: Lane) -> CalibrationResult:
    """`solve_lanes` of a chunk, shared out over the devices present."""
    devices = jax.device_count()
    together = jax.default_backend() != "cpu"
    if devices == 1:
        return solve_lanes(asked, lanes, together)
    mesh = jax.make_mesh((devices,), ("lanes",), axis_types=(jax.sharding.AxisType.Auto,))
    numbers, fixed = eqx.partition(asked, eqx.is_array)
    share = jax.shard_map(
        lambda numbers, lanes: solve_lanes(eqx.combine(numbers, fixed), lanes, together),
        mesh=mesh,
        in_specs=(P(), P("lanes")),
        out_specs=P("lanes"),
        check_vma=False,
    )
    return share(numbers, lanes)


def calibrate_batch(
    recipe: Any,
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    engine: AbstractGridEngine[Any] | None = None,
    loss: Loss | None = None,
    prior: Any = None,
    solver: AbstractSolver | None = None,
    starts: Sequence[AbstractFourierModel] | None = None,
    fixed: dict[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Any = None,
    *,
    search: Search | None = None,
    on_degenerate: OnDegenerate = "keep",
    workers: int | None = None,
    chunk: int | None = None,
) -> CalibrationResult:
    """Calibrate a model to many surfaces; every fit stands alone and reports its own status.

    Args:
        recipe: A model class, `Shifted` of one, or a model, which is then where fits start.
        surfaces: A stack of surfaces, or a sequence of them, padded to a common bucket.
        engine: `Lewis`, `CarrMadan` or `COS` with their settings; `Lewis()` where None.
        loss: `Loss()` where None.
        prior: A `Tikhonov` and penalties, alone or in a list; a `center` may have a leading axis of surfaces.
        solver: `LevenbergMarquardt()` where None.
        starts: Further starting models; fields scalar, or with a leading axis of surfaces (nan: absent).
        fixed: Parameters by name that keep the value given.
        bounds: Intervals by parameter name instead of the default ones.
        mask: Quotes to fit, shape (surfaces, 2, T, K); the surfaces' `train` where None.
        search: How many steps the starts get.
        on_degenerate: "damp" fits again with a pull in the directions alone that the first fit does not see,
            towards the prior's center, else the starting model, else typical values: the strongest that
            raises the loss by at most 0.5 % (`undamped_loss` tells from where). "keep": no second fit.
        workers: Threads; the number of cores where None.
        chunk: Surfaces of one compiled program, a multiple of the number of devices; it bounds the memory.

    Returns:
        A result with a leading axis of surfaces.

    Raises:
        ArgumentError: an argument is wrong, for all surfaces; trouble of one surface is its status.
    """
    surfaces = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if np.ndim(surfaces.t) != 2:
        raise ArgumentError("calibrate_batch takes a stack or a sequence of surfaces; one goes to calibrate.")
    asked, tikhonov, start = request(
        recipe, surfaces, engine, loss, prior, solver, search, fixed, bounds, on_degenerate
    )
    lanes, asked = make_lanes(asked, surfaces, tikhonov, start, starts, mask)
    return solve_batch(asked, lanes, workers, chunk)


def solve_batch(
    asked: Request, lanes: Lane, workers: int | None = None, chunk: int | None = None
) -> CalibrationResult:
    """`calibrate_batch` of what has been asked for; the result has a leading axis of lanes."""
    count = len(lanes.surface)
    size = CHUNK * jax.device_count() if chunk is None else chunk
    chunks = [_rows(lanes, i, size) for i in range(0, count, size)]
    workers = min(len(chunks), workers or os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(lambda chunk: _solved(asked, chunk), chunks))
    return jax.tree.map(lambda *x: np.concatenate(x)[:count], *done)


def _solved(asked: Request, lanes: Lane) -> CalibrationResult:
    """A chunk on the host; threads that meet a program for the first time wait for one to compile it."""
    leaves, tree = jax.tree.flatten((asked, lanes))
    key = (tree, *((x.shape, x.dtype) if isinstance(x, np.ndarray | jax.Array) else x for x in leaves))
    with _COMPILING:
        compiling = _PROGRAMS.setdefault(key, threading.Lock())
    if key not in _COMPILED:
        with compiling:
            result = jax.device_get(solve_chunk(asked, lanes))
            _COMPILED.add(key)
            return result
    return jax.device_get(solve_chunk(asked, lanes))


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
