"""`ESSVIMixture`: a mixture of eSSVI surfaces, free of static arbitrage and flexible enough for bid and ask.

Draw component j once, with probability alpha_j, and let the underlying then be F_t m_j S^j_t, where S^j is a
martingale whose prices are those of an arbitrage-free surface. If sum_j alpha_j m_j = 1, and alpha and m do
not depend on t, the calls c(k, t) = sum_j alpha_j m_j c_j(k - log m_j, t) are those of a martingale. The
argument is that of lognormal mixtures (Brigo and Mercurio 2002); constant alpha and m exclude calendar
arbitrage.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...models.parameters import as_parameter
from ...numerics.normal import pdf
from ...options import black
from ...options.arbitrage import durrleman
from ...presentation.frame import stacked
from ...pricing import LocalVolatility
from ...typing import Flags, Numbers, Real
from ..base import Jet, PricedSurface
from ..certificate import ROUNDING, Certificate, check_single, verdict
from ..evidence import FittedSurface, SurfaceFit
from .surface import ESSVI

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")


class MixtureCertificate(eqx.Module):
    """Certificate of a mixture: those of its components, and the error of its mean. A batch has leading axes.

    Attributes:
        components: Certificates of the components, with an axis of components before that of expiries.
        mean_error: Mean of the mixture over the forward less 1, sum_j alpha_j m_j - 1.
    """

    components: Certificate
    mean_error: Real | np.floating

    @property
    def margin(self) -> Any:
        """The smallest margin of any component, shape of the batch."""
        return np.min(np.asarray(self.components.margin), axis=-1)

    @property
    def free(self) -> Any:
        """True where no condition is violated by more than rounding (1e-12), shape of the batch."""
        return (self.margin >= -ROUNDING) & (np.abs(np.asarray(self.mean_error)) <= ROUNDING)

    def worst(self) -> tuple[str, float, float]:
        """Find the condition with the smallest margin of one mixture.

        Returns:
            As from `Certificate.worst`, for the component with the smallest margin; k is log(strike /
            forward) of that component, whose forward is a multiple of the mixture's. If the error of the mean
            is beyond rounding and larger, "mean", nan and nan.
        """
        component = int(np.argmin(np.asarray(self.components.margin)))
        error = abs(float(self.mean_error))
        if error > ROUNDING and -error < float(self.margin):
            return "mean", float("nan"), float("nan")
        return self.components[component].worst()

    def to_frame(self) -> "pd.DataFrame":
        """Return the tables of the components below each other, with a first column `component`.

        The other columns are those of `Certificate.to_frame`; k is log(strike / forward) of the component.

        Raises:
            ArgumentError: the certificate is that of a batch.
        """
        check_single(np.asarray(self.components.butterfly)[..., 0], "certificate")
        return stacked([self.components[j].to_frame() for j in range(len(self.components.butterfly))])

    def __str__(self) -> str:
        """Write the verdict and the error of the mean, then one line per component."""
        if np.ndim(self.mean_error) > 0:
            return f"{int(np.sum(self.free))} of {np.size(self.free)} mixtures free of static arbitrage"
        lines = [f"component {j}: {self.components[j]}" for j in range(len(self.components.butterfly))]
        first = f"{verdict(bool(self.free))}: relative error of the forward {float(self.mean_error):.1e}"
        return "\n".join([first, *lines])


class ESSVIMixture(PricedSurface, FittedSurface[SurfaceFit]):
    """A mixture of eSSVI surfaces with weights and multipliers that are constant in time.

    Attributes:
        weights: Probabilities alpha of the components, (J,), of sum 1; 0 for a component that was dropped.
        multipliers: Mean m of each component over the forward, (J,), > 0, with sum_j alpha_j m_j = 1.
        components: The surfaces, with a leading axis J, each free of static arbitrage.
        fit: Record of the fit; None if the surface was not fitted.
    """

    weights: Any = eqx.field(converter=as_parameter)
    multipliers: Any = eqx.field(converter=as_parameter)
    components: ESSVI

    def _of_components(
        self, method: Callable[[ESSVI, Real, Real], Result], k: Real, t: Real
    ) -> tuple[Result, Real]:
        """Call a method of every component at k - log m; return its values (J, ...) and alpha (J, 1, ...)."""

        def at_component(surface: ESSVI, m: Real) -> Result:
            return method(surface, k - jnp.log(m), t)

        values = jax.vmap(at_component)(self.components, jnp.asarray(self.multipliers))
        return values, jnp.reshape(jnp.asarray(self.weights), (-1,) + (1,) * jnp.ndim(k))

    def out_of_the_money_price(self, k: Real, t: Real) -> Real:
        """See `PricedSurface.out_of_the_money_price`."""

        def price(surface: ESSVI, k_component: Real, t: Real) -> Real:
            s = jnp.sqrt(surface.variance_at(k_component, t))
            return black.price(k_component, s, k >= 0.0)

        prices, alpha = self._of_components(price, k, t)
        m = jnp.reshape(jnp.asarray(self.multipliers), alpha.shape)
        return jnp.sum(alpha * m * prices, axis=0)

    def _density_terms(self, k: Real, t: Real) -> tuple[Real, Real]:
        """Compute the terms of density and local variance of each component.

        Returns:
            Logarithm of alpha times Black's density, without the factor 1 / sqrt(2 pi), (J, ...); and
            Durrleman's g and dw/dt, (2, J, ...).
        """

        def jet(surface: ESSVI, k: Real, t: Real) -> tuple[Jet, Real]:
            return surface.jet(k, t), k

        (at, shifted), alpha = self._of_components(jet, k, t)
        s = jnp.sqrt(at.w)
        d2 = -shifted / s - 0.5 * s
        present = alpha > 0.0  # a component of weight 0 must not make derivatives nan
        log_alpha = jnp.where(present, jnp.log(jnp.where(present, alpha, 1.0)), -jnp.inf)
        g = durrleman(shifted, at.w, at.w_k, at.w_kk)
        return log_alpha - jnp.log(s) - 0.5 * d2 * d2, jnp.stack([g, at.w_t])

    def density_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.density_at`; the density is the weighted sum of the components' densities."""
        log_density, (g, _) = self._density_terms(k, t)
        return jnp.sum(g * jnp.exp(log_density), axis=0) * pdf(jnp.zeros(()))

    def local_variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.local_variance_at`.

        By Dupire's formula it is sum_j b_j dw_j/dt over sum_j b_j g_j, where b_j is alpha_j times Black's
        density of component j.
        """
        log_density, (g, w_t) = self._density_terms(k, t)
        weight = jnp.exp(log_density - jnp.max(log_density, axis=0, keepdims=True))
        return jnp.sum(weight * w_t, axis=0) / jnp.sum(weight * g, axis=0)

    def local_volatility(self) -> LocalVolatility:
        """See `VolSurface.local_volatility`; paths start at the multipliers, with probabilities alpha."""
        return LocalVolatility(
            local_variance=self.local_variance_at,
            places=jnp.log(jnp.asarray(self.multipliers)),
            weights=self.weights,
        )

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of the parameters of one mixture, with one row per component and expiry.

        Columns: `component`, `maturity` (years), `theta` (total variance at the money), `psi`, `rho`,
        `atm_vol` (volatility of the component at the money), `weight` and `multiplier`.

        Raises:
            ArgumentError: the object is a batch.
        """
        check_single(self.expiries, "surface")
        frame = stacked([self.components[j].to_frame() for j in range(len(np.asarray(self.weights)))])
        frame["weight"] = np.asarray(self.weights)[frame["component"]]
        frame["multiplier"] = np.asarray(self.multipliers)[frame["component"]]
        return frame

    @property
    def expiries(self) -> Numbers:
        """Expiries of the smiles in years, (T,)."""
        return jnp.asarray(self.components.expiries)[..., 0, :]

    @property
    def known(self) -> Flags:
        """True for expiries that have a smile, (T,)."""
        return self.components.known[..., 0, :]

    @property
    def certificate(self) -> MixtureCertificate:
        """Certificates of all components, and the error of the mixture's mean."""
        mean = np.sum(np.asarray(self.weights) * np.asarray(self.multipliers), axis=-1)
        return MixtureCertificate(components=self.components.certificate, mean_error=mean - 1.0)
