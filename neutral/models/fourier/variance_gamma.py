"""Variance Gamma (Madan, Carr and Chang 1998): Brownian motion with drift on a gamma clock."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from ...numerics import complex_math as cm
from ...typing import Flags, Frequencies, Real, Scalar
from ..base import AbstractFourierModel, AbstractModel, Strip, require_finite_mean
from ..parameters import Positive, Unbounded, param
from ..starts import Level, ParameterValues


class VarianceGamma(AbstractFourierModel):
    """Brownian motion with drift on a gamma clock (Madan, Carr and Chang 1998).

    X_t = theta G_t + sigma W(G_t) + omega t, where G_t is gamma with mean t and variance nu t, and omega
    makes e^X a martingale. The model needs theta nu + sigma^2 nu/2 < 1, since otherwise E[F_T] is infinite.
    The characteristic function decays only as |z|^{-2t/nu}, and for t < nu/2 the density has a pole. At
    nu = 0 the model is Black's. Equation numbers refer to docs/mathematics.md.
    """

    sigma: Scalar = param(Positive(), "volatility of the Brownian motion, 1/sqrt(yr)", (0.0, 10.0))
    theta: Scalar = param(Unbounded(), "drift of the Brownian motion, 1/yr", (-10.0, 10.0))
    nu: Scalar = param(Positive(), "variance of the gamma clock per year, yr", (0.0, 20.0))

    _typical: ClassVar = {"sigma": 0.2, "theta": -0.15, "nu": 0.2}

    def _check_joint(self) -> None:
        rule = "VarianceGamma needs theta nu + sigma^2 nu/2 < 1: lower nu, theta or sigma"
        nu = np.asarray(self.nu)
        pull = np.asarray(self.theta) + 0.5 * np.asarray(self.sigma) ** 2
        require_finite_mean(nu * pull < 1.0, self, rule)

    @classmethod
    def from_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Map to nu = free/(1 + pull free), pull = max(theta + sigma^2/2, 0), so that nu pull < 1."""
        nu = values["nu"]
        return values | {"nu": nu / (1.0 + _pull(values) * nu)}

    @classmethod
    def to_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `from_free`."""
        nu = values["nu"]
        return values | {"nu": nu / (1.0 - _pull(values) * nu)}

    @classmethod
    def starts(cls, level: Level) -> list[ParameterValues]:
        """Two starts, with little and much variance of the clock; the drift makes a third of all variance."""
        clocks = [share * level.time / (1.0 + level.mean * level.time) for share in (0.2, 1.0)]
        root = jnp.sqrt(level.mean / 3.0)
        return [{"sigma": jnp.sqrt(2.0) * root, "theta": -root / jnp.sqrt(nu), "nu": nu} for nu in clocks]

    @classmethod
    def search_box(cls, level: Level) -> dict[str, tuple[Real | float, Real | float]]:
        """Every parameter is searched around its starting value."""
        return {}

    @classmethod
    def nested_from(cls, simpler: AbstractModel) -> ParameterValues:
        """A clock without variance, nu = 0, at which the model is Black's whatever theta is."""
        return {"nu": 0.0} | super().nested_from(simpler)

    def is_admissible(self) -> Flags:
        """Whether the parameters lie in their domains and the forward is finite."""
        return super().is_admissible() & jnp.all(self.nu * (self.theta + 0.5 * self.sigma**2) < 1.0)

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function (37), t (i z g(-i) - g(z)), with g of `_exponent`."""
        return t * (1j * z * self._exponent(jnp.asarray(-1j, z.dtype)) - self._exponent(z))

    def _exponent(self, z: Frequencies) -> Frequencies:
        """The g of (37), log(1 + nu y)/nu with y = sigma^2 z^2/2 - i theta z; it is y at nu = 0."""
        # the principal logarithm of 1 + nu y is the right one, because both zeros of 1 + nu y are imaginary
        y = z * (0.5 * self.sigma**2 * z - 1j * self.theta)
        x = self.nu * y
        return y * cm.log_quotient(x, cm.log1p(x))

    def strip(self, t: Real) -> Strip:
        """Roots of 1 - nu (theta a + sigma^2 a^2/2), at every maturity; infinite at nu = 0."""
        drift = self.theta * self.nu
        variance = self.sigma**2 * self.nu
        # the sum without cancellation gives the nearer root, and the product of the roots gives the other
        total = jnp.abs(drift) + jnp.sqrt(drift**2 + 2.0 * variance)
        near = jnp.where(total > 0.0, 2.0 / jnp.where(total > 0.0, total, 1.0), jnp.inf)
        far = jnp.where(variance > 0.0, total / jnp.where(variance > 0.0, variance, 1.0), jnp.inf)
        low = jnp.where(drift > 0.0, far, near)
        high = jnp.where(drift > 0.0, near, far)
        return -low * jnp.ones_like(t), high * jnp.ones_like(t)

    def total_variance(self, t: Real) -> Real:
        """Variance (sigma^2 + nu theta^2) t."""
        return (self.sigma**2 + self.nu * self.theta**2) * t


def _pull(values: dict[str, Any]) -> Real:
    """The larger of theta + sigma^2/2 and 0; its product with nu must stay below 1."""
    return jnp.maximum(values["theta"] + 0.5 * values["sigma"] ** 2, 0.0)
