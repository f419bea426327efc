"""Kou (2002): lognormal forward with compensated double-exponential jumps."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from ...numerics import complex_math as cm
from ...typing import Flags, Frequencies, Real, Scalar
from ..base import AbstractFourierModel, Strip, require_finite_mean
from ..parameters import Domain, Interval, Positive, param
from ..starts import Level, ParameterValues


class Kou(AbstractFourierModel):
    """Jump diffusion with double-exponential log jumps (Kou 2002).

    dF/F = sigma dW + (e^Y - 1) dN - lam E[e^Y - 1] dt, where N is a Poisson process of rate lam. With
    probability p_up, Y is exponential of mean 1/eta1, otherwise -Y is exponential of mean 1/eta2. The model
    needs eta1 > 1 and eta2 > 0. Equation numbers refer to docs/mathematics.md.
    """

    sigma: Scalar = param(Positive(), "diffusion volatility, 1/sqrt(yr)", (0.0, 10.0))
    lam: Scalar = param(Positive(), "jump intensity, 1/yr", (0.0, 100.0))
    p_up: Scalar = param(Interval(0.0, 1.0), "probability that a jump goes up")
    eta1: Scalar = param(Domain(1.0, np.inf), "rate of up jumps, 1 over their mean", (1.01, 1e3))
    eta2: Scalar = param(Positive(), "rate of down jumps, 1 over their mean", (0.01, 1e3))

    _typical: ClassVar = {"sigma": 0.2, "lam": 1.0, "p_up": 0.4, "eta1": 10.0, "eta2": 5.0}

    def _check_joint(self) -> None:
        require_finite_mean(np.asarray(self.eta1) > 1.0, self, "Kou needs eta1 > 1")
        require_finite_mean(
            np.asarray(self.eta2) > 0.0, self, "Kou needs eta2 > 0, the rate of the down jumps"
        )

    @classmethod
    def starts(cls, level: Level) -> list[ParameterValues]:
        """Two starts, with small frequent jumps and with large rare ones.

        Jumps make up 40 % of the variance, and down jumps are about twice as large as up jumps.
        """
        root = jnp.sqrt(level.mean)
        starts: list[ParameterValues] = []
        for size in (0.3, 1.0):
            eta2 = 1.0 / (size * root)
            eta1 = 2.0 * eta2 + 1.0
            square = 2.0 * (0.3 / eta1**2 + 0.7 / eta2**2)
            lam = 0.4 * level.mean / square
            starts.append(
                {"sigma": jnp.sqrt(0.6) * root, "lam": lam, "p_up": 0.3, "eta1": eta1, "eta2": eta2}
            )
        return starts

    @classmethod
    def search_box(cls, level: Level) -> dict[str, tuple[Real | float, Real | float]]:
        """Every parameter is searched around its starting value."""
        return {}

    def is_admissible(self) -> Flags:
        """Whether the parameters lie in their domains, without the ends eta1 = 1 and eta2 = 0."""
        return super().is_admissible() & jnp.all((self.eta1 > 1.0) & (self.eta2 > 0.0))

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function (30).

        It is the diffusion part plus lam t (E[e^{izY}] - 1 - i z E[e^Y - 1]). By (29) both have the factor
        z^2 + i z, which is taken out, so that nothing cancels at z = 0 and z = -1j.
        """
        up = self.p_up * cm.reciprocal((self.eta1 - 1j * z) * (self.eta1 - 1.0))
        down = (1.0 - self.p_up) * cm.reciprocal((self.eta2 + 1j * z) * (self.eta2 + 1.0))
        return -z * (z + 1j) * t * (0.5 * self.sigma**2 + self.lam * (up + down))

    def strip(self, t: Real) -> Strip:
        """The strip, which reaches from -eta2 to eta1 at every maturity."""
        return -self.eta2 * jnp.ones_like(t), self.eta1 * jnp.ones_like(t)

    def total_variance(self, t: Real) -> Real:
        """Expected quadratic variation (sigma^2 + lam E[Y^2]) t."""
        square = 2.0 * (self.p_up / self.eta1**2 + (1.0 - self.p_up) / self.eta2**2)
        return (self.sigma**2 + self.lam * square) * t
