"""`fit_surface`, `fit_surface_batch`: the mixture of eSSVI surfaces, or one surface where that will do."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np

from ..calibration import Loss
from ..calibration.solvers import AbstractSolver
from ..errors import ArgumentError
from ..quotes.stack import stack
from ..quotes.surface import QuoteSurface
from .essvi.fit import fit_essvi, fit_essvi_batch
from .essvi.fit_mixture import (
    Components,
    _prepared,
    _solve_many,
    _solve_one,
)
from .essvi.global_parametrisation import Cap
from .essvi.sequential import sequential_essvi
from .fitting import CHUNK, in_chunks
from .sanos.fit import fit_sanos

Shape = Literal["mixture", "essvi", "sanos", "sequential"]


def fit_surface(
    surface: QuoteSurface,
    loss: Loss | None = None,
    *,
    method: Shape = "mixture",
    components: Components = "auto",
    cap: Cap = "sufficient",
    mask: Any = None,
    solver: AbstractSolver | None = None,
) -> Any:
    """Fit a surface that is free of static arbitrage by construction and has room for most quotes.

    The mixture has two eSSVI components, or three. It starts from the fit of one, which a weak prior keeps
    it near. Differentiable in the surface's prices, weights and forwards (`QuoteSurface.with_prices` and the
    like) by the implicit function theorem applied to both fits: the prior moves with the quotes too.

    Args:
        surface: Quotes of one underlying at one time.
        loss: What is minimised; `Loss()` where None.
        method: "mixture" for `ESSVIMixture`, "essvi" for `fit_essvi`; for comparison "sanos" for a linear
            program (`surfaces.fit_sanos`), where only the loss and the mask have an effect, and "sequential"
            for smiles fitted one after another (`surfaces.sequential_essvi`), where only the mask has.
        components: "auto" keeps the second component only where Akaike's criterion, over the strikes fitted,
            asks for it; "two", or 2, always, 3 for a third, which dense index surfaces have room for. Where
            one is dropped its weight is 0.
        cap: As in `fit_essvi`, for each component.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.
        solver: `LevenbergMarquardt()` where None.

    Returns:
        `ESSVIMixture`, `ESSVI` or `SANOS`, with a `certificate` and, but for "sequential", which
        minimises nothing jointly, `status`, `converged`, `loss` and `fit`.

    Raises:
        ArgumentError: an argument is wrong; trouble of the quotes is the status.
    """
    if _checked(method, components, cap) == "essvi":
        return fit_essvi(surface, loss, cap=cap, mask=mask, solver=solver)
    if method == "sequential":
        return sequential_essvi(surface, mask=mask)
    if method == "sanos":
        return fit_sanos(surface, loss, mask=mask)
    if np.ndim(surface.t) != 1:
        raise ArgumentError("fit_surface fits one surface; a stack of them goes to fit_surface_batch.")
    task, settings = _prepared(surface, loss, components, cap, mask, solver)
    return _solve_one(settings, task)


def fit_surface_batch(
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    loss: Loss | None = None,
    *,
    method: Shape = "mixture",
    components: Components = "auto",
    cap: Cap = "sufficient",
    mask: Any = None,
    solver: AbstractSolver | None = None,
    workers: int | None = None,
    chunk: int = CHUNK,
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
        workers: Threads; the number of cores where None.
        chunk: Surfaces of one compiled program; it bounds the memory.

    Returns:
        As `fit_surface`, with a leading axis of surfaces; index it for one.
    """
    options: dict[str, Any] = {"workers": workers, "chunk": chunk}
    if _checked(method, components, cap) in ("sequential", "sanos"):
        raise ArgumentError(f"method={method!r} fits one surface at a time; call fit_surface in a loop.")
    if method == "essvi":
        return fit_essvi_batch(surfaces, loss, cap=cap, mask=mask, solver=solver, **options)
    surfaces = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if np.ndim(surfaces.t) != 2:
        raise ArgumentError("fit_surface_batch takes a stack or a sequence of surfaces, got one surface.")
    task, settings = _prepared(surfaces, loss, components, cap, mask, solver)
    return in_chunks(lambda task: _solve_many(settings, task), task, len(surfaces), **options)


def _checked(method: str, components: str | int, cap: str) -> str:
    for name, value, known in (
        ("method", method, Shape),
        ("components", components, Components),
        ("cap", cap, Cap),
    ):
        if value not in get_args(known):
            accepted = ", ".join(repr(x) for x in get_args(known))
            raise ArgumentError(f"{name} must be one of {accepted}, got {value!r}.")
    return method
