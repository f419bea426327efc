"""Heston (1993): square-root stochastic variance."""

from typing import ClassVar

from ...numerics.materialise import materialise
from ...typing import Frequencies, Real, Scalar
from ..base import AbstractFourierModel, Gradient, Strip, hand_differentiated
from ..parameters import Interval, Positive, param
from .riccati import (
    diffusion_gradient,
    diffusion_log_cf,
    explosion_time,
    moment_strip,
    reversion_time,
    riccati,
    riccati_slopes,
)


class Heston(AbstractFourierModel):
    """Square-root stochastic variance (Heston 1993), in the 'little trap' form (Albrecher et al. 2007).

    dF/F = sqrt(v) dW, dv = kappa (theta - v) dt + sigma_v sqrt(v) dB, dW dB = rho dt.
    The Feller condition is neither needed nor imposed; `feller_ratio` reports it. Equation numbers refer to
    docs/mathematics.md.
    """

    v0: Scalar = param(Positive(), "spot variance, 1/yr", (0.0, 10.0))
    kappa: Scalar = param(Positive(), "mean-reversion speed, 1/yr", (0.0, 50.0))
    theta: Scalar = param(Positive(), "long-run variance, 1/yr", (0.0, 10.0))
    sigma_v: Scalar = param(Positive(), "volatility of variance, 1/yr", (0.0, 20.0))
    rho: Scalar = param(Interval(-1.0, 1.0), "correlation of forward and variance")

    _typical: ClassVar = {"v0": 0.04, "kappa": 1.5, "theta": 0.05, "sigma_v": 0.6, "rho": -0.7}

    @property
    def feller_ratio(self) -> Scalar:
        """Ratio 2 kappa theta / sigma_v^2; the variance stays positive if it is at least 1."""
        return 2.0 * self.kappa * self.theta / self.sigma_v**2

    @hand_differentiated
    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function (14), in a form that is finite at and near sigma_v, kappa, t, z = 0."""
        r = riccati(self.kappa, self.sigma_v, self.rho, z, t)
        return diffusion_log_cf(self, r)

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The value of log_cf with its parameter derivatives (24)."""
        r = materialise(riccati(self.kappa, self.sigma_v, self.rho, z, t))
        s = materialise(riccati_slopes(self.sigma_v, r, t))
        return diffusion_log_cf(self, r), diffusion_gradient(self, z, r, s)

    def strip(self, t: Real) -> Strip:
        """Orders a at which the explosion time (25) equals t (Andersen and Piterbarg 2007, prop. 3.1)."""
        return moment_strip(lambda a: explosion_time(self.kappa, self.sigma_v, self.rho, a) > t, t)

    def total_variance(self, t: Real) -> Real:
        """Expected integrated variance theta t + (v0 - theta)(1 - e^{-kappa t})/kappa, (26)."""
        return self.theta * t + (self.v0 - self.theta) * reversion_time(self.kappa, t)
