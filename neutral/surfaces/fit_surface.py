"""`fit_surface`, `fit_surface_batch`: a mixture of eSSVI surfaces, or one surface where that suffices."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from ..calibration import Loss
from ..calibration.solvers import AbstractSolver
from ..errors import ArgumentError
from ..quotes.stack import stack
from ..quotes.surface import QuoteSurface
from .essvi.fit import fit_essvi, fit_essvi_batch
from .essvi.fit_mixture import Components, prepared_method, prepared_task, solve_many, solve_one
from .essvi.global_parametrisation import Cap
from .essvi.sequential import sequential_essvi
from .fitting import SURFACES_PER_PROGRAM, solve_in_chunks
from .sanos.fit import fit_sanos

Shape = Literal["mixture", "essvi", "sanos", "sequential"]


def fit_surface(
    surface: QuoteSurface,
    loss: Loss | None = None,
    *,
    method: Shape = "mixture",
    components: Components = "auto",
    cap: Cap = "sufficient",
    mask: ArrayLike | None = None,
    solver: AbstractSolver | None = None,
) -> Any:
    """Fit a surface that is free of static arbitrage by construction and has room for most quotes.

    The mixture has two eSSVI components, or three. It starts from the fit of one component, and a weak prior
    keeps it near that start. Differentiable in the surface's prices, weights and forwards
    (`QuoteSurface.with_prices` and the like) by the implicit function theorem applied to both fits, since the
    prior moves with the quotes too.

    Args:
        surface: Quotes of one underlying at one time.
        loss: What is minimised; `Loss()` where None.
        method: "mixture" for `ESSVIMixture`, "essvi" for `fit_essvi`. For comparison there are "sanos", a
            linear program (`surfaces.fit_sanos`) that uses only the loss and the mask, and "sequential",
            smiles fitted one after another (`surfaces.sequential_essvi`), which uses only the mask.
        components: "auto" keeps the second component only where Akaike's criterion, over the strikes fitted,
            supports it, and otherwise gives it the weight 0. "two", or 2, always keeps it. 3 adds a third,
            which suits dense index surfaces.
        cap: As in `fit_essvi`, for each component.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.
        solver: `LevenbergMarquardt()` where None.

    Returns:
        `ESSVIMixture`, `ESSVI` or `SANOS`, with a `certificate`. All methods but "sequential", which has no
        joint minimisation, also give `status`, `converged`, `loss` and `fit`.

    Raises:
        ArgumentError: an argument is wrong. Trouble with the quotes is reported as the status instead.
    """
    if _checked(method, components, cap) == "essvi":
        return fit_essvi(surface, loss, cap=cap, mask=mask, solver=solver)
    if method == "sequential":
        return sequential_essvi(surface, mask=mask)
    if method == "sanos":
        return fit_sanos(surface, loss, mask=mask)
    if np.ndim(surface.t) != 1:
        raise ArgumentError("fit_surface fits one surface; a stack of them goes to fit_surface_batch.")
    task = prepared_task(surface, mask)
    return solve_one(prepared_method(loss, components, cap, solver), task)


def fit_surface_batch(
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    loss: Loss | None = None,
    *,
    method: Shape = "mixture",
    components: Components = "auto",
    cap: Cap = "sufficient",
    mask: ArrayLike | None = None,
    solver: AbstractSolver | None = None,
    workers: int | None = None,
    chunk: int = SURFACES_PER_PROGRAM,
) -> Any:
    """Fit a surface to each of many sets of quotes, as `fit_surface` does.

    Args:
        surfaces: A stack of surfaces, or a sequence of them, padded to a common bucket.
        loss: As in `fit_surface`.
        method: As in `fit_surface`.
        components: As in `fit_surface`.
        cap: As in `fit_surface`.
        mask: Quotes to fit, shape (surfaces, 2, T, K); the surfaces' `train` where None.
        solver: `LevenbergMarquardt()` where None.
        workers: Number of threads; the number of cores where None.
        chunk: Surfaces that one call of the compiled program fits; it bounds the memory.

    Returns:
        As `fit_surface`, with a leading axis of surfaces; index it for one.

    Raises:
        ArgumentError: an argument is wrong. Trouble with one surface is reported as its status instead.
    """
    if _checked(method, components, cap) in ("sequential", "sanos"):
        raise ArgumentError(f"method={method!r} fits one surface at a time; call fit_surface in a loop.")
    if method == "essvi":
        return fit_essvi_batch(
            surfaces, loss, cap=cap, mask=mask, solver=solver, workers=workers, chunk=chunk
        )
    surfaces = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if np.ndim(surfaces.t) != 2:
        raise ArgumentError("fit_surface_batch takes a stack or a sequence of surfaces, got one surface.")
    task = prepared_task(surfaces, mask)
    settings = prepared_method(loss, components, cap, solver)
    return solve_in_chunks(lambda task: solve_many(settings, task), task, len(surfaces), chunk, workers)


def _checked(method: str, components: str | int, cap: str) -> str:
    """The method, once all three names are found to be accepted ones."""
    for name, value, names in (
        ("method", method, Shape),
        ("components", components, Components),
        ("cap", cap, Cap),
    ):
        if value not in get_args(names):
            accepted = ", ".join(repr(x) for x in get_args(names))
            raise ArgumentError(f"{name} must be one of {accepted}, got {value!r}.")
    return method
