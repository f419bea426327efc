"""`calibrate`: one surface, also inside jit and grad."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError, CalibrationError
from ..models import AbstractFourierModel
from ..models.parameters import is_concrete
from ..pricing import AbstractGridEngine, price
from ..quotes.surface import QuoteSurface
from ..typing import Real
from .coordinates import Bounds
from .lane import solve_lane
from .losses import Loss
from .request import OnDegenerate, make_lanes, request
from .result import CalibrationResult, CalibrationStatus
from .solvers import AbstractSolver
from .starts.search import Search

_solve = eqx.filter_jit(solve_lane)


def calibrate(
    recipe: Any,
    surface: QuoteSurface,
    engine: AbstractGridEngine[Any] | None = None,
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
        engine: `Lewis`, `CarrMadan` or `COS` with their settings; `Lewis()` where None.
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
