"""`SSVI` with a power law and one correlation for all maturities (Gatheral and Jacquier 2014)."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...errors import ArgumentError
from ...models.parameters import Interval, Positive, as_parameter, param
from ...typing import Real, Scalar
from ..base import VolSurface
from ..certificate import Certificate
from ..essvi.slice import variance
from ..essvi.surface import ESSVI

if TYPE_CHECKING:
    import pandas as pd


class SSVI(VolSurface):
    """Surface of eSSVI smiles with theta(t), psi = theta phi(theta) and one rho, with a power law for phi.

    The power law is phi = eta / (theta^gamma (1 + theta)^(1 - gamma)). theta(t) is linear between expiries,
    from 0 at t = 0, and continues its last growth after the last expiry. If gamma is in (0, 1/2],
    eta (1 + |rho|) <= 2 and theta does not fall, the surface is free of static arbitrage at all k and t
    (Gatheral and Jacquier 2014, remark 4.4).

    Attributes:
        expiries: Expiries in years, ascending, > 0, (T,).
        theta: Total variance at the money at the expiries, > 0, (T,).
    """

    expiries: Any = eqx.field(converter=as_parameter)
    theta: Any = eqx.field(converter=as_parameter)
    rho: Scalar = param(Interval(-1.0, 1.0), "tilt of all smiles")
    eta: Scalar = param(Positive(), "curvature")
    gamma: Scalar = param(Interval(0.0, 1.0), "decay of curvature with total variance")

    def __check_init__(self) -> None:
        """Raise an error if the fields do not define a surface; traced numbers are not checked."""
        t = self.expiries
        theta = self.theta
        if np.ndim(t) != 1 or np.shape(t) != np.shape(theta):
            raise ArgumentError(
                f"expiries and theta must have one shape (T,), got {np.shape(t)} and {np.shape(theta)}."
            )
        if isinstance(t, Tracer) or isinstance(theta, Tracer):
            return
        t = np.asarray(t)
        theta = np.asarray(theta)
        if not (np.all(np.diff(t) > 0) and np.all(t > 0) and np.all(theta > 0)):
            raise ArgumentError("SSVI: expiries must be positive and ascend, and theta must be above 0.")

    def psi(self, theta: Real) -> Real:
        """Compute psi = theta phi(theta)."""
        return self.eta * (theta / (1.0 + theta)) ** (1.0 - self.gamma)

    def variance_at(self, k: Real, t: Real) -> Real:
        """See `VolSurface.variance_at`."""
        at, theta = (jnp.append(0.0, jnp.asarray(x, jnp.float64)) for x in (self.expiries, self.theta))
        i = jnp.clip(jnp.searchsorted(at, t, side="right") - 1, 0, at.size - 2)
        level = theta[i] + (t - at[i]) / (at[i + 1] - at[i]) * (theta[i + 1] - theta[i])
        return variance(k, level, self.psi(level), self.rho)

    def smiles(self) -> ESSVI:
        """Return the smiles at the expiries as an `ESSVI`, which interpolates between them differently."""
        theta = jnp.asarray(self.theta, jnp.float64)
        return ESSVI(
            expiries=self.expiries,
            theta=theta,
            psi=self.psi(theta),
            rho=jnp.broadcast_to(self.rho, theta.shape),
        )

    def to_frame(self) -> "pd.DataFrame":
        """Return a table of the smiles at the expiries, with the columns of `ESSVI.to_frame`."""
        return self.smiles().to_frame()

    @property
    def certificate(self) -> Certificate:
        """Exact tests of the smiles at the expiries and of their neighbours; `between` tests `smiles()`."""
        return self.smiles().certificate
