"""`fit_surface`, `fit_surface_batch`: fits of a mixture of eSSVI surfaces, or of another kind of surface."""

from typing import Any, Literal, get_args

from numpy.typing import ArrayLike

from ..calibration import Loss
from ..calibration.solvers import AbstractSolver
from ..errors import ArgumentError
from ..quotes.given_surfaces import ManySurfaces, OneSurface, quote_surface, quote_surfaces
from .essvi.fit import fit_essvi, fit_essvi_batch
from .essvi.fit_mixture import Components, make_method, make_task, solve_many, solve_one
from .essvi.global_parametrisation import Cap
from .essvi.sequential import sequential_essvi
from .fitting import SURFACES_PER_PROGRAM, solve_in_chunks
from .sanos.fit import fit_sanos

Shape = Literal["mixture", "essvi", "sanos", "sequential"]


def fit_surface(
    surface: OneSurface,
    loss: Loss | None = None,
    *,
    method: Shape = "mixture",
    components: Components = "auto",
    cap: Cap = "sufficient",
    mask: ArrayLike | None = None,
    solver: AbstractSolver | None = None,
) -> Any:
    """Fit a surface that is free of static arbitrage by construction and flexible enough for most quotes.

    The default is a mixture of two eSSVI components. Its fit starts from that of one component, and a weak
    prior keeps it near that start. It can be differentiated in the surface's prices, weights and forwards
    (`QuoteSurface.with_prices` and the like): the implicit function theorem is applied to both fits, because
    the prior depends on the quotes too.

    Args:
        surface: Quotes of one underlying at one time: a `QuoteSurface`, or a table of pandas, polars, pyarrow
            or another library that `QuoteSurface.from_quotes` reads.
        loss: Loss to minimise; `Loss()` if None.
        method: "mixture" for `ESSVIMixture`, "essvi" for `fit_essvi`. For comparison there are "sanos", a
            linear program (`surfaces.fit_sanos`) that uses only the loss and the mask, and "sequential",
            smiles fitted one after another (`surfaces.sequential_essvi`), which uses only the mask.
        components: "auto" keeps the second component only if Akaike's criterion over the fitted strikes
            prefers it, and otherwise gives it weight 0. "two", or 2, always keeps it. 3 adds a third
            component, which suits dense index surfaces.
        cap: As in `fit_essvi`, for each component.
        mask: True for quotes to fit, shape (2, T, K); the surface's `train` if None.
        solver: Least-squares solver; `LevenbergMarquardt()` if None.

    Returns:
        `ESSVIMixture`, `ESSVI` or `SANOS`, with a `certificate`. All methods but "sequential", which has no
        joint minimisation, also give `status`, `converged`, `loss` and `fit`.

    Raises:
        ArgumentError: an argument is not valid. Faults of the quotes are reported by the status instead.
    """
    _check_names(method, components, cap)
    surface = quote_surface(surface, "fit_surface", "fit_surface_batch")
    if method == "essvi":
        return fit_essvi(surface, loss, cap=cap, mask=mask, solver=solver)
    if method == "sequential":
        return sequential_essvi(surface, mask=mask)
    if method == "sanos":
        return fit_sanos(surface, loss, mask=mask)
    task = make_task(surface, mask)
    return solve_one(make_method(loss, components, cap, solver), task)


def fit_surface_batch(
    surfaces: ManySurfaces,
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
        surfaces: A stack of surfaces; a sequence or a mapping of surfaces or tables; or one table with the
            column `surface`, as for `calibrate_batch`.
        loss: As in `fit_surface`.
        method: As in `fit_surface`.
        components: As in `fit_surface`.
        cap: As in `fit_surface`.
        mask: True for quotes to fit, shape (surfaces, 2, T, K); the surfaces' `train` if None.
        solver: As in `fit_surface`.
        workers: Number of threads; the number of cores if None.
        chunk: Number of surfaces per call of the compiled program, which limits its memory.

    Returns:
        The result of `fit_surface`, with a leading axis of surfaces; index it for one surface.

    Raises:
        ArgumentError: an argument is not valid. Faults of one surface are reported by its status instead.
    """
    if _check_names(method, components, cap) in ("sequential", "sanos"):
        raise ArgumentError(
            f"method={method!r} fits only one surface at a time; call fit_surface for each of them."
        )
    surfaces = quote_surfaces(surfaces, "fit_surface_batch")
    if method == "essvi":
        return fit_essvi_batch(
            surfaces, loss, cap=cap, mask=mask, solver=solver, workers=workers, chunk=chunk
        )
    task = make_task(surfaces, mask)
    settings = make_method(loss, components, cap, solver)
    return solve_in_chunks(lambda task: solve_many(settings, task), task, len(surfaces), chunk, workers)


def _check_names(method: str, components: str | int, cap: str) -> str:
    """Check all three names and return the method."""
    for name, value, names in (
        ("method", method, Shape),
        ("components", components, Components),
        ("cap", cap, Cap),
    ):
        if value not in get_args(names):
            accepted = ", ".join(repr(x) for x in get_args(names))
            raise ArgumentError(f"{name} must be one of {accepted}, got {value!r}.")
    return method
