"""Base class of volatility surfaces: total variance at any moneyness and maturity, and functions of it."""

import abc
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..numerics.buckets import call_on_row
from ..numerics.compiled import compiled
from ..numerics.normal import pdf
from ..options import black
from ..options.arbitrage import durrleman
from ..options.inversion import implied_stdev
from ..options.terms import as_numbers
from ..precision import require_precision
from ..pricing import LocalVolatility
from ..typing import Real

Tree = TypeVar("Tree")


class Jet(NamedTuple):
    """Total variance w and its derivatives at given points, all of one shape."""

    w: Real
    w_k: Real  # dw/dk
    w_kk: Real  # d2w/dk2
    w_t: Real  # dw/dt, 1/yr


class VolSurface(eqx.Module):
    """A surface of total implied variance w(k, t), k = log(K / F_t), t in years.

    All methods work under `jit`, `vmap` and `grad`. Each class states the rule by which it extrapolates
    beyond the quoted strikes and maturities. An object with a leading axis is a batch: index it for one
    surface, or use `jax.vmap`.

    Methods whose names end in `_at` need arrays of one shape with t > 0. The arguments of the other methods
    broadcast, and their results are nan where t is not positive.
    """

    @abc.abstractmethod
    def variance_at(self, k: Real, t: Real) -> Real:
        """Compute total variance, elementwise, for arguments of one shape with t > 0."""

    def jet(self, k: Real, t: Real) -> Jet:
        """Compute total variance and its derivatives, elementwise, for arguments of one shape with t > 0."""

        def value_and_slope(k: Real) -> tuple[Real, Real]:
            return jax.jvp(lambda k: self.variance_at(k, t), (k,), (jnp.ones_like(k),))

        (w, w_k), (_, w_kk) = jax.jvp(value_and_slope, (k,), (jnp.ones_like(k),))
        w_t = jax.jvp(lambda t: self.variance_at(k, t), (t,), (jnp.ones_like(t),))[1]
        return Jet(w, w_k, w_kk, w_t)

    def price_at(self, k: Real, t: Real) -> Real:
        """Compute the normalised call price, elementwise, for arguments of one shape with t > 0."""
        return black.price(k, jnp.sqrt(self.variance_at(k, t)))

    def density_at(self, k: Real, t: Real) -> Real:
        """Compute the density of log(F_T / F), elementwise, for arguments of one shape with t > 0."""
        jet = self.jet(k, t)
        s = jnp.sqrt(jet.w)
        # g(k) n(d2) / sqrt(w) with Durrleman's function g (Gatheral and Jacquier 2014, section 2.1)
        return durrleman(k, jet.w, jet.w_k, jet.w_kk) * pdf(-k / s - 0.5 * s) / s

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """Compute the local variance, 1/yr, elementwise, for arguments of one shape with t > 0."""
        jet = self.jet(k, t)
        # Dupire's formula in terms of total variance is (dw/dt) / g (Gatheral 2006, equation 1.10)
        return jet.w_t / durrleman(k, jet.w, jet.w_k, jet.w_kk)

    def local_volatility(self) -> LocalVolatility:
        """Return the local-volatility model with these prices (Dupire 1994), for `neutral.monte_carlo`."""
        return LocalVolatility(self.local_variance_at)

    def total_variance(self, k: ArrayLike, t: ArrayLike) -> Real:
        """Compute total implied variance, vol^2 t.

        Args:
            k: Log-forward moneyness log(K / F).
            t: Maturity in years, > 0.

        Returns:
            Total variance, in the broadcast shape; nan where t is not positive or k is not finite.
        """
        return self._evaluated("variance_at", k, t)

    def implied_vol(self, k: ArrayLike, t: ArrayLike) -> Real:
        """Compute the annualised Black volatility. Arguments and shape are those of `total_variance`."""
        return self._evaluated("_vol_at", k, t)

    def price(self, k: ArrayLike, t: ArrayLike) -> Real:
        """Compute the normalised undiscounted price of the call. The put is worth 1 - e^k less.

        Arguments and shape are those of `total_variance`.
        """
        return self._evaluated("price_at", k, t)

    def density(self, k: ArrayLike, t: ArrayLike) -> Real:
        """Compute the risk-neutral density of log(F_T / F) at k.

        Arguments and shape are those of `total_variance`.
        """
        return self._evaluated("density_at", k, t)

    def local_variance(self, k: ArrayLike, t: ArrayLike) -> Real:
        """Compute Dupire's local variance, 1/yr. Arguments and shape are those of `total_variance`.

        At an expiry where the surface has a kink in time, the result is the value just after the expiry.
        """
        return self._evaluated("local_variance_at", k, t)

    def _vol_at(self, k: Real, t: Real) -> Real:
        return jnp.sqrt(self.variance_at(k, t) / t)

    def _evaluated(self, method: str, k: ArrayLike, t: ArrayLike) -> Real:
        """Call a method whose name ends in `_at` where the points are valid; elsewhere the result is nan."""
        return call_on_points(lambda k, t: _at_points(self, method, k, t), k=k, t=t)


class PricedSurface(VolSurface):
    """A surface defined by its prices, which are inverted to total variance."""

    @abc.abstractmethod
    def out_of_the_money_price(self, k: Real, t: Real) -> Real:
        """Price the normalised call where k >= 0, else the put; elementwise, in one shape with t > 0."""

    def variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.variance_at`; nan where a price underflows."""
        price = self.out_of_the_money_price(k, t)
        return implied_stdev(price, k, k >= 0.0) ** 2

    def price_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.price_at`."""
        return self.out_of_the_money_price(k, t) + jnp.maximum(-jnp.expm1(k), 0.0)


def call_on_points(function: Callable[..., Tree], **arguments: ArrayLike) -> Tree:
    """Call a compiled function on arguments that broadcast, and restore their shape.

    Args:
        function: Takes arrays of one shape, in the order of the arguments, and returns a pytree of arrays
            whose first axes are these.
        arguments: Numbers by name.

    Raises:
        ArgumentError: an argument does not contain numbers, or the shapes do not broadcast.
        PrecisionError: JAX runs in single precision.
    """
    require_precision("float64")
    arrays = {name: as_numbers(name, x) for name, x in arguments.items()}
    try:
        np.broadcast_shapes(*(np.shape(x) for x in arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {np.shape(x)}" for name, x in arrays.items())
        raise ArgumentError(
            f"Shapes do not broadcast: {shapes}. For a grid of maturities and strikes, pass t[:, None]."
        ) from error
    return call_on_row(function, list(arrays.values()))


@compiled
def _at_points(surface: VolSurface, method: str, k: Real, t: Real) -> Real:
    valid = (t > 0.0) & jnp.isfinite(k)  # others become k = 0, t = 1, so that derivatives are finite
    value = getattr(surface, method)(jnp.where(valid, k, 0.0), jnp.where(valid, t, 1.0))
    return jnp.where(valid, value, jnp.nan)
