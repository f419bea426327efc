"""Sensitivity of a function to its parameters: elasticities at a point and Sobol indices over a box."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError, NeutralError
from ..models import AbstractModel
from ..models.parameters import domains
from ..presentation.frame import Tabular
from ..typing import Real

_DRAWS = 400  # number of bootstrap samples


def elasticities(function: Callable[[Any], Any], model: AbstractModel) -> dict[str, Real]:
    """Compute relative changes of a function per relative change of a parameter, d log f / d log parameter.

    Args:
        function: Differentiable function from a model to an array, such as prices or implied volatilities.
        model: Model at which the derivatives are taken.

    Returns:
        Elasticities by parameter, with the shape of the function's value followed by the axes of the
        parameter. They are not finite where the value is 0.
    """
    value = jnp.asarray(function(model))
    slopes = jax.jacfwd(function)(model)
    relative = {}
    for name in domains(model):
        parameter = jnp.asarray(getattr(model, name))
        slope = getattr(slopes, name)
        denominator = jnp.reshape(value, value.shape + (1,) * (slope.ndim - value.ndim))
        relative[name] = slope * jnp.reshape(parameter, (1,) * value.ndim + parameter.shape) / denominator
    return relative


@dataclass(frozen=True)
class SobolIndices(Tabular):
    """Shares of a function's variance over a box (Sobol 2001).

    Attributes:
        names: Names of the n inputs.
        first: Share of the variance that each input explains alone.
        total: Share that each input explains alone and in interaction with others.
        first_interval: Bootstrap intervals of `first`.
        total_interval: Bootstrap intervals of `total`.
    """

    names: tuple[str, ...]
    first: Float[np.ndarray, " n"]
    total: Float[np.ndarray, " n"]
    first_interval: Float[np.ndarray, "n 2"]
    total_interval: Float[np.ndarray, "n 2"]

    def __str__(self) -> str:
        """Write one line per input."""
        return "\n".join(
            ["Sobol indices with intervals, first order and total:"]
            + [
                f"  {row['parameter']}: {row['first']:.3f} [{row['first_low']:.3f}, {row['first_high']:.3f}]"
                f"  {row['total']:.3f} [{row['total_low']:.3f}, {row['total_high']:.3f}]"
                for row in self.rows()
            ]
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per input: both indices with their intervals."""
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
    """Compute Sobol indices of a function of independent inputs, each uniform over an interval.

    SALib (`pip install 'neutral[sensitivity]'`) computes the estimators of Saltelli et al. (2010) on a
    scrambled Sobol sequence.

    Args:
        function: Function from points (m, n) to finite values (m,), such as `jax.vmap` of a function of one
            point.
        bounds: Intervals (lower, upper) by name, or one per input.
        names: Names of the inputs if `bounds` has none; "x0", "x1", ... if None.
        samples: Number of samples, a power of 2; the function is called once, with samples x (n + 2) points.
        seed: Seed of the sequence and of the bootstrap.
        level: Probability of the intervals, in (0, 1).

    Returns:
        The indices with their intervals.

    Raises:
        NeutralError: SALib is not installed.
        ArgumentError: an interval is empty, names do not match the bounds, samples is not a power of 2, or
            the values are not finite, all equal or of another shape.
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
            f"function must return one finite value for each of {len(points)} points, not all equal; got "
            f"shape {values.shape}, {int(np.sum(~np.isfinite(values)))} of them not finite."
        )
    indices = salib.analyze.sobol.analyze(
        problem, values, calc_second_order=False, num_resamples=_DRAWS, conf_level=level, seed=seed
    )
    intervals = {
        name: indices[name][:, None] + indices[f"{name}_conf"][:, None] * [[-1.0, 1.0]]
        for name in ("S1", "ST")
    }
    return SobolIndices(
        names=names,
        first=np.asarray(indices["S1"]),
        total=np.asarray(indices["ST"]),
        first_interval=intervals["S1"],
        total_interval=intervals["ST"],
    )


def _salib() -> ModuleType:
    try:
        import SALib.analyze.sobol
        import SALib.sample.sobol
    except ModuleNotFoundError as error:
        raise NeutralError("Sobol indices need SALib: pip install 'neutral[sensitivity]'.") from error
    return SALib
