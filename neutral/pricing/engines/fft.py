"""The transform of Carr and Madan (1999): its grids, its integrand's factors, plain and fractional FFT."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...typing import Flags, Frequencies, Real
from .base import like


class FrequencyPlan(NamedTuple):
    """The grids of the transform of each maturity, shape (..., T); derivatives treat them as constants."""

    eta: Real  # distance between frequencies
    spacing: Real  # distance between log strikes
    start: Real  # lowest log strike
    alpha: Real  # damping: -0.5 where that of the engine's setting is not admissible
    stdev: Real  # total standard deviation of the control variate
    refused: Flags  # whether the damping of the engine's setting is not admissible


def transform(x: Frequencies, v: Real, plan: FrequencyPlan, strikes: int, fractional: bool) -> Real:
    """Re sum_j x_j e^{-i v_j k_u} on the grid of log strikes k_u.

    Args:
        x: Terms, shape (..., T, N).
        v: Frequencies, of the shape of x or broadcasting against it.
        plan: The grids, shape (..., T).
        strikes: Number of log strikes U.
        fractional: Whether eta and spacing are free, instead of tied as for a plain FFT.

    Returns:
        Shape (..., T, U).
    """
    y = x * _turn(-plan.start[..., None] * v)
    return _convolved(y, plan, strikes) if fractional else jnp.real(jnp.fft.fft(y, n=strikes))


def _convolved(y: Frequencies, plan: FrequencyPlan, strikes: int) -> Real:
    """Re sum_j y_j e^{-i j u eta spacing} for every u, as a convolution (Bluestein 1970).

    The identity 2ju = j^2 + u^2 - (u - j)^2 turns the sum into a convolution, which takes three transforms
    (Bailey and Swarztrauber 1991).
    """
    n = y.shape[-1]
    half = 0.5 * (plan.eta * plan.spacing)[..., None]
    j = like(np.arange(n), plan.eta)
    u = like(np.arange(strikes), plan.eta)
    lag = like(np.arange(1 - n, strikes), plan.eta)
    length = 1 << (n + strikes - 2).bit_length()
    chirp = jnp.fft.fft(_turn(half * lag * lag), n=length)
    product = jnp.fft.ifft(jnp.fft.fft(y * _turn(-half * j * j), n=length) * chirp)
    return jnp.real(_turn(-half * u * u) * product[..., n - 1 : n - 1 + strikes])


def damped_line(v: Real, plan: FrequencyPlan) -> Frequencies:
    """The points v - i (alpha + 1) at which the characteristic function is needed, shape of v."""
    return jax.lax.complex(v, jnp.broadcast_to(-(1.0 + plan.alpha[..., None]), v.shape))


def kernel(v: Real, plan: FrequencyPlan) -> Frequencies:
    """The factor 1 / ((alpha + iv)(alpha + 1 + iv)) of the integrand, Carr and Madan (1999), section 3.1."""
    alpha = plan.alpha[..., None]
    return 1.0 / ((alpha + 1j * v) * (alpha + 1.0 + 1j * v))


def black_cf(z: Frequencies, plan: FrequencyPlan) -> Frequencies:
    """Characteristic function of the control variate, a lognormal forward of mean 1."""
    return jnp.exp(-0.5 * z * (z + 1j) * plan.stdev[..., None] ** 2)


def simpson(n: int) -> np.ndarray:
    """Simpson's weights for n frequencies over the trapezoidal ones, Carr and Madan (1999), eq. (22)."""
    j = np.arange(n)
    return np.where(j % 2 == 1, 4.0, 2.0) / 3.0


def _turn(angle: Real) -> Frequencies:
    """The number e^{i angle}, shape of angle."""
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))


def largest_near(ghost: Real, k: Real, plan: FrequencyPlan) -> Real:
    """Largest |ghost| over the grid from 40 steps below the strikes to 40 above; shape (..., T, 1).

    The estimate is the largest of many values, because one value may vanish by chance. Strikes off the grid
    are refused elsewhere and do not count here.
    """
    count = ghost.shape[-1]
    position = (k - plan.start[..., None]) / plan.spacing[..., None]
    on = (position >= 0) & (position <= count - 1)
    first = jnp.min(jnp.where(on, position, count), axis=-1, keepdims=True) - 40.0
    last = jnp.max(jnp.where(on, position, 0.0), axis=-1, keepdims=True) + 40.0
    u = like(np.arange(count), plan.eta)
    near = (u >= first) & (u <= last)
    return jnp.max(jnp.where(near, jnp.abs(ghost), 0.0), axis=-1, keepdims=True)


def largest_around(ghost: Real) -> Real:
    """Largest |ghost| from 40 steps below each node of the grid to 40 above it, shape of ghost."""
    window = (1,) * (ghost.ndim - 1) + (81,)
    size = jnp.abs(jax.lax.stop_gradient(ghost))
    return jax.lax.reduce_window(size, -jnp.inf, jax.lax.max, window, (1,) * ghost.ndim, "SAME")
