"""Bates (1996): Heston variance with compensated lognormal jumps of the forward."""

from typing import ClassVar

from ...numerics import complex_math as cm
from ...numerics.materialise import materialise
from ...typing import Frequencies, Real, Scalar
from ..base import AbstractFourierModel, Gradient, Jumps, Strip, hand_differentiated
from ..parameters import Interval, Positive, Unbounded, param
from .heston import Heston
from .merton import compensated_jumps, jump_exponent, jump_mean, normal_jumps
from .riccati import diffusion_gradient, diffusion_log_cf, riccati, riccati_slopes


class Bates(AbstractFourierModel):
    """Heston variance plus independent normal log jumps (Bates 1996).

    mu_y is the mean log jump; papers often give the mean relative jump e^{mu_y + sigma_y^2/2} - 1 instead.
    Equation numbers refer to docs/mathematics.md.
    """

    v0: Scalar = param(Positive(), "spot variance, 1/yr", (0.0, 10.0))
    kappa: Scalar = param(Positive(), "mean-reversion speed, 1/yr", (0.0, 50.0))
    theta: Scalar = param(Positive(), "long-run variance, 1/yr", (0.0, 10.0))
    sigma_v: Scalar = param(Positive(), "volatility of variance, 1/yr", (0.0, 20.0))
    rho: Scalar = param(Interval(-1.0, 1.0), "correlation of forward and variance")
    lam: Scalar = param(Positive(), "jump intensity, 1/yr", (0.0, 50.0))
    mu_y: Scalar = param(Unbounded(), "mean log jump of the forward", (-5.0, 5.0))
    sigma_y: Scalar = param(Positive(), "standard deviation of the log jump", (0.0, 5.0))

    _typical: ClassVar = Heston._typical | {"lam": 0.3, "mu_y": -0.1, "sigma_y": 0.15}

    @property
    def heston(self) -> Heston:
        """The model without its jumps."""
        return Heston(self.v0, self.kappa, self.theta, self.sigma_v, self.rho)

    @property
    def feller_ratio(self) -> Scalar:
        """Ratio 2 kappa theta / sigma_v^2; the variance stays positive if it is at least 1."""
        return self.heston.feller_ratio

    @hand_differentiated
    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Heston's log_cf plus lam t (E[e^{izY}] - 1 - i z E[e^Y - 1]), (27) with (28)."""
        r = riccati(self.kappa, self.sigma_v, self.rho, z, t)
        return diffusion_log_cf(self, r) + self.lam * t * compensated_jumps(z, self.mu_y, self.sigma_y)

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The value of log_cf with its parameter derivatives: those of Heston, then those of (27)."""
        r = materialise(riccati(self.kappa, self.sigma_v, self.rho, z, t))
        s = materialise(riccati_slopes(self.sigma_v, r, t))
        less = materialise(cm.expm1(jump_exponent(z, self.mu_y, self.sigma_y)))
        mean = jump_mean(self.mu_y, self.sigma_y)
        m0 = 1.0 + less
        jumps = (less - 1j * z * mean) * t
        gradient = (
            *diffusion_gradient(self, z, r, s),
            jumps,
            self.lam * t * 1j * z * (less - mean),
            self.lam * t * self.sigma_y * (-z * z * m0 - 1j * z * (1.0 + mean)),
        )
        return diffusion_log_cf(self, r) + self.lam * jumps, gradient

    def jumps(self, z: Frequencies, t: Real) -> Jumps:
        """See `AbstractFourierModel.jumps`."""
        return normal_jumps(self, self.heston.log_cf(z, t), z, t)

    def strip(self, t: Real) -> Strip:
        """Heston's strip, because normal jumps have every moment."""
        return self.heston.strip(t)

    def total_variance(self, t: Real) -> Real:
        """Heston's total variance plus lam E[Y^2] t."""
        return self.heston.total_variance(t) + self.lam * (self.mu_y**2 + self.sigma_y**2) * t
