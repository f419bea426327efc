"""How a function answers to its parameters: elasticities at a point, Sobol indices over a box."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError, NeutralError
from ..models.parameters import domains
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

    Estimators of Saltelli et al. (2010) on a scrambled Sobol sequence, by SALib (`pip install SALib`).

    Args:
        function: Points (m, n) to values (m,), finite; such as `jax.vmap` of a function of one point.
        bounds: Intervals by name, or one per input.
        names: Of the inputs, where bounds have none.
        samples: A power of 2; the function is asked for samples x (n + 2) points, in one call.
        seed: Of the sequence and of the bootstrap.
        level: Of the intervals.

    Raises:
        NeutralError: SALib is not installed.
        ArgumentError: an empty interval, names that do not go with the bounds, samples that are not a power
            of 2, values of another shape, not finite or all equal.
    """
    salib = _salib()
    names = tuple(bounds if isinstance(bounds, dict) else names or (f"x{i}" for i in range(len(bounds))))
    box = np.array(list(bounds.values()) if isinstance(bounds, dict) else bounds, float).reshape(-1, 2)
    if len(names) != len(box) or not np.all(box[:, 0] < box[:, 1]):
        raise ArgumentError(f"bounds must be one (lower, upper) per name, got {bounds!r} for {names}.")
    if samples < 2 or samples & (samples - 1):
        raise ArgumentError(f"samples must be a power of 2, got {samples}.")
    problem = {"num_vars": len(box), "names": list(names), "bounds": box.tolist()}
    points = salib.sample.sobol.sample(problem, samples, calc_second_order=False, seed=seed)
    values = np.asarray(function(points), float)
    if values.shape != (len(points),) or not np.all(np.isfinite(values)) or np.ptp(values) == 0.0:
        raise ArgumentError(
            f"function must give one finite value for each of {len(points)} points, not all equal; got shape "
            f"{values.shape}, {int(np.sum(~np.isfinite(values)))} of them not finite."
        )
    found = salib.analyze.sobol.analyze(
        problem, values, calc_second_order=False, num_resamples=_DRAWS, conf_level=level, seed=seed
    )
    first, total = (
        found[name][:, None] + found[f"{name}_conf"][:, None] * [[-1.0, 1.0]] for name in ("S1", "ST")
    )
    return SobolIndices(names, found["S1"], found["ST"], first, total)


def _salib() -> Any:
    try:
        import SALib.analyze.sobol
        import SALib.sample.sobol
    except ModuleNotFoundError as error:
        raise NeutralError("Sobol indices need SALib: pip install 'neutral[sensitivity]'.") from error
    return SALib
