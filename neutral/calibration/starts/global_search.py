"""Global search: starts from a wide box, by evenly spread points or a population that evolves."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...typing import Codes, Flags, Real
from ..solvers import Objective


class AbstractExploration(eqx.Module):
    """A global search for starts from costs alone: points are priced in one batch, without gradients."""

    @abc.abstractmethod
    def starts(self, objective: Objective, lower: Real, upper: Real) -> Real:
        """The best points, shape (starts, n), best first.

        Args:
            objective: Of one lane.
            lower: Lower corner of the box that is searched first, shape (n,), inside the bounds.
            upper: Upper corner of the box, shape (n,).
        """


class QuasiRandom(AbstractExploration):
    """The best of evenly spread points.

    The points are the R-d sequence (Roberts 2018), multiples of powers of one irrational number modulo 1 (a
    Kronecker sequence), from a random origin: as even as Sobol's, of any number and dimension.

    Attributes:
        points: Number of points that are priced.
        keep: Number of points that become starts, the best ones.
        seed: Seed of the random origin.
    """

    points: int = eqx.field(static=True, default=512)
    keep: int = eqx.field(static=True, default=24)
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
    """Populations that move along their own differences (Storn and Price 1997), rule best/1/bin.

    A trial takes coordinates of best + F (a - b), two members by chance, with probability `crossover`,
    and replaces its parent where its cost is lower. F is drawn for each trial between the two `mutation`
    values. Islands evolve apart, since one population ends in one minimum. The first members are points of
    `QuasiRandom`; later ones may leave its box, never the bounds.

    Attributes:
        population: Members of an island.
        islands: Number of populations; the best member of each becomes a start.
        generations: How often every member is challenged.
        mutation: Smallest and largest F.
        crossover: Probability that a coordinate is taken from the mutant.
        seed: Seed of all draws; the same seed gives the same starts.
    """

    population: int = eqx.field(static=True, default=16)
    islands: int = eqx.field(static=True, default=12)
    generations: int = eqx.field(static=True, default=25)
    mutation: tuple[float, float] = eqx.field(static=True, default=(0.4, 0.9))
    crossover: float = eqx.field(static=True, default=0.9)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        if self.population < 4 or self.islands < 1 or self.generations < 0:
            raise ArgumentError(
                "DifferentialEvolution needs population >= 4, islands >= 1 and generations >= 0, got "
                f"{self.population}, {self.islands} and {self.generations}."
            )
        low, high = self.mutation
        if not 0.0 < low <= high <= 2.0 or not 0.0 < self.crossover <= 1.0:
            raise ArgumentError(
                "DifferentialEvolution needs mutation=(low, high) with 0 < low <= high <= 2 and crossover "
                f"in (0, 1], got {self.mutation} and {self.crossover}."
            )

    def starts(self, objective: Objective, lower: Real, upper: Real) -> Real:
        """See `AbstractExploration.starts`."""
        first = _spread(self.population * self.islands, self.seed, lower, upper)
        key = jax.random.key(self.seed)

        def generation(i: Codes, now: tuple[Real, Real]) -> tuple[Real, Real]:
            y, cost = now
            trial = jnp.where(i == 0, y, self._trials(jax.random.fold_in(key, i), objective, y, cost))
            cost_there = _costs(objective, trial)
            better = cost_there < cost
            return jnp.where(better[:, None], trial, y), jnp.where(better, cost_there, cost)

        # generation 0 prices the first members, inside the loop so that the price is compiled once
        none = jnp.full(first.shape[0], jnp.inf)
        y, cost = jax.lax.fori_loop(0, self.generations + 1, generation, (first, none))
        leader = self._leaders(cost)
        return _best(y[leader], cost[leader], self.islands)

    def _leaders(self, cost: Real) -> Codes:
        """Index of the best member of each island; member j belongs to island j modulo their number."""
        best = jnp.argmin(cost.reshape((self.population, self.islands)), axis=0)
        return best * self.islands + jnp.arange(self.islands)

    def _trials(self, key: jax.Array, objective: Objective, y: Real, cost: Real) -> Real:
        """One challenger for every member, (population * islands, n)."""
        size, n = y.shape
        others, weights, picks, forced = jax.random.split(key, 4)
        one, other = _two_others(others, self.population, size)
        first, second = ((jnp.arange(size) + ahead * self.islands) % size for ahead in (one, other))
        best = jnp.tile(y[self._leaders(cost)], (self.population, 1))
        low, high = self.mutation
        weight = jax.random.uniform(weights, (size, 1), minval=low, maxval=high)
        mutant = best + weight * (y[first] - y[second])
        taken = jax.random.uniform(picks, (size, n)) < self.crossover
        taken = taken | (jnp.arange(n)[None] == jax.random.randint(forced, (size, 1), 0, n))
        return jnp.where(taken & objective.free, _reflected(mutant, objective), y)


def _two_others(key: jax.Array, population: int, size: int) -> tuple[Codes, Codes]:
    """How far ahead two other members are, which differ; each of shape (size,)."""
    draw = jax.random.split(key, 2)
    one = jax.random.randint(draw[0], (size,), 1, population)
    other = jax.random.randint(draw[1], (size,), 1, population - 1)
    return one, jnp.where(other >= one, other + 1, other)


def _reflected(y: Real, objective: Objective) -> Real:
    """Points outside a bound are mirrored at it, then clipped to the bounds."""
    y = jnp.where(y < objective.lower, 2.0 * objective.lower - y, y)
    y = jnp.where(y > objective.upper, 2.0 * objective.upper - y, y)
    return jnp.clip(y, objective.lower, objective.upper)


def _costs(objective: Objective, y: Real) -> Real:
    """Costs of points, inf where not finite."""
    cost = objective.cost(y)
    return jnp.where(jnp.isfinite(cost), cost, jnp.inf)


def _best(y: Real, cost: Real, keep: int) -> Real:
    """The points of lowest cost, best first."""
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
