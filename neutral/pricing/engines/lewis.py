"""The default engine of calibration: Gauss-Legendre nodes on Im z = -1/2, a matrix product over strikes."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...models import AbstractFourierModel
from ...numerics.materialise import materialise
from ...numerics.trigonometry import sincos
from ...options import black
from ...typing import Flags, Frequencies, Real
from .base import AbstractGridEngine, Model, Quadrature, like
from .linear import split_rows, stack_rows

_CORE = 4.0  # frequency in 1 / stdev up to which nodes are about even; beyond they are about geometric
_CUTOFF = -25.3  # log of the integrand's size, relative to the forward, where nodes end: 1e-11
_LENGTH = 3.0  # length of a grid without a model: nodes reach to sinh(3) core frequencies, 40 / stdev


class LewisGrid(NamedTuple):
    """Constants of a whole calibration, none of which depends on the parameters.

    Axes: any leading ones, then maturities T, nodes N, strikes K.
    """

    z: Frequencies  # (..., T, N)
    t: Real  # (..., T, 1)
    control: Real  # (..., T, N), characteristic function of the control variate
    weight: Real  # (..., T, N)
    waves: Real  # (..., T, 2N, K)
    base: Real  # (..., T, K), out-of-the-money price of the control variate

    def take(self, nodes: slice) -> "LewisGrid":
        """The grid with some of its nodes only."""
        cos, sin = jnp.split(self.waves, 2, axis=-2)
        return self._replace(
            z=self.z[..., nodes],
            control=self.control[..., nodes],
            weight=self.weight[..., nodes],
            waves=jnp.concatenate([cos[..., nodes, :], sin[..., nodes, :]], axis=-2),
        )


class Lewis(AbstractGridEngine[LewisGrid]):
    """Lewis's integral (2001) with a Black control variate of fixed standard deviation per maturity.

    c(k) - c_Black(k) = -(e^{k/2}/pi) int_0^inf Re[e^{-ixk} (phi - phi_Black)(x - i/2)]/(x^2 + 1/4) dx,
    which is Lewis (2001), eq. (3.11), for the model less the same for Black, at strike e^k and forward 1.
    The control variate (Andersen and Andreasen 2002) removes the near-poles at x = +-i/2 whatever its
    variance, so it needs no parameter of the model and has no derivative. The accuracy is absolute, not
    relative: use `Contour` far out of the money.
    """

    nodes: int = eqx.field(static=True, default=64)
    """Number of Gauss-Legendre nodes per maturity."""
    tolerance: float = eqx.field(static=True, default=1e-8)
    """See `AbstractEngine.tolerance`."""

    def grid(self, k: Real, t: Real, stdev: Real, length: Real | None = None) -> LewisGrid:
        """Compute the nodes and the control variate.

        Args:
            k: Log-forward moneyness, shape (..., T, K).
            t: Maturities in years, > 0, shape (..., T).
            stdev: Standard deviation of the control variate and scale of the nodes, such as the market's
                total standard deviation at the money, > 0, shape (..., T).
            length: Nodes reach to sinh(length) core frequencies of 4/stdev, shape (..., T); 3 where None.

        Returns:
            Constants for `prices` and `prices_and_jacobian`.
        """
        length = jnp.full_like(t, _LENGTH) if length is None else length
        abscissa, weight, _ = _legendre(self.nodes)
        y = 0.5 * jnp.expand_dims(length, -1) * (1.0 + like(abscissa, length))
        scale = _CORE / jnp.expand_dims(stdev, -1)
        x = scale * jnp.sinh(y)
        jacobian = 0.5 * jnp.expand_dims(length, -1) * like(weight, length) * scale * jnp.cosh(y)
        square = x * x + 0.25
        sine, cosine = sincos(jnp.expand_dims(x, -1) * jnp.expand_dims(k, -2))
        damping = -jnp.exp(0.5 * jnp.expand_dims(k, -2)) / jnp.pi
        return LewisGrid(
            z=jax.lax.complex(x, jnp.full_like(x, -0.5)),
            t=jnp.expand_dims(t, -1),
            control=jnp.exp(-0.5 * square * jnp.expand_dims(stdev, -1) ** 2),
            weight=jacobian / square,
            waves=jnp.concatenate([damping * cosine, damping * sine], axis=-2),
            base=black.price(k, jnp.expand_dims(stdev, -1), is_call=k >= 0),
        )

    def prices(self, model: AbstractFourierModel, grid: LewisGrid) -> Real:
        """See `AbstractGridEngine.prices`."""
        return self._prices(materialise(model.expand(2).log_cf(grid.z, grid.t)), grid)

    def _prices(self, psi: Frequencies, grid: LewisGrid) -> Real:
        real, imaginary = _weighted(psi, grid)
        return grid.base + _product(real - grid.weight * grid.control, imaginary, grid)

    def prices_and_jacobian(self, model: Model, grid: LewisGrid) -> tuple[Real, Model]:
        """See `AbstractGridEngine.prices_and_jacobian`.

        Arrays are stored between characteristic function, derivatives and product, because XLA would
        otherwise compute the characteristic function again for every use.
        """
        psi, slopes = materialise(model.expand(2).log_cf_and_gradient(grid.z, grid.t))
        phi = jax.lax.complex(*_weighted(psi, grid))
        rows = stack_rows(phi - grid.weight * grid.control, phi, slopes, psi)
        sums = jnp.concatenate([jnp.real(rows), jnp.imag(rows)], axis=-1) @ grid.waves
        price, jacobian = split_rows(sums, slopes, psi, model)
        return grid.base + price, jacobian

    def refused(self, model: AbstractFourierModel, grid: LewisGrid) -> Flags:
        """All false, because every model has the moment of order 1/2; shape (..., T, K)."""
        del model
        return jnp.zeros(grid.base.shape, bool)

    def judge(
        self, model: AbstractFourierModel, k: Real, t: Real, stdev: Real, grid: LewisGrid
    ) -> Quadrature:
        """See `AbstractGridEngine.judge`; the error is the difference to a rule of twice the nodes.

        That rule also reaches further. It is summed in two halves, so that one program, of the size of the
        coarser rule, serves both.
        """
        finer = Lewis(2 * self.nodes).grid(k, t, stdev, jnp.full_like(t, _LENGTH + 1.0))
        halves = [finer.take(slice(None, self.nodes)), finer.take(slice(self.nodes, None))]
        grids = jax.tree.map(lambda *x: jnp.stack(x), grid, *halves)
        sums = jax.lax.map(lambda grid: self.prices(model, grid) - grid.base, grids)
        return Quadrature(grid.base + sums[0], jax.lax.stop_gradient(jnp.abs(sums[1] + sums[2] - sums[0])))

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> tuple[Real, Real]:
        """Standard deviation of the model, and length at which phi has decayed, for `grid`; shape (T,)."""
        del k
        model, t = jax.lax.stop_gradient((model, t))
        stdev = jnp.sqrt(jnp.maximum(model.expand(1).total_variance(t), 1e-300))
        return stdev, _cutoff(model, t, stdev)

    def otm(
        self, model: AbstractFourierModel, k: Real, t: Real, plan: tuple[Real, Real] | None = None
    ) -> Quadrature:
        """See `AbstractEngine.otm`."""
        stdev, length = self.plan(model, k, t) if plan is None else plan
        grid = self.grid(k, t, stdev, length)
        psi = materialise(model.expand(2).log_cf(grid.z, grid.t))
        return Quadrature(self._prices(psi, grid), jax.lax.stop_gradient(self._error(psi, grid, k)))

    def _error(self, psi: Frequencies, grid: LewisGrid, k: Real) -> Real:
        """Difference to the two rules on every other node, plus the tail beyond the last node; (..., T, K).

        The estimate is the largest over both rules and all strikes of a maturity, because one difference may
        vanish by chance.
        """
        phi = jnp.exp(psi)
        change = grid.weight * (phi - grid.control)
        _, weight, halves = _legendre(self.nodes)
        damping = jnp.exp(0.5 * k) / jnp.pi
        gaps = []
        for half in halves:
            rest = change * like(1.0 - half / weight, grid.t[..., 0])
            gaps.append(jnp.abs(_product(jnp.real(rest), jnp.imag(rest), grid)) / damping)
        gap = damping * jnp.max(jnp.maximum(*gaps), axis=-1, keepdims=True)
        scale = damping * jnp.expand_dims(jnp.sum(jnp.abs(change), -1), -1)
        # halving the step of a geometric rule squares its relative error; the factor and the square root are
        # cautious: for 800 reference options and 128 nodes, 98 accurate prices are called inaccurate, and no
        # inaccurate price is called accurate
        share = jnp.minimum(gap / jnp.where(scale > 0, scale, 1.0), 1.0)
        x = jnp.real(grid.z[..., -1:])
        tail = (jnp.abs(phi[..., -1:]) + grid.control[..., -1:]) * x / (x * x + 0.25) * damping
        return 30.0 * gap * jnp.sqrt(share) + tail + 1e-15 * scale


def _weighted(psi: Frequencies, grid: LewisGrid) -> tuple[Real, Real]:
    """Real and imaginary part of weight times phi."""
    size = grid.weight * jnp.exp(jnp.real(psi))
    sine, cosine = sincos(jnp.imag(psi))
    return materialise((size * cosine, size * sine))


def _product(real: Real, imaginary: Real, grid: LewisGrid) -> Real:
    """Sum over nodes of Re[e^{-ixk} g(x)], with real and imaginary part of g, for every strike."""
    rows = jnp.concatenate([real, imaginary], axis=-1)
    return jnp.einsum("...n,...nk->...k", rows, grid.waves)


def _cutoff(model: AbstractFourierModel, t: Real, stdev: Real) -> Real:
    """Length at which |phi|/x has fallen to the cutoff, from 28 values of phi per maturity; shape of t."""
    y = jnp.linspace(0.5, 14.0, 28).astype(t.dtype)
    x = _CORE / jnp.expand_dims(stdev, -1) * like(jnp.sinh(y), stdev)
    z = jax.lax.complex(x, jnp.full_like(x, -0.5))
    size = jnp.real(model.expand(2).log_cf(z, jnp.expand_dims(t, -1))) + jnp.log(x) - jnp.log(x * x + 0.25)
    last = jnp.max(jnp.where(size > _CUTOFF, jnp.arange(28), 0), axis=-1, keepdims=True)
    before = jnp.take_along_axis(size, last, -1)
    after = jnp.take_along_axis(size, jnp.minimum(last + 1, 27), -1)
    share = jnp.clip((before - _CUTOFF) / jnp.where(before > after, before - after, 1.0), 0.05, 1.0)
    return (0.5 + 0.5 * (last + share))[..., 0]


@functools.cache
def _legendre(nodes: int) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Gauss-Legendre nodes and weights on [-1, 1], and the weights of the rules on every other node."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    halves = []
    for first in (0, 1):
        points = x[first::2]
        moments = np.zeros(points.size)
        moments[0] = 2.0
        half = np.zeros(nodes)
        half[first::2] = np.linalg.solve(np.polynomial.legendre.legvander(points, points.size - 1).T, moments)
        halves.append(half)
    return x, w, halves
