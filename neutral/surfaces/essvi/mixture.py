"""`ESSVIMixture`: a mixture of eSSVI surfaces, free of static arbitrage and flexible enough for bid and ask.

Draw component j once, with probability alpha_j, and let the underlying then be F_t m_j S^j_t, S^j the
martingale behind a free surface: with sum alpha_j m_j = 1 its calls c(k, t) = sum_j alpha_j m_j
c_j(k - ln m_j, t) are those of a martingale as long as alpha and m do not depend on t. The argument is that
of lognormal mixtures (Brigo and Mercurio 2002); constancy in time is what keeps the calendar.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...numerics.normal import pdf
from ...options import black
from ...options.arbitrage import durrleman
from ...pricing import LocalVolatility
from ...typing import Flags, Real
from ..base import Jet, PricedSurface
from ..certificate import Certificate
from ..evidence import FittedSurface
from .surface import ESSVI

_ROUNDING = 1e-12


class MixtureCertificate(eqx.Module):
    """Evidence that a mixture is free: each component is, and their means add up. Leading axes of a batch.

    Attributes:
        components: Certificates of the components, an axis of them before that of expiries.
        mean_error: sum alpha m - 1.
    """

    components: Certificate
    mean_error: Real

    @property
    def margin(self) -> Any:
        """The smallest margin of any component."""
        return np.min(np.asarray(self.components.margin), axis=-1)

    @property
    def free(self) -> Any:
        """Whether nothing is violated beyond rounding."""
        return (self.margin >= -_ROUNDING) & (np.abs(np.asarray(self.mean_error)) <= _ROUNDING)

    def __str__(self) -> str:
        """One line per component."""
        if np.ndim(self.mean_error) > 0:
            return f"{int(np.sum(self.free))} of {np.size(self.free)} mixtures free of static arbitrage"
        lines = [f"component {j}: {self.components[j]}" for j in range(len(self.components.butterfly))]
        return "\n".join([f"forward off by {float(self.mean_error):.1e}", *lines])


class ESSVIMixture(PricedSurface, FittedSurface):
    """A mixture of eSSVI surfaces with weights and multipliers that are constant in time.

    Attributes:
        weights: alpha, (J,), positive, of sum 1.
        multipliers: m, (J,), positive, with sum alpha m = 1: where each component is centred.
        components: The surfaces, with a leading axis J; free of static arbitrage each.
        fit: How it was fitted; None where it was not.
    """

    weights: Any
    multipliers: Any
    components: ESSVI

    def _each(self, method: Any, k: Real, t: Real) -> tuple[Real, Real]:
        """What every component says at its own moneyness, (J, ...), and alpha of that shape."""

        def one(surface: ESSVI, m: Real) -> Any:
            return method(surface, k - jnp.log(m), t)

        values = jax.vmap(one)(self.components, jnp.asarray(self.multipliers))
        return values, jnp.reshape(jnp.asarray(self.weights), (-1,) + (1,) * jnp.ndim(k))

    def out_of_the_money_price(self, k: Real, t: Real) -> Real:
        """See `PricedSurface.out_of_the_money_price`."""

        def price(surface: ESSVI, at: Real, t: Real) -> Real:
            return black.price(at, jnp.sqrt(surface.variance_at(at, t)), k >= 0.0)

        prices, alpha = self._each(price, k, t)
        m = jnp.reshape(jnp.asarray(self.multipliers), alpha.shape)
        return jnp.sum(alpha * m * prices, axis=0)

    def _laws(self, k: Real, t: Real) -> tuple[Real, Real]:
        """Of each component: the logarithm of Black's density there; Durrleman's g, then dw/dt."""

        def jet(surface: ESSVI, k: Real, t: Real) -> tuple[Jet, Real]:
            return surface.jet(k, t), k

        (at, shifted), alpha = self._each(jet, k, t)
        s = jnp.sqrt(at.w)
        d2 = -shifted / s - 0.5 * s
        there = alpha > 0.0  # a component that was dropped has no derivative either
        share = jnp.where(there, jnp.log(jnp.where(there, alpha, 1.0)), -jnp.inf)
        return share - jnp.log(s) - 0.5 * d2 * d2, jnp.stack(
            [durrleman(shifted, at.w, at.w_k, at.w_kk), at.w_t]
        )

    def density_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.density_at`: the sum of the components' densities."""
        size, (g, _) = self._laws(k, t)
        return jnp.sum(g * jnp.exp(size), axis=0) * pdf(jnp.zeros(()))

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.local_variance_at`: the components' mean, weighted by their densities."""
        size, (g, w_t) = self._laws(k, t)
        weight = jnp.exp(size - jnp.max(size, axis=0, keepdims=True))
        return jnp.sum(weight * w_t, axis=0) / jnp.sum(weight * g, axis=0)

    def local_volatility(self) -> LocalVolatility:
        """See `VolSurface.local_volatility`: starts at the multipliers, the law just after 0."""
        return LocalVolatility(self.local_variance_at, jnp.log(jnp.asarray(self.multipliers)), self.weights)

    @property
    def expiries(self) -> Any:
        """Expiries that the components have smiles at, (T,)."""
        return jnp.asarray(self.components.expiries)[..., 0, :]

    @property
    def known(self) -> Flags:
        """Expiries that have a smile, (T,)."""
        return self.components.known[..., 0, :]

    @property
    def certificate(self) -> MixtureCertificate:
        """The exact tests of every component, and the mean of the mixture."""
        mean = np.sum(np.asarray(self.weights) * np.asarray(self.multipliers), axis=-1)
        return MixtureCertificate(self.components.certificate, mean - 1.0)
