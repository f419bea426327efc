"""`calibrate` fits a model to one surface, also inside jit and grad."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..errors import CalibrationError
from ..models import AbstractFourierModel
from ..models.parameters import is_concrete
from ..numerics.compiled import compiled_as
from ..pricing import AbstractGridEngine, price
from ..quotes.given_surfaces import OneSurface, quote_surface
from ..quotes.surface import QuoteSurface
from ..typing import Numbers, Real
from .coordinates import Bounds
from .lane import solve_lane
from .losses import Loss
from .priors import Prior
from .recipe import Recipe
from .request import OnDegenerate, Request
from .result import CalibrationResult
from .solvers import AbstractSolver
from .starts.search import Search
from .status import CalibrationStatus

_solve = compiled_as("the calibration")(solve_lane)


def calibrate(
    recipe: Recipe,
    surface: OneSurface,
    engine: AbstractGridEngine[Any] | None = None,
    loss: Loss | None = None,
    prior: Prior | None = None,
    solver: AbstractSolver[Any] | None = None,
    starts: Sequence[AbstractFourierModel] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Numbers | None = None,
    throw: bool = False,
    *,
    search: Search | None = None,
    on_degenerate: OnDegenerate = "keep",
    history: bool = False,
) -> CalibrationResult:
    """Calibrate a model to one surface.

    It runs under `jax.jit` and `jax.grad` with traced prices, weights and forwards (`surface.with_prices(p)`,
    `with_weights`, `with_forwards`), and with a traced center and strength of a prior. Derivatives follow
    from the implicit function theorem: they are exact where the fit has converged, and 0 for a parameter on a
    bound. Where the fit has not converged, they are 0 and the status gives the reason.

    Args:
        recipe: A model class (`Heston`), `Shifted(SVCJ)` for the ++ shift at the surface's expiries, or a
            model, from which the fit then starts.
        surface: Quotes of one surface: a `QuoteSurface`, or a table of pandas, polars, pyarrow or another
            library that `QuoteSurface.from_quotes` reads.
        engine: `Lewis`, `CarrMadan` or `COS` with their settings; `Lewis()` where None.
        loss: `Loss()` where None.
        prior: A `Tikhonov` and penalties, alone or in a list.
        solver: `LevenbergMarquardt()` where None.
        starts: Further starting models.
        fixed: Values of parameters, by name, that the fit does not change.
        bounds: Intervals by parameter name instead of the default ones.
        mask: Quotes to fit, shape (2, T, K); `train` of the surface where None.
        throw: Whether to raise an error where the fit has not converged; it has no effect inside jit.
        search: How many steps each start gets, and a global search for starts; `Search()` where None.
        on_degenerate: "keep" leaves the fit as it is. "damp" fits again with a pull, only in the directions
            that the quotes do not determine, towards the prior's center, else the starting model, else
            typical values. It is the strongest pull that raises the loss by at most 0.5 % of `undamped_loss`.
        history: Whether the result keeps loss, gradient norm, damping and parameters of every step.

    Returns:
        Model, status and evidence.

    Raises:
        ArgumentError: an argument is wrong.
        CalibrationError: `throw` is true and the fit has not converged.
        PrecisionError: double precision is off.
    """
    surface = quote_surface(surface, "calibrate", "calibrate_batch")
    request = Request.of(
        recipe,
        surface,
        engine=engine,
        loss=loss,
        prior=prior,
        solver=solver,
        search=search,
        fixed=fixed,
        bounds=bounds,
        mask=mask,
        on_degenerate=on_degenerate,
        history=history,
    )
    lanes = request.lanes(jax.tree.map(lambda x: x[None], surface), starts)
    result = _solve(request.shared(), jax.tree.map(lambda x: x[0], lanes))
    result = dataclasses.replace(result, request=request.as_arrays(), surface=surface)
    if throw and is_concrete(result.status) and not bool(result.converged):
        raise CalibrationError(CalibrationStatus(int(result.status)).message)
    return result


def price_surface(model: AbstractFourierModel, surface: QuoteSurface) -> Real:
    """Model prices of the calls and puts of a surface with the default engine.

    Args:
        model: Any Fourier model.
        surface: One surface.

    Returns:
        Normalised prices, shape (2, T, K), calls first; 0 where there is no quote.
    """
    strike = jnp.exp(surface.k)
    maturity = surface.t[:, None]
    both = [price(model, 1.0, strike, maturity, kind) for kind in ("call", "put")]
    return jnp.where(surface.mask, jnp.stack(both), 0.0)
