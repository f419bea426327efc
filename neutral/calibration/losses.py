"""The loss that a fit minimises: the mean over quotes of a function of their scaled errors."""

from typing import Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import ArgumentError
from ..options import black
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Real

Weight = Literal["default", "spread", "vega", "price", "relative", "log_price"]
Robust = Literal["none", "soft_l1", "huber", "cauchy"]
Inside = Literal["mid", "free"]

_LEAST_SPREAD = 1e-6  # addition to the spread, so that a spread of 0 does not divide by 0
_VOL_TOLERANCE = 0.01  # share of the volatility that is the default scale where the spread is narrower
_LEAST_VEGA = 0.01  # least vega, as a share of the largest vega of the maturity
_LOG_BELOW = 1e-3  # share of the market price below which the tangent replaces the logarithm


class Targets(NamedTuple):
    """Out-of-the-money prices to fit, one per quote; every field has the shape of the quotes."""

    low: Real  # lower end of the interval in which a price has no error
    high: Real  # upper end of that interval
    scale: Real  # the number that errors are divided by; of log-price errors, small ones to first order
    share: Real  # weight of a quote in the loss; the sum over quotes is 1
    parity: Real  # price of the quote less the out-of-the-money price of its strike


class Loss(eqx.Module):
    """The mean over quotes of rho(e) with e = (model - market) / scale, by the weights of the quotes.

    Attributes:
        weight: The scale: "spread" (ask - bid + 1e-6), "vega" (implied-volatility errors, to first order),
            "price" (1, errors in normalised price), "relative" (the market price), or "default": the larger
            of spread and 1 % of volatility times vega. "log_price" takes e = log(model / market) instead;
            where the model price is below a thousandth of the market price, the tangent of the logarithm at
            that point replaces it, so that e is finite for every model.
        robust: rho(e) is e^2 for "none"; 2 c^2 (sqrt(1 + e^2/c^2) - 1) for "soft_l1"; e^2 up to |e| = c and
            2 c |e| - c^2 beyond for "huber"; c^2 log(1 + e^2/c^2) for "cauchy".
        c: Error at which a robust rho stops being quadratic, in units of e.
        inside: "mid": errors are against the mid price; "free": they are zero between bid and ask.
        vega_power: Weights of quotes are multiplied by the vega to this power.
    """

    weight: Weight = eqx.field(static=True, default="default")
    robust: Robust = eqx.field(static=True, default="none")
    c: float = eqx.field(static=True, default=1.0)
    inside: Inside = eqx.field(static=True, default="mid")
    vega_power: float = eqx.field(static=True, default=0.0)

    def __check_init__(self) -> None:
        """Refuse unknown names and a c that is not positive."""
        for name, kind in (("weight", Weight), ("robust", Robust), ("inside", Inside)):
            if getattr(self, name) not in get_args(kind):
                accepted = ", ".join(repr(x) for x in get_args(kind))
                raise ArgumentError(f"Loss.{name} must be one of {accepted}, got {getattr(self, name)!r}.")
        if not self.c > 0:
            raise ArgumentError(f"Loss.c must be above 0, got {self.c}.")

    @property
    def needs_spread(self) -> bool:
        """Whether every quote must have a bid and an ask."""
        return self.weight == "spread" or self.inside == "free"

    def usable(self, surface: QuoteSurface, used: Flags) -> tuple[Flags, Flags, QuoteSurface]:
        """Whether a surface can be fitted, the quotes to use, and the surface with finite numbers only.

        Args:
            surface: One surface, or surfaces with leading axes.
            used: Quotes to fit, (..., 2, T, K).

        Returns:
            Flags (...) of surfaces, flags (..., 2, T, K) of quotes, and the surface, with 0 in place of
            numbers that are not finite and 1 in place of maturities that are not above 0.
        """
        used = used & surface.mask
        sound = jnp.isfinite(surface.prices) & jnp.isfinite(surface.weight) & (surface.weight >= 0.0)
        sound = sound & jnp.expand_dims(jnp.isfinite(surface.k), -3)
        if self.needs_spread:
            sound = sound & jnp.isfinite(surface.spread)
        rows = jnp.any(used, axis=(-3, -1))
        time = jnp.all(~rows | ((surface.t > 0.0) & jnp.isfinite(surface.t)), axis=-1)
        usable = jnp.any(used & (surface.weight > 0.0), axis=(-3, -2, -1)) & time
        usable = usable & jnp.all(~used | sound, axis=(-3, -2, -1))
        clean = jax.tree.map(lambda x: jnp.where(jnp.isfinite(x), x, 0.0) if x.dtype == float else x, surface)
        clean = eqx.tree_at(lambda s: s.t, clean, jnp.where(clean.t > 0.0, clean.t, 1.0))
        return usable, used & jnp.reshape(usable, usable.shape + (1, 1, 1)), clean

    def targets(self, surface: QuoteSurface, used: Flags) -> Targets:
        """Price intervals, scales and normalised weights of quotes.

        Args:
            surface: One surface, or surfaces with leading axes, with finite numbers only.
            used: Quotes to fit, (..., 2, T, K).

        Returns:
            Numbers of shape (..., 2, T, K): at quotes that are not used, prices and weights are 0, scales 1.
        """
        spread = jnp.where(used, surface.spread, 1.0)
        parity = in_the_money_part(surface.k)
        mid = surface.prices - parity
        low = surface.bid - parity if self.inside == "free" else mid
        high = surface.ask - parity if self.inside == "free" else mid
        weight = jnp.where(used, surface.weight, 0.0)
        # relative to the largest, so that no sum or product of weights overflows
        largest = jnp.max(weight, axis=(-3, -2, -1), keepdims=True)
        weight = weight / jnp.where(largest > 0.0, largest, 1.0) * surface.vega**self.vega_power
        weight = jnp.where(used, weight, 0.0)
        total = jnp.sum(weight, axis=(-3, -2, -1), keepdims=True)
        scale = jnp.where(used, self._scale(surface, spread), 1.0)
        return Targets(
            low=jnp.where(used, low, 0.0),
            high=jnp.where(used, high, 0.0),
            scale=scale,
            share=weight / jnp.where(total > 0.0, total, 1.0),
            parity=jnp.where(used, parity, 1.0),
        )

    def errors(self, targets: Targets, price: Real) -> Real:
        """Scaled errors of the quotes, (..., 2, T, K), for out-of-the-money prices of shape (..., T, K)."""
        price = jnp.expand_dims(price, -3)
        if self.weight != "log_price":
            above = jnp.maximum(price - targets.high, 0.0)
            return (above + jnp.minimum(price - targets.low, 0.0)) / targets.scale
        model, low, high = (_log_ratio(x, targets)[0] for x in (price, targets.low, targets.high))
        return jnp.maximum(model - high, 0.0) + jnp.minimum(model - low, 0.0)

    def slopes(self, targets: Targets, price: Real, e: Real) -> Real:
        """Derivatives of `errors` in the out-of-the-money prices; 0 for a price between bid and ask.

        Args:
            targets: The targets.
            price: Out-of-the-money prices, (..., T, K).
            e: The errors at these prices, (..., 2, T, K).

        Returns:
            Shape (..., 2, T, K).
        """
        active = (e != 0.0) | (targets.low == targets.high)
        slope = 1.0 / targets.scale
        if self.weight == "log_price":
            _, slope = _log_ratio(jnp.expand_dims(price, -3), targets)
        return jnp.where(active, slope, 0.0)

    def _scale(self, surface: QuoteSurface, spread: Real) -> Real:
        """The numbers by which the errors of the quotes are divided."""
        if self.weight == "price":
            return jnp.ones_like(surface.prices)
        if self.weight in ("relative", "log_price"):
            return jnp.maximum(market_prices(surface), 1e-12)
        if self.weight == "spread":
            return spread + _LEAST_SPREAD
        if self.weight == "vega":
            least = _LEAST_VEGA * jnp.max(surface.vega, axis=(-3, -1), keepdims=True)
            return jnp.maximum(surface.vega, least)
        # where a quote has no spread, the tolerance of the volatility alone is the scale
        return jnp.maximum(jnp.where(spread > 0, spread, 0.0), _VOL_TOLERANCE * surface.vol * surface.vega)

    def rho(self, e: Real) -> tuple[Real, Real, Real]:
        """The robust function and two of its derivatives, each of the shape of e.

        Args:
            e: Scaled errors, any shape.

        Returns:
            rho(e), rho'(e) / 2e, and rho''(e) / 2, which for "huber" and "cauchy" is at least
            0.01 rho'(e) / 2e, so that it is positive.
        """
        s = (e / self.c) ** 2
        if self.robust == "none":
            return e * e, jnp.ones_like(e), jnp.ones_like(e)
        if self.robust == "soft_l1":
            root = jnp.sqrt(1.0 + s)
            return 2.0 * e * e / (root + 1.0), 1.0 / root, 1.0 / (root * root * root)
        if self.robust == "huber":
            size = jnp.maximum(jnp.abs(e) / self.c, 1.0)
            value = jnp.where(s <= 1.0, e * e, self.c**2 * (2.0 * size - 1.0))
            return value, 1.0 / size, jnp.where(s <= 1.0, 1.0, 0.01 / size)
        first = 1.0 / (1.0 + s)
        return self.c**2 * jnp.log1p(s), first, jnp.maximum((1.0 - s) * first**2, 0.01 * first)


def _log_ratio(price: Real, targets: Targets) -> tuple[Real, Real]:
    """Logarithm of a quote's price over its scale, and its derivative, from out-of-the-money prices."""
    ratio = (price + targets.parity) / targets.scale
    inside = jnp.maximum(ratio, _LOG_BELOW)
    value = jnp.log(inside) + (ratio - inside) / _LOG_BELOW
    return value, 1.0 / (inside * targets.scale)


def market_prices(surface: QuoteSurface) -> Real:
    """Normalised prices at the volatilities that the surface was built with, (..., 2, T, K).

    `QuoteSurface.with_prices` does not change them.
    """
    k = jnp.stack([surface.k, surface.k], axis=-3)
    stdev = surface.vol * jnp.expand_dims(jnp.sqrt(surface.t), (-3, -1))
    is_call = jnp.broadcast_to(jnp.arange(2)[:, None, None] == 0, k.shape[-3:])
    return black.price(k, stdev, jnp.broadcast_to(is_call, k.shape))


def in_the_money_part(k: Real) -> Real:
    """Normalised price of a call and of a put less the out-of-the-money price of their strike.

    Args:
        k: Log-forward moneyness, (..., T, K).

    Returns:
        Calls first, (..., 2, T, K).
    """
    forward = -jnp.expm1(k)
    call_is_out = k >= 0.0  # as in the engines; at k = 0, max(k, 0) would have no derivative
    return jnp.stack([jnp.where(call_is_out, 0.0, forward), jnp.where(call_is_out, -forward, 0.0)], axis=-3)
