"""`fit_essvi`, `fit_essvi_batch`: all smiles of a surface at once, free of arbitrage whatever the quotes."""

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...calibration import LevenbergMarquardt, Loss
from ...calibration.solvers import AbstractSolver
from ...errors import ArgumentError
from ...precision import require_precision
from ...quotes.stack import stack
from ...quotes.surface import QuoteSurface
from ...typing import Flags, Real
from ..evidence import SurfaceFit
from ..fitting import CHUNK, asked_for, in_chunks, usable
from .global_parametrisation import Cap
from .minimise import minimise
from .problem import EssviSetting, build
from .surface import ESSVI


class Task(NamedTuple):
    """Surfaces to fit, with a leading axis."""

    surface: QuoteSurface
    used: Flags  # (S, 2, T, K)
    anchor: Real  # (S, 3, T) theta, psi, rho of the anchor at the expiries, nan where there is none


class Method(eqx.Module):
    """What is the same for all surfaces."""

    setting: EssviSetting
    solver: AbstractSolver
    strength: Real


def fit_essvi(
    surface: QuoteSurface,
    loss: Loss | None = None,
    *,
    cap: Cap = "sufficient",
    anchor: ESSVI | None = None,
    strength: float = 0.01,
    mask: Any = None,
    solver: AbstractSolver | None = None,
) -> ESSVI:
    """Fit an eSSVI surface to quotes, free of static arbitrage by construction.

    All expiries are fitted jointly from a start that the quotes themselves give. Differentiable in the
    surface's prices, weights and forwards (`QuoteSurface.with_prices` and the like) and in the anchor by the
    implicit function theorem.

    Args:
        surface: Quotes of one underlying at one time.
        loss: What is minimised; `Loss()` where None. `Loss("spread", "soft_l1", 0.4)` suits quotes with a
            bid and an ask, `Loss(inside="free")` asks for no more than to be between them.
        cap: Largest psi of a smile: "sufficient" (Gatheral and Jacquier 2014), with which the surface is free
            between expiries by proof, or "exact", which allows every smile free of butterfly arbitrage.
        anchor: A surface to stay near, such as yesterday's, compared at equal maturities.
        strength: Of the anchor: what a relative difference of all numbers by 1 adds to the loss.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.
        solver: `LevenbergMarquardt()` where None.

    Returns:
        The surface at the quotes' padded expiries, nan where there was no quote to fit, with `status`,
        `converged`, `certificate` and `fit`.

    Raises:
        ArgumentError: an argument is wrong; trouble of the quotes is the status.
    """
    if np.ndim(surface.t) != 1:
        raise ArgumentError("fit_essvi fits one surface; a stack of them goes to fit_essvi_batch.")
    task, method = _prepared(surface, loss, cap, anchor, strength, mask, solver)
    return _solve_one(method, task)


def fit_essvi_batch(
    surfaces: QuoteSurface | Sequence[QuoteSurface],
    loss: Loss | None = None,
    *,
    cap: Cap = "sufficient",
    anchor: ESSVI | None = None,
    strength: float = 0.01,
    mask: Any = None,
    solver: AbstractSolver | None = None,
    workers: int | None = None,
    chunk: int = CHUNK,
) -> ESSVI:
    """Fit an eSSVI surface to each of many sets of quotes; every fit stands alone.

    Args:
        surfaces: A stack of surfaces, or a sequence of them, padded to a common bucket.
        loss: As in `fit_essvi`.
        cap: As in `fit_essvi`.
        anchor: One surface for all, or a batch with one for each.
        strength: As in `fit_essvi`.
        mask: Quotes to fit, shape (surfaces, 2, T, K); the surfaces' `train` where None.
        solver: `LevenbergMarquardt()` where None.
        workers: Threads; the number of cores where None.
        chunk: Surfaces of one compiled program; it bounds the memory.

    Returns:
        As `fit_essvi`, with a leading axis of surfaces; index it for one.

    Raises:
        ArgumentError: an argument is wrong, for all surfaces; trouble of one surface is its status.
    """
    surfaces = surfaces if isinstance(surfaces, QuoteSurface) else stack(surfaces)
    if np.ndim(surfaces.t) != 2:
        raise ArgumentError("fit_essvi_batch takes a stack or a sequence of surfaces; one goes to fit_essvi.")
    task, method = _prepared(surfaces, loss, cap, anchor, strength, mask, solver)
    return in_chunks(lambda task: _solve_many(method, task), task, len(surfaces), chunk, workers)


def _prepared(
    surfaces: QuoteSurface, loss: Any, cap: Any, anchor: Any, strength: Any, mask: Any, solver: Any
) -> tuple[Task, Method]:
    """Arguments, checked and turned into numbers."""
    require_precision("float64")
    if cap not in get_args(Cap):
        raise ArgumentError(f"cap must be 'sufficient' or 'exact', got {cap!r}.")
    used = asked_for(surfaces, mask)
    at = jnp.full((*np.shape(surfaces.t)[:-1], 3, np.shape(surfaces.t)[-1]), jnp.nan)
    if anchor is not None:
        at = _anchor_smiles(anchor, surfaces.t)
    setting = EssviSetting(Loss() if loss is None else loss, cap)
    solver = LevenbergMarquardt() if solver is None else solver
    return Task(surfaces, used, at), Method(setting, solver, jnp.asarray(strength, float))


@eqx.filter_jit
def _anchor_smiles(anchor: ESSVI, t: Any) -> Real:
    """theta, psi, rho of an anchor, or of one for each surface, at maturities (..., T)."""

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
    quotes = usable(setting.loss, task.surface, task.used)
    problem, start = build(setting.loss, setting.cap, quotes.surface, quotes.used)
    center = _anchored(setting, problem.space, task.anchor)
    held = jnp.isfinite(center) & jnp.tile(problem.space.known, 3)
    pull = jnp.where(held, method.strength / jnp.maximum(jnp.sum(held), 1), problem.precision)
    problem = problem._replace(precision=pull, center=jnp.where(held, center, problem.center))
    y, fit = minimise(setting, method.solver, problem, start, quotes)
    return as_surface(task.surface.t, setting.local(problem.space, y), problem.space.known, fit)


def as_surface(t: Any, smiles: Real, known: Flags, fit: SurfaceFit) -> ESSVI:
    """The fitted surface of smiles (3, T): theta, psi, rho psi; nan where there is none or the fit failed."""
    theta, psi, tilt = smiles
    fit = eqx.tree_at(lambda f: f.at_bound, fit, fit.at_bound.reshape(3, -1))
    there = known & jnp.isfinite(fit.loss)
    # selected, not multiplied: derivatives of what is not there are 0
    return ESSVI(t, *(jnp.where(there, x, jnp.nan) for x in (theta, psi, tilt / psi)), fit=fit)


def _anchored(setting: EssviSetting, space: Any, smiles: Real) -> Real:
    """Coordinates (3 T,) of the anchor; nan where there is none."""
    theta, psi, rho = smiles
    there = jnp.isfinite(theta) & (psi > 0.0)
    theta, psi, rho = (jnp.where(there, x, y) for x, y in ((theta, 1.0), (psi, 1.0), (rho, 0.0)))
    y = space.coordinates(psi * (1.0 + rho), psi * (1.0 - rho), theta / psi, setting.cap)
    return jnp.where(jnp.tile(there, 3), y, jnp.nan)
