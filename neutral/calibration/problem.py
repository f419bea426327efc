"""A calibration as numbers: constants of each lane, and the objective that solvers see."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ..models import AbstractFourierModel
from ..models.fourier.shifted import WithVariance
from ..pricing import AbstractGridEngine
from ..typing import Flags, Real
from .coordinates import Coordinates
from .losses import Loss, Targets
from .priors import AbstractPenalty
from .solvers import Evaluation, Objective


class Problem(NamedTuple):
    """Constants of a calibration. Leading axis of lanes B on every field, then as named."""

    grid: Any  # of the engine
    targets: Targets  # (2, T, K)
    unit: Real  # (T,)
    lower: Real  # (n,)
    upper: Real  # (n,)
    free: Flags  # (n,)
    precision: Real  # (n, n)
    center: Real  # (n,)


class Setting(eqx.Module):
    """What is the same for all lanes and fixed at compile time."""

    coordinates: Coordinates = eqx.field(static=True)
    engine: AbstractGridEngine[Any]
    loss: Loss
    penalties: tuple[AbstractPenalty, ...]

    def objective(self, problem: Problem) -> Objective:
        """The problem as a solver sees it."""
        return Objective(
            lambda y: self.evaluate(problem, y),
            lambda y: self.cost(problem, y),
            problem.lower, problem.upper, problem.free,
        )  # fmt: skip

    def model(self, problem: Problem, y: Real) -> AbstractFourierModel:
        """The model that the engine prices."""
        return self.coordinates.kernel(self.coordinates.natural(y, problem.unit))

    def errors(self, problem: Problem, price: Real) -> Real:
        """Scaled errors of the quotes, (B, 2, T, K), of out-of-the-money prices (B, T, K)."""
        price, target = jnp.expand_dims(price, -3), problem.targets
        above = jnp.maximum(price - target.high, 0.0)
        return (above + jnp.minimum(price - target.low, 0.0)) / target.scale

    def data_loss(self, problem: Problem, price: Real) -> Real:
        """The loss without prior, (B,)."""
        value, _, _ = self.loss.rho(self.errors(problem, price))
        return jnp.sum(problem.targets.share * value, axis=(-3, -2, -1))

    def prior(self, problem: Problem, y: Real) -> Real:
        """Prior and penalties, (B,)."""
        away = y - problem.center
        quadratic = jnp.sum(away * _times(problem.precision, away), axis=-1)
        return quadratic + jnp.sum(self._penalties(problem, y) ** 2, axis=-1)

    def cost(self, problem: Problem, y: Real) -> Real:
        """Loss and prior, (B,); differentiable, also in the problem's targets."""
        price = self.engine.prices(self.model(problem, y), problem.grid)
        return self.data_loss(problem, price) + self.prior(problem, y)

    def evaluate(self, problem: Problem, y: Real) -> Evaluation:
        """Cost with gradient and curvature from one evaluation of prices and Jacobian."""
        natural, chain = self.natural_and_chain(problem, y)
        price, slopes = self.engine.prices_and_jacobian(self.coordinates.kernel(natural), problem.grid)
        target = problem.targets
        e = self.errors(problem, price)
        value, first, second = self.loss.rho(e)
        inside = (e != 0.0) | (target.low == target.high)
        slope = jnp.where(inside, 1.0 / target.scale, 0.0)
        pull = _cells(target.share * first * e * slope)
        curvature = _cells(target.share * second * slope**2)
        weights = [curvature, pull**2]  # errors of call and put of a strike may go together
        if self.loss.robust != "none":
            weights.append(_cells(target.share * first * slope**2))
        gradient, (normal, scatter, *reweighted) = self._normal(slopes, pull, weights, chain)
        norms = jnp.diagonal(reweighted[0] if reweighted else normal, axis1=-2, axis2=-1)
        norms = jnp.sqrt(jnp.maximum(norms, 0.0))
        data = jnp.sum(target.share * value, axis=(-3, -2, -1))
        length = jnp.sum(target.share * first * e * e, axis=(-3, -2, -1))
        weight = target.share / target.scale**2
        total = jnp.sum(weight, axis=(-3, -2, -1))
        square = jnp.sum(target.share * e * e, axis=(-3, -2, -1))
        error = jnp.sqrt(square / jnp.where(total > 0.0, total, 1.0))
        at = Evaluation(data, gradient, normal, norms, length, error, scatter)
        return self._with_prior(problem, y, at)

    def natural_and_chain(self, problem: Problem, y: Real) -> tuple[Real, Real]:
        """Natural parameters (B, m) and their derivatives in the coordinates, (B, m, n)."""

        def one(y: Real, unit: Real) -> tuple[Real, Real]:
            value = self.coordinates.natural(y, unit)
            return value, value

        chain, natural = jax.vmap(jax.jacfwd(one, has_aux=True))(y, problem.unit)
        return natural, chain

    def named_chain(self, problem: Problem, y: Real) -> Real:
        """Derivatives of what the coordinates are named after, in the coordinates, (B, n, n).

        A shift's rows are of its increments.
        """
        _, chain = self.natural_and_chain(problem, y)
        count = len(self.coordinates.parameters)
        if not self.coordinates.shifted:
            return chain
        pad = jnp.pad(problem.unit, ((0, 0), (count, 0)))
        increments = jnp.expand_dims(pad, -1) * jnp.eye(y.shape[-1])[None]
        return jnp.concatenate([chain[:, :count], increments[:, count:]], axis=-2)

    def _normal(self, slopes: Any, pull: Real, weights: list[Real], chain: Real) -> tuple[Real, list[Real]]:
        """Gradient, and a normal matrix for each weighting of the cells, in the coordinates."""
        local = slopes.variance if isinstance(slopes, WithVariance) else None
        own = slopes.model if isinstance(slopes, WithVariance) else slopes
        entries = [jnp.moveaxis(x, -1, 1) if x.ndim > pull.ndim else x[:, None] for x in jax.tree.leaves(own)]
        columns = jnp.concatenate(entries, axis=1)  # (B, p, T, K)
        gradient = jnp.einsum("bptk,btk->bp", columns, pull)
        if local is not None:
            gradient = jnp.concatenate([gradient, jnp.sum(local * pull, axis=-1)], axis=-1)
        matrices = [_gram(columns, local, weight) for weight in weights]
        normal = [jnp.einsum("bij,bik,bkl->bjl", chain, m, chain) for m in matrices]
        return jnp.einsum("bij,bi->bj", chain, gradient), normal

    def _with_prior(self, problem: Problem, y: Real, at: Evaluation) -> Evaluation:
        """The evaluation with the residuals of prior and penalties added."""
        away = y - problem.center
        pull = _times(problem.precision, away)
        size = jnp.sum(pull * away, axis=-1)
        gradient, curvature, norms = (
            at.gradient + pull,
            at.curvature + problem.precision,
            at.norms**2 + jnp.diagonal(problem.precision, axis1=-2, axis2=-1),
        )
        if self.penalties:
            extra, slope = self._penalties(problem, y), self._penalty_slopes(problem, y)
            size = size + jnp.sum(extra**2, axis=-1)
            gradient = gradient + jnp.einsum("bi,bij->bj", extra, slope)
            curvature = curvature + jnp.einsum("bij,bik->bjk", slope, slope)
            norms = norms + jnp.sum(slope**2, axis=-2)
        return Evaluation(
            at.cost + size,
            gradient,
            curvature,
            jnp.sqrt(norms),
            jnp.sqrt(at.length + size),
            at.error,
            at.scatter,
        )

    def _penalties(self, problem: Problem, y: Real) -> Real:
        """Residuals of the penalties, (B, m); of many points where the problem has one lane."""
        unit = jnp.broadcast_to(problem.unit, y.shape[:1] + problem.unit.shape[1:])
        return jax.vmap(self._penalties_of_one)(y, unit)

    def _penalty_slopes(self, problem: Problem, y: Real) -> Real:
        return jax.vmap(jax.jacfwd(self._penalties_of_one))(y, problem.unit)

    def _penalties_of_one(self, y: Real, unit: Real) -> Real:
        natural = self.coordinates.natural(y, unit)
        values = self.coordinates.gather(jnp.unstack(natural))
        return jnp.concatenate([jnp.zeros(0), *(p.residuals(values) for p in self.penalties)])


def _times(matrix: Real, vector: Real) -> Real:
    """Product lane by lane; one lane's matrix serves many vectors."""
    return jnp.sum(matrix * jnp.expand_dims(vector, -2), axis=-1)


def _cells(quotes: Real) -> Real:
    """Sum over call and put of a strike."""
    return jnp.sum(quotes, axis=-3)


def _gram(columns: Real, local: Real | None, weight: Real) -> Real:
    """J' W J of columns shared by all maturities and, where given, of one that lives on each maturity."""
    weighted = columns * jnp.expand_dims(weight, -3)
    shared = jnp.einsum("bptk,bqtk->bpq", weighted, columns)
    if local is None:
        return shared
    mixed = jnp.einsum("bptk,btk->bpt", weighted, local)
    own = jnp.sum(local * local * weight, axis=-1)
    own = jnp.expand_dims(own, -1) * jnp.eye(own.shape[-1])[None]
    top = jnp.concatenate([shared, mixed], axis=-1)
    return jnp.concatenate([top, jnp.concatenate([jnp.swapaxes(mixed, -1, -2), own], axis=-1)], axis=-2)
