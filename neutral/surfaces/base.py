"""What every volatility surface is: total variance at any moneyness and maturity, and what follows."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..numerics.normal import as_float64, pdf
from ..options import black
from ..options.arbitrage import durrleman
from ..options.inversion import implied_stdev
from ..pricing import LocalVolatility
from ..typing import Real


class Jet(NamedTuple):
    """Total variance and its derivatives at some points."""

    w: Real
    w_k: Real
    w_kk: Real
    w_t: Real


class VolSurface(eqx.Module):
    """A surface of total implied variance w(k, t), k = log(K / F_t), t in years.

    Arguments of all methods broadcast; all work under `jit`, `vmap` and `grad`. Beyond quoted strikes and
    maturities the surface extrapolates by its own rule. One surface at a time: take it from a batch by index,
    or use `jax.vmap`.
    """

    @abc.abstractmethod
    def variance_at(self, k: Real, t: Real) -> Real:
        """Total variance, elementwise, for arguments of one shape with t > 0."""

    def jet(self, k: Real, t: Real) -> Jet:
        """Total variance and its derivatives, elementwise, for arguments of one shape with t > 0."""

        def slope(k: Real) -> tuple[Real, Real]:
            return jax.jvp(lambda k: self.variance_at(k, t), (k,), (jnp.ones_like(k),))

        (w, w_k), (_, w_kk) = jax.jvp(slope, (k,), (jnp.ones_like(k),))
        w_t = jax.jvp(lambda t: self.variance_at(k, t), (t,), (jnp.ones_like(t),))[1]
        return Jet(w, w_k, w_kk, w_t)

    def price_at(self, k: Real, t: Real) -> Real:
        """Normalised call, elementwise, for arguments of one shape with t > 0."""
        return black.price(k, jnp.sqrt(self.variance_at(k, t)))

    def density_at(self, k: Real, t: Real) -> Real:
        """Density of log(F_T / F), elementwise, for arguments of one shape with t > 0."""
        at = self.jet(k, t)
        s = jnp.sqrt(at.w)
        return durrleman(k, at.w, at.w_k, at.w_kk) * pdf(-k / s - 0.5 * s) / s

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """Local variance, elementwise, for arguments of one shape with t > 0."""
        at = self.jet(k, t)
        return at.w_t / durrleman(k, at.w, at.w_k, at.w_kk)

    def local_volatility(self) -> LocalVolatility:
        """The diffusion that has this surface's prices (Dupire 1994), for `neutral.monte_carlo`."""
        return LocalVolatility(self.local_variance_at)

    @eqx.filter_jit
    def total_variance(self, k: Any, t: Any) -> Real:
        """Total implied variance, vol^2 t.

        Args:
            k: Log-forward moneyness log(K / F).
            t: Maturity in years; nan where not positive.
        """
        k, t, known = _points(k, t)
        return jnp.where(known, self.variance_at(k, t), jnp.nan)

    @eqx.filter_jit
    def implied_vol(self, k: Any, t: Any) -> Real:
        """Black volatility, annualised; arguments as in `total_variance`."""
        k, t, known = _points(k, t)
        return jnp.where(known, jnp.sqrt(self.variance_at(k, t) / t), jnp.nan)

    @eqx.filter_jit
    def price(self, k: Any, t: Any) -> Real:
        """Normalised undiscounted price of the call; arguments as in `total_variance`.

        The put is worth 1 - e^k less.
        """
        k, t, known = _points(k, t)
        return jnp.where(known, self.price_at(k, t), jnp.nan)

    @eqx.filter_jit
    def density(self, k: Any, t: Any) -> Real:
        """Risk-neutral density of log(F_T / F) at k; arguments as in `total_variance`."""
        k, t, known = _points(k, t)
        return jnp.where(known, self.density_at(k, t), jnp.nan)

    @eqx.filter_jit
    def local_variance(self, k: Any, t: Any) -> Real:
        """Dupire's local variance, 1/yr, in total-variance form: (dw/dt) / g.

        From the right at an expiry where the surface has a kink in time. Arguments as in `total_variance`.
        """
        k, t, known = _points(k, t)
        return jnp.where(known, self.local_variance_at(k, t), jnp.nan)


class PricedSurface(VolSurface):
    """A surface that is given by its prices."""

    @abc.abstractmethod
    def out_of_the_money_price(self, k: Real, t: Real) -> Real:
        """Normalised call where k >= 0, put elsewhere; elementwise, for arguments of one shape with t > 0."""

    def variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.variance_at`; nan where a price underflows."""
        price = self.out_of_the_money_price(k, t)
        return implied_stdev(price, k, k >= 0.0) ** 2

    def price_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.price_at`."""
        return self.out_of_the_money_price(k, t) + jnp.maximum(-jnp.expm1(k), 0.0)


def _points(k: Any, t: Any) -> tuple[Real, Real, Real]:
    """Broadcast points, with a harmless maturity where it is not positive."""
    k, t = as_float64(k, t)
    known = (t > 0.0) & jnp.isfinite(k)
    return jnp.where(known, k, 0.0), jnp.where(known, t, 1.0), known
