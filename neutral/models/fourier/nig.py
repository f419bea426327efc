"""NIG (Barndorff-Nielsen 1997): the normal inverse Gaussian process."""

from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np

from ...numerics import complex_math as cm
from ...typing import Flags, Frequencies, Real, Scalar
from ..base import AbstractFourierModel, AbstractModel, Strip, require_finite_mean
from ..parameters import Positive, Unbounded, param
from ..starts import Level, ParameterValues

_STEEP = (
    500.0  # alpha at which the model prices as Black: log returns have an excess kurtosis of 3/(alpha^2 w)
)


class NIG(AbstractFourierModel):
    """Brownian motion with drift on an inverse Gaussian clock (Barndorff-Nielsen 1997).

    X_t - omega t has the law NIG(alpha, beta, delta t, 0), where omega makes e^X a martingale. The model
    needs |beta| < alpha and |beta + 1| <= alpha, since otherwise E[F_T] is infinite. As alpha and delta go to
    infinity with delta/alpha = sigma^2, it becomes Black's model. Equation numbers refer to
    docs/mathematics.md.
    """

    alpha: Scalar = param(Positive(), "steepness of the tails", (0.0, 1e3))
    beta: Scalar = param(Unbounded(), "asymmetry of the tails", (-500.0, 500.0))
    delta: Scalar = param(Positive(), "scale, 1/yr", (0.0, 1e3))

    _typical: ClassVar = {"alpha": 15.0, "beta": -5.0, "delta": 0.5}

    def _check_joint(self) -> None:
        rule = "NIG needs |beta| < alpha and |beta + 1| <= alpha: raise alpha or move beta towards -1/2"
        alpha = np.asarray(self.alpha)
        beta = np.asarray(self.beta)
        require_finite_mean((abs(beta) < alpha) & (abs(beta + 1.0) <= alpha), self, rule)

    @classmethod
    def from_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Map to alpha = 1/2 + sqrt(free^2 + (beta + 1/2)^2), which is smooth and admissible for any beta."""
        middle = values["beta"] + 0.5
        return values | {"alpha": 0.5 + jnp.sqrt(values["alpha"] ** 2 + middle**2)}

    @classmethod
    def to_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `from_free`: the free value is sqrt((alpha + beta)(alpha - beta - 1))."""
        alpha = values["alpha"]
        beta = values["beta"]
        return values | {"alpha": jnp.sqrt((alpha + beta) * (alpha - beta - 1.0))}

    @classmethod
    def starts(cls, level: Level) -> list[ParameterValues]:
        """Two starts with the market's variance and beta/alpha = -0.3: with thin tails and with fat ones."""
        starts: list[ParameterValues] = []
        for steepness in (4.0, 1.0):  # delta sqrt(alpha^2 - beta^2) t
            gamma = jnp.sqrt(steepness / (0.91 * level.time * level.mean)) + 1.5
            alpha = gamma / jnp.sqrt(0.91)
            starts.append({"alpha": alpha, "beta": -0.3 * alpha, "delta": 0.91 * level.mean * gamma})
        return starts

    @classmethod
    def search_box(cls, level: Level) -> dict[str, tuple[Real | float, Real | float]]:
        """Every parameter is searched around its starting value."""
        return {}

    @classmethod
    def nested_from(cls, simpler: AbstractModel) -> ParameterValues:
        """Tails so steep that the model prices as Black's with the simpler model's constant volatility."""
        values = super().nested_from(simpler)
        if "sigma" not in values:
            return values
        alpha = jnp.full_like(values["sigma"], _STEEP)
        return {"alpha": alpha, "beta": -0.5 * jnp.ones_like(alpha), "delta": values["sigma"] ** 2 * alpha}

    def is_admissible(self) -> Flags:
        """Whether the parameters lie in their domains and the forward is finite."""
        inside = (jnp.abs(self.beta) < self.alpha) & (jnp.abs(self.beta + 1.0) <= self.alpha)
        return super().is_admissible() & jnp.all(inside)

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Log characteristic function (38), delta t (g(0) - g(z)) plus the drift that makes e^X a martingale.

        With g(z)^2 = alpha^2 - (beta + iz)^2, the difference of roots is rationalised.
        """
        unit = jnp.asarray(-1j, z.dtype)
        return self.delta * t * 1j * z * (self._mu(z) - self._mu(unit))

    def _mu(self, z: Frequencies) -> Frequencies:
        """The mu(z) of (38), (2 beta + iz)/(g(0) + g(z))."""
        iz = 1j * z
        root = cm.sqrt((self.alpha - self.beta - iz) * (self.alpha + self.beta + iz))
        at_zero = cm.sqrt((self.alpha - self.beta) * (self.alpha + self.beta) + 0j)
        return (2.0 * self.beta + iz) * cm.reciprocal(at_zero + root)

    def strip(self, t: Real) -> Strip:
        """The strip, which reaches from -(alpha + beta) to alpha - beta at every maturity."""
        ones = jnp.ones_like(t)
        return -(self.alpha + self.beta) * ones, (self.alpha - self.beta) * ones

    def total_variance(self, t: Real) -> Real:
        """Variance delta alpha^2 t/(alpha^2 - beta^2)^{3/2}."""
        return self.delta * self.alpha**2 * ((self.alpha - self.beta) * (self.alpha + self.beta)) ** -1.5 * t
