"""`ESSVIMixture`: a mixture of eSSVI surfaces, free of static arbitrage and flexible enough for bid and ask.

Draw component j once, with probability alpha_j, and let the underlying then be F_t m_j S^j_t, where S^j is
the martingale behind a free surface. With sum alpha_j m_j = 1 its calls c(k, t) = sum_j alpha_j m_j
c_j(k - log m_j, t) are those of a martingale as long as alpha and m do not depend on t. The argument is that
of lognormal mixtures (Brigo and Mercurio 2002); constancy in time is what keeps the calendar.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...numerics.normal import pdf
from ...options import black
from ...options.arbitrage import durrleman
from ...pricing import LocalVolatility
from ...typing import Flags, Numbers, Real
from ..base import Jet, PricedSurface
from ..certificate import ROUNDING, Certificate
from ..evidence import FittedSurface, SurfaceFit
from .surface import ESSVI

Answer = TypeVar("Answer")


class MixtureCertificate(eqx.Module):
    """Evidence that a mixture is free: each component is, and their means add up. Leading axes of a batch.

    Attributes:
        components: Certificates of the components, with an axis of components before that of expiries.
        mean_error: sum alpha m - 1.
    """

    components: Certificate
    mean_error: Real | np.floating

    @property
    def margin(self) -> Any:
        """The smallest margin of any component, shape of the batch."""
        return np.min(np.asarray(self.components.margin), axis=-1)

    @property
    def free(self) -> Any:
        """Whether no condition is violated beyond rounding, shape of the batch."""
        return (self.margin >= -ROUNDING) & (np.abs(np.asarray(self.mean_error)) <= ROUNDING)

    def __str__(self) -> str:
        """One line per component."""
        if np.ndim(self.mean_error) > 0:
            return f"{int(np.sum(self.free))} of {np.size(self.free)} mixtures free of static arbitrage"
        lines = [f"component {j}: {self.components[j]}" for j in range(len(self.components.butterfly))]
        return "\n".join([f"forward off by {float(self.mean_error):.1e}", *lines])


class ESSVIMixture(PricedSurface, FittedSurface[SurfaceFit]):
    """A mixture of eSSVI surfaces with weights and multipliers that are constant in time.

    Attributes:
        weights: alpha, (J,), positive, of sum 1.
        multipliers: m, (J,), positive, with sum alpha m = 1: the mean of each component over the forward.
        components: The surfaces, with a leading axis J; each free of static arbitrage.
        fit: How it was fitted; None where it was not.
    """

    weights: Any
    multipliers: Any
    components: ESSVI

    def _each(self, method: Callable[[ESSVI, Real, Real], Answer], k: Real, t: Real) -> tuple[Answer, Real]:
        """A method of every component at its own moneyness, (J, ...), and alpha of that shape."""

        def one(surface: ESSVI, m: Real) -> Answer:
            return method(surface, k - jnp.log(m), t)

        values = jax.vmap(one)(self.components, jnp.asarray(self.multipliers))
        return values, jnp.reshape(jnp.asarray(self.weights), (-1,) + (1,) * jnp.ndim(k))

    def out_of_the_money_price(self, k: Real, t: Real) -> Real:
        """See `PricedSurface.out_of_the_money_price`."""

        def price(surface: ESSVI, k_component: Real, t: Real) -> Real:
            s = jnp.sqrt(surface.variance_at(k_component, t))
            return black.price(k_component, s, k >= 0.0)

        prices, alpha = self._each(price, k, t)
        m = jnp.reshape(jnp.asarray(self.multipliers), alpha.shape)
        return jnp.sum(alpha * m * prices, axis=0)

    def _laws(self, k: Real, t: Real) -> tuple[Real, Real]:
        """Of each component: the logarithm of Black's density times alpha; Durrleman's g, then dw/dt.

        The density is without the factor 1 / sqrt(2 pi).
        """

        def jet(surface: ESSVI, k: Real, t: Real) -> tuple[Jet, Real]:
            return surface.jet(k, t), k

        (at, shifted), alpha = self._each(jet, k, t)
        s = jnp.sqrt(at.w)
        d2 = -shifted / s - 0.5 * s
        there = alpha > 0.0  # a component that was dropped has no derivative either
        log_alpha = jnp.where(there, jnp.log(jnp.where(there, alpha, 1.0)), -jnp.inf)
        g = durrleman(shifted, at.w, at.w_k, at.w_kk)
        return log_alpha - jnp.log(s) - 0.5 * d2 * d2, jnp.stack([g, at.w_t])

    def density_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.density_at`: the sum of the components' densities."""
        size, (g, _) = self._laws(k, t)
        return jnp.sum(g * jnp.exp(size), axis=0) * pdf(jnp.zeros(()))

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.local_variance_at`.

        It is sum_j b_j dw_j/dt over sum_j b_j g_j, with b_j alpha_j times Black's density of component j
        (Dupire's formula, whose numerator and denominator are sums over components).
        """
        size, (g, w_t) = self._laws(k, t)
        weight = jnp.exp(size - jnp.max(size, axis=0, keepdims=True))
        return jnp.sum(weight * w_t, axis=0) / jnp.sum(weight * g, axis=0)

    def local_volatility(self) -> LocalVolatility:
        """See `VolSurface.local_volatility`; paths start at the multipliers, the law just after time 0."""
        return LocalVolatility(
            local_variance=self.local_variance_at,
            places=jnp.log(jnp.asarray(self.multipliers)),
            weights=self.weights,
        )

    @property
    def expiries(self) -> Numbers:
        """Expiries of the components' smiles in years, (T,)."""
        return jnp.asarray(self.components.expiries)[..., 0, :]

    @property
    def known(self) -> Flags:
        """Expiries that have a smile, (T,)."""
        return self.components.known[..., 0, :]

    @property
    def certificate(self) -> MixtureCertificate:
        """The exact tests of every component, and the mean of the mixture."""
        mean = np.sum(np.asarray(self.weights) * np.asarray(self.multipliers), axis=-1)
        return MixtureCertificate(components=self.components.certificate, mean_error=mean - 1.0)
