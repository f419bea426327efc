"""The fit of a surface as numbers: constants, objective of the solver, start from the data."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ...calibration.losses import Loss, Targets
from ...calibration.solvers import Evaluation, Objective
from ...options import black
from ...quotes.surface import QuoteSurface
from ...typing import Flags, Real
from .global_parametrisation import Cap
from .monotone import Monotone, isotonic
from .slice import variance_and_slopes

_TYPICAL = (1.0, -0.2, 0.15)  # theta, rho psi and P / 4 of a smile in units of its variance at the money
_RIDGE = 1e-7  # of the heaviest quote: what a smile with few quotes takes from the typical one
_FEW = 4  # strikes of an expiry below which its three numbers are held near the start
_LEAST_WING = 0.3  # unit of the wings' slopes in units of the standard deviation at the money
_HOLD = 1e-4  # strength of that, relative to the `tolerance` of the loss


class SurfaceProblem(NamedTuple):
    """Constants of a fit. Leading axis of lanes B on every field, then as named."""

    k: Real  # (T, K)
    targets: Targets  # (2, T, K)
    space: Monotone  # (T,)
    precision: Real  # (3 T,)
    center: Real  # (3 T,)


class AbstractSetting(eqx.Module):
    """What is the same for all lanes and fixed at compile time.

    Every quote knows only the few numbers of its own maturity, L of them: `local`.
    """

    loss: eqx.AbstractVar[Loss]
    cap: eqx.AbstractVar[Cap]

    @abc.abstractmethod
    def bounds(self, space: Monotone) -> tuple[Real, Real, Flags]:
        """Lower and upper bounds of the coordinates of one surface, and which may move, (n,) each."""

    @abc.abstractmethod
    def local(self, space: Monotone, y: Real) -> Real:
        """Numbers of each maturity, (L, T), from the coordinates (n,) of one surface."""

    @abc.abstractmethod
    def corner_curvature(self, space: Monotone, gradient: Real, local: Real, chain: Real) -> Real:
        """What bends of `local` (L, T), whose slopes are chain (L, T, n), add to the curvature, (n, n)."""

    @abc.abstractmethod
    def prices(self, k: Real, local: Real) -> tuple[Real, Real]:
        """Out-of-the-money prices (B, T, K) at k (B, T, K), and their slopes in `local`, (B, L, T, K)."""

    def objective(self, problem: SurfaceProblem) -> Objective:
        """The problem as a solver sees it."""
        return Objective(
            lambda y: self.evaluate(problem, y),
            lambda y: self.cost(problem, y),
            *jax.vmap(self.bounds)(problem.space),
        )

    def locals(self, problem: SurfaceProblem, y: Real) -> Real:
        """`local` of every lane, (B, L, T)."""
        return jax.vmap(self.local)(problem.space, y)

    def errors(self, problem: SurfaceProblem, price: Real) -> Real:
        """Scaled errors of the quotes, (B, 2, T, K), of out-of-the-money prices (B, T, K)."""
        price, target = jnp.expand_dims(price, -3), problem.targets
        outside = jnp.maximum(price - target.high, 0.0) + jnp.minimum(price - target.low, 0.0)
        return outside / target.scale

    def data_loss(self, problem: SurfaceProblem, y: Real) -> Real:
        """The loss without prior, (B,)."""
        price, _ = self.prices(problem.k, self.locals(problem, y))
        value, _, _ = self.loss.rho(self.errors(problem, price))
        return jnp.sum(problem.targets.share * value, axis=(-3, -2, -1))

    def prior(self, problem: SurfaceProblem, y: Real) -> Real:
        """Squared distance from the center, (B,)."""
        return jnp.sum(problem.precision * (y - problem.center) ** 2, axis=-1)

    def cost(self, problem: SurfaceProblem, y: Real) -> Real:
        """Loss and prior, (B,); differentiable, also in the problem's targets."""
        return self.data_loss(problem, y) + self.prior(problem, y)

    def evaluate(self, problem: SurfaceProblem, y: Real) -> Evaluation:
        """Cost with gradient and curvature, from one evaluation of prices and Jacobian."""

        def one(space: Monotone, y: Real) -> tuple[Real, Real]:
            numbers = self.local(space, y)
            return numbers, numbers

        chain, local = jax.vmap(jax.jacfwd(one, argnums=1, has_aux=True))(problem.space, y)
        price, slopes = self.prices(problem.k, local)
        target = problem.targets
        e = self.errors(problem, price)
        value, first, second = self.loss.rho(e)
        active = jnp.where((e != 0.0) | (target.low == target.high), target.share / target.scale**2, 0.0)
        pull = jnp.sum(target.share * first * e / target.scale, axis=-3)
        gradient = jnp.einsum("bitn,bitk,btk->bn", chain, slopes, pull)
        curvature = _gram(chain, slopes, jnp.sum(active * second, axis=-3))
        curvature = curvature + jax.vmap(self.corner_curvature)(problem.space, gradient, local, chain)
        away = y - problem.center
        prior = problem.precision * away
        held = jnp.expand_dims(problem.precision, -1) * jnp.eye(y.shape[-1])[None]
        norms = _squares(chain, slopes, jnp.sum(active * first, axis=-3)) + problem.precision
        distance = jnp.sum(prior * away, axis=-1)
        total = jnp.sum(target.share / target.scale**2, axis=(-3, -2, -1))
        square = jnp.sum(target.share * e * e, axis=(-3, -2, -1))
        return Evaluation(
            jnp.sum(target.share * value, axis=(-3, -2, -1)) + distance,
            gradient + prior,
            curvature + held,
            jnp.sqrt(jnp.maximum(norms, 0.0)),
            jnp.sqrt(jnp.sum(target.share * first * e * e, axis=(-3, -2, -1)) + distance),
            jnp.sqrt(square / jnp.where(total > 0.0, total, 1.0)),
            jnp.full_like(curvature, jnp.nan),
        )


def _gram(chain: Real, slopes: Real, weight: Real) -> Real:
    """J' W J from one L x L block per maturity."""
    block = jnp.einsum("bitk,btk,bjtk->bijt", slopes, weight, slopes)
    return jnp.einsum("bitn,bitm->bnm", chain, jnp.einsum("bijt,bjtm->bitm", block, chain))


def tolerance(targets: Targets, surface: QuoteSurface, used: Flags) -> Real:
    """What errors of one unit of the default loss, spread or 1 % of volatility, cost; at most 1.

    It gives a prior the same strength for a loss in prices or volatilities as for one in spreads.
    """
    unit = Loss().targets(surface, used).scale
    return jnp.minimum(jnp.sum(targets.share * (unit / targets.scale) ** 2), 1.0)


def _squares(chain: Real, slopes: Real, weight: Real) -> Real:
    """The diagonal of J' W J."""
    block = jnp.einsum("bitk,btk,bjtk->bijt", slopes, weight, slopes)
    return jnp.sum(chain * jnp.einsum("bijt,bjtn->bitn", block, chain), axis=(1, 2))


class EssviSetting(AbstractSetting):
    """One eSSVI surface: theta, psi and rho psi of each maturity."""

    loss: Loss
    cap: Cap = eqx.field(static=True)

    def bounds(self, space: Monotone) -> tuple[Real, Real, Flags]:
        """See `AbstractSetting.bounds`."""
        return (*space.bounds(), space.free())

    def local(self, space: Monotone, y: Real) -> Real:
        """See `AbstractSetting.local`."""
        return space.smiles(y, self.cap)

    def corner_curvature(self, space: Monotone, gradient: Real, local: Real, chain: Real) -> Real:
        """See `AbstractSetting.corner_curvature`."""
        return space.corner_curvature(gradient, self.cap, local, chain)

    def prices(self, k: Real, local: Real) -> tuple[Real, Real]:
        """See `AbstractSetting.prices`."""
        return smile_prices(k, local, k >= 0.0)


def smile_prices(k: Real, smiles: Real, is_call: Flags) -> tuple[Real, Real]:
    """Prices of one kind at k (B, T, K), and their slopes in theta, psi and rho psi (B, 3, T)."""
    w, slopes = variance_and_slopes(k, *over_strikes(k, smiles))
    s = jnp.sqrt(w)
    in_w = 0.5 * black.vega(k, s) / s
    return black.price(k, s, is_call), jnp.stack([in_w * x for x in slopes], axis=1)


def over_strikes(k: Real, rows: Real) -> list[Real]:
    """Rows (B, L, T) as L arrays of the shape of k, (B, T, K)."""
    return [jnp.broadcast_to(jnp.expand_dims(row, -1), k.shape) for row in jnp.moveaxis(rows, 1, 0)]


def data_start(surface: QuoteSurface, targets: Targets) -> tuple[Real, Real, Real]:
    """Smiles of one surface fitted alone, made monotone: up, down and tau, (T,).

    A smile obeys w^2 = theta w + rho psi k w + P k^2 / 4, linear in theta, rho psi and P = psi^2 (1 - rho^2):
    a linear least-squares problem per expiry, exact where quotes are of eSSVI.
    """
    level = surface.stdev**2
    scale, t = level[None, :, None], surface.t[None, :, None]
    w = jnp.maximum(surface.vol**2 * t / scale, 1e-8)
    x = jnp.broadcast_to(surface.k / jnp.sqrt(level)[:, None], w.shape)
    # error of the loss per error of the equation, its root taken as w
    ease = 0.5 * surface.vega / jnp.sqrt(t) / (targets.scale * w * jnp.sqrt(w * scale)) * scale
    weight = targets.share * ease**2
    columns = jnp.stack([w, x * w, x * x])
    matrix = jnp.einsum("iqtk,qtk,jqtk->tij", columns, weight, columns)
    right = jnp.einsum("iqtk,qtk->ti", columns, weight * w * w)
    ridge = _RIDGE * jnp.max(weight, axis=(0, 2)) + 1e-300
    typical = jnp.asarray(_TYPICAL)[None]
    matrix = matrix + ridge[:, None, None] * jnp.eye(3)[None]
    found = jnp.linalg.solve(matrix, (right + ridge[:, None] * typical)[..., None])[..., 0]
    theta, tilt = jnp.clip(found[:, 0], 0.2, 5.0), found[:, 1]
    psi = jnp.sqrt(tilt**2 + 4.0 * jnp.clip(found[:, 2], 1e-8, 10.0))
    quotes = jnp.sum(targets.share > 0.0, axis=(0, 2)).astype(float)
    root = jnp.sqrt(level)
    up, down = (isotonic(root * (psi + side * tilt), quotes) for side in (1.0, -1.0))
    return up, down, isotonic(2.0 * theta * level / (up + down), quotes)


def build(loss: Loss, cap: Cap, surface: QuoteSurface, used: Flags) -> tuple[SurfaceProblem, Real]:
    """Constants of the fit of one eSSVI surface, without leading axis, and its starting point (3 T,)."""
    targets = loss.targets(surface, used)
    known = jnp.any(used, axis=(0, 2))
    up, down, tau = data_start(surface, targets)
    size = jnp.maximum(0.5 * (up + down), _LEAST_WING * surface.stdev)
    level = jnp.where(known, surface.stdev**2, 1.0)
    space = Monotone(known, jnp.where(known, jnp.clip(size, 1e-6, 4.0), 1.0), level)
    start = space.coordinates(up, down, tau, cap)
    few = jnp.sum(jnp.any(used, axis=0), axis=-1) < _FEW
    hold = jnp.where(jnp.tile(few & known, 3), _HOLD * tolerance(targets, surface, used), 0.0)
    return SurfaceProblem(surface.k, targets, space, hold, start), start
