"""Greeks by automatic differentiation through the engine."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..numerics.buckets import call_on_grid
from ..options import black
from ..options.inversion import implied_stdev
from ..options.terms import Kind, Settlement, Terms, as_numbers, settled, terms
from ..typing import Codes, Flags, Real
from .engines.base import AbstractEngine, PriceStatus
from .price import check_model, coordinates, plan_for, prepared, price_grid, strikes_axis

ORDERS = ("vanna", "volga", "speed")


class Greeks(eqx.Module):
    """Price and derivatives, each of the options' shape, in the price's own unit.

    delta, gamma and speed are in the forward, or in the spot where one was given. theta is -dP/dT per year at
    fixed forward and discount, or at fixed spot, rate and yield where a rate was given. vega, vanna and volga
    are Black's at the model's own implied volatility (per unit of volatility). net_delta is the forward delta
    less the premium in units of the underlying: what a holder of the coin hedges with.
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


def greeks(
    model: AbstractFourierModel,
    forward: Any = None,
    strike: Any = None,
    maturity: Any = None,
    kind: Kind = "call",
    discount: Any = 1.0,
    settlement: Settlement = "cash",
    engine: AbstractEngine | None = None,
    *,
    order: tuple[str, ...] = (),
    spot: Any = None,
    rate: Any = None,
    dividend: Any = None,
) -> Greeks:
    """Greeks of European options under a model, by automatic differentiation of the price integral.

    Args:
        model: Any Fourier model.
        forward: As in `price`, as are the arguments not listed.
        strike: Strikes.
        maturity: Years to expiry, > 0 (at 0 all but the price are the limits of the intrinsic value).
        kind: "call", "put" or booleans.
        discount: Discount factors.
        settlement: "cash" or "coin".
        engine: `Contour()` where None.
        order: Any of "vanna", "volga", "speed", to have them too.
        spot: Spot: delta and gamma are then in the spot; the forward may stay out.
        rate: Continuous rate: theta is then at fixed spot, rate and dividend.
        dividend: Continuous dividend yield.

    Returns:
        A `Greeks`; `.parameters["kappa"]` is the derivative in each model parameter.

    Raises:
        ArgumentError: as `price`, or an unknown name in `order`.
    """
    unknown = [name for name in order if name not in ORDERS]
    if unknown:
        raise ArgumentError(f"order may name {', '.join(ORDERS)}; got {unknown}.")
    option = terms(
        forward, strike, maturity, kind, discount, settlement, spot=spot, rate=rate, dividend=dividend
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
        lambda *x: _greeks_grid(model, Terms(*x[3:]), x[0], x[1], x[2], engine, tuple(order)),
        (underlying, *drift, *option),
        strikes_axis(option),
    )


@eqx.filter_jit
def _greeks_grid(
    model: AbstractFourierModel,
    option: Terms,
    underlying: Real,
    rate: Real,
    dividend: Real,
    engine: AbstractEngine,
    order: tuple[str, ...],
) -> Greeks:
    growth = option.forward / underlying
    _, k, t = coordinates(model, option)
    plan = plan_for(model, k, t, engine)

    def value(model: AbstractFourierModel, x: Real, later: Real) -> Real:
        """Price with the underlying at x and the maturity moved by `later`."""
        forward = x * growth * jnp.exp((rate - dividend) * later)
        moved = option._replace(
            forward=forward,
            maturity=option.maturity + later,
            discount=option.discount * jnp.exp(-rate * later),
        )
        return price_grid(model, moved, engine, plan).price

    def in_x(f: Callable[[Real], Real]) -> Callable[[Real], Real]:
        return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]

    still = jnp.zeros_like(underlying)
    at_x = lambda x: value(model, x, still)  # noqa: E731
    delta = in_x(at_x)
    info = price_grid(model, option, engine, plan)
    price, first = info.price, delta(underlying)
    theta = -jax.jvp(lambda s: value(model, underlying, s), (still,), (jnp.ones_like(still),))[1]
    unit = settled(jnp.ones_like(k), option)
    per_unit = underlying * first / unit
    net = jnp.where(option.is_coin, per_unit, per_unit - price / unit)
    vega, vanna, volga = _black_greeks(price / unit, k, option, unit, growth)
    found = Greeks(
        price=price,
        delta=first,
        gamma=in_x(delta)(underlying),
        vega=vega,
        theta=theta,
        net_delta=net,
        parameters=_in_parameters(lambda m: value(m, underlying, still), model),
        status=info.status,
        vanna=vanna if "vanna" in order else None,
        volga=volga if "volga" in order else None,
        speed=in_x(in_x(delta))(underlying) if "speed" in order else None,
    )
    # the derivative of a constant nan is 0, which would pass for an answer
    known = info.status <= PriceStatus.inaccurate
    return jax.tree.map(lambda x: _where_known(known, x), found)


def _where_known(known: Flags, x: Any) -> Any:
    """nan instead of a real result where there is none; x may have one axis more, codes stay."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return jnp.where(jnp.reshape(known, known.shape + (1,) * (x.ndim - known.ndim)), x, jnp.nan)


def _in_parameters(f: Callable[[AbstractFourierModel], Real], model: AbstractFourierModel) -> dict[str, Real]:
    """Derivative of f in each parameter by name; a parameter with an axis has it last."""
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
    """Black's vega, vanna (d delta / d vol) and volga at the volatility implied by the normalised price."""
    root = jnp.sqrt(option.maturity)
    s = implied_stdev(price, k, option.is_call)
    slope = unit * black.vega(k, s) * root
    safe = jnp.where(s > 0, s, 1.0)
    d1, d2 = 0.5 * safe - k / safe, -0.5 * safe - k / safe
    turn = jnp.where(option.is_coin, d1, d2)
    vanna = -slope * growth * turn / (safe * option.forward)
    volga = slope * root * d1 * d2 / safe
    return slope, jnp.where(s > 0, vanna, 0.0), jnp.where(s > 0, volga, 0.0)
