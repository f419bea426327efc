"""Starting values of a calibration in terms of the market's variance at the money."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp

from ..typing import Real

ParameterValues = dict[str, Real | float]
"""Values of parameters by name."""

MOST_SIGMA_V = 3.0
"""Largest volatility of variance at a start; a fit that needs more reaches it from there."""


class Level(NamedTuple):
    """Variance at the money of one surface, per year, and its mean maturity.

    Attributes:
        near: Variance at the shortest maturity, 1/yr, shape ().
        far: Variance at the longest maturity, 1/yr, shape ().
        mean: Mean variance over maturities, 1/yr, shape ().
        time: Mean maturity, yr, shape ().
    """

    near: Real
    far: Real
    mean: Real
    time: Real


@dataclasses.dataclass(frozen=True)
class Guess:
    """A starting point of diffusion, stochastic variance and jumps, relative to the market's variance.

    Attributes:
        share: Variance of the diffusion over the market's variance.
        kappa: Mean-reversion speed, 1/yr.
        sigma_v: Volatility of variance over the root of the market's mean variance.
        rho: Correlation of forward and variance.
        lam: Jump intensity, 1/yr.
        mu_y: Mean log jump over the root of the market's mean variance.
        sigma_y: Standard deviation of the log jump over the root of the market's mean variance.
        mu_v: Mean variance jump over the market's mean variance.
        rho_j: Slope of the log jump in the variance jump, yr.
    """

    share: float = 1.0
    kappa: float = 3.0
    sigma_v: float = 2.0
    rho: float = -0.4
    lam: float = 0.3
    mu_y: float = -0.2
    sigma_y: float = 0.4
    mu_v: float = 0.3
    rho_j: float = -0.1

    def values(self, level: Level, most_sigma_v: float = MOST_SIGMA_V) -> ParameterValues:
        """Parameters under their standard names.

        Args:
            level: Variance at the money of the surface.
            most_sigma_v: Upper limit of the volatility of variance.

        Returns:
            Values by parameter name, in natural units; a model takes those that it has.
        """
        root = jnp.sqrt(level.mean)
        return {
            "sigma": jnp.sqrt(self.share) * root,
            "v0": self.share * level.near,
            "theta": self.share * level.far,
            "kappa": self.kappa,
            "sigma_v": jnp.minimum(self.sigma_v * root, most_sigma_v),
            "rho": self.rho,
            "lam": self.lam,
            "mu_y": self.mu_y * root,
            "sigma_y": self.sigma_y * root,
            "mu_v": self.mu_v * level.mean,
            "rho_j": self.rho_j,
        }


SMALLEST = Guess(0.1, 0.5, sigma_v=0.3, rho=-0.9, lam=0.05, mu_y=-1.0, sigma_y=0.03, mu_v=0.05, rho_j=-2.0)
"""Lower corner of the box in which a global search begins."""

LARGEST = Guess(1.5, 30.0, sigma_v=30.0, rho=0.5, lam=40.0, mu_y=0.5, sigma_y=1.0, mu_v=5.0, rho_j=1.0)
"""Upper corner of that box. Here rho_j is the free value of `SVCJ.from_free`, which has no upper limit."""
