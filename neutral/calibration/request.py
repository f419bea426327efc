"""What a calibration is asked for: arguments checked once, turned into numbers of each surface."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..models.parameters import domains
from ..precision import require_precision
from ..pricing import AbstractGridEngine, Lewis
from ..quotes.surface import QuoteSurface
from ..typing import Real
from .coordinates import Bounds, Coordinates, increment_unit
from .losses import Loss
from .priors import AbstractPenalty, Tikhonov
from .problem import Setting
from .recipe import entries_of, has_lanes, split_recipe
from .solvers import AbstractSolver, LevenbergMarquardt
from .starts.search import Search

OnDegenerate = Literal["keep", "damp"]


class Request(NamedTuple):
    """What a call asks for, checked: the part fixed at compile time, and numbers shared by all surfaces."""

    setting: Setting
    solver: AbstractSolver
    plan: Search
    from_data: bool
    lower: np.ndarray  # (n,)
    upper: np.ndarray
    precision: Any  # (n, n)
    fixed: np.ndarray  # (n,) flags
    values: np.ndarray  # (n,) of fixed coordinates
    damp: bool


class Lane(NamedTuple):
    """Numbers of one surface."""

    surface: QuoteSurface
    used: Any  # (2, T, K)
    starts: Any  # (starts, n), nan where absent
    center: Any  # (n,)
    fixed: Any  # (n,) values of fixed coordinates


def request(
    recipe: Any,
    surface: QuoteSurface,
    engine: AbstractGridEngine[Any] | None,
    loss: Loss | None,
    prior: Any,
    solver: AbstractSolver | None,
    search: Search | None,
    fixed: dict[str, float] | None,
    bounds: Bounds | None,
    on_degenerate: OnDegenerate = "keep",
) -> tuple[Request, Tikhonov | None, AbstractFourierModel | None]:
    """Check the arguments of a calibration.

    Raises:
        ArgumentError: names the argument, what came and what is accepted.
        PrecisionError: double precision is off.
    """
    require_precision("float64")
    cls, shifted, start = split_recipe(recipe)
    axes, given = entries_of(recipe)
    coordinates = Coordinates(cls, shifted, surface.shape[0], axes, _held(cls, fixed or {}))
    chosen_engine = _grid_engine(engine)
    chosen_loss = _given("loss", loss, Loss, Loss)
    chosen_solver = _given("solver", solver, AbstractSolver, LevenbergMarquardt)
    tikhonov, penalties = _priors(prior)
    lower, upper = coordinates.bounds(bounds)
    still = coordinates.by_name(fixed or {}) | given
    held = np.array([name in still for name in coordinates.names])
    values = _fixed_values(coordinates, still, held, lower, upper)
    if on_degenerate not in get_args(OnDegenerate):
        raise ArgumentError(f"on_degenerate must be 'keep' or 'damp', got {on_degenerate!r}.")
    setting = Setting(coordinates, chosen_engine, chosen_loss, penalties)
    return (
        Request(
            setting,
            chosen_solver,
            search or Search(),
            start is None,
            lower,
            upper,
            np.zeros((coordinates.size, coordinates.size)),
            held,
            values,
            on_degenerate == "damp",
        ),
        tikhonov,
        start,
    )


def _held(cls: type[AbstractFourierModel], fixed: dict[str, float]) -> tuple[str, ...]:
    """Fixed parameters of a model with a joint map, which would move them with the others."""
    joint = cls.from_free.__func__ is not AbstractFourierModel.from_free.__func__  # pyright: ignore[reportFunctionMemberAccess]
    return tuple(name for name in domains(cls) if name in fixed) if joint else ()


def _fixed_values(
    coordinates: Coordinates, fixed: dict[str, float], held: np.ndarray, lower: np.ndarray, upper: np.ndarray
) -> np.ndarray:
    """Coordinates of the fixed parameters, 0 elsewhere."""
    if not fixed:
        return np.zeros(coordinates.size)
    values = np.zeros(coordinates.size)
    with jax.ensure_compile_time_eval():  # numbers also inside jit
        typical = coordinates.typical()
        own = coordinates.spread(
            {name: jnp.asarray(getattr(typical, name)) for name in domains(coordinates.model)}
        )
        columns = [
            jnp.asarray(fixed.get(name, x)) for name, x in zip(coordinates.parameters, own, strict=True)
        ]
        values[: len(columns)] = coordinates.own_vector(coordinates.gather(columns))
    outside = held & ((values < lower) | (values > upper) | ~np.isfinite(values))
    if outside.any():
        name = coordinates.names[int(np.nonzero(outside)[0][0])]
        raise ArgumentError(f"fixed {name} = {fixed[name]} lies outside its bounds; widen bounds=.")
    return np.where(held, values, 0.0)


def _grid_engine(engine: AbstractGridEngine[Any] | None) -> AbstractGridEngine[Any]:
    """The engine, or the default one; refuses an engine that cannot calibrate."""
    if engine is None:
        return Lewis()
    if not isinstance(engine, AbstractGridEngine):
        raise ArgumentError(
            f"engine must be Lewis(), CarrMadan() or COS(), which price from a grid, got {engine!r}."
        )
    return engine


def _given(name: str, value: Any, kind: type, default: Any) -> Any:
    if value is None:
        return default()
    if not isinstance(value, kind):
        raise ArgumentError(f"{name} must be a {kind.__name__}, got {value!r}.")
    return value


def _priors(prior: Any) -> tuple[Tikhonov | None, tuple[AbstractPenalty, ...]]:
    given = () if prior is None else prior if isinstance(prior, list | tuple) else (prior,)
    pulls = [p for p in given if isinstance(p, Tikhonov)]
    penalties = tuple(p for p in given if isinstance(p, AbstractPenalty))
    if len(pulls) + len(penalties) != len(given) or len(pulls) > 1:
        raise ArgumentError(
            f"prior must be one Tikhonov and any penalties, alone or in a list, got {prior!r}."
        )
    return (pulls[0] if pulls else None), penalties


def make_lanes(
    asked: Request,
    surfaces: QuoteSurface,
    tikhonov: Tikhonov | None,
    start: AbstractFourierModel | None,
    starts: Sequence[AbstractFourierModel] | None,
    mask: Any,
) -> tuple[Lane, Request]:
    """The numbers of every surface, with a leading axis; and the request with the prior's precision."""
    coordinates, count = asked.setting.coordinates, len(surfaces)

    def vectors(model: AbstractFourierModel) -> Real:
        return _vectors(coordinates, model, surfaces)

    given = [vectors(model) for model in ([start] if start is not None else []) + list(starts or [])]
    size = coordinates.size
    stacked = jnp.stack(given, axis=1) if given else np.zeros((count, 0, size))
    center = np.zeros((count, size))
    if tikhonov is not None:
        precision, middle = tikhonov.quadratic(coordinates, vectors)
        asked = asked._replace(precision=precision[:, None] * np.eye(size))
        center = jnp.broadcast_to(middle, (count, size))
    elif asked.damp:
        center = given[0] if start is not None else vectors(coordinates.typical())
    used = surfaces.train if mask is None else jnp.broadcast_to(jnp.asarray(mask, bool), surfaces.mask.shape)
    return Lane(surfaces, used, stacked, center, np.broadcast_to(asked.values, (count, size))), asked


def _vectors(coordinates: Coordinates, model: AbstractFourierModel, surfaces: QuoteSurface) -> Real:
    """Vectors of one model for all surfaces, or of one each: (surfaces, size)."""
    unit = increment_unit(surfaces)
    return _vectors_jit(coordinates, model, unit, surfaces.t, has_lanes(model), len(surfaces))


@eqx.filter_jit
def _vectors_jit(coordinates: Coordinates, model: Any, unit: Any, t: Any, many: bool, count: int) -> Real:
    one = lambda model, unit, t: coordinates.vector(model, unit, t)  # noqa: E731
    return jax.vmap(one, in_axes=(0 if many else None, 0, 0), axis_size=count)(model, unit, t)
