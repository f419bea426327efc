"""Fourier-cosine expansion of the density (Fang and Oosterlee 2008)."""

import dataclasses
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
from ...typing import Flags, Frequencies, Real
from .base import AbstractGridEngine, Model, Quadrature, beyond, like, with_refusals
from .linear import split_rows, stack_rows, weighted

_MOST_OUTSIDE = 1e-3  # a range that may leave out more of the probability is refused
_LEAST_TERMS = 32
_ORDERS = np.geomspace(0.05, 40.0, 24)  # orders of the moments that bound the tails, in 1/stdev
_WIDE = 20.0  # half width of a grid's range, in market deviations, where the model's tails are unknown
_JUMPS = 2.0  # addition to this half width, because jumps do not shrink with the maturity


class CosRange(NamedTuple):
    """The range of each maturity's series, shape (..., T); derivatives treat it as a constant."""

    low: Real  # lower end for X = log(F_T/F)
    high: Real  # upper end
    outside: Real  # bound on the probability outside


class CosGrid(NamedTuple):
    """Constants of a whole calibration. Axes: any leading ones, maturities T, terms N, strikes K."""

    low: Real  # (..., T), lower end of the range
    high: Real  # (..., T), upper end of the range
    z: Frequencies  # (..., T, N)
    t: Real  # (..., T, 1)
    weight: Frequencies  # (..., T, N), what multiplies phi in the sum
    waves: Real  # (..., T, N, K)
    base: Real  # (..., T, K), out-of-the-money price less the series


class COS(AbstractGridEngine[CosGrid]):
    """Cosine series of the density on one range per maturity (Fang and Oosterlee 2008), summed for the put.

    The pay-off of the put is bounded, so nothing outside the range can be large; the call follows by parity.
    The error estimate is a bound on the omitted terms plus a Chernoff bound on the probability outside the
    range, whose effect more terms cannot reduce.
    """

    N: int | None = eqx.field(static=True, default=None)
    """Number of terms. None takes a power of two from the decay of the characteristic function, at most
    `most`; inside jit, and in calibration, it takes `most` itself."""
    range: Literal["tail", "cumulants"] | tuple[float, float] = eqx.field(static=True, default="tail")
    """Range of X = log(F_T/F): "tail" takes the shortest range that provably leaves out no more than `tail`
    on either side, "cumulants" takes c1 +- L sqrt(c2 + sqrt|c4|), the paper's eq. (49), and a pair of numbers
    is the two ends. In calibration, where one range must serve all parameters, "tail" reaches to either side
    by 2 plus 20 total standard deviations of the market, and "cumulants" by L of them."""
    L: float = eqx.field(static=True, default=10.0)
    """Half width of the range "cumulants", in standard deviations."""
    tail: float = eqx.field(static=True, default=1e-10)
    """Probability that the range "tail" may leave out on either side."""
    most: int = eqx.field(static=True, default=1024)
    """Largest number of terms where N is None."""
    tolerance: float = eqx.field(static=True, default=1e-8)
    """See `AbstractEngine.tolerance`."""

    def __check_init__(self) -> None:
        """Refuse settings with which no option can be priced."""
        for name in ("N", "most"):
            n = getattr(self, name)
            if not (isinstance(n, int) and n >= _LEAST_TERMS) and not (name == "N" and n is None):
                raise ArgumentError(f"COS.{name} must be a whole number, at least {_LEAST_TERMS}, got {n!r}.")
        if isinstance(self.range, tuple):
            if not (
                len(self.range) == 2 and np.all(np.isfinite(self.range)) and self.range[0] < self.range[1]
            ):
                raise ArgumentError(f"COS.range must be two finite numbers that ascend, got {self.range}.")
        elif self.range not in ("tail", "cumulants"):
            raise ArgumentError(f"COS.range must be 'tail', 'cumulants' or its two ends, got {self.range!r}.")
        if not self.L > 0:
            raise ArgumentError(f"COS.L must be > 0 standard deviations, got {self.L}.")
        if not 0 < self.tail < 1:
            raise ArgumentError(f"COS.tail must be a probability above 0 and below 1, got {self.tail}.")

    def prepare(self, model: AbstractFourierModel, t: np.ndarray) -> Self:
        """Choose N: the number of terms that the most demanding maturity needs, up to a power of two."""
        if self.N is not None:
            return self
        needed = np.max(call_on_row(lambda t: _needed(self, model, t), (t,)), initial=_LEAST_TERMS)
        n = int(min(self.most, 2 ** np.ceil(np.log2(needed))))
        return dataclasses.replace(self, N=n)

    def plan(self, model: AbstractFourierModel, k: Real, t: Real) -> CosRange:
        """The range of each maturity, and a bound on the probability outside."""
        del k
        return _range(self, *jax.lax.stop_gradient((model, t)))

    def otm(self, model: AbstractFourierModel, k: Real, t: Real, plan: CosRange | None = None) -> Quadrature:
        """See `AbstractEngine.otm`; nan where the range is too short. Arrays may have leading axes."""
        span = self.plan(model, k, t) if plan is None else plan
        n = self._terms()
        low, high, outside = (x[..., None] for x in span)
        u = jnp.pi / (high - low) * like(beyond(n, 4, 5), t)
        psi = materialise(model.expand(2).log_cf(jax.lax.complex(u, jnp.zeros_like(u)), t[..., None]))
        omitted = _omitted(psi[..., n - 1 :], u[..., n - 1 :])
        u = u[..., :n]
        phi = jnp.exp(psi[..., :n]) * jax.lax.complex(jnp.cos(u * low), -jnp.sin(u * low))
        term = 2.0 / (high - low) * jnp.real(phi) / (1.0 + u * u) * like(_first_halved(n), t)
        put = jnp.einsum("...n,...nk->...k", term, _waves(k, u, low, high))
        # for strikes above the range the put grows with the strike alone
        put = put + jnp.where(k > high, jnp.exp(k) - jnp.exp(jnp.clip(k, low, high)), 0.0)
        value = put + jnp.where(k >= 0, -jnp.expm1(jnp.where(k >= 0, k, 0.0)), 0.0)
        error = jnp.exp(k) * (2.0 * outside + omitted + _rounding(term, u))
        return with_refusals(value, error, k, outside <= _MOST_OUTSIDE)

    def grid(self, k: Real, t: Real, stdev: Real) -> CosGrid:
        """See `AbstractGridEngine.grid`; the range depends on the deviations of the market alone."""
        low, high = self._fixed_range(jax.lax.stop_gradient(stdev))
        n = self._terms()
        a = low[..., None]
        b = high[..., None]
        u = jnp.pi / (b - a) * like(np.arange(float(n)), stdev)
        turn = jax.lax.complex(jnp.cos(u * a), -jnp.sin(u * a))
        above = jnp.where(k > b, jnp.exp(k) - jnp.exp(jnp.clip(k, a, b)), 0.0)
        return CosGrid(
            low=low,
            high=high,
            z=jax.lax.complex(u, jnp.zeros_like(u)),
            t=t[..., None],
            weight=2.0 / (b - a) * turn / (1.0 + u * u) * like(_first_halved(n), stdev),
            waves=_waves(k, u, a, b),
            base=above + jnp.where(k >= 0, -jnp.expm1(jnp.where(k >= 0, k, 0.0)), 0.0),
        )

    def prices(self, model: AbstractFourierModel, grid: CosGrid) -> Real:
        """See `AbstractGridEngine.prices`."""
        psi = materialise(model.expand(2).log_cf(grid.z, grid.t))
        term = materialise(jnp.real(weighted(psi, grid.weight)))
        return grid.base + jnp.einsum("...n,...nk->...k", term, grid.waves)

    def prices_and_jacobian(self, model: Model, grid: CosGrid) -> tuple[Real, Model]:
        """See `AbstractGridEngine.prices_and_jacobian`."""
        psi, slopes = materialise(model.expand(2).log_cf_and_gradient(grid.z, grid.t))
        phi = weighted(psi, grid.weight)
        rows = materialise(jnp.real(stack_rows(phi, phi, slopes, psi)))
        price, jacobian = split_rows(rows @ grid.waves, slopes, psi, model)
        return grid.base + price, jacobian

    def refused(self, model: AbstractFourierModel, grid: CosGrid) -> Flags:
        """Whether the range may leave out more than 0.1 % of the probability, shape (..., T, K)."""
        outside = _outside(_tails(model, grid.t[..., 0]), grid.low, grid.high)
        return jnp.broadcast_to(~(outside <= _MOST_OUTSIDE)[..., None], outside.shape + grid.base.shape[-1:])

    def judge(self, model: AbstractFourierModel, k: Real, t: Real, stdev: Real, grid: CosGrid) -> Quadrature:
        """See `AbstractGridEngine.judge`; the error is the estimate of `otm` for the range of the grid."""
        del stdev
        fitted = jax.lax.stop_gradient(model)
        span = CosRange(grid.low, grid.high, _outside(_tails(fitted, t), grid.low, grid.high))
        return Quadrature(self.prices(model, grid), self.otm(fitted, k, t, span).error)

    def _terms(self) -> int:
        return self.most if self.N is None else self.N

    def _fixed_range(self, stdev: Real) -> tuple[Real, Real]:
        """Ends of a range that does not depend on the model, shape of stdev."""
        if isinstance(self.range, tuple):
            return jnp.full_like(stdev, self.range[0]), jnp.full_like(stdev, self.range[1])
        half = _JUMPS + _WIDE * stdev if self.range == "tail" else self.L * stdev
        return -half, half


def _first_halved(n: int) -> np.ndarray:
    """Weights of the n terms of the cosine series, of which the first counts half."""
    return np.where(np.arange(n) == 0, 0.5, 1.0)


def _waves(k: Real, u: Real, low: Real, high: Real) -> Real:
    """Integrals of the put's payoff against the cosines, times 1 + u^2: shape (..., T, N, K).

    The integral of (e^k - e^x) cos(u (x - low)) from low to k, times 1 + u^2, is e^k (sin/u - cos) + e^low,
    with sine and cosine at u (k - low). It combines chi and psi of Fang and Oosterlee (2008), eqs. (22) and
    (23).
    """
    n = u.shape[-1]
    at = jnp.clip(k, low, high)
    wave = _powers(jnp.pi * (at - low) / (high - low), n)
    first = like(np.arange(n)[:, None], u[..., 0]) == 0
    slope = jnp.where(first, (at - low)[..., None, :], jnp.imag(wave) / jnp.where(first, 1.0, u[..., None]))
    return jnp.exp(at)[..., None, :] * (slope - jnp.real(wave)) + jnp.exp(low)[..., None]


def _powers(angle: Real, n: int) -> Frequencies:
    """Powers e^{i j angle} for j < n, on a new axis before the last.

    They are products of the entries of two short tables, which costs less than n sines and cosines.
    """

    def table(j: np.ndarray) -> Frequencies:
        turned = like(j[:, None], angle[..., 0]) * angle[..., None, :]
        return jax.lax.complex(jnp.cos(turned), jnp.sin(turned))

    rows = -(-n // 16)
    coarse, fine = materialise((table(16.0 * np.arange(rows)), table(np.arange(16.0))))
    product = coarse[..., :, None, :] * fine[..., None, :, :]
    return jnp.reshape(product, (*angle.shape[:-1], 16 * rows, angle.shape[-1]))[..., :n, :]


def _omitted(psi: Frequencies, u: Real) -> Real:
    """Bound on the sum of the terms from the N-th on, in units of the strike, by the largest |phi| there."""
    size = jnp.max(jnp.exp(jnp.real(psi)), axis=-1, keepdims=True)
    return 4.0 / jnp.pi * size / u[..., :1]


def _rounding(term: Real, u: Real) -> Real:
    """Rounding error of the sum, in units of the strike, shape (..., T, 1)."""
    size = jnp.sum(jnp.abs(term) * (2.0 + jnp.pi / u[..., 1:2]), axis=-1, keepdims=True)
    return 4.0 * jnp.finfo(u.dtype).eps * (1.0 + size)


def _range(engine: COS, model: AbstractFourierModel, t: Real) -> CosRange:
    """Ends of the range, and a bound on the probability outside, for maturities of shape (..., T)."""
    tails = _tails(model, t)
    if isinstance(engine.range, tuple):
        low, high = (jnp.full_like(t, end) for end in engine.range)
    elif engine.range == "tail":
        # P(X > x) <= E[e^{aX}] e^{-ax}: the end is where the best order a makes this bound equal to `tail`
        level = jnp.log(engine.tail)
        low, high = (
            pick((psi - level) / a, axis=-1) for (a, psi), pick in zip(tails, (jnp.max, jnp.min), strict=True)
        )
    else:
        cumulants = AbstractFourierModel.cumulants
        for _ in range(t.ndim - 1):  # `cumulants` takes scalar parameters only
            cumulants = jax.vmap(cumulants)
        c1, c2, _, c4 = cumulants(model, t)
        half = engine.L * jnp.sqrt(jnp.abs(c2) + jnp.sqrt(jnp.abs(c4)))
        low = c1 - half
        high = c1 + half
    return CosRange(low, high, _outside(tails, low, high))


def _outside(tails: tuple[tuple[Real, Real], tuple[Real, Real]], low: Real, high: Real) -> Real:
    """Bound on the probability below low and above high (Chernoff 1952), shape (..., T)."""
    bounds = [
        jnp.exp(jnp.min(psi - a * end[..., None], axis=-1))
        for (a, psi), end in zip(tails, (low, high), strict=True)
    ]
    return bounds[0] + bounds[1]


def _tails(model: AbstractFourierModel, t: Real) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
    """Orders a < 0 inside the strip with log E[e^{aX}], and the same for a > 0; shape (..., T, 24)."""
    stdev = jnp.sqrt(jnp.maximum(model.expand(1).total_variance(t), 1e-300))
    scaled = like(_ORDERS, t) / stdev[..., None]

    def tail(edge: Real, sign: float) -> tuple[Real, Real]:
        # orders approach the edge of the strip and never reach it
        room = jnp.abs(edge)[..., None]
        a = sign * jnp.where(
            jnp.isinf(room), scaled, scaled / (1.0 + scaled / jnp.where(room > 0, room, 1.0))
        )
        psi = jnp.real(model.expand(2).log_cf(jax.lax.complex(jnp.zeros_like(a), -a), t[..., None]))
        return a, jnp.where(jnp.isfinite(psi), psi, jnp.inf)

    low, high = model.expand(1).strip(t)
    return tail(low, -1.0), tail(high, 1.0)


@compiled
def _needed(engine: COS, model: AbstractFourierModel, t: Real) -> Real:
    """Number of terms until |phi|/u is a hundredth of the tolerance, for maturities t; both of shape (T,)."""
    span = _range(engine, model, t)
    stdev = jnp.sqrt(jnp.maximum(model.expand(1).total_variance(t), 1e-300))
    u = like(np.geomspace(0.5, 5e3, 64), t) / stdev[..., None]
    psi = model.expand(2).log_cf(jax.lax.complex(u, jnp.zeros_like(u)), t[..., None])
    alive = jnp.real(psi) - jnp.log(u) > jnp.log(1e-2 * engine.tolerance)
    last = jnp.max(jnp.where(alive, u, 0.0), axis=-1) * 1e4 ** (1 / 63)
    terms = last * (span.high - span.low) / jnp.pi + 1.0
    alive = (t > 0) & (model.expand(1).total_variance(t) > 0)
    return jnp.where(alive, terms, 0.0)
