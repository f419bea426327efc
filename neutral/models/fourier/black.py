"""Black (1976): lognormal forward with constant volatility."""

from typing import ClassVar

import jax.numpy as jnp

from ...typing import Frequencies, Real, Scalar
from ..base import AbstractFourierModel, Strip
from ..parameters import Positive, param
from ..starts import ParameterValues


class Black(AbstractFourierModel):
    """Constant volatility (Black 1976): dF/F = sigma dW."""

    sigma: Scalar = param(Positive(), "volatility, 1/sqrt(yr)", (0.0, 10.0))

    _typical: ClassVar = {"sigma": 0.2}

    def values_for_richer(self) -> ParameterValues:
        """The volatility, and the parameters of a constant variance under their names in Heston."""
        variance = self.sigma**2
        constant = {"v0": variance, "theta": variance, "sigma_v": 0.0 * variance}
        return super().values_for_richer() | constant

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function -(z^2 + i z) sigma^2 t / 2."""
        return gaussian_log_cf(z, self.sigma**2 * t)

    def strip(self, t: Real) -> Strip:
        """The whole line, because every moment is finite."""
        return jnp.full_like(t, -jnp.inf), jnp.full_like(t, jnp.inf)

    def total_variance(self, t: Real) -> Real:
        """Total variance sigma^2 t."""
        return self.sigma**2 * t


def gaussian_log_cf(z: Frequencies, w: Real) -> Frequencies:
    """Log characteristic function of a lognormal forward of mean 1 with total variance w."""
    return -0.5 * (z * (z + 1j)) * w
