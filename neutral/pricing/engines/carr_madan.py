"""The fast Fourier transform over a grid of strikes (Carr and Madan 1999), plain or fractional."""

from typing import Literal, NamedTuple, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...models import AbstractFourierModel
from ...numerics.buckets import call_on_row
from ...numerics.compiled import compiled
from ...numerics.materialise import materialise
from ...numerics.spline import degree_of, interpolate, interpolation_error, symbol
from ...options import black
from ...options.terms import from_out_of_the_money
from ...typing import Flags, Frequencies, Real
from . import fft
from .base import AbstractGridEngine, Model, Quadrature, beyond, like, with_refusals
from .fft import FrequencyPlan
from .linear import split_rows, stack_rows, weighted

_SAFE = -0.5  # a damping that is admissible for every model, because moments between 0 and 1 are finite
_REACH = 126.0  # N eta of the scaled grid, in 1/stdev: it has 20 strikes per standard deviation
_SPAN = 10.0  # standard deviations to either side that `on_grid` covers with a fractional grid


class CarrMadanGrid(NamedTuple):
    """Constants of a whole calibration. Axes: any leading ones, maturities T, frequencies N, strikes K."""

    plan: FrequencyPlan  # (..., T)
    v: Real  # (..., T, N)
    z: Frequencies  # (..., T, N), v - i (alpha + 1)
    t: Real  # (..., T, 1)
    weight: Frequencies  # (..., T, N), what multiplies phi in the sum
    control: Frequencies  # (..., T, N), characteristic function of the control variate
    k: Real  # (..., T, K)
    scale: Real  # (..., T, K), e^{-alpha k}
    base: Real  # (..., T, K), out-of-the-money price less the transform


class PricesOnGrid(NamedTuple):
    """Normalised, undiscounted calls on the whole grid of an FFT; shape (..., T, N).

    A price without a correct digit, or of a maturity that is refused, is nan and has the error inf.
    """

    k: Real  # log(strike / forward), ascending
    price: Real  # call / (discount * forward)
    error: Real  # estimated error of the price


class CarrMadan(AbstractGridEngine[CarrMadanGrid]):
    """Prices on a grid of log strikes by one FFT per maturity (Carr and Madan 1999), interpolated in between.

    e^{alpha k} c(k) = (1/pi) Re int_0^inf e^{-ivk} phi(v - i(alpha + 1)) / ((alpha + iv)(alpha + 1 + iv)) dv,
    section 3.1 of the paper, for an undiscounted call at forward 1. The moment of order alpha + 1 must be
    finite; where it is not, the maturity is refused. An alpha between -1 and 0 (the covered call) is always
    admissible; below -1 the integral is the put.

    By default frequencies are scaled for each maturity, and only the difference to Black's price (a control
    variate, Andersen and Andreasen 2002) is transformed, which decays towards both ends of the grid.
    `classic()` is the setting of the paper.
    """

    N: int = eqx.field(static=True, default=1024)
    """Number of strikes of the grid. There are as many frequencies if eta is a number, and half as many if it
    is None, because the strikes of the grid cannot resolve higher frequencies."""
    alpha: float = eqx.field(static=True, default=1.5)
    """Damping, neither 0 nor -1."""
    eta: float | None = eqx.field(static=True, default=None)
    """Distance between frequencies; None scales it to the standard deviation of each maturity."""
    weights: Literal["trapezoid", "simpson"] = eqx.field(static=True, default="trapezoid")
    """Rule of the integral. The trapezoidal rule converges geometrically; Simpson's rule, that of the paper,
    only halves the period after which the images of the price return."""
    interpolation: Literal["linear", "cubic", "quintic"] = eqx.field(static=True, default="quintic")
    """Interpolation of prices: linear in the strike, or a spline of the damped price in the log strike."""
    fractional: bool = eqx.field(static=True, default=False)
    """Whether to use the fractional FFT (Chourdakis 2004), whose grid spans the strikes alone for any eta."""
    control: bool = eqx.field(static=True, default=True)
    """Whether to transform the difference to Black's price instead of the price."""
    tolerance: float = eqx.field(static=True, default=1e-8)
    """See `AbstractEngine.tolerance`."""

    def __check_init__(self) -> None:
        """Refuse settings with which no model can be priced."""
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
                f"got {self.alpha}; 1.5 is usual, and -0.5 is always admissible."
            )
        if self.eta is not None and not (np.isfinite(self.eta) and self.eta > 0):
            raise ArgumentError(f"CarrMadan.eta must be finite and > 0, or None, got {self.eta}.")

    @classmethod
    def classic(cls) -> Self:
        """The setting of the paper, for comparison; the error of its interpolation is 1e-4 and more."""
        return cls(N=4096, alpha=1.5, eta=0.1, weights="simpson", interpolation="linear", control=False)

    def prepare(self, model: AbstractFourierModel, t: np.ndarray) -> Self:
        """Refuse a damping that lies outside the strip of finite moments at any of the maturities.

        Raises:
            ArgumentError: the damping is not admissible; the message names one that is.
        """
        if -1.0 < self.alpha < 0.0:
            return self
        low, high = (np.asarray(x) for x in call_on_row(lambda t: _strip(model, t), (t,)))
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

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> FrequencyPlan:
        """Choose frequencies and log strikes by the model's standard deviation, and check the damping."""
        model, k, t = jax.lax.stop_gradient((model, k, t))
        stdev = jnp.sqrt(jnp.maximum(model.expand(1).total_variance(t), 1e-300))
        plan = self._plan(k, stdev)
        low, high = model.expand(1).strip(t)
        refused = ~((low < 1.0 + self.alpha) & (1.0 + self.alpha < high))
        return plan._replace(alpha=jnp.where(refused, _SAFE, self.alpha), refused=refused)

    def _plan(self, k: Real, stdev: Real) -> FrequencyPlan:
        """Frequencies and log strikes for k of shape (..., T, K), with the engine's own damping."""
        eta = _REACH / (self.N * stdev) if self.eta is None else jnp.full_like(stdev, self.eta)
        lowest = jnp.min(k, axis=-1)
        highest = jnp.max(k, axis=-1)
        if self.fractional:
            # the interpolation's stencil must fit around every strike, and a lone strike needs a span too
            span = jnp.maximum(highest - lowest, 1e-2 * stdev)
            spacing = span / (self.N - 2.0 * degree_of(self.interpolation))
        else:
            # for an FFT both distances must multiply to 2 pi / N (Carr and Madan 1999, section 4)
            spacing = 2.0 * jnp.pi / (self.N * eta)
            # one strike far away must not shift the grid so far that it misses the other strikes
            quarter = 0.25 * self.N * spacing
            lowest = jnp.clip(lowest, -quarter, quarter)
            highest = jnp.clip(highest, -quarter, quarter)
        return FrequencyPlan(
            eta=eta,
            spacing=spacing,
            start=0.5 * (lowest + highest) - 0.5 * self.N * spacing,
            alpha=jnp.full_like(stdev, self.alpha),
            stdev=stdev,
            refused=jnp.zeros(stdev.shape, bool),
        )

    def otm(
        self, model: AbstractFourierModel, k: Real, t: Real, plan: FrequencyPlan | None = None
    ) -> Quadrature:
        """See `AbstractEngine.otm`; nan where damping or strike is refused. Arrays may have leading axes."""
        plan = self.plan(model, k, t) if plan is None else plan
        v, x, tail = self._integrand(model, t, plan)
        theta = v * plan.spacing[..., None]
        rule = x * like(fft.simpson(x.shape[-1]), t) if self.weights == "simpson" else x
        damped = self._transform(rule / symbol(theta, self.interpolation), v, plan)
        value, inside = self._between(damped, k, plan)
        scale = jnp.exp(-plan.alpha[..., None] * k)
        error = scale * (self._error(x, theta, v, tail, plan) + self._images(x, v, k, plan))
        value = self._base(k, plan) + scale * value
        return with_refusals(value, error, k, inside & ~plan.refused[..., None])

    def on_grid(self, model: AbstractFourierModel, t: Real) -> PricesOnGrid:
        """Calls on the whole grid of log strikes, as the transform computes them, without interpolation.

        The grid is centred on the forward. It depends on the model through the total standard deviation,
        unless `eta` is a number. `jax.jit(jax.vmap(engine.on_grid, in_axes=(0, None)))` prices many models;
        on a CPU, leading axes on model and maturities do the same faster.

        Args:
            model: A model whose parameters have shape (...): scalars, or any leading axes.
            t: Maturities in years, > 0, shape (..., T).

        Returns:
            Log strikes, calls and their estimated errors, each of shape (..., T, N).
        """
        stdev = jnp.sqrt(jnp.maximum(jax.lax.stop_gradient(model.expand(1).total_variance(t)), 1e-300))
        plan = self.plan(model, stdev[..., None] * like(np.array([-_SPAN, _SPAN]), stdev), t)
        k = plan.start[..., None] + plan.spacing[..., None] * like(np.arange(self.N), stdev)
        v, x, tail = self._integrand(model, t, plan)
        rule = x * like(fft.simpson(x.shape[-1]), t) if self.weights == "simpson" else x
        scale = jnp.exp(-plan.alpha[..., None] * k)
        value = self._base(k, plan) + scale * self._transform(rule, v, plan)
        # prices at the nodes of the grid have no error of interpolation
        ghost = fft.largest_around(self._ghost(x, v, plan))
        error = scale * (self._error(x, jnp.zeros_like(v), v, tail, plan) + ghost)
        price, error = with_refusals(value, error, k, ~plan.refused[..., None])
        return PricesOnGrid(k, from_out_of_the_money(price, k, jnp.ones(k.shape, bool)), error)

    def grid(self, k: Real, t: Real, stdev: Real) -> CarrMadanGrid:
        """See `AbstractGridEngine.grid`."""
        plan = self._plan(*jax.lax.stop_gradient((k, stdev)))
        n = self._frequencies()
        v = like(np.arange(n), stdev) * plan.eta[..., None]
        z = fft.damped_line(v, plan)
        weight = fft.kernel(v, plan) * plan.eta[..., None] / jnp.pi
        weight = weight * like(np.where(np.arange(n) == 0, 0.5, 1.0), stdev)
        if self.weights == "simpson":
            weight = weight * like(fft.simpson(n), stdev)
        return CarrMadanGrid(
            plan=plan,
            v=v,
            z=z,
            t=t[..., None],
            weight=weight / symbol(v * plan.spacing[..., None], self.interpolation),
            control=fft.black_cf(z, plan) if self.control else jnp.zeros_like(z),
            k=k,
            scale=jnp.exp(-plan.alpha[..., None] * k),
            base=self._base(k, plan),
        )

    def prices(self, model: AbstractFourierModel, grid: CarrMadanGrid) -> Real:
        """See `AbstractGridEngine.prices`."""
        psi = materialise(model.expand(2).log_cf(grid.z, grid.t))
        change = weighted(psi, grid.weight) - grid.weight * grid.control
        return grid.base + self._sums(change[..., None, :], grid)[..., 0, :]

    def prices_and_jacobian(self, model: Model, grid: CarrMadanGrid) -> tuple[Real, Model]:
        """See `AbstractGridEngine.prices_and_jacobian`; one FFT per maturity and parameter."""
        psi, slopes = materialise(model.expand(2).log_cf_and_gradient(grid.z, grid.t))
        phi = weighted(psi, grid.weight)
        rows = stack_rows(phi - grid.weight * grid.control, phi, slopes, psi)
        price, jacobian = split_rows(self._sums(rows, grid), slopes, psi, model)
        return grid.base + price, jacobian

    def _sums(self, rows: Frequencies, grid: CarrMadanGrid) -> Real:
        """Transform rows (..., T, rows, N) and interpolate at the strikes: (..., T, rows, K)."""
        plan = jax.tree.map(lambda x: x[..., None], grid.plan)
        damped = self._transform(materialise(rows), grid.v[..., None, :], plan)
        value, _ = self._between(damped, grid.k[..., None, :], plan)
        return grid.scale[..., None, :] * value

    def refused(self, model: AbstractFourierModel, grid: CarrMadanGrid) -> Flags:
        """Whether the damping lies outside the model's strip, or a strike off the grid, shape (..., T, K)."""
        _, on_grid = self._between(jnp.zeros((*grid.plan.alpha.shape, self.N)), grid.k, grid.plan)
        if -1.0 < self.alpha < 0.0:
            return ~on_grid
        low, high = model.expand(1).strip(grid.t[..., 0])
        order = 1.0 + self.alpha
        return ~(on_grid & ((low < order) & (order < high))[..., None])

    def judge(
        self, model: AbstractFourierModel, k: Real, t: Real, stdev: Real, grid: CarrMadanGrid
    ) -> Quadrature:
        """See `AbstractGridEngine.judge`; the error is the estimate of `otm`."""
        del stdev
        fitted = jax.lax.stop_gradient(model)
        error = self.otm(fitted, k, t, grid.plan).error
        return Quadrature(
            self.prices(model, grid),
            jax.lax.stop_gradient(jnp.where(self.refused(fitted, grid), jnp.inf, error)),
        )

    def _frequencies(self) -> int:
        return self.N if self.eta is not None else self.N // 2

    def _between(self, damped: Real, k: Real, plan: FrequencyPlan) -> tuple[Real, Flags]:
        """Damped prices at the strikes k by interpolation, and whether each strike is on the grid."""
        return interpolate(
            values=damped,
            k=k,
            start=plan.start,
            spacing=plan.spacing,
            alpha=plan.alpha,
            interpolation=self.interpolation,
        )

    def _integrand(
        self, model: AbstractFourierModel, t: Real, plan: FrequencyPlan
    ) -> tuple[Real, Frequencies, Real]:
        """Frequencies and weighted integrand, shape (..., T, N), and the size of its tail, shape (..., T)."""
        n = self._frequencies()
        v = like(beyond(n, 8, 3), plan.eta) * plan.eta[..., None]
        z = fft.damped_line(v, plan)
        phi = jnp.exp(materialise(model.expand(2).log_cf(z, t[..., None])))
        control = fft.black_cf(z, plan) if self.control else 0.0 * phi
        kernel = fft.kernel(v, plan)
        size = (jnp.abs(phi) + jnp.abs(control)) * jnp.abs(kernel) * v / jnp.pi
        x = ((phi - control) * kernel)[..., :n] * plan.eta[..., None] / jnp.pi
        x = jnp.concatenate([0.5 * x[..., :1], x[..., 1:]], axis=-1)
        return v[..., :n], x, jnp.max(size[..., n - 1 :], axis=-1)

    def _transform(self, x: Frequencies, v: Real, plan: FrequencyPlan) -> Real:
        return fft.transform(x, v, plan, self.N, self.fractional)

    def _base(self, k: Real, plan: FrequencyPlan) -> Real:
        """Out-of-the-money price less the transform: the control variate, or a residue and parity."""
        if self.control:
            return black.price(k, plan.stdev[..., None], is_call=k >= 0)
        alpha = plan.alpha[..., None]
        # for alpha < -1 the integral is the put, for -1 < alpha < 0 it is the call less the forward
        residue = jnp.where(alpha > 0, 0.0, jnp.where(alpha > -1, 1.0, -jnp.expm1(k)))
        # unlike `minimum`, `where` has the derivative of the call at k = 0
        return residue + jnp.expm1(jnp.where(k < 0, k, 0.0))

    def _error(self, x: Frequencies, theta: Real, v: Real, tail: Real, plan: FrequencyPlan) -> Real:
        """Error of the damped price by interpolation, by the tail beyond the last frequency, and by rounding.

        Its shape is (..., T, 1).
        """
        size = jnp.abs(x)
        between = interpolation_error(theta, v, plan.alpha[..., None], self.interpolation)
        rounding = 4.0 * jnp.finfo(theta.dtype).eps
        return (jnp.sum(size * (between + rounding), axis=-1) + tail)[..., None]

    def _images(self, x: Frequencies, v: Real, k: Real, plan: FrequencyPlan) -> Real:
        """Error of the damped price by its images near the strikes; shape (..., T, 1)."""
        return fft.largest_near(self._ghost(x, v, plan), k, plan)

    def _ghost(self, x: Frequencies, v: Real, plan: FrequencyPlan) -> Real:
        """Estimate of the images of the damped price on the whole grid, shape (..., T, N).

        A sum over evenly spaced frequencies repeats the price with a period, so images of the price lie one
        period away and further. The rule with twice the step, from which this one differs by alternating
        signs, has its images at half the distance. They are the estimate: images are not assumed to decay
        with the distance, because a rare jump may put all of an image at either place.
        """
        signs = np.where(np.arange(v.shape[-1]) % 2 == 0, 1.0, -1.0)
        return self._transform(x * like(signs, plan.eta), v, plan)


@compiled
def _strip(model: AbstractFourierModel, t: Real) -> tuple[Real, Real]:
    return model.expand(1).strip(t)
