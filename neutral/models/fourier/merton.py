"""Merton (1976): lognormal forward with compensated lognormal jumps."""

from typing import ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from ...numerics import complex_math as cm
from ...typing import Frequencies, Real, Scalar
from ..base import AbstractFourierModel, Jumps, Strip
from ..parameters import Positive, Unbounded, param
from .black import gaussian_log_cf

_LARGEST = 80.0  # cap on the log of a moment: its exponential is finite, also in single precision


@runtime_checkable
class HasJumps(Protocol):
    """A model with normal log jumps."""

    lam: Scalar
    mu_y: Scalar
    sigma_y: Scalar


class Merton(AbstractFourierModel):
    """Jump diffusion with normal log jumps (Merton 1976).

    dF/F = sigma dW + (e^Y - 1) dN - lam E[e^Y - 1] dt, Y ~ N(mu_y, sigma_y^2), N Poisson of rate lam.
    Papers also write mu_J and delta for mu_y and sigma_y. mu_y is the mean log jump, not the mean relative
    jump. Equation numbers refer to docs/mathematics.md.
    """

    sigma: Scalar = param(Positive(), "diffusion volatility, 1/sqrt(yr)", (0.0, 10.0))
    lam: Scalar = param(Positive(), "jump intensity, 1/yr", (0.0, 50.0))
    mu_y: Scalar = param(Unbounded(), "mean log jump of the forward", (-5.0, 5.0))
    sigma_y: Scalar = param(Positive(), "standard deviation of the log jump", (0.0, 5.0))

    _typical: ClassVar = {"sigma": 0.2, "lam": 0.5, "mu_y": -0.1, "sigma_y": 0.15}

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """Gaussian part plus lam t (E[e^{izY}] - 1 - i z E[e^Y - 1]), (27)."""
        jumps = compensated_jumps(z, self.mu_y, self.sigma_y)
        return gaussian_log_cf(z, self.sigma**2 * t) + self.lam * t * jumps

    def jumps(self, z: Frequencies, t: Real) -> Jumps:
        """See `AbstractFourierModel.jumps`."""
        return normal_jumps(self, gaussian_log_cf(z, self.sigma**2 * t), z, t)

    def strip(self, t: Real) -> Strip:
        """The whole line, because every moment is finite."""
        return jnp.full_like(t, -jnp.inf), jnp.full_like(t, jnp.inf)

    def total_variance(self, t: Real) -> Real:
        """Expected quadratic variation (sigma^2 + lam E[Y^2]) t."""
        return (self.sigma**2 + self.lam * (self.mu_y**2 + self.sigma_y**2)) * t


def jump_exponent(z: Frequencies, mu_y: Scalar, sigma_y: Scalar) -> Frequencies:
    """Logarithm of E[e^{izY}] for a normal log jump Y; so far up the axis that it overflows, it is capped."""
    exponent = z * (1j * mu_y - 0.5 * sigma_y**2 * z)
    # an intensity of 0 times infinity would not be a number
    return jax.lax.complex(jnp.minimum(jnp.real(exponent), _LARGEST), jnp.imag(exponent))


def normal_jumps(model: HasJumps, diffusion: Frequencies, z: Frequencies, t: Real) -> Jumps:
    """The parts of `AbstractFourierModel.jumps` for normal log jumps and a given log_cf without jumps."""
    expected = model.lam * t
    compensator = expected * (1.0 + 1j * z * jump_mean(model.mu_y, model.sigma_y))
    return Jumps(diffusion - compensator, expected, jump_exponent(z, model.mu_y, model.sigma_y))


def compensated_jumps(z: Frequencies, mu_y: Scalar, sigma_y: Scalar) -> Frequencies:
    """Value of E[e^{izY}] - 1 - i z E[e^Y - 1] for a normal log jump, by (28); small z lose no digits."""
    return cm.expm1(jump_exponent(z, mu_y, sigma_y)) - 1j * z * jump_mean(mu_y, sigma_y)


def jump_mean(mu_y: Scalar, sigma_y: Scalar) -> Real:
    """Mean relative jump E[e^Y - 1] of a normal log jump."""
    return jnp.expm1(mu_y + 0.5 * sigma_y**2)
