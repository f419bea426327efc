"""A calibration as numbers: the constants of each lane, and the objective that solvers minimise."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..models import AbstractFourierModel
from ..pricing import AbstractGridEngine
from ..typing import Flags, Real
from .coordinates import AbstractCoordinates
from .losses import Loss, Targets
from .priors import AbstractPenalty
from .solvers import Evaluation, Objective


class Problem(NamedTuple):
    """Constants of a calibration. Every field has a leading axis of lanes B, before the axes named here."""

    grid: Any  # constants of the engine
    targets: Targets  # (2, T, K)
    unit: Real  # (T,) increments of variance that count as 1
    lower: Real  # (n,) bounds of the coordinates
    upper: Real  # (n,)
    free: Flags  # (n,) coordinates that may move
    precision: Real  # (n, n) precision of the prior's pull
    center: Real  # (n,) point towards which it pulls


class Setting(eqx.Module):
    """The parts of a calibration that all lanes share; their structure is fixed at compile time."""

    coordinates: AbstractCoordinates = eqx.field(static=True)
    engine: AbstractGridEngine[Any]
    loss: Loss
    penalties: tuple[AbstractPenalty, ...]

    def objective(self, problem: Problem) -> Objective:
        """The objective that a solver minimises."""
        return Objective(
            evaluate=lambda y: self.evaluate(problem, y),
            cost=lambda y: self.cost(problem, y),
            lower=problem.lower,
            upper=problem.upper,
            free=problem.free,
        )

    def model(self, problem: Problem, y: Real) -> AbstractFourierModel:
        """The model that the engine prices, at the points y, shape (B, n)."""
        return self.coordinates.kernel(self.coordinates.natural(y, problem.unit))

    def errors(self, problem: Problem, price: Real) -> Real:
        """Scaled errors of the quotes, (B, 2, T, K), for out-of-the-money prices of shape (B, T, K)."""
        return self.loss.errors(problem.targets, price)

    def data_loss(self, problem: Problem, price: Real) -> Real:
        """The loss without the prior, (B,), for out-of-the-money prices of shape (B, T, K)."""
        value, _, _ = self.loss.rho(self.errors(problem, price))
        return jnp.sum(problem.targets.share * value, axis=(-3, -2, -1))

    def prior(self, problem: Problem, y: Real) -> Real:
        """The term of the prior and the penalties in the cost, (B,), at the points y, (B, n)."""
        away = y - problem.center
        quadratic = jnp.sum(away * _times(problem.precision, away), axis=-1)
        return quadratic + jnp.sum(self._penalties(problem, y) ** 2, axis=-1)

    def prior_curvature(self, problem: Problem, y: Real) -> Real:
        """Half the Gauss-Newton curvature of the prior and the penalties, (B, n, n), at the points y."""
        if not self.penalties:
            return problem.precision
        slope = self._penalty_slopes(problem, y)
        return problem.precision + jnp.einsum("bij,bik->bjk", slope, slope)

    def cost(self, problem: Problem, y: Real) -> Real:
        """Loss and prior, (B,), at the points y, (B, n); differentiable, also in the problem's targets."""
        price = self.engine.prices(self.model(problem, y), problem.grid)
        return self.data_loss(problem, price) + self.prior(problem, y)

    def evaluate(self, problem: Problem, y: Real) -> Evaluation:
        """Cost with gradient and curvature at the points y, (B, n), from one evaluation of the Jacobian."""
        natural, chain = self.natural_and_chain(problem, y)
        price, slopes = self.engine.prices_and_jacobian(self.coordinates.kernel(natural), problem.grid)
        return self._with_prior(problem, y, self._of_data(problem, price, slopes, chain))

    def natural_and_chain(self, problem: Problem, y: Real) -> tuple[Real, Real]:
        """Natural parameters (B, m) and their derivatives in the coordinates, (B, m, n)."""

        def one(y: Real, unit: Real) -> tuple[Real, Real]:
            value = self.coordinates.natural(y, unit)
            return value, value

        chain, natural = jax.vmap(jax.jacfwd(one, has_aux=True))(y, problem.unit)
        return natural, chain

    def named_chain(self, problem: Problem, y: Real) -> Real:
        """Derivatives in the coordinates of the values that the names belong to, (B, n, n)."""
        _, chain = self.natural_and_chain(problem, y)
        return self.coordinates.named_chain(chain, problem.unit)

    def _of_data(
        self, problem: Problem, price: Real, slopes: AbstractFourierModel, chain: Real
    ) -> Evaluation:
        """The evaluation of the data term sum_q share_q rho(e_q), where e_q are the errors of the quotes.

        With rho' = 2 e first(e), rho'' = 2 second(e), and s_q the derivative of e_q, half of its gradient is
        sum_q share_q first_q e_q s_q and half of its curvature is sum_q share_q second_q s_q s_q' (Triggs et
        al. 2000, section 4.3). `length` is squared here; `_with_prior` takes the root.
        """
        target = problem.targets
        e = self.errors(problem, price)
        value, first, second = self.loss.rho(e)
        slope = self.loss.slopes(target, price, e)
        pull = _cells(target.share * first * e * slope)
        curvature = _cells(target.share * second * slope**2)
        weights = [curvature, pull**2]  # errors of call and put of a strike may be correlated
        if self.loss.robust != "none":
            weights.append(_cells(target.share * first * slope**2))
        gradient, (normal, scatter, *reweighted) = self._normal(slopes, pull, weights, chain)
        norms = jnp.diagonal(reweighted[0] if reweighted else normal, axis1=-2, axis2=-1)
        norms = jnp.sqrt(jnp.maximum(norms, 0.0))
        cost = jnp.sum(target.share * value, axis=(-3, -2, -1))
        length = jnp.sum(target.share * first * e * e, axis=(-3, -2, -1))
        weight = target.share / target.scale**2
        total = jnp.sum(weight, axis=(-3, -2, -1))
        square = jnp.sum(target.share * e * e, axis=(-3, -2, -1))
        return Evaluation(
            cost=cost,
            gradient=gradient,
            curvature=normal,
            norms=norms,
            length=length,
            error=jnp.sqrt(square / jnp.where(total > 0.0, total, 1.0)),
            scatter=scatter,
        )

    def _normal(
        self, slopes: AbstractFourierModel, pull: Real, weights: list[Real], chain: Real
    ) -> tuple[Real, Sequence[Real]]:
        """The gradient, and one normal matrix for each weighting of the cells, in the coordinates."""
        columns = self.coordinates.columns(slopes)
        gradient = columns.gradient(pull)
        matrices = [columns.gram(weight) for weight in weights]
        normal = [jnp.einsum("bij,bik,bkl->bjl", chain, matrix, chain) for matrix in matrices]
        return jnp.einsum("bij,bi->bj", chain, gradient), normal

    def _with_prior(self, problem: Problem, y: Real, at: Evaluation) -> Evaluation:
        """The evaluation, to which the residuals of prior and penalties are added."""
        away = y - problem.center
        pull = _times(problem.precision, away)
        size = jnp.sum(pull * away, axis=-1)
        gradient = at.gradient + pull
        norms = at.norms**2 + jnp.diagonal(problem.precision, axis1=-2, axis2=-1)
        if self.penalties:
            extra = self._penalties(problem, y)
            slope = self._penalty_slopes(problem, y)
            size = size + jnp.sum(extra**2, axis=-1)
            gradient = gradient + jnp.einsum("bi,bij->bj", extra, slope)
            norms = norms + jnp.sum(slope**2, axis=-2)
        return at._replace(
            cost=at.cost + size,
            gradient=gradient,
            curvature=at.curvature + self.prior_curvature(problem, y),
            norms=jnp.sqrt(norms),
            length=jnp.sqrt(at.length + size),
        )

    def _penalties(self, problem: Problem, y: Real) -> Real:
        """Residuals of the penalties, (B, m); a problem with one lane takes any number of points."""
        unit = jnp.broadcast_to(problem.unit, y.shape[:1] + problem.unit.shape[1:])
        return jax.vmap(self._penalties_of_one)(y, unit)

    def _penalty_slopes(self, problem: Problem, y: Real) -> Real:
        return jax.vmap(jax.jacfwd(self._penalties_of_one))(y, problem.unit)

    def _penalties_of_one(self, y: Real, unit: Real) -> Real:
        natural = self.coordinates.natural(y, unit)
        values = self.coordinates.gather(jnp.unstack(natural))
        return jnp.concatenate([jnp.zeros(0), *(p.residuals(values) for p in self.penalties)])


def _times(matrix: Real, vector: Real) -> Real:
    """Product of matrix and vector in each lane; the matrix of a single lane serves many vectors."""
    return jnp.sum(matrix * jnp.expand_dims(vector, -2), axis=-1)


def _cells(quotes: Real) -> Real:
    """Sum over call and put of every strike."""
    return jnp.sum(quotes, axis=-3)
