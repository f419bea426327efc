"""Starts from a wide box: quasi-random points, or a population that evolves; a local solver does the rest."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..typing import Flags, Real
from .solvers import Objective


class AbstractExploration(eqx.Module):
    """Where to start, from costs alone: all points are priced in one batch, gradients are not asked for."""

    keep: eqx.AbstractVar[int]

    @abc.abstractmethod
    def starts(self, objective: Objective, lower: Real, upper: Real) -> Real:
        """The best points found, shape (keep, n), best first.

        Args:
            objective: Of one lane.
            lower: Lower corner of the box that is looked at first, shape (n,), inside the bounds.
            upper: Upper corner, shape (n,).
        """


class QuasiRandom(AbstractExploration):
    """The best of evenly spread points.

    The points are the R-d sequence (Roberts 2018), multiples of powers of one irrational number modulo 1 (a
    Kronecker sequence), from a random origin: as even as Sobol's, of any number and dimension.

    Attributes:
        points: Points that are priced.
        keep: Of them, those that become starts; all of them where it is `points`.
        seed: Of the origin.
    """

    points: int = eqx.field(static=True, default=64)
    keep: int = eqx.field(static=True, default=6)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        """Refuse impossible counts."""
        if not 1 <= self.keep <= self.points:
            raise ArgumentError(
                f"QuasiRandom needs 1 <= keep <= points, got keep={self.keep}, points={self.points}."
            )

    def starts(self, objective: Objective, lower: Real, upper: Real) -> Real:
        """See `AbstractExploration.starts`."""
        y = _spread(self.points, self.seed, lower, upper)
        return _best(y, _costs(objective, y), self.keep)


class DifferentialEvolution(AbstractExploration):
    """A population that moves along its own differences (Storn and Price 1997), rule best/1/bin.

    A trial takes coordinates of best + F (a - b), two members by chance, with probability `crossover`,
    and replaces its parent where its cost is lower. F is drawn anew for each trial between the two `mutation`
    values. The first population is `QuasiRandom`'s; later ones may leave its box, never the bounds.

    Attributes:
        population: Members.
        generations: Times that every member is challenged.
        keep: The best members, that become starts.
        mutation: Smallest and largest F.
        crossover: Probability that a coordinate is taken from the mutant.
        seed: Of all draws; the same seed gives the same starts.
    """

    population: int = eqx.field(static=True, default=64)
    generations: int = eqx.field(static=True, default=30)
    keep: int = eqx.field(static=True, default=4)
    mutation: tuple[float, float] = eqx.field(static=True, default=(0.4, 0.9))
    crossover: float = eqx.field(static=True, default=0.9)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if not 1 <= self.keep <= self.population or self.population < 4 or self.generations < 0:
            raise ArgumentError(
                "DifferentialEvolution needs population >= 4, generations >= 0 and 1 <= keep <= population, "
                f"got {self.population}, {self.generations} and {self.keep}."
            )
        low, high = self.mutation
        if not 0.0 < low <= high <= 2.0 or not 0.0 < self.crossover <= 1.0:
            raise ArgumentError(
                "DifferentialEvolution needs mutation=(low, high) with 0 < low <= high <= 2 and crossover "
                f"in (0, 1], got {self.mutation} and {self.crossover}."
            )

    def starts(self, objective: Objective, lower: Real, upper: Real) -> Real:
        """See `AbstractExploration.starts`."""
        y = _spread(self.population, self.seed, lower, upper)

        def generation(i: Real, now: tuple[Real, Real]) -> tuple[Real, Real]:
            y, cost = now
            trial = self._trials(jax.random.fold_in(jax.random.key(self.seed), i), objective, y, cost)
            cost_there = _costs(objective, trial)
            better = cost_there < cost
            return jnp.where(better[:, None], trial, y), jnp.where(better, cost_there, cost)

        # the first population is challenged by itself, so that the price is compiled once
        y, cost = jax.lax.fori_loop(0, self.generations + 1, generation, (y, jnp.full(y.shape[0], jnp.inf)))
        return _best(y, cost, self.keep)

    def _trials(self, key: jax.Array, objective: Objective, y: Real, cost: Real) -> Real:
        """One challenger for every member, (population, n); the members themselves before any has a cost."""
        size, n = y.shape
        others, weights, picks, forced = jax.random.split(key, 4)
        shift = jax.random.randint(others, (size, 2), 1, size - 1)
        shift = jnp.stack([shift[:, 0], shift[:, 0] + 1 + (shift[:, 1] % (size - 2))], axis=1)
        first, second = ((jnp.arange(size) + shift[:, j]) % size for j in (0, 1))
        low, high = self.mutation
        weight = jax.random.uniform(weights, (size, 1), minval=low, maxval=high)
        mutant = y[jnp.argmin(cost)][None] + weight * (y[first] - y[second])
        taken = jax.random.uniform(picks, (size, n)) < self.crossover
        taken = taken | (jnp.arange(n)[None] == jax.random.randint(forced, (size, 1), 0, n))
        trial = jnp.where(taken & objective.free, _reflected(mutant, objective), y)
        return jnp.where(jnp.all(jnp.isinf(cost)), y, trial)


def _reflected(y: Real, objective: Objective) -> Real:
    """Points outside a bound, as far inside of it."""
    y = jnp.where(y < objective.lower, 2.0 * objective.lower - y, y)
    y = jnp.where(y > objective.upper, 2.0 * objective.upper - y, y)
    return jnp.clip(y, objective.lower, objective.upper)


def _costs(objective: Objective, y: Real) -> Real:
    cost = objective.cost(y)
    return jnp.where(jnp.isfinite(cost), cost, jnp.inf)


def _best(y: Real, cost: Real, keep: int) -> Real:
    return y[jnp.argsort(cost)[:keep]]


def _spread(count: int, seed: int, lower: Real, upper: Real) -> Real:
    """Points of the R-d sequence in a box, (count, n)."""
    n = lower.size
    root = 2.0
    for _ in range(64):  # the positive root of x^(n+1) = x + 1
        root = (1.0 + root) ** (1.0 / (n + 1))
    steps = root ** -np.arange(1.0, n + 1.0)
    origin = np.random.default_rng(seed).random(n)
    unit = (origin + np.arange(1.0, count + 1.0)[:, None] * steps) % 1.0
    return lower[None] + jnp.asarray(unit) * (upper - lower)[None]


def relative_spread(values: Real, near: Flags, best: Real) -> Real:
    """Largest range of a parameter among some fits, relative to its size in the best one.

    Args:
        values: Parameters, shape (starts, parameters).
        near: Fits that count, shape (starts,).
        best: Parameters of the best fit, shape (parameters,).
    """
    chosen = near[:, None]
    high = jnp.max(jnp.where(chosen, values, -jnp.inf), axis=0)
    low = jnp.min(jnp.where(chosen, values, jnp.inf), axis=0)
    size = jnp.where(best == 0.0, 1.0, jnp.abs(best))
    return jnp.where(jnp.any(near), jnp.max((high - low) / size), jnp.nan)
