"""How a function answers to its parameters: elasticities at a point, Sobol indices over a box."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..parameters import domains
from ..typing import Real

_DRAWS = 400  # of the bootstrap


def elasticities(function: Callable[[Any], Any], model: Any) -> dict[str, Real]:
    """Relative change of a function per relative change of each parameter: d log f / d log |parameter|.

    Args:
        function: Differentiable, model to array: prices, implied volatilities, ...
        model: Where.

    Returns:
        By parameter, the shape of the function's value, and the axes of the parameter after it; nan where
        the value is 0.
    """
    value = jnp.asarray(function(model))
    slopes = jax.jacfwd(function)(model)
    found = {}
    for name in domains(model):
        parameter, slope = jnp.asarray(getattr(model, name)), getattr(slopes, name)
        below = jnp.reshape(value, value.shape + (1,) * (slope.ndim - value.ndim))
        found[name] = slope * jnp.reshape(parameter, (1,) * value.ndim + parameter.shape) / below
    return found


@dataclass(frozen=True)
class SobolIndices:
    """Shares of a function's variance over a box (Sobol 2001).

    Attributes:
        names: Inputs, n.
        first: Share that each explains alone, (n,).
        total: Share that is lost without it, alone and with others, (n,).
        first_interval: Of `first`, (n, 2), by bootstrap of the points.
        total_interval: Of `total`, (n, 2).
    """

    names: tuple[str, ...]
    first: np.ndarray
    total: np.ndarray
    first_interval: np.ndarray
    total_interval: np.ndarray

    def __str__(self) -> str:
        """One line per input."""
        return "\n".join(
            ["Sobol indices, first order and total:"]
            + [
                f"  {row['parameter']}: {row['first']:.3f} [{row['first_low']:.3f}, {row['first_high']:.3f}]"
                f"  {row['total']:.3f} [{row['total_low']:.3f}, {row['total_high']:.3f}]"
                for row in self.rows()
            ]
        )

    def rows(self) -> list[dict[str, Any]]:
        """One row per input: both indices with their intervals."""
        columns = {
            "first": self.first,
            "first_low": self.first_interval[:, 0],
            "first_high": self.first_interval[:, 1],
            "total": self.total,
            "total_low": self.total_interval[:, 0],
            "total_high": self.total_interval[:, 1],
        }
        return [
            {"parameter": name} | {key: float(column[i]) for key, column in columns.items()}
            for i, name in enumerate(self.names)
        ]


def sobol(
    function: Callable[[np.ndarray], Any],
    bounds: dict[str, tuple[float, float]] | Sequence[tuple[float, float]],
    names: Sequence[str] | None = None,
    samples: int = 1024,
    seed: int = 0,
    level: float = 0.95,
) -> SobolIndices:
    """Sobol indices of a function of independent inputs, each even over an interval.

    Saltelli's estimator of the first order and Jansen's of the total (Saltelli et al. 2010), on a scrambled
    Sobol sequence.

    Args:
        function: Points (m, n) to values (m,), finite; such as `jax.vmap` of a function of one point.
        bounds: Intervals by name, or one per input.
        names: Of the inputs, where bounds have none.
        samples: A power of 2; the function is asked for samples x (n + 2) points, in one call.
        seed: Of the sequence and of the bootstrap.
        level: Of the intervals.

    Raises:
        ArgumentError: an empty interval, names that do not go with the bounds, samples that are not a power
            of 2, values of another shape, not finite or all equal.
    """
    from scipy.stats import qmc

    names = tuple(bounds if isinstance(bounds, dict) else names or (f"x{i}" for i in range(len(bounds))))
    box = np.array(list(bounds.values()) if isinstance(bounds, dict) else bounds, float).reshape(-1, 2)
    if len(names) != len(box) or not np.all(box[:, 0] < box[:, 1]):
        raise ArgumentError(f"bounds must be one (lower, upper) per name, got {bounds!r} for {names}.")
    if samples < 2 or samples & (samples - 1):
        raise ArgumentError(f"samples must be a power of 2, got {samples}.")
    n, rng = len(box), np.random.default_rng(seed)
    first, second = np.split(qmc.Sobol(2 * n, rng=rng).random(samples), 2, axis=1)
    swapped = np.where(np.eye(n, dtype=bool)[:, None], second, first)
    points = np.concatenate([first[None], second[None], swapped]).reshape(-1, n)
    values = np.asarray(function(box[:, 0] + (box[:, 1] - box[:, 0]) * points), float)
    if values.shape != (len(points),) or not np.all(np.isfinite(values)) or np.ptp(values) == 0.0:
        raise ArgumentError(
            f"function must give one finite value for each of {len(points)} points, not all equal; got shape "
            f"{values.shape}, {int(np.sum(~np.isfinite(values)))} of them not finite."
        )
    f = values.reshape(n + 2, samples)
    drawn = np.stack([_indices(f[:, rows]) for rows in rng.integers(samples, size=(_DRAWS, samples))])
    low, high = np.percentile(drawn, [50.0 * (1.0 - level), 50.0 * (1.0 + level)], axis=0)
    intervals = np.stack([low, high], axis=-1)
    return SobolIndices(names, *_indices(f), *intervals)


def _indices(f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First-order and total indices of values (n + 2, samples) at A, B and A with each column of B."""
    a, b, swapped = f[0], f[1], f[2:]
    variance = np.var(f[:2])
    first = np.mean((b - np.mean(f[:2])) * (swapped - a), axis=1) / variance
    return first, 0.5 * np.mean((a - swapped) ** 2, axis=1) / variance
