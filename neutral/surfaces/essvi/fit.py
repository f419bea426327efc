"""`fit_essvi`, `fit_essvi_batch`: joint fits of all smiles of a surface, without static arbitrage."""

from typing import NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from ...calibration import LevenbergMarquardt, Loss
from ...calibration.solvers import AbstractSolver
from ...errors import ArgumentError
from ...numerics.compiled import compiled, compiled_as
from ...precision import require_precision
from ...quotes.given_surfaces import ManySurfaces, OneSurface, quote_surface, quote_surfaces
from ...quotes.surface import QuoteSurface
from ...typing import Flags, Numbers, Real
from ..evidence import SurfaceFit
from ..fitting import SURFACES_PER_PROGRAM, quotes_to_fit, solve_in_chunks, usable_quotes
from .global_parametrisation import Cap
from .minimise import minimise
from .monotone import Monotone
from .problem import EssviSetting, build
from .surface import ESSVI


class Task(NamedTuple):
    """Surfaces to fit, with a leading axis S, or one surface without it."""

    surface: QuoteSurface
    used: Flags  # (S, 2, T, K) True for quotes to fit
    anchor: Real  # (S, 3, T) theta, psi, rho of the anchor at the expiries, nan without an anchor


class Method(eqx.Module):
    """Settings that are the same for all surfaces of a fit."""

    setting: EssviSetting
    solver: AbstractSolver
    strength: Real  # () strength of the anchor


def fit_essvi(
    surface: OneSurface,
    loss: Loss | None = None,
    *,
    cap: Cap = "sufficient",
    anchor: ESSVI | None = None,
    strength: float = 0.01,
    mask: ArrayLike | None = None,
    solver: AbstractSolver | None = None,
) -> ESSVI:
    """Fit an eSSVI surface to quotes, free of static arbitrage by construction.

    All expiries are fitted jointly, from a start that is computed from the quotes. The fit can be
    differentiated in the surface's prices, weights and forwards (`QuoteSurface.with_prices` and the like) and
    in the anchor, by the implicit function theorem.

    Args:
        surface: Quotes of one underlying at one time, or a table of them; see `fit_surface`.
        loss: Loss to minimise; `Loss()` if None. `Loss("spread", "soft_l1", 0.4)` suits quotes with a bid and
            an ask, and `Loss(inside="free")` costs nothing between them.
        cap: Largest psi of a smile: "sufficient" (Gatheral and Jacquier 2014, theorem 4.2), with which a
            theorem excludes arbitrage between expiries too, or "exact", which allows every smile free of
            butterfly arbitrage.
        anchor: Surface that the fit is pulled to, such as yesterday's; it is compared at equal maturities.
        strength: Penalty added to the loss if each coordinate differs from the anchor's by its typical size.
        mask: True for quotes to fit, shape (2, T, K); the surface's `train` if None.
        solver: Least-squares solver; `LevenbergMarquardt()` if None.

    Returns:
        The surface at the quotes' padded expiries, nan at those without a quote to fit, with `status`,
        `converged`, `certificate` and `fit`.

    Raises:
        ArgumentError: an argument is not valid. Faults of the quotes are reported by the status instead.
    """
    surface = quote_surface(surface, "fit_essvi", "fit_essvi_batch")
    task = _task(surface, anchor, mask)
    return _solve_one(_method(loss, cap, strength, solver), task)


def fit_essvi_batch(
    surfaces: ManySurfaces,
    loss: Loss | None = None,
    *,
    cap: Cap = "sufficient",
    anchor: ESSVI | None = None,
    strength: float = 0.01,
    mask: ArrayLike | None = None,
    solver: AbstractSolver | None = None,
    workers: int | None = None,
    chunk: int = SURFACES_PER_PROGRAM,
) -> ESSVI:
    """Fit an eSSVI surface to each of many sets of quotes, independently of each other.

    Args:
        surfaces: Surfaces or tables, as for `fit_surface_batch`.
        loss: As in `fit_essvi`.
        cap: As in `fit_essvi`.
        anchor: One anchor for all surfaces, or a batch with one for each.
        strength: As in `fit_essvi`.
        mask: True for quotes to fit, shape (surfaces, 2, T, K); the surfaces' `train` if None.
        solver: As in `fit_essvi`.
        workers: Number of threads; the number of cores if None.
        chunk: Number of surfaces per call of the compiled program, which limits its memory.

    Returns:
        The result of `fit_essvi`, with a leading axis of surfaces; index it for one surface.

    Raises:
        ArgumentError: an argument is not valid. Faults of one surface are reported by its status instead.
    """
    surfaces = quote_surfaces(surfaces, "fit_essvi_batch")
    task = _task(surfaces, anchor, mask)
    method = _method(loss, cap, strength, solver)
    return solve_in_chunks(lambda task: _solve_many(method, task), task, len(surfaces), chunk, workers)


def _task(surfaces: QuoteSurface, anchor: ESSVI | None, mask: ArrayLike | None) -> Task:
    """Combine the surfaces, the quotes to fit, and the anchor at their expiries."""
    require_precision("float64")
    used = quotes_to_fit(surfaces, mask)
    *lead, expiries = np.shape(surfaces.t)
    smiles = jnp.full((*lead, 3, expiries), jnp.nan)
    if anchor is not None:
        smiles = _anchor_smiles(anchor, surfaces.t)
    return Task(surface=surfaces, used=used, anchor=smiles)


def _method(loss: Loss | None, cap: Cap, strength: float, solver: AbstractSolver | None) -> Method:
    """Check the settings and fill in the defaults."""
    if cap not in get_args(Cap):
        raise ArgumentError(f"cap must be 'sufficient' or 'exact', got {cap!r}.")
    return Method(
        setting=EssviSetting(loss=Loss() if loss is None else loss, cap=cap),
        solver=LevenbergMarquardt() if solver is None else solver,
        strength=jnp.asarray(strength, float),
    )


@compiled
def _anchor_smiles(anchor: ESSVI, t: Real) -> Real:
    """Evaluate theta, psi, rho of one anchor, or of one per surface, at maturities (..., T): (..., 3, T)."""

    def one_surface(anchor: ESSVI, t: Real) -> Real:
        return jnp.stack(anchor.parameters(t))

    t = jnp.asarray(t)
    if t.ndim == 1:
        return one_surface(anchor, t)
    return jax.vmap(one_surface, in_axes=(0 if jnp.ndim(anchor.theta) == 2 else None, 0))(anchor, t)


@compiled_as("the fit of eSSVI surfaces")
def _solve_many(method: Method, task: Task) -> ESSVI:
    return jax.lax.map(lambda one_surface: _solve(method, one_surface), task)


@compiled_as("the fit of eSSVI surfaces")
def _solve_one(method: Method, task: Task) -> ESSVI:
    return _solve(method, task)


def _solve(method: Method, task: Task) -> ESSVI:
    """Fit one surface, without leading axis."""
    setting = method.setting
    quotes = usable_quotes(setting.loss, task.surface, task.used)
    problem, start = build(setting.loss, setting.cap, quotes.surface, quotes.used)
    center = _anchor_coordinates(setting, problem.space, task.anchor)
    anchored = jnp.isfinite(center) & jnp.tile(problem.space.known, 3)
    precision = jnp.where(anchored, method.strength / jnp.maximum(jnp.sum(anchored), 1), problem.precision)
    problem = problem._replace(precision=precision, center=jnp.where(anchored, center, problem.center))
    y, fit = minimise(setting, method.solver, problem, start, quotes)
    return as_surface(task.surface.t, setting.local(problem.space, y), problem.space.known, fit)


def as_surface(
    t: Float[Numbers, " T"], smiles: Float[Numbers, "3 T"], known: Bool[Numbers, " T"], fit: SurfaceFit
) -> ESSVI:
    """Build the fitted surface from smiles (3, T) of theta, psi, rho psi; nan where unknown or failed."""
    theta, psi, tilt = smiles
    fit = eqx.tree_at(lambda f: f.at_bound, fit, fit.at_bound.reshape(3, -1))
    has_smile = known & jnp.isfinite(fit.loss)
    # selected, not multiplied by a flag, so that derivatives are 0 where there is no smile
    theta, psi, rho = (jnp.where(has_smile, x, jnp.nan) for x in (theta, psi, tilt / psi))
    return ESSVI(expiries=t, theta=theta, psi=psi, rho=rho, fit=fit)


def _anchor_coordinates(
    setting: EssviSetting, space: Monotone, smiles: Float[Numbers, "3 T"]
) -> Float[Numbers, " n"]:
    """Compute coordinates (3 T,) of the anchor's theta, psi, rho; nan where there is none."""
    theta, psi, rho = smiles
    has_smile = jnp.isfinite(theta) & (psi > 0.0)
    theta = jnp.where(has_smile, theta, 1.0)
    psi = jnp.where(has_smile, psi, 1.0)
    rho = jnp.where(has_smile, rho, 0.0)
    y = space.coordinates(psi * (1.0 + rho), psi * (1.0 - rho), theta / psi, setting.cap)
    return jnp.where(jnp.tile(has_smile, 3), y, jnp.nan)
