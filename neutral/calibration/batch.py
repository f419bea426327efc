"""`calibrate_batch` fits many surfaces, in chunks of one compiled shape, on every core or device."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from ..models import AbstractFourierModel
from ..numerics.packing import Packed
from ..pricing import AbstractGridEngine
from ..quotes.given_surfaces import ManySurfaces, quote_surfaces
from ..typing import Numbers
from .coordinates import Bounds
from .losses import Loss
from .priors import Prior
from .programs import Programs
from .recipe import Recipe
from .request import Lane, OnDegenerate, Request
from .result import CalibrationResult
from .solvers import AbstractSolver
from .starts.search import Search

CHUNK = 16  # surfaces in one call of a compiled program, for each accelerator
PROGRAMS = Programs()  # the programs of all callers that pass none


def calibrate_batch(
    recipe: Recipe,
    surfaces: ManySurfaces,
    engine: AbstractGridEngine[Any] | None = None,
    loss: Loss | None = None,
    prior: Prior | None = None,
    solver: AbstractSolver[Any] | None = None,
    starts: Sequence[AbstractFourierModel] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Numbers | None = None,
    *,
    search: Search | None = None,
    on_degenerate: OnDegenerate = "keep",
    history: bool = False,
    workers: int | None = None,
    chunk: int | None = None,
    programs: Programs | None = None,
) -> CalibrationResult:
    """Calibrate a model to many surfaces; every fit is independent and has its own status.

    Args:
        recipe: A model class, `Shifted` of one, or a model, from which the fits then start.
        surfaces: A stack of surfaces; a sequence or a mapping of surfaces or tables, which are padded to a
            common bucket; or one table with the column `surface`, whose distinct values name the surfaces in
            the order in which they first occur. Tables are those of `QuoteSurface.from_quotes`.
        engine: `Lewis`, `CarrMadan` or `COS` with their settings; `Lewis()` where None.
        loss: `Loss()` where None.
        prior: A `Tikhonov` and penalties, alone or in a list; a `center` may have a leading axis of surfaces.
        solver: `LevenbergMarquardt()` where None.
        starts: Further starting models, whose fields are scalars or have a leading axis of surfaces; a start
            with a nan is left out.
        fixed: Values of parameters, by name, that the fit does not change.
        bounds: Intervals by parameter name instead of the default ones.
        mask: Quotes to fit, shape (surfaces, 2, T, K); `train` of the surfaces where None.
        search: How many steps each start gets, and a global search for starts; `Search()` where None.
        on_degenerate: "keep" leaves the fit as it is. "damp" fits again with a pull, only in the directions
            that the quotes do not determine, towards the prior's center, else the starting model, else
            typical values. It is the strongest pull that raises the loss by at most 0.5 % of `undamped_loss`.
        history: Whether the results keep loss, gradient norm, damping and parameters of every step.
        workers: Number of threads; the number of cores where None.
        chunk: Surfaces in one call of the compiled program, a multiple of the number of devices; it bounds
            the memory. Where None, 1 on a processor, on which lanes of one call run one after the other and
            cost more, and 16 per accelerator.
        programs: Cache of compiled programs; where None, one that the whole process shares.

    Returns:
        A result with a leading axis of surfaces.

    Raises:
        ArgumentError: an argument is wrong; a problem with one surface is the status of its fit instead.
        PrecisionError: double precision is off.
    """
    surfaces = quote_surfaces(surfaces, "calibrate_batch")
    request = Request.of(
        recipe,
        surfaces,
        engine=engine,
        loss=loss,
        prior=prior,
        solver=solver,
        search=search,
        fixed=fixed,
        bounds=bounds,
        mask=mask,
        on_degenerate=on_degenerate,
        history=history,
    )
    return solve_batch(request, request.lanes(surfaces, starts), workers, chunk, programs)


def prepare_batch(
    recipe: Recipe,
    surfaces: ManySurfaces,
    *,
    starts: Sequence[AbstractFourierModel] | None = None,
    chunk: int | None = None,
    programs: Programs | None = None,
    **options: Any,
) -> None:
    """Compile the program that `calibrate_batch` runs with the same arguments, without running it.

    Args:
        recipe: As in `calibrate_batch`.
        surfaces: Surfaces of the same padded shape; their quotes do not matter.
        starts: As many models of the same class as in the later call; their numbers do not matter.
        chunk: As in `calibrate_batch`.
        programs: The cache that keeps the program, as in `calibrate_batch`.
        options: All other arguments of `calibrate_batch` except `workers`.

    Raises:
        ArgumentError: an argument is wrong.
        PrecisionError: double precision is off.
    """
    surfaces = quote_surfaces(surfaces, "prepare_batch")
    request = Request.of(recipe, surfaces, **options)
    first = next(_chunks(request.lanes(surfaces, starts), chunk))
    (PROGRAMS if programs is None else programs).prepare(_on_host(request.shared()), first)


def solve_batch(
    request: Request,
    lanes: Lane,
    workers: int | None = None,
    chunk: int | None = None,
    programs: Programs | None = None,
) -> CalibrationResult:
    """Run a request on lanes, chunk by chunk on several threads.

    Args:
        request: The calibration.
        lanes: What `Request.lanes` returned.
        workers: As in `calibrate_batch`.
        chunk: As in `calibrate_batch`.
        programs: As in `calibrate_batch`.

    Returns:
        A result with a leading axis of lanes.
    """
    count = len(lanes.surface)
    chunks = list(_chunks(lanes, chunk))
    run = (PROGRAMS if programs is None else programs).program(_on_host(request.shared()), chunks[0])
    workers = min(len(chunks), workers or os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda chunk: jax.device_get(run(chunk)), chunks))
    result = jax.tree.map(lambda *x: np.concatenate(x)[:count], *results).tree()
    surfaces = jax.tree.map(np.asarray, lanes.surface)
    return dataclasses.replace(result, request=request.repeated(count), surface=surfaces)


def lanes_a_call() -> int:
    """Number of surfaces that a call of a compiled program fits best: one for each device of a processor."""
    return jax.device_count() * (1 if jax.default_backend() == "cpu" else CHUNK)


def _on_host(request: Request) -> Request:
    """The request with NumPy arrays, so that the program does not depend on where they were computed."""
    return jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, request)


def _chunks(lanes: Lane, size: int | None) -> Iterator[Packed[Lane]]:
    """Chunks of `size` lanes each, on the host; where None, of as many as a call of a program fits best.

    The last one is filled up with lanes that have no quote to fit.
    """
    size = lanes_a_call() if size is None else size
    count = len(lanes.surface)
    rows = jax.tree.map(np.asarray, lanes)
    if count % size:
        index = np.arange(size * -(-count // size))
        rows = jax.tree.map(lambda x: x[np.minimum(index, count - 1)], rows)
        rows = rows._replace(used=rows.used & (index < count)[:, None, None, None])
    packed = Packed.of(rows, axes=1)
    for first in range(0, count, size):
        yield packed.rows(first, first + size)
