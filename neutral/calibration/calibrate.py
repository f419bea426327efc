"""`calibrate`: one surface, also inside jit and grad."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError, CalibrationError
from ..models import AbstractFourierModel, Black, Shifted
from ..parameters import domains, is_concrete
from ..pricing import Lewis, price
from ..quote_surface import QuoteSurface
from ..typing import Real
from .coordinates import Bounds, Coordinates, entries_of, split_recipe, unchecked
from .lane import solve_lane
from .losses import Loss
from .request import OnDegenerate, make_lanes, request
from .result import CalibrationResult, CalibrationStatus
from .search import Search
from .solvers import AbstractSolver

_solve = eqx.filter_jit(solve_lane)


def calibrate(
    recipe: Any,
    surface: QuoteSurface,
    engine: Lewis | None = None,
    loss: Loss | None = None,
    prior: Any = None,
    solver: AbstractSolver | None = None,
    starts: Sequence[AbstractFourierModel] | None = None,
    fixed: dict[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Any = None,
    throw: bool = False,
    *,
    search: Search | None = None,
    on_degenerate: OnDegenerate = "keep",
) -> CalibrationResult:
    """Calibrate a model to one surface.

    Runs under `jax.jit` and `jax.grad` with traced prices, weights and forwards (`surface.with_prices(p)`,
    `with_weights`, `with_forwards`), center and strength of a prior: the derivative is the implicit function
    theorem's, exact where the fit has converged, 0 for a parameter on a bound. Where the fit has not
    converged it is 0 too, and the status says so.

    Args:
        recipe: A model class (`Heston`), `Shifted(SVCJ)` for the ++ shift at the surface's expiries, or a
            model, which is then where the fit starts.
        surface: Quotes of one surface.
        engine: `Lewis()` where None.
        loss: `Loss()` where None.
        prior: A `Tikhonov` and penalties, alone or in a list.
        solver: `LevenbergMarquardt()` where None.
        starts: Further starting models.
        fixed: Parameters by name that keep the value given.
        bounds: Intervals by parameter name instead of the default ones.
        mask: Quotes to fit, shape (2, T, K); the surface's `train` where None.
        throw: Whether to raise where the fit has not converged; not inside jit.
        search: How many steps the starts get.
        on_degenerate: "damp" fits again with a pull in the directions alone that the first fit does not see,
            towards the prior's center, else the starting model, else typical values: the strongest that
            raises the loss by at most 0.5 % (`undamped_loss` tells from where). "keep": no second fit.

    Returns:
        Model, status and evidence.

    Raises:
        ArgumentError: an argument is wrong.
        CalibrationError: `throw` and not converged.
        PrecisionError: double precision is off.
    """
    if not isinstance(surface, QuoteSurface) or np.ndim(surface.t) != 1:
        raise ArgumentError(f"calibrate takes one QuoteSurface, got {surface!r}; many go to calibrate_batch.")
    asked, tikhonov, start = request(
        recipe, surface, engine, loss, prior, solver, search, fixed, bounds, on_degenerate
    )
    one = jax.tree.map(lambda x: x[None], surface)
    lanes, asked = make_lanes(asked, one, tikhonov, start, starts, mask)
    result = _solve(asked, jax.tree.map(lambda x: x[0], lanes))
    if throw and is_concrete(result.status) and not bool(result.converged):
        raise CalibrationError(CalibrationStatus(int(result.status)).message)
    return result


def price_surface(model: AbstractFourierModel, surface: QuoteSurface) -> Real:
    """Model prices of a surface's calls and puts with the default engine: normalised, shape (2, T, K)."""
    strike, maturity = jnp.exp(surface.k), surface.t[:, None]
    both = [price(model, 1.0, strike, maturity, kind) for kind in ("call", "put")]
    return jnp.where(surface.mask, jnp.stack(both), 0.0)


def nested_start(recipe: Any, model: AbstractFourierModel) -> AbstractFourierModel:
    """The start that prices as a simpler fitted model does: its parameters, and those of the richer at zero.

    Black's in Heston has no volatility of variance, Heston's in SVCJ no jumps, in double Heston no second
    variance, in piecewise Heston equal pieces; a shift has no increments.

    Args:
        recipe: The richer model class, a recipe, or `Shifted` of one.
        model: The simpler fit; fields may have a leading axis.
    """
    cls, _, _ = split_recipe(recipe)
    base = model.model if isinstance(model, Shifted) else model
    names = [field for field in cls.__dataclass_fields__ if not field.startswith("_")]
    like = next(getattr(base, name) for name in domains(base) if not base._field_ndim(name))
    if isinstance(base, Black) and cls is not Black:
        variance = base.sigma**2
        known = {"v0": variance, "theta": variance, "sigma_v": 0.0 * variance, "sigma": base.sigma}
    else:
        known = {name: getattr(base, name) for name in base.__dataclass_fields__}
    known: dict[str, Any] = {"lam": jnp.zeros_like(like), "nu": jnp.zeros_like(like)} | known
    if "v01" in names and "v0" in known:
        known |= {f"{name}1": x for name, x in known.items()}
        known |= {"v02": jnp.zeros_like(like), "theta2": jnp.zeros_like(like)}
    axes, _ = entries_of(recipe)
    typical, counts = Coordinates(cls, False, 0, axes).typical(), dict(axes)
    if counts:
        given = recipe.model if isinstance(recipe, Shifted) else recipe
        known |= {name: _rows(getattr(given, name), like, counts[name]) for name in cls._given}

    def value(name: str) -> Real:
        x: Any = known.get(name, getattr(typical, name))
        if name not in counts:
            return jnp.broadcast_to(x, like.shape)
        shared = name in known and jnp.ndim(x) == like.ndim  # one value for all entries
        return _rows(jnp.expand_dims(x, -1) if shared else x, like, counts[name])

    return unchecked(cls, {name: value(name) for name in names})


def _rows(x: Real, like: Real, count: int) -> Real:
    return jnp.broadcast_to(x, (*like.shape, count))
