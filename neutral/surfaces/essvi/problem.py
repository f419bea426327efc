"""The least-squares problem of a surface fit: its constants, its objective, and its start from the data."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from ...calibration.losses import Loss, Targets
from ...calibration.solvers import Evaluation, Objective
from ...options import black
from ...quotes.surface import QuoteSurface
from ...typing import Flags, Numbers, Real
from .global_parametrisation import Cap
from .monotone import Monotone, isotonic
from .slice import variance_and_slopes

# theta, rho psi and P / 4 of a typical smile, in units of its variance at the money
_TYPICAL = (1.0, -0.2, 0.15)
_RIDGE = 1e-7  # weight of the typical smile relative to the heaviest quote; it matters where quotes are few
_FEW = 4  # an expiry with fewer strikes has a prior that keeps its three numbers near the start
_LEAST_WING = 0.3  # least unit of the wings' slopes, in units of the standard deviation at the money
_HOLD = 1e-4  # strength of that prior, relative to the `tolerance` of the loss

Coordinates = Float[Numbers, "B n"]


class SurfaceProblem(NamedTuple):
    """Constants of a fit. Every field has a leading axis of B lanes (surfaces), then the axes named."""

    k: Real  # (T, K)
    targets: Targets  # (2, T, K)
    space: Monotone  # (T,)
    precision: Real  # (n,) precision of the prior
    center: Real  # (n,) center of the prior


class AbstractSetting(eqx.Module):
    """Kind of surface, its loss and its cap, which are the same for all lanes.

    The price of a quote depends only on L numbers of its maturity, which `local` computes.
    """

    loss: eqx.AbstractVar[Loss]
    cap: eqx.AbstractVar[Cap]

    @abc.abstractmethod
    def bounds(
        self, space: Monotone
    ) -> tuple[Float[Numbers, " n"], Float[Numbers, " n"], Bool[Numbers, " n"]]:
        """Return bounds of one surface's coordinates, and flags of those to be fitted, (n,) each."""

    @abc.abstractmethod
    def local(self, space: Monotone, y: Float[Numbers, " n"]) -> Float[Numbers, "L T"]:
        """Compute the numbers of each maturity, (L, T), from the coordinates (n,) of one surface."""

    @abc.abstractmethod
    def corner_curvature(
        self,
        space: Monotone,
        gradient: Float[Numbers, " n"],
        local: Float[Numbers, "L T"],
        chain: Float[Numbers, "L T n"],
    ) -> Float[Numbers, "n n"]:
        """Compute the curvature that sharp bends of `local` add to a cost.

        Args:
            space: Units of the coordinates of one surface.
            gradient: Gradient of the cost in the coordinates, (n,).
            local: Numbers of each maturity, (L, T).
            chain: Derivatives of `local` in the coordinates, (L, T, n).

        Returns:
            Symmetric matrix, (n, n).
        """

    @abc.abstractmethod
    def prices(
        self, k: Float[Numbers, "B T K"], local: Float[Numbers, "B L T"]
    ) -> tuple[Float[Numbers, "B T K"], Float[Numbers, "B L T K"]]:
        """Compute out-of-the-money prices (B, T, K), and their derivatives in `local`, (B, L, T, K)."""

    def objective(self, problem: SurfaceProblem) -> Objective:
        """Return the problem in the form that solvers need."""
        lower, upper, free = jax.vmap(self.bounds)(problem.space)
        return Objective(
            evaluate=lambda y: self.evaluate(problem, y),
            cost=lambda y: self.cost(problem, y),
            lower=lower,
            upper=upper,
            free=free,
        )

    def locals(self, problem: SurfaceProblem, y: Coordinates) -> Float[Numbers, "B L T"]:
        """Compute `local` of every lane, (B, L, T)."""
        return jax.vmap(self.local)(problem.space, y)

    def errors(self, problem: SurfaceProblem, price: Float[Numbers, "B T K"]) -> Float[Numbers, "B 2 T K"]:
        """Compute scaled errors of the quotes, (B, 2, T, K), from out-of-the-money prices (B, T, K)."""
        return self.loss.errors(problem.targets, price)

    def data_loss(self, problem: SurfaceProblem, y: Coordinates) -> Float[Numbers, " B"]:
        """Compute the loss without the prior, (B,)."""
        price, _ = self.prices(problem.k, self.locals(problem, y))
        value, _, _ = self.loss.rho(self.errors(problem, price))
        return jnp.sum(problem.targets.share * value, axis=(-3, -2, -1))

    def prior(self, problem: SurfaceProblem, y: Coordinates) -> Float[Numbers, " B"]:
        """Compute the squared distance from the center, weighted by the precision of the prior, (B,)."""
        return jnp.sum(problem.precision * (y - problem.center) ** 2, axis=-1)

    def cost(self, problem: SurfaceProblem, y: Coordinates) -> Float[Numbers, " B"]:
        """Compute loss plus prior, (B,), which can be differentiated in y and in the problem's targets."""
        return self.data_loss(problem, y) + self.prior(problem, y)

    def evaluate(self, problem: SurfaceProblem, y: Coordinates) -> Evaluation:
        """Compute the cost, its gradient and its Gauss-Newton curvature from one evaluation of the prices.

        The Jacobian J of the prices in the coordinates is slopes times chain. Gradient and curvature are half
        of those of the cost: J' W e and J' W J.
        """
        local, chain = self._locals_and_chain(problem, y)
        price, slopes = self.prices(problem.k, local)
        target = problem.targets
        e = self.errors(problem, price)
        value, first, second = self.loss.rho(e)
        slope = self.loss.slopes(target, price, e)
        active = target.share * slope**2
        price_gradient = jnp.sum(target.share * first * e * slope, axis=-3)
        gradient = jnp.einsum("bitn,bitk,btk->bn", chain, slopes, price_gradient)
        curvature = _gram(chain, slopes, jnp.sum(active * second, axis=-3))
        curvature = curvature + jax.vmap(self.corner_curvature)(problem.space, gradient, local, chain)
        offset = y - problem.center
        prior = problem.precision * offset
        prior_curvature = jnp.expand_dims(problem.precision, -1) * jnp.eye(y.shape[-1])[None]
        norms = _squares(chain, slopes, jnp.sum(active * first, axis=-3)) + problem.precision
        distance = jnp.sum(prior * offset, axis=-1)
        total = jnp.sum(target.share / target.scale**2, axis=(-3, -2, -1))
        square = jnp.sum(target.share * e * e, axis=(-3, -2, -1))
        return Evaluation(
            cost=jnp.sum(target.share * value, axis=(-3, -2, -1)) + distance,
            gradient=gradient + prior,
            curvature=curvature + prior_curvature,
            norms=jnp.sqrt(jnp.maximum(norms, 0.0)),
            length=jnp.sqrt(jnp.sum(target.share * first * e * e, axis=(-3, -2, -1)) + distance),
            error=jnp.sqrt(square / jnp.where(total > 0.0, total, 1.0)),
            scatter=jnp.full_like(curvature, jnp.nan),
        )

    def _locals_and_chain(
        self, problem: SurfaceProblem, y: Coordinates
    ) -> tuple[Float[Numbers, "B L T"], Float[Numbers, "B L T n"]]:
        """Compute `local` of every lane, and its derivatives in the coordinates."""

        def value_and_aux(space: Monotone, y: Real) -> tuple[Real, Real]:
            numbers = self.local(space, y)
            return numbers, numbers

        chain, local = jax.vmap(jax.jacfwd(value_and_aux, argnums=1, has_aux=True))(problem.space, y)
        return local, chain


def _gram(
    chain: Float[Numbers, "B L T n"], slopes: Float[Numbers, "B L T K"], weight: Float[Numbers, "B T K"]
) -> Float[Numbers, "B n n"]:
    """Compute J' W J from one L x L block per maturity."""
    block = jnp.einsum("bitk,btk,bjtk->bijt", slopes, weight, slopes)
    return jnp.einsum("bitn,bitm->bnm", chain, jnp.einsum("bijt,bjtm->bitm", block, chain))


def _squares(
    chain: Float[Numbers, "B L T n"], slopes: Float[Numbers, "B L T K"], weight: Float[Numbers, "B T K"]
) -> Float[Numbers, "B n"]:
    """Compute the diagonal of J' W J."""
    block = jnp.einsum("bitk,btk,bjtk->bijt", slopes, weight, slopes)
    return jnp.sum(chain * jnp.einsum("bijt,bjtn->bitn", block, chain), axis=(1, 2))


def tolerance(targets: Targets, surface: QuoteSurface, used: Flags) -> Float[Numbers, ""]:
    """Compute the loss of a surface whose errors are all one unit of the default loss, but at most 1.

    That unit is the spread or 1 % of volatility. A prior that is scaled by the result has the same strength
    for losses in prices, volatilities and spreads.
    """
    unit = Loss().targets(surface, used).scale
    return jnp.minimum(jnp.sum(targets.share * (unit / targets.scale) ** 2), 1.0)


class EssviSetting(AbstractSetting):
    """One eSSVI surface: theta, psi and rho psi of each maturity."""

    loss: Loss
    cap: Cap = eqx.field(static=True)

    def bounds(
        self, space: Monotone
    ) -> tuple[Float[Numbers, " n"], Float[Numbers, " n"], Bool[Numbers, " n"]]:
        """See `AbstractSetting.bounds`."""
        lower, upper = space.bounds()
        return lower, upper, space.free()

    def local(self, space: Monotone, y: Float[Numbers, " n"]) -> Float[Numbers, "3 T"]:
        """See `AbstractSetting.local`."""
        return space.smiles(y, self.cap)

    def corner_curvature(
        self,
        space: Monotone,
        gradient: Float[Numbers, " n"],
        local: Float[Numbers, "3 T"],
        chain: Float[Numbers, "3 T n"],
    ) -> Float[Numbers, "n n"]:
        """See `AbstractSetting.corner_curvature`."""
        return space.corner_curvature(gradient, self.cap, local, chain)

    def prices(
        self, k: Float[Numbers, "B T K"], local: Float[Numbers, "B 3 T"]
    ) -> tuple[Float[Numbers, "B T K"], Float[Numbers, "B 3 T K"]]:
        """See `AbstractSetting.prices`."""
        return smile_prices(k, local, k >= 0.0)


def smile_prices(
    k: Float[Numbers, "B T K"], smiles: Float[Numbers, "B 3 T"], is_call: Bool[Numbers, "B T K"]
) -> tuple[Float[Numbers, "B T K"], Float[Numbers, "B 3 T K"]]:
    """Compute prices of calls or puts, (B, T, K), and derivatives in theta, psi and rho psi, (B, 3, T, K)."""
    theta, psi, tilt = over_strikes(k, smiles)
    w, slopes = variance_and_slopes(k, theta, psi, tilt)
    s = jnp.sqrt(w)
    in_w = 0.5 * black.vega(k, s) / s  # dc/dw = dc/ds / (2 s)
    return black.price(k, s, is_call), jnp.stack([in_w * x for x in slopes], axis=1)


def over_strikes(k: Float[Numbers, "B T K"], rows: Float[Numbers, "B L T"]) -> list[Real]:
    """Repeat rows (B, L, T) over strikes: L arrays of the shape of k, (B, T, K)."""
    return [jnp.broadcast_to(jnp.expand_dims(row, -1), k.shape) for row in jnp.moveaxis(rows, 1, 0)]


def data_start(surface: QuoteSurface, targets: Targets) -> tuple[Real, Real, Real]:
    """Compute starting up, down and tau, (T,) each, from separately fitted smiles, then made monotone.

    A smile satisfies w^2 = theta w + rho psi k w + P k^2 / 4 with P = psi^2 (1 - rho^2), which is linear in
    theta, rho psi and P. So each expiry is a linear least-squares problem, exact for quotes of an eSSVI
    smile.
    """
    theta, tilt, curvature = _separate_smiles(surface, targets)
    psi = jnp.sqrt(tilt**2 + 4.0 * curvature)  # curvature is P / 4, and psi^2 = (rho psi)^2 + P
    quotes = jnp.sum(targets.share > 0.0, axis=(0, 2)).astype(float)
    level = surface.stdev**2
    root = jnp.sqrt(level)
    up = isotonic(root * (psi + tilt), quotes)
    down = isotonic(root * (psi - tilt), quotes)
    return up, down, isotonic(2.0 * theta * level / (up + down), quotes)


def _separate_smiles(surface: QuoteSurface, targets: Targets) -> tuple[Real, Real, Real]:
    """Fit theta, rho psi and P / 4 of each expiry separately, (T,) each, clipped to plausible ranges.

    theta and w are in units of the variance at the money, k in units of its square root.
    """
    level = surface.stdev**2
    scale = level[None, :, None]
    t = surface.t[None, :, None]
    w = jnp.maximum(surface.vol**2 * t / scale, 1e-8)
    x = jnp.broadcast_to(surface.k / jnp.sqrt(level)[:, None], w.shape)
    # error in units of the loss per error of the equation, whose derivative in w is about w
    error_scale = 0.5 * surface.vega / jnp.sqrt(t) / (targets.scale * w * jnp.sqrt(w * scale)) * scale
    weight = targets.share * error_scale**2
    columns = jnp.stack([w, x * w, x * x])
    matrix = jnp.einsum("iqtk,qtk,jqtk->tij", columns, weight, columns)
    right = jnp.einsum("iqtk,qtk->ti", columns, weight * w * w)
    ridge = _RIDGE * jnp.max(weight, axis=(0, 2)) + 1e-300
    typical = jnp.asarray(_TYPICAL)[None]
    matrix = matrix + ridge[:, None, None] * jnp.eye(3)[None]
    smiles = jnp.linalg.solve(matrix, (right + ridge[:, None] * typical)[..., None])[..., 0]
    return jnp.clip(smiles[:, 0], 0.2, 5.0), smiles[:, 1], jnp.clip(smiles[:, 2], 1e-8, 10.0)


def build(loss: Loss, cap: Cap, surface: QuoteSurface, used: Flags) -> tuple[SurfaceProblem, Real]:
    """Build the constants of the fit of one eSSVI surface, without leading axis, and its start (3 T,)."""
    targets = loss.targets(surface, used)
    known = jnp.any(used, axis=(0, 2))
    up, down, tau = data_start(surface, targets)
    size = jnp.maximum(0.5 * (up + down), _LEAST_WING * surface.stdev)
    level = jnp.where(known, surface.stdev**2, 1.0)
    space = Monotone(known=known, wing=jnp.where(known, jnp.clip(size, 1e-6, 4.0), 1.0), level=level)
    start = space.coordinates(up, down, tau, cap)
    has_few_strikes = jnp.sum(jnp.any(used, axis=0), axis=-1) < _FEW
    precision = jnp.where(
        jnp.tile(has_few_strikes & known, 3), _HOLD * tolerance(targets, surface, used), 0.0
    )
    return SurfaceProblem(k=surface.k, targets=targets, space=space, precision=precision, center=start), start
