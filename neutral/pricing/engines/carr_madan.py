"""The fast Fourier transform over a grid of strikes (Carr and Madan 1999), plain or fractional."""

from typing import Literal, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...models import AbstractFourierModel
from ...numerics.buckets import call_on_grid
from ...numerics.materialise import materialise
from ...numerics.spline import degree_of, interpolate, interpolation_error, symbol
from ...options import black
from ...typing import Flags, Frequencies, Real
from .base import AbstractEngine, Quadrature, beyond, like, reached

_SAFE = -0.5  # a damping that every model admits: moments between 0 and 1 are finite
_REACH = 126.0  # v_max of the scaled grid, in 1/stdev: 20 strikes to a standard deviation


class CarrMadanGrid(NamedTuple):
    """Constants of differentiation, one per maturity: shape (..., maturities)."""

    eta: Real  # distance of the frequencies
    spacing: Real  # distance of the log strikes
    start: Real  # the lowest log strike
    alpha: Real  # the damping used: a harmless one where the engine's own is not admissible
    stdev: Real  # of the control
    refused: Flags


class CarrMadan(AbstractEngine):
    """Prices on a grid of log strikes by one FFT per maturity (Carr and Madan 1999), interpolated in between.

    e^{alpha k} c(k) = (1/pi) Re int_0^inf e^{-ivk} phi(v - i(alpha + 1)) / ((alpha + iv)(alpha + 1 + iv)) dv.
    The moment of order alpha + 1 must be finite: where it is not, the maturity is refused. An alpha between
    -1 and 0 (the covered call) always exists; below -1 the integral is the put.

    By default frequencies are scaled per maturity and a Black control variate (Andersen and Andreasen 2002)
    leaves the transform the difference to Black alone, which decays towards both ends of the grid.
    `classic()` is the setting of the paper.
    """

    N: int = eqx.field(static=True, default=1024)
    """Strikes of the grid. Frequencies too where eta is given; half as many where it is scaled, as no
    interpolation can use what lies beyond the grid's highest frequency."""
    alpha: float = eqx.field(static=True, default=1.5)
    """Damping, neither 0 nor -1."""
    eta: float | None = eqx.field(static=True, default=None)
    """Distance of the frequencies; None: scaled to the standard deviation of each maturity."""
    weights: Literal["trapezoid", "simpson"] = eqx.field(static=True, default="trapezoid")
    """The trapezoidal rule converges geometrically; Simpson's only halves its period."""
    interpolation: Literal["linear", "cubic", "quintic"] = eqx.field(static=True, default="quintic")
    """Linear in the strike, or a spline of the damped price in the log strike."""
    fractional: bool = eqx.field(static=True, default=False)
    """Fractional FFT (Chourdakis 2004): the grid spans the strikes asked for, whatever eta."""
    control: bool = eqx.field(static=True, default=True)
    """Transform the difference to Black's price."""
    tolerance: float = eqx.field(static=True, default=1e-8)

    def __check_init__(self) -> None:
        """Refuse what no model admits."""
        least = 2 * (degree_of(self.interpolation) + 1)
        if not (isinstance(self.N, int) and self.N >= least):
            raise ArgumentError(f"CarrMadan.N must be a whole number, at least {least}, got {self.N!r}.")
        if self.weights not in ("trapezoid", "simpson"):
            raise ArgumentError(f"CarrMadan.weights must be 'trapezoid' or 'simpson', got {self.weights!r}.")
        if self.weights == "simpson" and self.N % 2:
            raise ArgumentError(f"Simpson's rule needs an even N, got {self.N}: take {self.N + 1}.")
        if not np.isfinite(self.alpha) or self.alpha in (0.0, -1.0):
            raise ArgumentError(
                f"CarrMadan.alpha must be finite and neither 0 nor -1, the poles of the transform, "
                f"got {self.alpha}: 1.5 is usual, -0.5 always admissible."
            )
        if self.eta is not None and not (np.isfinite(self.eta) and self.eta > 0):
            raise ArgumentError(f"CarrMadan.eta must be finite and > 0, or None, got {self.eta}.")

    @classmethod
    def classic(cls) -> Self:
        """The paper's own setting, for comparison: its interpolation errs by 1e-4 of the forward and more."""
        return cls(N=4096, alpha=1.5, eta=0.1, weights="simpson", interpolation="linear", control=False)

    def prepare(self, model: AbstractFourierModel, t: np.ndarray) -> Self:
        """Refuse a damping that leaves the strip at any of the maturities.

        Raises:
            ArgumentError: names an admissible alpha.
        """
        if -1.0 < self.alpha < 0.0:
            return self
        low, high = (np.asarray(x) for x in call_on_grid(lambda t: _strip(model, t), (t,), 1))
        order = 1.0 + self.alpha
        bad = np.ravel(~((low < order) & (order < high)))
        if np.any(bad):
            first = int(np.argmax(bad))
            years, below, above = (float(np.ravel(x)[first]) for x in (t, low, high))
            better = 0.5 * (above - 1.0) if self.alpha > 0 else 0.5 * below - 1.0
            raise ArgumentError(
                f"alpha = {self.alpha} needs a finite moment of order {order:.6g}, but at maturity "
                f"{years:.6g} only orders from {below:.6g} to {above:.6g} are finite: take "
                f"alpha = {better:.3g}, or -0.5, which is always admissible."
            )
        return self

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> CarrMadanGrid:
        """Lay frequencies and log strikes; find out whether the damping is admissible."""
        model, k, t = jax.lax.stop_gradient((model, k, t))
        stdev = jnp.sqrt(jnp.maximum(model.expand(1).total_variance(t), 1e-300))
        eta = _REACH / (self.N * stdev) if self.eta is None else jnp.full_like(stdev, self.eta)
        lowest, highest = jnp.min(k, axis=-1), jnp.max(k, axis=-1)
        if self.fractional:
            # a stencil of 6 must fit around every strike; one strike alone still needs a grid
            span = jnp.maximum(highest - lowest, 1e-2 * stdev)
            spacing = span / (self.N - 2.0 * degree_of(self.interpolation))
        else:
            spacing = 2.0 * jnp.pi / (self.N * eta)
            # one strike far away does not pull the grid from under the others
            quarter = 0.25 * self.N * spacing
            lowest, highest = jnp.clip(lowest, -quarter, quarter), jnp.clip(highest, -quarter, quarter)
        start = 0.5 * (lowest + highest) - 0.5 * self.N * spacing
        low, high = model.expand(1).strip(t)
        refused = ~((low < 1.0 + self.alpha) & (1.0 + self.alpha < high))
        alpha = jnp.where(refused, _SAFE, self.alpha)
        return CarrMadanGrid(eta, spacing, start, alpha, stdev, refused)

    def otm(
        self, model: AbstractFourierModel, k: Real, t: Real, plan: CarrMadanGrid | None = None
    ) -> Quadrature:
        """See `AbstractEngine.otm`; nan where damping or strike are refused. Leading axes are welcome."""
        grid = self.plan(model, k, t) if plan is None else plan
        v, x, tail = self._integrand(model, t, grid)
        theta = v * grid.spacing[..., None]
        weighted = x * like(_simpson(x.shape[-1]), t) if self.weights == "simpson" else x
        damped = self._transform(weighted / symbol(theta, self.interpolation), v, grid)
        value, inside = interpolate(damped, k, grid.start, grid.spacing, grid.alpha, self.interpolation)
        scale = jnp.exp(-grid.alpha[..., None] * k)
        error = scale * (self._error(x, theta, v, tail, grid) + self._images(x, v, k, grid))
        value = self._base(k, grid) + scale * value
        return reached(value, error, k, inside & ~grid.refused[..., None])

    def _integrand(
        self, model: AbstractFourierModel, t: Real, grid: CarrMadanGrid
    ) -> tuple[Real, Frequencies, Real]:
        """Frequencies, integrand times trapezoidal weight / pi, shape (..., T, n), and the tail beyond."""
        n = self.N if self.eta is not None else self.N // 2
        v = like(beyond(n, 8, 3), grid.eta) * grid.eta[..., None]
        alpha = grid.alpha[..., None]
        z = jax.lax.complex(v, jnp.broadcast_to(-(1.0 + alpha), v.shape))
        phi = jnp.exp(materialise(model.expand(2).log_cf(z, t[..., None])))
        control = jnp.exp(-0.5 * z * (z + 1j) * grid.stdev[..., None] ** 2) if self.control else 0.0 * phi
        kernel = 1.0 / ((alpha + 1j * v) * (alpha + 1.0 + 1j * v))
        size = (jnp.abs(phi) + jnp.abs(control)) * jnp.abs(kernel) * v / jnp.pi
        x = ((phi - control) * kernel)[..., :n] * grid.eta[..., None] / jnp.pi
        x = jnp.concatenate([0.5 * x[..., :1], x[..., 1:]], axis=-1)
        return v[..., :n], x, jnp.max(size[..., n - 1 :], axis=-1)

    def _transform(self, x: Frequencies, v: Real, grid: CarrMadanGrid) -> Real:
        """Re sum_j x_j e^{-i v_j k_u} on the grid of log strikes k_u, shape (..., T, N)."""
        start, n = grid.start[..., None], x.shape[-1]
        y = x * _turn(-start * v)
        if not self.fractional:
            return jnp.real(jnp.fft.fft(y, n=self.N))
        # 2ju = j^2 + u^2 - (u - j)^2 makes the sum a convolution (Bluestein 1970)
        half = 0.5 * (grid.eta * grid.spacing)[..., None]
        j, u, lag = (like(np.arange(a, b), grid.eta) for a, b in ((0, n), (0, self.N), (1 - n, self.N)))
        length = 1 << (n + self.N - 2).bit_length()
        spectrum = jnp.fft.fft(y * _turn(-half * j * j), n=length) * jnp.fft.fft(
            _turn(half * lag * lag), n=length
        )
        return jnp.real(_turn(-half * u * u) * jnp.fft.ifft(spectrum)[..., n - 1 : n - 1 + self.N])

    def _base(self, k: Real, grid: CarrMadanGrid) -> Real:
        """What the transform lacks of the out-of-the-money price: the control, or residues and parity."""
        if self.control:
            return black.price(k, grid.stdev[..., None], is_call=k >= 0)
        alpha = grid.alpha[..., None]
        residue = jnp.where(alpha > 0, 0.0, jnp.where(alpha > -1, 1.0, -jnp.expm1(k)))
        # `where`, not `minimum`: at k = 0 the derivative is the call's
        return residue + jnp.expm1(jnp.where(k < 0, k, 0.0))

    def _error(self, x: Frequencies, theta: Real, v: Real, tail: Real, grid: CarrMadanGrid) -> Real:
        """Interpolation, the tail beyond the last frequency, and rounding; per maturity, damped."""
        size = jnp.abs(x)
        between = interpolation_error(theta, v, grid.alpha[..., None], self.interpolation)
        rounding = 4.0 * jnp.finfo(theta.dtype).eps
        return (jnp.sum(size * (between + rounding), axis=-1) + tail)[..., None]

    def _images(self, x: Frequencies, v: Real, k: Real, grid: CarrMadanGrid) -> Real:
        """What the images of the price add near the strikes; shape (..., T, 1).

        The images lie one period away and further. The rule with twice the step, from which this one differs
        by alternating signs, sees them at half the distance. A faster decay is not assumed: a rare jump may
        be all there is at either place.
        """
        signs = np.where(np.arange(v.shape[-1]) % 2 == 0, 1.0, -1.0)
        ghost = self._transform(x * like(signs, grid.eta), v, grid)
        return _largest_near(ghost, k, grid)


@eqx.filter_jit
def _strip(model: AbstractFourierModel, t: Real) -> tuple[Real, Real]:
    return model.expand(2).strip(t)


def _simpson(n: int) -> np.ndarray:
    """Simpson's weights for n frequencies in units of the trapezoidal ones: the paper's (22)."""
    j = np.arange(n)
    return np.where(j % 2 == 1, 4.0, 2.0) / 3.0


def _turn(angle: Real) -> Frequencies:
    return jax.lax.complex(jnp.cos(angle), jnp.sin(angle))


def _largest_near(ghost: Real, k: Real, grid: CarrMadanGrid) -> Real:
    """Largest |ghost| over the grid from 40 steps below the strikes to 40 above; shape (..., T, 1).

    One value may vanish by chance. Strikes off the grid are refused, and do not count.
    """
    count = ghost.shape[-1]
    position = (k - grid.start[..., None]) / grid.spacing[..., None]
    on = (position >= 0) & (position <= count - 1)
    first = jnp.min(jnp.where(on, position, count), axis=-1, keepdims=True) - 40.0
    last = jnp.max(jnp.where(on, position, 0.0), axis=-1, keepdims=True) + 40.0
    u = like(np.arange(count), grid.eta)
    near = (u >= first) & (u <= last)
    return jnp.max(jnp.where(near, jnp.abs(ghost), 0.0), axis=-1, keepdims=True)
