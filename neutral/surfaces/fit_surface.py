"""`fit_surface`, `fit_surface_batch`: the mixture of eSSVI surfaces, or one surface where that will do."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calibration import LevenbergMarquardt, Loss
from ..calibration.solvers import AbstractSolver
from ..errors import ArgumentError
from ..precision import require_precision
from ..quote_surface import QuoteSurface, stack
from ..typing import Flags, Real
from .essvi_mixture import ESSVIMixture
from .fit_essvi import as_surface, fit_essvi, fit_essvi_batch
from .fit_sanos import fit_sanos
from .global_parametrisation import Cap
from .mixture_problem import MixtureSetting
from .problem import EssviSetting, build, tolerance
from .sequential import sequential_essvi
from .solve import CHUNK, Quotes, asked_for, in_chunks, minimise, usable

Shape = Literal["mixture", "essvi", "sanos", "sequential"]
Components = Literal["auto", "two", 2, 3]

# of the prior toward the start, on every coordinate, relative to the `tolerance` of the loss: keeps
# components apart where one would do
_PULL = 5e-4


class Task(NamedTuple):
    """Surfaces to fit, with a leading axis."""

    surface: QuoteSurface
    used: Flags  # (S, 2, T, K)


class Method(eqx.Module):
    """What is the same for all surfaces."""

    loss: Loss
    solver: AbstractSolver
    cap: Cap = eqx.field(static=True)
    auto: bool = eqx.field(static=True)
    count: int = eqx.field(static=True)  # components


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


def _prepared(
    surfaces: QuoteSurface, loss: Any, components: Components, cap: Cap, mask: Any, solver: Any
) -> tuple[Task, Method]:
    require_precision("float64")
    used = asked_for(surfaces, mask)
    loss, solver = Loss() if loss is None else loss, LevenbergMarquardt() if solver is None else solver
    return Task(surfaces, used), Method(
        loss, solver, cap, components == "auto", components if isinstance(components, int) else 2
    )


@eqx.filter_jit
def _solve_many(method: Method, task: Task) -> ESSVIMixture:
    return jax.lax.map(lambda one: _solve(method, one), task)


@eqx.filter_jit
def _solve_one(method: Method, task: Task) -> ESSVIMixture:
    return _solve(method, task)


def _solve(method: Method, task: Task) -> ESSVIMixture:
    """Fit one surface, without leading axis."""
    loss, cap = method.loss, method.cap
    quotes = usable(loss, task.surface, task.used)
    problem, start = build(loss, cap, quotes.surface, quotes.used)
    one, two = EssviSetting(loss, cap), MixtureSetting(loss, cap, method.count)
    y_one, fit_one = minimise(one, method.solver, problem, start, quotes)
    begin = two.start(problem.space, one.local(problem.space, y_one))
    pull = _PULL * tolerance(problem.targets, quotes.surface, quotes.used)
    held = problem._replace(precision=jnp.full_like(begin, pull), center=begin)
    y_two, fit_two = minimise(two, method.solver, held, begin, quotes)
    smiles, alpha, m = two.split(y_two)
    keep = _supported(fit_one.loss, fit_two.loss, quotes, two.count) if method.auto else jnp.asarray(True)
    alone = jnp.zeros(two.count).at[0].set(1.0)
    size = y_one.size
    bound = fit_two.at_bound[: two.count * size].reshape(two.count, size)
    status = jax.tree.map(lambda x, y: jnp.where(keep, x, y), _without(fit_two), _without(fit_one))
    rows = [jnp.where(keep, smiles[j], y_one) for j in range(two.count)]
    parts = [
        as_surface(task.surface.t, one.local(problem.space, row), problem.space.known,
                   eqx.tree_at(lambda f: f.at_bound, status, jnp.where(keep, bound[j], fit_one.at_bound)))
        for j, row in enumerate(rows)
    ]  # fmt: skip
    components = jax.tree.map(lambda *x: jnp.stack(x), *parts)
    fit = eqx.tree_at(lambda f: f.at_bound, status, components.fit.at_bound)
    components = eqx.tree_at(lambda c: c.fit, components, None)
    return ESSVIMixture(jnp.where(keep, alpha, alone), jnp.where(keep, m, 1.0), components, fit=fit)


def _without(fit: Any) -> Any:
    """The evidence, with room for another `at_bound`."""
    return eqx.tree_at(lambda f: f.at_bound, fit, jnp.zeros((), bool))


def _supported(one: Real, two: Real, quotes: Quotes, count: int) -> Flags:
    """Whether Akaike's criterion prefers the mixture, over the strikes that were fitted."""
    strikes = jnp.sum(jnp.any(quotes.used, axis=0))
    expiries = jnp.sum(jnp.any(quotes.used, axis=(0, 2)))
    more = (3.0 * expiries + 2.0) * (count - 1)
    least = 1e-20  # losses below are exact fits
    gain = strikes * jnp.log((one + least) / (two + least))
    return jnp.isfinite(two) & (gain > 2.0 * more)
