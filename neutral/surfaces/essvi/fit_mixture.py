"""The fit of a mixture of eSSVI surfaces: one component first, then the others beside it."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ...calibration import LevenbergMarquardt, Loss
from ...calibration.solvers import AbstractSolver
from ...precision import require_precision
from ...quotes.surface import QuoteSurface
from ...typing import Flags, Real
from ..fitting import Quotes, asked_for, usable
from .fit import as_surface
from .global_parametrisation import Cap
from .minimise import minimise
from .mixture import ESSVIMixture
from .mixture_problem import MixtureSetting
from .problem import EssviSetting, build, tolerance

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
