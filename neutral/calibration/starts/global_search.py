"""Global search for starts in a wide box, by evenly spread points or by populations that evolve."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...typing import Codes, Flags, Real
from ..solvers import Objective


class AbstractExploration(eqx.Module):
    """A global search for starts that uses costs without gradients; many points are priced in one batch."""

    @abc.abstractmethod
    def starts(self, objective: Objective, lower: Real, upper: Real) -> Real:
        """The best points, shape (starts, n), best first.

        Args:
            objective: The objective of one lane.
            lower: Lower corner of the box in which the search begins, shape (n,), inside the bounds.
            upper: Upper corner of the box, shape (n,).
        """


class QuasiRandom(AbstractExploration):
    """The best of evenly spread points.

    The points are those of the R-d sequence (Roberts 2018) from a random origin. It is a Kronecker sequence:
    multiples of powers of one irrational number, modulo 1. It is as even as Sobol's sequence, for any number
    of points and any dimension.

    Attributes:
        points: Number of points that are priced.
        keep: Number of best points, which become starts.
        seed: Seed of the random origin.
    """

    points: int = eqx.field(static=True, default=512)
    keep: int = eqx.field(static=True, default=24)
    seed: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        """Refuse impossible numbers of points."""
        if not 1 <= self.keep <= self.points:
            raise ArgumentError(
                f"QuasiRandom needs 1 <= keep <= points, got keep={self.keep}, points={self.points}."
            )

    def starts(self, objective: Objective, lower: Real, upper: Real) -> Real:
        """See `AbstractExploration.starts`."""
        y = _spread(self.points, self.seed, lower, upper)
        return _best(y, _costs(objective, y), self.keep)


class DifferentialEvolution(AbstractExploration):
    """Populations that move along the differences of their members (Storn and Price 1997), by best/1/bin.

    A trial takes each coordinate, with probability `crossover`, from best + F (a - b), where a and b are two
    random members, else from its parent; it replaces the parent if its cost is lower. F is drawn for each
    trial between the two `mutation` values. There are several separate populations, the islands, because one
    population ends in one minimum. The first members are points as in `QuasiRandom`; later ones may leave the
    box, but not the bounds.

    Attributes:
        population: Number of members of an island.
        islands: Number of populations; the best member of each becomes a start.
        generations: Number of trials for every member.
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

        # generation 0 prices the first members, inside the loop so that pricing is compiled once
        none = jnp.full(first.shape[0], jnp.inf)
        y, cost = jax.lax.fori_loop(0, self.generations + 1, generation, (first, none))
        leader = self._leaders(cost)
        return _best(y[leader], cost[leader], self.islands)

    def _leaders(self, cost: Real) -> Codes:
        """Index of the best member of each island; member j belongs to island j modulo `islands`."""
        best = jnp.argmin(cost.reshape((self.population, self.islands)), axis=0)
        return best * self.islands + jnp.arange(self.islands)

    def _trials(self, key: jax.Array, objective: Objective, y: Real, cost: Real) -> Real:
        """One trial for every member, (population * islands, n)."""
        size, n = y.shape
        others, weights, picks, forced = jax.random.split(key, 4)
        one, other = _two_others(others, self.population, size)
        first, second = ((jnp.arange(size) + ahead * self.islands) % size for ahead in (one, other))
        best = jnp.tile(y[self._leaders(cost)], (self.population, 1))
        low, high = self.mutation
        weight = jax.random.uniform(weights, (size, 1), minval=low, maxval=high)
        mutant = best + weight * (y[first] - y[second])
        crossed = jax.random.uniform(picks, (size, n)) < self.crossover
        crossed = crossed | (jnp.arange(n)[None] == jax.random.randint(forced, (size, 1), 0, n))
        return jnp.where(crossed & objective.free, _reflected(mutant, objective), y)


def _two_others(key: jax.Array, population: int, size: int) -> tuple[Codes, Codes]:
    """How many places ahead two other members are, which differ from each other; each of shape (size,)."""
    draw = jax.random.split(key, 2)
    one = jax.random.randint(draw[0], (size,), 1, population)
    other = jax.random.randint(draw[1], (size,), 1, population - 1)
    return one, jnp.where(other >= one, other + 1, other)


def _reflected(y: Real, objective: Objective) -> Real:
    """The points, mirrored at the bounds where they are outside, and then clipped to the bounds."""
    y = jnp.where(y < objective.lower, 2.0 * objective.lower - y, y)
    y = jnp.where(y > objective.upper, 2.0 * objective.upper - y, y)
    return jnp.clip(y, objective.lower, objective.upper)


def _costs(objective: Objective, y: Real) -> Real:
    """Costs of points, with inf in place of costs that are not finite."""
    cost = objective.cost(y)
    return jnp.where(jnp.isfinite(cost), cost, jnp.inf)


def _best(y: Real, cost: Real, keep: int) -> Real:
    """The points of lowest cost, best first."""
    return y[jnp.argsort(cost)[:keep]]


def _spread(count: int, seed: int, lower: Real, upper: Real) -> Real:
    """Points of the R-d sequence in a box, from a random origin, (count, n)."""
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

    Returns:
        Shape (); a parameter that is 0 in the best fit has size 1; nan if no fit counts.
    """
    chosen = near[:, None]
    high = jnp.max(jnp.where(chosen, values, -jnp.inf), axis=0)
    low = jnp.min(jnp.where(chosen, values, jnp.inf), axis=0)
    size = jnp.where(best == 0.0, 1.0, jnp.abs(best))
    return jnp.where(jnp.any(near), jnp.max((high - low) / size), jnp.nan)
