"""The fit of a mixture of eSSVI surfaces, which starts from the fit of one component."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from ...calibration import LevenbergMarquardt, Loss
from ...calibration.solvers import AbstractSolver
from ...numerics.compiled import compiled_as
from ...precision import require_precision
from ...quotes.surface import QuoteSurface
from ...typing import Flags, Numbers, Real
from ..evidence import SurfaceFit
from ..fitting import UsableQuotes, quotes_to_fit, usable_quotes
from .fit import as_surface
from .global_parametrisation import Cap
from .minimise import minimise
from .mixture import ESSVIMixture
from .mixture_problem import MixtureSetting
from .problem import EssviSetting, build, tolerance
from .surface import ESSVI

Components = Literal["auto", "two", 2, 3]
# strength of the prior towards the start, on every coordinate, relative to the `tolerance` of the loss; the
# prior determines the components where the quotes do not
_PULL = 5e-4
_EXACT = 1e-20  # a loss below this value is an exact fit


class Task(NamedTuple):
    """Surfaces to fit, with a leading axis S, or one surface without it."""

    surface: QuoteSurface
    used: Flags  # (S, 2, T, K) True for quotes to fit


class Method(eqx.Module):
    """Settings that are the same for all surfaces of a fit."""

    loss: Loss
    solver: AbstractSolver
    cap: Cap = eqx.field(static=True)
    auto: bool = eqx.field(static=True)  # True to drop components that the quotes do not support
    count: int = eqx.field(static=True)  # number of components


class Outcome(NamedTuple):
    """Coordinates and record of the chosen fit: that of the mixture, or of one component."""

    smiles: list[Real]  # of each component, (3 T,)
    weights: Float[Numbers, " J"]
    multipliers: Float[Numbers, " J"]
    at_bound: list[Flags]  # of each component, (3 T,)
    fit: SurfaceFit  # without `at_bound`


def make_task(surfaces: QuoteSurface, mask: ArrayLike | None) -> Task:
    """Combine the surfaces and the quotes to fit."""
    require_precision("float64")
    return Task(surface=surfaces, used=quotes_to_fit(surfaces, mask))


def make_method(loss: Loss | None, components: Components, cap: Cap, solver: AbstractSolver | None) -> Method:
    """Fill in the defaults of the settings."""
    return Method(
        loss=Loss() if loss is None else loss,
        solver=LevenbergMarquardt() if solver is None else solver,
        cap=cap,
        auto=components == "auto",
        count=components if isinstance(components, int) else 2,
    )


@compiled_as("the fit of mixtures")
def solve_many(method: Method, task: Task) -> ESSVIMixture:
    """Fit many surfaces, one after another, in one compiled program."""
    return jax.lax.map(lambda one: _solve(method, one), task)


@compiled_as("the fit of mixtures")
def solve_one(method: Method, task: Task) -> ESSVIMixture:
    """Fit one surface."""
    return _solve(method, task)


def _solve(method: Method, task: Task) -> ESSVIMixture:
    """Fit one surface, without leading axis."""
    loss = method.loss
    cap = method.cap
    quotes = usable_quotes(loss, task.surface, task.used)
    problem, start = build(loss, cap, quotes.surface, quotes.used)
    single = EssviSetting(loss=loss, cap=cap)
    mixture = MixtureSetting(loss=loss, cap=cap, count=method.count)
    y_single, fit_single = minimise(single, method.solver, problem, start, quotes)
    initial = mixture.start(problem.space, single.local(problem.space, y_single))
    precision = _PULL * tolerance(problem.targets, quotes.surface, quotes.used)
    penalised = problem._replace(precision=jnp.full_like(initial, precision), center=initial)
    y_mixture, fit_mixture = minimise(mixture, method.solver, penalised, initial, quotes)
    keep = jnp.asarray(True)
    if method.auto:
        keep = _is_supported(fit_single.loss, fit_mixture.loss, quotes, mixture.count)
    outcome = _choose(keep, mixture, (y_mixture, fit_mixture), (y_single, fit_single))

    def component(y: Real, at_bound: Flags) -> ESSVI:
        fit = _with_bounds(outcome.fit, at_bound)
        return as_surface(task.surface.t, single.local(problem.space, y), problem.space.known, fit)

    parts = [component(outcome.smiles[j], outcome.at_bound[j]) for j in range(mixture.count)]
    return _mixture(outcome, jax.tree.map(lambda *x: jnp.stack(x), *parts))


def _choose(
    keep: Flags, mixture: MixtureSetting, several: tuple[Real, SurfaceFit], one: tuple[Real, SurfaceFit]
) -> Outcome:
    """Return the mixture if `keep`, else the single component with weight 1."""
    y_mixture, fit_mixture = several
    y_single, fit_single = one
    smiles, alpha, m = mixture.split(y_mixture)
    single_weights = jnp.zeros(mixture.count).at[0].set(1.0)
    size = y_single.size
    bound = fit_mixture.at_bound[: mixture.count * size].reshape(mixture.count, size)
    no_bounds = jnp.zeros((), bool)
    fits = (_with_bounds(fit_mixture, no_bounds), _with_bounds(fit_single, no_bounds))
    return Outcome(
        smiles=[jnp.where(keep, smiles[j], y_single) for j in range(mixture.count)],
        weights=jnp.where(keep, alpha, single_weights),
        multipliers=jnp.where(keep, m, 1.0),
        at_bound=[jnp.where(keep, bound[j], fit_single.at_bound) for j in range(mixture.count)],
        fit=jax.tree.map(lambda x, y: jnp.where(keep, x, y), *fits),
    )


def _mixture(outcome: Outcome, components: ESSVI) -> ESSVIMixture:
    """Build the mixture, and move the records of the components' bounds to its own record."""
    assert components.fit is not None
    fit = _with_bounds(outcome.fit, components.fit.at_bound)
    components = eqx.tree_at(lambda c: c.fit, components, None)
    return ESSVIMixture(
        weights=outcome.weights, multipliers=outcome.multipliers, components=components, fit=fit
    )


def _with_bounds(fit: SurfaceFit, at_bound: Flags) -> SurfaceFit:
    """Replace `at_bound` in the record."""
    return eqx.tree_at(lambda f: f.at_bound, fit, at_bound)


def _is_supported(single: Real, mixture: Real, quotes: UsableQuotes, count: int) -> Bool[Numbers, ""]:
    """Test whether Akaike's criterion over the fitted strikes prefers the mixture to one component."""
    strikes = jnp.sum(jnp.any(quotes.used, axis=0))
    expiries = jnp.sum(jnp.any(quotes.used, axis=(0, 2)))
    extra_parameters = (3.0 * expiries + 2.0) * (count - 1)
    # for least squares, AIC = strikes log(loss) + 2 parameters
    gain = strikes * jnp.log((single + _EXACT) / (mixture + _EXACT))
    return jnp.isfinite(mixture) & (gain > 2.0 * extra_parameters)
