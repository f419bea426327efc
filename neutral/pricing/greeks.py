"""Greeks by automatic differentiation through the engine."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..models.parameters import is_concrete
from ..numerics.buckets import call_on_grid
from ..numerics.compiled import compiled
from ..options import black
from ..options.inversion import implied_stdev
from ..options.kinds import Kind, Settlement
from ..options.terms import Terms, as_numbers, settled, terms
from ..presentation.frame import Labels, entries, frame_of_arrays
from ..quotes.tables import AnyTable, is_frame
from ..times.instants import Ends, Instants
from ..typing import Codes, Flags, Numbers, Real
from .arguments import FirstTerm, table_arguments
from .engines.base import AbstractEngine, PriceInfo, PriceStatus
from .price import check_model, columns_of, coordinates, plan_for, prepared, price_grid

if TYPE_CHECKING:
    import pandas as pd

ORDERS = ("vanna", "volga", "speed")
_NAMES = ("price", "delta", "gamma", "vega", "theta", "net_delta")


class Greeks(eqx.Module):
    """Price and derivatives, each of the options' shape, in the unit of the price.

    delta, gamma and speed are derivatives in the forward, or in the spot if it was an argument. theta is
    -dP/dT per year at fixed forward and discount, or at fixed spot, rate and yield if spot and rate were
    arguments. vega, vanna and volga are those of Black's formula at the model's implied volatility, per unit
    of volatility. net_delta is the forward delta less the premium in units of the underlying: the hedge of a
    holder who measures wealth in the underlying. `parameters` has the derivative in each parameter of the
    model by name; for a parameter with an axis of entries that axis comes last. `status` is a
    `PriceStatus` code. vanna, volga and speed are None unless they were requested.
    """

    price: Real
    delta: Real
    gamma: Real
    vega: Real
    theta: Real
    net_delta: Real
    parameters: dict[str, Real]
    status: Codes
    vanna: Real | None = None
    volga: Real | None = None
    speed: Real | None = None

    def __repr__(self) -> str:
        """Show the Greeks of one option, or how many options there are and which Greeks."""
        if not all(map(is_concrete, jax.tree.leaves(self))):
            return super().__repr__()
        names = [name for name in (*_NAMES, *ORDERS) if getattr(self, name) is not None]
        slopes = f"parameters {', '.join(self.parameters)}"
        if np.ndim(self.price) == 0:
            values = ", ".join(f"{name}={float(getattr(self, name)):.6g}" for name in names)
            return f"Greeks({values}, {slopes}, {PriceStatus(int(self.status)).name})"
        counts = _counts(PriceStatus.names(self.status))
        return f"Greeks({np.size(self.price)} options, {counts}: {', '.join(names)}, {slopes})"

    def to_frame(self, index: Labels | None = None) -> "pd.DataFrame":
        """Return a table with one row per option.

        Columns: `price`, `delta`, `gamma`, `vega`, `theta`, `net_delta`, those of `vanna`, `volga` and
        `speed` that were requested, `d_` and the name of each parameter, all in the units of the fields, and
        `status`, the name of a `PriceStatus`.

        Args:
            index: Labels of the rows, such as the index of the table of the options; positions where None.

        Raises:
            ArgumentError: the number of labels differs from that of options.
        """
        names = (*_NAMES, *ORDERS)
        columns = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        slopes = {f"d_{name}": values for name, values in self.parameters.items()}
        columns |= entries(slopes, np.ndim(self.price))
        return frame_of_arrays(columns | {"status": PriceStatus.names(self.status)}, index)


def _counts(names: np.ndarray) -> str:
    """Count the names of an array, such as "7 accurate, 1 invalid"."""
    found, counts = np.unique(names.astype(str), return_counts=True)
    return ", ".join(f"{count} {name}" for name, count in zip(found, counts, strict=True))


def greeks(
    model: AbstractFourierModel,
    forward: FirstTerm = None,
    strike: ArrayLike | None = None,
    maturity: Ends | None = None,
    kind: Kind = "call",
    discount: ArrayLike = 1.0,
    settlement: Settlement = "cash",
    engine: AbstractEngine | None = None,
    *,
    order: tuple[str, ...] = (),
    spot: ArrayLike | None = None,
    rate: ArrayLike | None = None,
    dividend: ArrayLike | None = None,
    date: Instants | None = None,
) -> Greeks:
    """Greeks of European options under a model, by automatic differentiation of the price integral.

    Args:
        model: Any Fourier model.
        forward: Forward of each expiry, > 0, or a table, as in `price`. With a table of spot, rate and
            dividend the Greeks are those of these arguments.
        strike: Strikes, > 0.
        maturity: Years to expiry, >= 0, or dates or tenors, as in `price`; at 0 the Greeks are derivatives of
            the intrinsic value.
        kind: "call", "put", "C", "P", booleans (True = call), or an array of these.
        discount: Discount factors.
        settlement: "cash", or "coin" for inverse options.
        engine: Any engine; `Contour()` where None.
        order: Further Greeks to compute: any of "vanna", "volga", "speed".
        spot: Spot; delta, gamma and speed are then derivatives in the spot, and `forward` may be omitted.
        rate: Continuous rate, 1/yr, with `spot`; theta is then at fixed spot, rate and dividend.
        dividend: Continuous dividend yield, 1/yr, with `spot`.
        date: The quote date, for maturities that are dates or tenors.

    Returns:
        A `Greeks`; `.parameters["kappa"]` is the derivative in the model's parameter kappa. All numbers of an
        option without a price are nan.

    Raises:
        ArgumentError: an argument is wrong, as in `price`, or `order` has an unknown name.
        PrecisionError: double precision is off.
    """
    unknown = [name for name in order if name not in ORDERS]
    if unknown:
        raise ArgumentError(f"order accepts {', '.join(ORDERS)}; got {', '.join(map(repr, unknown))}.")
    if is_frame(forward):
        given = {"kind": kind, "discount": discount, "strike": strike, "maturity": maturity}
        given |= {"spot": spot, "rate": rate, "dividend": dividend}
        arguments = table_arguments(cast(AnyTable, forward), settlement, date, **given)
        return greeks(model, **arguments, engine=engine, order=order)
    option = terms(
        forward=cast(ArrayLike | None, forward),
        strike=strike,
        maturity=maturity,
        kind=kind,
        discount=discount,
        settlement=settlement,
        spot=spot,
        rate=rate,
        dividend=dividend,
        date=date,
    )
    model = check_model(model, "float64")
    underlying = option.forward if spot is None else as_numbers("spot", spot)
    carried = spot is not None and rate is not None
    drift = [
        as_numbers(name, x if carried and x is not None else 0.0)
        for name, x in (("rate", rate), ("dividend", dividend))
    ]
    engine = prepared(engine, model, option)
    return call_on_grid(
        lambda underlying, rate, dividend, *option: _greeks_grid(
            model,
            Terms(*option),
            underlying=underlying,
            rate=rate,
            dividend=dividend,
            engine=engine,
            order=tuple(order),
        ),
        (underlying, *drift, *option),
        columns_of(option, engine),
    )


@compiled
def _greeks_grid(
    model: AbstractFourierModel,
    option: Terms,
    underlying: Real,
    rate: Real,
    dividend: Real,
    engine: AbstractEngine,
    order: tuple[str, ...],
) -> Greeks:
    """Greeks of options of shape (maturity, strike), at constant maturity along the strikes."""
    growth = option.forward / underlying
    _, k, t = coordinates(model, option)
    plan = plan_for(model, k, t, engine)

    def info_at(model: AbstractFourierModel, x: Real, later: Real) -> PriceInfo:
        """Price with the underlying at x and the maturity moved by `later` years."""
        forward = x * growth * jnp.exp((rate - dividend) * later)
        moved = option._replace(
            forward=forward,
            maturity=option.maturity + later,
            discount=option.discount * jnp.exp(-rate * later),
        )
        return price_grid(model, moved, engine, plan)

    def in_x(f: Callable[[Real], tuple[Real, Any]]) -> Callable[[Real], tuple[Real, Any]]:
        """The derivative of the first result, with all results of f beside it, from one evaluation."""

        def derivative(x: Real) -> tuple[Real, Any]:
            def value(x: Real) -> tuple[Real, Any]:
                result = f(x)
                return result[0], result

            _, slope, below = jax.jvp(value, (x,), (jnp.ones_like(x),), has_aux=True)
            return slope, below

        return derivative

    no_time = jnp.zeros_like(underlying)

    def price_in_x(x: Real) -> tuple[Real, PriceInfo]:
        info = info_at(model, x, no_time)
        return info.price, info

    gamma, (first, (_, info)) = in_x(in_x(price_in_x))(underlying)
    later = lambda s: info_at(model, underlying, s).price  # noqa: E731
    theta = -jax.jvp(later, (no_time,), (jnp.ones_like(no_time),))[1]
    unit = settled(jnp.ones_like(k), option)
    per_unit = underlying * first / unit
    net = jnp.where(option.is_coin, per_unit, per_unit - info.price / unit)
    vega, vanna, volga = _black_greeks(info.price / unit, k, option, unit, growth)
    result = Greeks(
        price=info.price,
        delta=first,
        gamma=gamma,
        vega=vega,
        theta=theta,
        net_delta=net,
        parameters=_in_parameters(lambda m: info_at(m, underlying, no_time).price, model),
        status=info.status,
        vanna=vanna if "vanna" in order else None,
        volga=volga if "volga" in order else None,
        speed=in_x(in_x(in_x(price_in_x)))(underlying)[0] if "speed" in order else None,
    )
    # the derivative of a constant nan is 0, which would look like a valid Greek
    has_price = info.status <= PriceStatus.inaccurate
    return jax.tree.map(lambda x: _nan_unless(has_price, x), result)


def _nan_unless(has_price: Flags, x: Numbers) -> Numbers:
    """Set x to nan where there is no price, unless x are codes; x may have more axes than the flags."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return jnp.where(jnp.reshape(has_price, has_price.shape + (1,) * (x.ndim - has_price.ndim)), x, jnp.nan)


def _in_parameters(f: Callable[[AbstractFourierModel], Real], model: AbstractFourierModel) -> dict[str, Real]:
    """Derivatives of f in each parameter, by name; the axis of a parameter with entries comes last."""
    leaves, tree = jax.tree.flatten(model)
    names = [
        jax.tree_util.keystr(path).split(".")[-1] for path, _ in jax.tree_util.tree_leaves_with_path(model)
    ]
    _, push = jax.linearize(lambda *x: f(jax.tree.unflatten(tree, x)), *leaves)

    def derivative(i: int) -> Real:
        def along(direction: Real) -> Real:
            return push(*(direction if j == i else jnp.zeros_like(x) for j, x in enumerate(leaves)))

        if leaves[i].ndim == 0:
            return along(jnp.ones_like(leaves[i]))
        return jax.vmap(along, out_axes=-1)(jnp.eye(leaves[i].size, dtype=leaves[i].dtype))

    return {name: derivative(i) for i, name in enumerate(names)}


def _black_greeks(price: Real, k: Real, option: Terms, unit: Real, growth: Real) -> tuple[Real, Real, Real]:
    """Black's vega, vanna (d delta / d vol) and volga at the implied volatility of the normalised price."""
    root = jnp.sqrt(option.maturity)
    s = implied_stdev(price, k, option.is_call)
    slope = unit * black.vega(k, s) * root
    safe = jnp.where(s > 0, s, 1.0)
    d1 = 0.5 * safe - k / safe
    d2 = -0.5 * safe - k / safe
    turn = jnp.where(option.is_coin, d1, d2)
    vanna = -slope * growth * turn / (safe * option.forward)
    volga = slope * root * d1 * d2 / safe
    return slope, jnp.where(s > 0, vanna, 0.0), jnp.where(s > 0, volga, 0.0)
