"""Prices of European options: the functions that users call."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..models.parameters import is_concrete
from ..numerics.buckets import call_on_grid
from ..numerics.compiled import compiled
from ..options.kinds import Kind, Settlement
from ..options.terms import Terms, from_out_of_the_money, moneyness, settled
from ..precision import Precision, require_precision
from ..presentation.frame import Labels, frame_of_arrays
from ..times.instants import Ends, Instants
from ..typing import Codes, Flags, Real
from .arguments import FirstTerm, option_terms
from .engines.base import AbstractEngine, PriceInfo, PriceStatus, Quadrature
from .engines.certify import Certify
from .engines.contour import Contour

if TYPE_CHECKING:
    import pandas as pd


class Certified(NamedTuple):
    """Prices and bounds on their errors, in the unit of the price; both have one shape."""

    price: Real
    error_bound: Real

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per option: columns `price` and `error_bound`.

        Args:
            index: Labels of the rows, such as the index of the table of the options; positions where None.
        """
        return frame_of_arrays(self._asdict(), index)


def price(
    model: AbstractFourierModel,
    forward: FirstTerm = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
    engine: AbstractEngine | None = None,
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
    precision: Precision = "float64",
) -> Real:
    """Price of European options under a model.

    Arguments are numbers, arrays, or columns of pandas, polars or Arrow, and broadcast. Or a table has all
    terms: `price(model, table)` has one price per row. Results are arrays, whatever library the columns are
    of; `price_table` adds prices to a table. A missing number gives nan.

    Where the maturity is constant along the last axis (such as maturities of shape (10, 1) and strikes of
    shape (10, 50)), engines that share work between strikes, such as `Lewis`, are faster. Prices are
    differentiable in every number, under jit, vmap and grad.

    Args:
        model: Any Fourier model, such as `Heston(...)`.
        forward: Forward of each expiry, > 0. It may be omitted if `spot` is an argument. Or a table with the
            columns that `QuoteSurface.from_quotes` reads, of which prices are not needed.
        strike: Strikes, > 0.
        maturity: Years to expiry, >= 0; 0 gives the intrinsic value. Or dates, times or tenors such as "3m",
            with `date`, or spans of time; they become years by act/365, see `year_fraction`.
        kind: "call", "put", "C", "P", booleans (True = call), or an array of these.
        discount: Discount factors, > 0.
        settlement: "cash", or "coin": an inverse option, paid and priced in the underlying. A table may state
            it in a column settlement.
        engine: Any engine; where None `Contour()`, whose error is below 1e-9 of the smaller of forward and
            strike (about 1e-16 for usual models), and far out of the money small relative to the price.
        spot: Spot, > 0; with `rate` and `dividend` it replaces forward and discount.
        rate: Continuous rate, 1/yr, with `spot`.
        dividend: Continuous dividend yield, 1/yr, with `spot`.
        date: The quote date, for maturities that are dates or tenors.
        precision: "float64", or "float32" for single precision.

    Returns:
        Prices of the broadcast shape, in the unit of the forward (cash) or in the underlying (coin). A price
        is nan where an argument is nan or, inside jit, outside its domain, where the default engine reaches
        no accurate value, and where the engine refuses the option; `price_info` reports which.

    Raises:
        ArgumentError: an argument is outside its domain, the shapes do not broadcast, or `engine` comes with
            "float32".
        PrecisionError: `precision` is "float64" and double precision is off, or an argument is float32.
    """
    info = price_info(
        model,
        forward=forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
        engine=engine,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
        precision=precision,
    )
    if engine is not None:
        return info.price
    if isinstance(info.price, Tracer):
        return jnp.where(info.status == PriceStatus.accurate, info.price, jnp.nan)
    accurate = np.asarray(info.status) == PriceStatus.accurate  # on the host, where nothing is compiled
    return jax.device_put(np.where(accurate, np.asarray(info.price), np.nan).astype(info.price.dtype))


def price_info(
    model: AbstractFourierModel,
    forward: FirstTerm = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
    engine: AbstractEngine | None = None,
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
    precision: Precision = "float64",
) -> PriceInfo:
    """Prices with a status and an estimate of the error of each.

    The arguments are those of `price`.

    Returns:
        `.price`, also where it is inaccurate, `.status` (a `PriceStatus` code) and `.error_estimate`, each of
        the broadcast shape.

    Raises:
        ArgumentError: as in `price`.
        PrecisionError: as in `price`.
    """
    option = option_terms(
        forward=forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
        precision=precision,
    )
    model = check_model(model, precision)
    if engine is not None and precision != "float64":
        raise ArgumentError(
            f"precision={precision!r} works with the default engine only, got engine={engine!r}; omit engine."
        )
    engine = prepared(engine, model, option)
    return call_on_grid(lambda *x: price_grid(model, Terms(*x), engine), option, columns_of(option, engine))


def certify(
    model: AbstractFourierModel,
    forward: FirstTerm = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
    *,
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
) -> Certified:
    """Prices refined until they are stable, each with an upper bound on its true error.

    The arguments are those of `price`, compared with which `certify` is orders of magnitude slower, and not
    differentiable in reverse mode.

    Returns:
        `.price` and `.error_bound`, each of the broadcast shape; both are nan where the terms or the model
        are outside their domain.

    Raises:
        ArgumentError: as in `price`.
        PrecisionError: double precision is off.
    """
    info = price_info(
        model,
        forward=forward,
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
        engine=Certify(),
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    return Certified(info.price, info.error_estimate)


def check_model(model: AbstractFourierModel, precision: Precision) -> AbstractFourierModel:
    """The model with its parameters in the dtype of `precision`.

    Args:
        model: Any Fourier model.
        precision: "float64" or "float32".

    Raises:
        ArgumentError: `model` is a class, or no Fourier model.
        PrecisionError: `precision` is "float64" and double precision is off, or a parameter is float32.
    """
    if isinstance(model, type) or not isinstance(model, AbstractFourierModel):
        name = model.__name__ if isinstance(model, type) else type(model).__name__
        raise ArgumentError(
            f"model must be a model with its parameters, such as neutral.Heston(v0=0.04, ...), got {name}."
        )
    named = {
        type(model).__name__ + jax.tree_util.keystr(p): x
        for p, x in jax.tree_util.tree_leaves_with_path(model)
    }
    dtype = require_precision(precision, **named)
    return jax.tree.map(lambda x: x.astype(dtype), model)


def prepared(engine: AbstractEngine | None, model: AbstractFourierModel, option: Terms) -> AbstractEngine:
    """The engine, or the default one where None; prepared if model and maturities are concrete numbers."""
    if engine is None:
        return Contour()
    concrete = all(is_concrete(x) for x in (*jax.tree.leaves(model), option.maturity))
    # a missing maturity gets no price; any number takes its place
    return engine.prepare(model, np.asarray(np.nan_to_num(option.maturity, nan=1.0))) if concrete else engine


def columns_of(option: Terms, engine: AbstractEngine) -> int | None:
    """Number of strikes that share a maturity, on the last axis; None if sharing saves the engine nothing."""
    if not engine.shares_strikes:
        return None
    shape = np.broadcast_shapes(*(np.shape(x) for x in option))
    constant = np.ndim(option.maturity) == 0 or np.shape(option.maturity)[-1] == 1
    return shape[-1] if shape and constant else 1


@compiled
def price_grid(
    model: AbstractFourierModel,
    option: Terms,
    engine: AbstractEngine,
    plan: Any = None,
) -> PriceInfo:
    """`price_info` of options of shape (maturities, strikes), with one maturity along each row."""
    valid, k, t = coordinates(model, option)
    quadrature = normalised(model, k, t, engine, plan)
    unit = jnp.where(valid, settled(jnp.ones_like(k), option), 1.0)
    value = unit * from_out_of_the_money(quadrature.value, k, option.is_call)
    # parity, units and the forward add rounding errors: in the money, on the scale of what parity adds
    added = jnp.where(option.is_call == (k < 0), jnp.maximum(1.0, jnp.exp(k)), 0.0)
    error = unit * quadrature.error + 4.0 * jnp.finfo(k.dtype).eps * (jnp.abs(value) + unit * added)
    status = quadrature_status(quadrature, k, valid, engine)
    return PriceInfo(jnp.where(valid, value, jnp.nan), status, jnp.where(valid, error, jnp.nan))


def coordinates(model: AbstractFourierModel, option: Terms) -> tuple[Flags, Real, Real]:
    """Flags of valid terms, log-forward moneyness k and maturities t; invalid terms get harmless values."""
    k = moneyness(option.forward, option.strike)
    valid = jnp.isfinite(k) & (option.maturity >= 0) & (option.discount > 0) & model.is_admissible()
    # one valid option suffices: all options of a row have its maturity
    t = jnp.where(jnp.any(valid, axis=-1), option.maturity[:, 0], 1.0)
    return valid, jnp.where(valid, k, 0.0), t


def quadrature_status(quadrature: Quadrature, k: Real, valid: Flags, engine: AbstractEngine) -> Codes:
    """`PriceStatus` codes; a price whose error is nan, or that is below 0 by more than it, is inaccurate."""
    tolerance = max(engine.tolerance, 1e3 * float(jnp.finfo(k.dtype).eps))
    accurate = quadrature.error <= tolerance * engine.unit(k)
    accurate = accurate & (quadrature.value >= -quadrature.error)
    finite = jnp.isfinite(quadrature.value)
    refused = jnp.isnan(quadrature.value) & jnp.isinf(quadrature.error)
    status = jnp.where(accurate & finite, PriceStatus.accurate, PriceStatus.inaccurate)
    status = jnp.where(refused, PriceStatus.refused, status)
    return jnp.where(valid, status, PriceStatus.invalid)


def plan_for(model: AbstractFourierModel, k: Real, t: Real, engine: AbstractEngine) -> Any:
    """The engine's plan at maturities that may be 0; all derivatives of one price share it."""
    return engine.plan(model, k, jnp.where(_has_variance(model, t), t, 1.0))


def _has_variance(model: AbstractFourierModel, t: Real) -> Flags:
    return (t > 0) & (jax.lax.stop_gradient(model.total_variance(t)) > 0)


def normalised(
    model: AbstractFourierModel, k: Real, t: Real, engine: AbstractEngine, plan: Any = None
) -> Quadrature:
    """Out-of-the-money normalised prices of an engine, shape of k; 0 where the model has no variance."""
    has_variance = _has_variance(model, t)
    quadrature = engine.otm(model, k, jnp.where(has_variance, t, 1.0), plan)
    has_variance = jnp.broadcast_to(jnp.expand_dims(has_variance, -1), k.shape)
    # prices that rounding makes negative are not clipped, so that they stay smooth in the parameters
    return Quadrature(*(jnp.where(has_variance, x, 0.0) for x in quadrature))
