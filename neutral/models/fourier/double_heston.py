"""Double Heston (Christoffersen, Heston and Jacobs 2009): two independent square-root variances."""

from typing import Any, ClassVar

import jax.numpy as jnp

from ...typing import Flags, Frequencies, Real, Scalar
from ..base import AbstractFourierModel, AbstractModel, Gradient, Strip, hand_differentiated
from ..parameters import Interval, Positive, param
from ..starts import MOST_SIGMA_V, Level, ParameterValues
from .heston import Heston
from .riccati import explosion_time, moment_strip


class DoubleHeston(AbstractFourierModel):
    """Two independent square-root variances (Christoffersen, Heston and Jacobs 2009).

    dF/F = sqrt(v1) dW1 + sqrt(v2) dW2, where each v is a variance as in Heston. An exchange of the two
    factors leaves all prices as they are, so calibration keeps kappa1 >= kappa2: the first factor is the fast
    one. Equation numbers refer to docs/mathematics.md.
    """

    v01: Scalar = param(Positive(), "spot variance, first factor, 1/yr", (0.0, 10.0))
    kappa1: Scalar = param(Positive(), "mean-reversion speed, first factor, 1/yr", (0.0, 50.0))
    theta1: Scalar = param(Positive(), "long-run variance, first factor, 1/yr", (0.0, 10.0))
    sigma_v1: Scalar = param(Positive(), "volatility of variance, first factor, 1/yr", (0.0, 20.0))
    rho1: Scalar = param(Interval(-1.0, 1.0), "correlation of forward and first variance")
    v02: Scalar = param(Positive(), "spot variance, second factor, 1/yr", (0.0, 10.0))
    kappa2: Scalar = param(Positive(), "mean-reversion speed, second factor, 1/yr", (0.0, 50.0))
    theta2: Scalar = param(Positive(), "long-run variance, second factor, 1/yr", (0.0, 10.0))
    sigma_v2: Scalar = param(Positive(), "volatility of variance, second factor, 1/yr", (0.0, 20.0))
    rho2: Scalar = param(Interval(-1.0, 1.0), "correlation of forward and second variance")

    _typical: ClassVar = {
        "v01": 0.02,
        "kappa1": 6.0,
        "theta1": 0.02,
        "sigma_v1": 0.8,
        "rho1": -0.7,
        "v02": 0.02,
        "kappa2": 0.5,
        "theta2": 0.03,
        "sigma_v2": 0.3,
        "rho2": -0.5,
    }

    @classmethod
    def from_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Map to kappa1 = free + kappa2, so that the first factor is the faster one."""
        return values | {"kappa1": values["kappa1"] + values["kappa2"]}

    @classmethod
    def to_free(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Inverse of `from_free`; it first exchanges the factors where the second is the faster one."""
        ordered = values["kappa1"] >= values["kappa2"]
        names = [name[:-1] for name in values if name.endswith("1")]
        result = dict(values)
        for name in names:
            first = values[f"{name}1"]
            second = values[f"{name}2"]
            result[f"{name}1"] = jnp.where(ordered, first, second)
            result[f"{name}2"] = jnp.where(ordered, second, first)
        return result | {"kappa1": result["kappa1"] - result["kappa2"]}

    @classmethod
    def starts(cls, level: Level) -> list[ParameterValues]:
        """Two starts, each with a fast and a slow factor that share the variance equally."""
        root = jnp.sqrt(level.mean)
        half: ParameterValues = {"v01": 0.5 * level.near, "v02": 0.5 * level.near}
        half |= {"theta1": 0.5 * level.far, "theta2": 0.5 * level.far}
        apart = {"kappa1": 8.0, "sigma_v1": jnp.minimum(4.0 * root, MOST_SIGMA_V), "rho1": -0.4}
        apart |= {"kappa2": 0.8, "sigma_v2": 1.0 * root, "rho2": -0.6}
        slower = {"kappa1": 3.0, "sigma_v1": jnp.minimum(2.0 * root, MOST_SIGMA_V), "rho1": -0.7}
        slower |= {"kappa2": 0.3, "sigma_v2": 0.5 * root, "rho2": -0.3}
        return [half | apart, half | slower]

    @classmethod
    def search_box(cls, level: Level) -> dict[str, tuple[Real | float, Real | float]]:
        """Every parameter is searched around its starting value."""
        return {}

    @classmethod
    def nested_from(cls, simpler: AbstractModel) -> ParameterValues:
        """Give the first factor the variance of Heston, and the second factor no variance."""
        values = super().nested_from(simpler)
        if "v0" not in values:
            return values
        first = {f"{name}1": value for name, value in values.items()}
        return values | first | {"v02": 0.0, "theta2": 0.0}

    @property
    def factors(self) -> tuple[Heston, Heston]:
        """The Heston models of the two variances."""
        first = Heston(self.v01, self.kappa1, self.theta1, self.sigma_v1, self.rho1)
        return first, Heston(self.v02, self.kappa2, self.theta2, self.sigma_v2, self.rho2)

    @hand_differentiated
    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """The sum of (14) over both factors."""
        first, second = self.factors
        return first.log_cf(z, t) + second.log_cf(z, t)

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The value of log_cf with the parameter derivatives (24) of both factors."""
        (psi1, slopes1), (psi2, slopes2) = (factor.log_cf_and_gradient(z, t) for factor in self.factors)
        return psi1 + psi2, (*slopes1, *slopes2)

    def strip(self, t: Real) -> Strip:
        """Orders between which the moments of both factors are finite."""

        def finite(a: Real) -> Flags:
            times = [explosion_time(f.kappa, f.sigma_v, f.rho, a) for f in self.factors]
            return jnp.minimum(*times) > t

        return moment_strip(finite, t)

    def total_variance(self, t: Real) -> Real:
        """The sum of both factors' total variances."""
        first, second = self.factors
        return first.total_variance(t) + second.total_variance(t)
