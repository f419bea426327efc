"""`fit_essvi`, `fit_essvi_batch`: all smiles of a surface at once, free of arbitrage whatever the quotes."""

from collections.abc import Sequence
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
from ...precision import require_precision
from ...quotes.stack import stack
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
    used: Flags  # (S, 2, T, K) quotes to fit
    anchor: Real  # (S, 3, T) theta, psi, rho of the anchor at the expiries, nan where there is none


class Method(eqx.Module):
    """What is the same for all surfaces of a fit."""

    setting: EssviSetting
    solver: AbstractSolver
    strength: Real  # () of the anchor


def fit_essvi(
    surface: QuoteSurface,
    loss: Loss | None = None,
    *,
    cap: Cap = "sufficient",
    anchor: ESSVI | None = None,
    strength: float = 0.01,
    mask: ArrayLike | None = None,
    solver: AbstractSolver | None = None,
) -> ESSVI:
    """Fit an eSSVI surface to quotes, free of static arbitrage by construction.

    All expiries are fitted jointly from a start that the quotes themselves give. Differentiable in the
    surface's prices, weights and forwards (`QuoteSurface.with_prices` and the like) and in the anchor by the
    implicit function theorem.

    Args:
        surface: Quotes of one underlying at one time.
        loss: What is minimised; `Loss()` where None. `Loss("spread", "soft_l1", 0.4)` suits quotes with a
            bid and an ask, `Loss(inside="free")` costs nothing between them.
        cap: Largest psi of a smile: "sufficient" (Gatheral and Jacquier 2014, theorem 4.2), with which the
            surface is free between expiries by proof, or "exact", which allows every smile free of butterfly
            arbitrage.
        anchor: A surface to stay near, such as yesterday's, compared at equal maturities.
        strength: What the anchor adds to the loss where all numbers differ from it by 1, relative.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.
        solver: `LevenbergMarquardt()` where None.

    Returns:
        The surface at the quotes' padded expiries, nan where there was no quote to fit, with `status`,
        `converged`, `certificate` and `fit`.

    Raises:
        ArgumentError: an argument is wrong. Trouble with the quotes is reported as the status instead.
    """
    if np.ndim(surface.t) != 1:
        raise ArgumentError("fit_essvi fits one surface; a stack of them goes to fit_essvi_batch.")
    task = _task(surface, anchor, mask)
    return _solve_one(_method(loss, cap, strength, solver), task)


def fit_essvi_batch(
    surfaces: QuoteSurface | Sequence[QuoteSurface],
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
    """Fit an eSSVI surface to each of many sets of quotes; no fit depends on another.

    Args:
        surfaces: A stack of surfaces, or a sequence of them, padded to a common bucket.
        loss: As in `fit_essvi`.
        cap: As in `fit_essvi`.
        anchor: One surface for all, or a batch with one for each.
        strength: As in `fit_essvi`.
        mask: Quotes to fit, shape (surfaces, 2, T, K); the surfaces' `train` where None.
        solver: `LevenbergMarquardt()` where None.
        workers: Number of threads; the number of cores where None.
        chunk: Surfaces that one call of the compiled program fits; it bounds the memory.

    Returns:
        As `fit_essvi`, with a leading axis of surfaces; index it for one.

    Raises:
        ArgumentError: an argument is wrong. Trouble with one surface is reported as its status instead.
    """
    surfaces = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if np.ndim(surfaces.t) != 2:
        raise ArgumentError("fit_essvi_batch takes a stack or a sequence of surfaces; one goes to fit_essvi.")
    task = _task(surfaces, anchor, mask)
    method = _method(loss, cap, strength, solver)
    return solve_in_chunks(lambda task: _solve_many(method, task), task, len(surfaces), chunk, workers)


def _task(surfaces: QuoteSurface, anchor: ESSVI | None, mask: ArrayLike | None) -> Task:
    """The surfaces with the quotes to fit and the anchor at their expiries."""
    require_precision("float64")
    used = quotes_to_fit(surfaces, mask)
    *lead, expiries = np.shape(surfaces.t)
    smiles = jnp.full((*lead, 3, expiries), jnp.nan)
    if anchor is not None:
        smiles = _anchor_smiles(anchor, surfaces.t)
    return Task(surface=surfaces, used=used, anchor=smiles)


def _method(loss: Loss | None, cap: Cap, strength: float, solver: AbstractSolver | None) -> Method:
    """The settings, checked, with the defaults filled in."""
    if cap not in get_args(Cap):
        raise ArgumentError(f"cap must be 'sufficient' or 'exact', got {cap!r}.")
    return Method(
        setting=EssviSetting(loss=Loss() if loss is None else loss, cap=cap),
        solver=LevenbergMarquardt() if solver is None else solver,
        strength=jnp.asarray(strength, float),
    )


@eqx.filter_jit
def _anchor_smiles(anchor: ESSVI, t: Real) -> Real:
    """theta, psi, rho of an anchor, or of one for each surface, at maturities (..., T): (..., 3, T)."""

    def one(anchor: ESSVI, t: Real) -> Real:
        return jnp.stack(anchor.parameters(t))

    t = jnp.asarray(t)
    if t.ndim == 1:
        return one(anchor, t)
    return jax.vmap(one, in_axes=(0 if jnp.ndim(anchor.theta) == 2 else None, 0))(anchor, t)


@eqx.filter_jit
def _solve_many(method: Method, task: Task) -> ESSVI:
    return jax.lax.map(lambda one: _solve(method, one), task)


@eqx.filter_jit
def _solve_one(method: Method, task: Task) -> ESSVI:
    return _solve(method, task)


def _solve(method: Method, task: Task) -> ESSVI:
    """Fit one surface, without leading axis."""
    setting = method.setting
    quotes = usable_quotes(setting.loss, task.surface, task.used)
    problem, start = build(setting.loss, setting.cap, quotes.surface, quotes.used)
    center = _anchor_coordinates(setting, problem.space, task.anchor)
    held = jnp.isfinite(center) & jnp.tile(problem.space.known, 3)
    pull = jnp.where(held, method.strength / jnp.maximum(jnp.sum(held), 1), problem.precision)
    problem = problem._replace(precision=pull, center=jnp.where(held, center, problem.center))
    y, fit = minimise(setting, method.solver, problem, start, quotes)
    return as_surface(task.surface.t, setting.local(problem.space, y), problem.space.known, fit)


def as_surface(
    t: Float[Numbers, " T"], smiles: Float[Numbers, "3 T"], known: Bool[Numbers, " T"], fit: SurfaceFit
) -> ESSVI:
    """The fitted surface of smiles (3, T): theta, psi, rho psi; nan where there is none or the fit failed."""
    theta, psi, tilt = smiles
    fit = eqx.tree_at(lambda f: f.at_bound, fit, fit.at_bound.reshape(3, -1))
    there = known & jnp.isfinite(fit.loss)
    # selected, not multiplied: derivatives of what is not there are 0
    theta, psi, rho = (jnp.where(there, x, jnp.nan) for x in (theta, psi, tilt / psi))
    return ESSVI(expiries=t, theta=theta, psi=psi, rho=rho, fit=fit)


def _anchor_coordinates(
    setting: EssviSetting, space: Monotone, smiles: Float[Numbers, "3 T"]
) -> Float[Numbers, " n"]:
    """Coordinates (3 T,) of the anchor's theta, psi, rho; nan where there is none."""
    theta, psi, rho = smiles
    there = jnp.isfinite(theta) & (psi > 0.0)
    theta = jnp.where(there, theta, 1.0)
    psi = jnp.where(there, psi, 1.0)
    rho = jnp.where(there, rho, 0.0)
    y = space.coordinates(psi * (1.0 + rho), psi * (1.0 - rho), theta / psi, setting.cap)
    return jnp.where(jnp.tile(there, 3), y, jnp.nan)
