"""`calibrate_batch`: many surfaces, in chunks of one compiled shape, on every core or device."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..pricing import AbstractGridEngine
from ..quotes.stack import stack
from ..quotes.surface import QuoteSurface
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

CHUNK = 16  # surfaces of one compiled program
PROGRAMS = Programs()  # of all callers that bring none of their own


def calibrate_batch(
    recipe: Recipe,
    surfaces: QuoteSurface | Sequence[QuoteSurface],
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
        on_degenerate: "damp" fits again with a pull in those directions alone that the quotes do not
            determine, towards the prior's center, else the starting model, else typical values: the strongest
            pull that raises the loss by at most 0.5 % (of `undamped_loss`). "keep": no second fit.
        history: Whether the results keep loss, gradient norm, damping and parameters of every step.
        workers: Threads; the number of cores where None.
        chunk: Surfaces of one compiled program, a multiple of the number of devices; it bounds the memory.
        programs: Where compiled programs are kept; None takes one place for the whole process.

    Returns:
        A result with a leading axis of surfaces.

    Raises:
        ArgumentError: an argument is wrong, for all surfaces; trouble of one surface is its status.
    """
    surfaces = _stacked(surfaces)
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
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    *,
    starts: Sequence[AbstractFourierModel] | None = None,
    chunk: int | None = None,
    programs: Programs | None = None,
    **options: Any,
) -> None:
    """Compile the program that `calibrate_batch` runs with the same arguments, and run nothing.

    Args:
        recipe: As in `calibrate_batch`.
        surfaces: Surfaces of the same padded shape; their quotes do not matter.
        starts: As many as will be given, of the same kind; their numbers do not matter.
        chunk: As in `calibrate_batch`.
        programs: Where the program is kept.
        options: All other arguments of `calibrate_batch` but `workers`.

    Raises:
        ArgumentError: an argument is wrong.
    """
    surfaces = _stacked(surfaces)
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
    """`calibrate_batch` of lanes of a request; the result has a leading axis of lanes."""
    count = len(lanes.surface)
    run = PROGRAMS if programs is None else programs
    shared = _on_host(request.shared())
    chunks = list(_chunks(lanes, chunk))
    workers = min(len(chunks), workers or os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(lambda chunk: jax.device_get(run(shared, chunk)), chunks))
    result = jax.tree.map(lambda *x: np.concatenate(x)[:count], *results)
    return dataclasses.replace(result, request=request.repeated(count))


def _stacked(surfaces: QuoteSurface | Sequence[QuoteSurface]) -> QuoteSurface:
    surfaces = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if np.ndim(surfaces.t) != 2:
        raise ArgumentError("calibrate_batch takes a stack or a sequence of surfaces; one goes to calibrate.")
    return surfaces


def _on_host(request: Request) -> Request:
    """The request with arrays of numpy: the same program whatever they were computed by."""
    return jax.tree.map(lambda x: np.asarray(x) if isinstance(x, jax.Array) else x, request)


def _chunks(lanes: Lane, size: int | None) -> Iterator[Lane]:
    """Chunks of one size, 16 per device where None."""
    size = CHUNK * jax.device_count() if size is None else size
    for first in range(0, len(lanes.surface), size):
        yield _rows(lanes, first, size)


def _rows(lanes: Lane, first: int, size: int) -> Lane:
    """A chunk on the host; a short one is filled up with surfaces that have nothing to fit."""
    chunk = jax.tree.map(lambda x: np.asarray(x)[first : first + size], lanes)
    count = chunk.starts.shape[0]
    if count == size:
        return chunk
    index = np.minimum(np.arange(size), count - 1)
    chunk = jax.tree.map(lambda x: x[index], chunk)
    alive = (np.arange(size) < count)[:, None, None, None]
    return chunk._replace(used=chunk.used & alive)
