"""The request for a calibration: its arguments, which are checked once, and the numbers of each surface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..models.parameters import domains, is_concrete
from ..numerics.buckets import bucket
from ..numerics.compiled import compiled
from ..precision import require_precision
from ..pricing import AbstractGridEngine, Lewis
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Numbers, Real
from .coordinates import AbstractCoordinates, Bounds, coordinates_of, increment_unit
from .losses import Loss
from .priors import Prior, Tikhonov, split_prior
from .problem import Setting
from .recipe import Recipe, entries_of, has_lanes, split_recipe
from .solvers import AbstractSolver, LevenbergMarquardt
from .starts.search import Search

OnDegenerate = Literal["keep", "damp"]
Kind = TypeVar("Kind")
Tree = TypeVar("Tree")


class Lane(NamedTuple):
    """The numbers of one surface, or those of many surfaces with a leading axis on every field."""

    surface: QuoteSurface
    used: Flags  # (2, T, K) quotes to fit
    starts: Real  # (starts, n); a start with a nan is left out
    center: Real  # (n,) center of the prior, or of the pull of a damped fit
    fixed: Real  # (n,) values of fixed coordinates


class Request(eqx.Module):
    """The checked arguments of a calibration with n coordinates, T maturities and K strikes.

    `Request.of` makes a request from the arguments of `calibrate`. The result of a batch keeps it with a
    leading axis on every array, so that `results[3].request` is that of one fit.

    Attributes:
        setting: Coordinates of the model, engine, loss and penalties.
        solver: The solver.
        search: How many steps each start gets, and a global search for starts.
        from_data: Whether starts come from the data; a starting model replaces them.
        damp: Whether a fit is damped in the directions that the quotes do not determine.
        history: Whether the result keeps the course of the fit.
        lower: Lower bounds of the coordinates, shape (n,).
        upper: Upper bounds of the coordinates, shape (n,).
        precision: Precision of the prior, in the coordinates, shape (n, n).
        fixed: Whether a coordinate is fixed, shape (n,).
        values: Values of the fixed coordinates, 0 elsewhere, shape (n,).
        prior: The pull towards a point.
        start: The starting model, where the recipe has numbers.
        mask: Quotes to fit, shape (2, T, K); `train` of the surface where None.
    """

    setting: Setting
    solver: AbstractSolver[Any]
    search: Search
    from_data: bool = eqx.field(static=True)
    damp: bool = eqx.field(static=True)
    history: bool = eqx.field(static=True)
    lower: Real
    upper: Real
    precision: Real
    fixed: Flags
    values: Real
    prior: Tikhonov | None = None
    start: AbstractFourierModel | None = None
    mask: Flags | None = None

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        surface: QuoteSurface,
        *,
        engine: AbstractGridEngine[Any] | None = None,
        loss: Loss | None = None,
        prior: Prior | None = None,
        solver: AbstractSolver[Any] | None = None,
        search: Search | None = None,
        fixed: Mapping[str, float] | None = None,
        bounds: Bounds | None = None,
        mask: Numbers | None = None,
        on_degenerate: OnDegenerate = "keep",
        history: bool = False,
    ) -> Request:
        """Check the arguments of `calibrate`, where they are described.

        Raises:
            ArgumentError: an argument is wrong; the message names it, its value and what is accepted.
            PrecisionError: double precision is off.
        """
        require_precision("float64")
        _, start = split_recipe(recipe)
        _, values = entries_of(recipe)
        coordinates = coordinates_of(recipe, surface.shape[0], fixed or {})
        chosen_engine = _grid_engine(engine)
        chosen_loss = _checked("loss", loss, Loss, Loss)
        chosen_solver = _checked("solver", solver, AbstractSolver, LevenbergMarquardt)
        tikhonov, penalties = split_prior(prior)
        lower, upper = coordinates.bounds(bounds)
        by_name = coordinates.by_name(fixed or {}) | values
        flags, values = _fixed(coordinates, by_name, lower, upper)
        if on_degenerate not in get_args(OnDegenerate):
            raise ArgumentError(f"on_degenerate must be 'keep' or 'damp', got {on_degenerate!r}.")
        size = coordinates.size
        precision = np.zeros((size, size))
        if tikhonov is not None:
            precision = tikhonov.precision(coordinates)[:, None] * np.eye(size)
        return cls(
            setting=Setting(coordinates, chosen_engine, chosen_loss, penalties),
            solver=chosen_solver,
            search=_checked("search", search, Search, Search),
            from_data=start is None,
            damp=on_degenerate == "damp",
            history=history,
            lower=lower,
            upper=upper,
            precision=precision,
            fixed=flags,
            values=values,
            prior=tikhonov,
            start=start,
            mask=None if mask is None else jnp.broadcast_to(jnp.asarray(mask, bool), surface.mask.shape),
        )

    def lanes(self, surfaces: QuoteSurface, starts: Sequence[AbstractFourierModel] | None = None) -> Lane:
        """The numbers of every surface, with a leading axis of surfaces.

        Args:
            surfaces: Surfaces with a leading axis.
            starts: Further starting models, whose fields are scalars or have a leading axis of surfaces; a
                start with a nan is left out.

        Raises:
            ArgumentError: a start or the center of the prior has another class, or another number of entries.
        """
        coordinates = self.setting.coordinates
        count = len(surfaces)
        size = coordinates.size
        first = [] if self.start is None else [self.start]
        vectors = [_vectors(coordinates, model, surfaces) for model in [*first, *(starts or [])]]
        center = np.zeros((count, size))
        if self.prior is not None:
            middle = _vectors(coordinates, self.prior.center_or_typical(coordinates), surfaces)
            center = jnp.broadcast_to(middle, (count, size))
        elif self.damp:
            center = vectors[0] if first else _vectors(coordinates, coordinates.typical(), surfaces)
        xp = np if all(is_concrete(x) for x in vectors) else jnp  # on the host nothing is compiled
        return Lane(
            surface=surfaces,
            used=surfaces.train if self.mask is None else jnp.broadcast_to(self.mask, surfaces.mask.shape),
            starts=xp.stack(vectors, axis=1) if vectors else np.zeros((count, 0, size)),
            center=center,
            fixed=np.broadcast_to(self.values, (count, size)),
        )

    def shared(self) -> Request:
        """The part that the compiled program reads; `lanes` has put the rest into the lanes."""
        return dataclasses.replace(self, prior=None, start=None, mask=None)

    def again(self, model: AbstractFourierModel) -> Request:
        """The same calibration, started from a fitted model alone and without a second, damped fit."""
        return dataclasses.replace(self, start=model, from_data=False, damp=False, history=False)

    def fixing(self, values: Mapping[str, float]) -> Request:
        """The same calibration with further parameters fixed.

        Args:
            values: Values by parameter or by entry (`kappa`, `kappa[1]`), in natural units.

        Raises:
            ArgumentError: a name is unknown, or a value lies outside its bounds.
        """
        coordinates = self.setting.coordinates.holding(values)
        by_name = coordinates.by_name(values)
        flags, numbers = _fixed(coordinates, by_name, np.asarray(self.lower), np.asarray(self.upper))
        return dataclasses.replace(
            self,
            setting=dataclasses.replace(self.setting, coordinates=coordinates),
            fixed=np.asarray(self.fixed) | flags,
            values=np.where(flags, numbers, np.asarray(self.values)),
        )

    def as_arrays(self) -> Request:
        """The request with an array in place of every number, as in results; traced numbers stay."""
        return jax.tree.map(lambda x: x if eqx.is_array(x) else np.asarray(x), self)

    def repeated(self, count: int) -> Request:
        """The request with a leading axis of `count` surfaces on every array, on the host.

        The results of a batch keep it in this form.
        """

        def rows(tree: Tree) -> Tree:
            return jax.tree.map(lambda x: np.broadcast_to(np.asarray(x), (count, *np.shape(x))), tree)

        prior = self.prior
        if prior is not None and prior.center is not None and has_lanes(prior.center):
            every = rows(dataclasses.replace(prior, center=None))
            prior = dataclasses.replace(every, center=prior.center)
        elif prior is not None:
            prior = rows(prior)
        start = self.start
        if start is not None and not has_lanes(start):
            start = rows(start)
        mask = self.mask
        if mask is not None:
            mask = np.asarray(mask)
        return dataclasses.replace(rows(self.shared()), prior=prior, start=start, mask=mask)


def _fixed(
    coordinates: AbstractCoordinates, by_name: Mapping[str, float], lower: np.ndarray, upper: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flags of the fixed coordinates, and their values, 0 elsewhere; each has shape (n,).

    Raises:
        ArgumentError: a value lies outside its bounds.
    """
    flags = np.array([name in by_name for name in coordinates.names])
    values = np.zeros(coordinates.size)
    if not by_name:
        return flags, values
    with jax.ensure_compile_time_eval():  # also inside jit the results are numbers, which can be checked
        typical = coordinates.typical()
        usual = coordinates.spread(
            {name: jnp.asarray(getattr(typical, name)) for name in domains(coordinates.model)}
        )
        columns = [
            jnp.asarray(by_name.get(name, x)) for name, x in zip(coordinates.parameters, usual, strict=True)
        ]
        values[: len(columns)] = coordinates.parameter_vector(coordinates.gather(columns))
    outside = flags & ((values < lower) | (values > upper) | ~np.isfinite(values))
    if outside.any():
        name = coordinates.names[int(np.nonzero(outside)[0][0])]
        raise ArgumentError(
            f"fixed {name} = {by_name[name]} lies outside its bounds; widen them with the argument bounds."
        )
    return flags, np.where(flags, values, 0.0)


def _grid_engine(engine: AbstractGridEngine[Any] | None) -> AbstractGridEngine[Any]:
    """The engine, or `Lewis()` where None; an engine that cannot calibrate is refused."""
    if engine is None:
        return Lewis()
    if not isinstance(engine, AbstractGridEngine):
        raise ArgumentError(
            f"engine must be Lewis(), CarrMadan() or COS(), which price from a grid, got {engine!r}."
        )
    return engine


def _checked(name: str, value: object, kind: type[Kind], default: type[Kind]) -> Kind:
    """The value of an argument, or its default where None; a value of another type is refused."""
    if value is None:
        return default()
    if not isinstance(value, kind):
        accepted = kind.__name__
        if accepted.startswith("Abstract"):
            accepted = f"{accepted.removeprefix('Abstract').lower()}, such as neutral.{default.__name__}()"
        raise ArgumentError(f"{name} must be a {accepted}, got {value!r}.")
    return value


def _vectors(coordinates: AbstractCoordinates, model: AbstractFourierModel, surfaces: QuoteSurface) -> Real:
    """Vectors of one model for all surfaces, or of one model for each surface; shape (surfaces, size)."""
    count = len(surfaces)
    each = model if has_lanes(model) else None
    given = (each, surfaces.stdev, surfaces.t)
    if not all(map(is_concrete, jax.tree.leaves(given))):
        return _vectors_jit(coordinates, model, *given, count=count)
    rows = np.minimum(np.arange(bucket(count)), count - 1)  # so that few numbers of surfaces are compiled for
    given = jax.tree.map(lambda x: np.asarray(x)[rows], given)
    shared = model if each is None else None
    vectors = _vectors_jit(coordinates, shared, *given, count=rows.size)
    return (np.asarray(vectors) if is_concrete(vectors) else vectors)[:count]


@compiled
def _vectors_jit(
    coordinates: AbstractCoordinates,
    shared: AbstractFourierModel | None,
    each: AbstractFourierModel | None,
    stdev: Real,
    t: Real,
    *,
    count: int,
) -> Real:
    def one(each: AbstractFourierModel | None, unit: Real, t: Real) -> Real:
        model = shared if each is None else each
        assert model is not None
        return coordinates.vector(model, unit, t)

    return jax.vmap(one, axis_size=count)(each, increment_unit(stdev), t)
