"""Bootstrap: refits of a surface with its strikes drawn again, and intervals of means."""

from dataclasses import dataclass
from typing import Any, Unpack

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool, Float

from ..calibration.batch import solve_batch
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..quotes.surface import QuoteSurface
from ..typing import Values
from .arguments import CalibrationArguments
from .linearisation import Fit, fits_of


@dataclass(frozen=True)
class Bootstrap:
    """Fits to strikes that are drawn with replacement, in pairs of call and put (Efron 1979).

    Attributes:
        names: Names of the coordinates, n.
        estimates: Fitted values in natural units, shape (draws, n); nan where the fit of a draw has not
            converged, or the draw has no more strikes than parameters.
        reason: Why there are no estimates; "" where there are.
    """

    names: tuple[str, ...]
    estimates: Float[np.ndarray, "draws n"]
    reason: str = ""

    @property
    def failed(self) -> int:
        """Number of draws without a fit."""
        return len(self.estimates) - len(self._fitted)

    @property
    def _fitted(self) -> Float[np.ndarray, "fitted n"]:
        """Estimates of the draws that have a fit."""
        return self.estimates[np.isfinite(self.estimates[:, 0])]

    def standard_errors(self) -> Float[np.ndarray, " n"]:
        """Standard errors of what `names` lists, in natural units; nan with fewer than two fits."""
        few = len(self._fitted) < 2
        return np.full(len(self.names), np.nan) if few else np.std(self._fitted, axis=0, ddof=1)

    def intervals(self, level: float = 0.9) -> Float[np.ndarray, "n 2"]:
        """Percentile intervals of what `names` lists; nan with fewer than two fits."""
        if len(self._fitted) < 2:
            return np.full((len(self.names), 2), np.nan)
        tail = 50.0 * (1.0 - level)
        return np.percentile(self._fitted, [tail, 100.0 - tail], axis=0).T

    def __str__(self) -> str:
        """One line per parameter."""
        if self.reason:
            return f"the bootstrap cannot be made: {self.reason}"
        head = f"bootstrap of strikes, {len(self.estimates)} draws, {self.failed} without a fit:"
        ends = zip(self.names, self.intervals(), strict=True)
        return "\n".join([head, *(f"  {name}: [{low:.4g}, {high:.4g}]" for name, (low, high) in ends)])

    def rows(self, level: float = 0.9) -> list[dict[str, Any]]:
        """One row per parameter: standard error and percentile interval."""
        if self.reason:
            return []
        columns = zip(self.names, self.standard_errors(), self.intervals(level), strict=True)
        return [
            {"parameter": name, "standard_error": float(error), "low": float(low), "high": float(high)}
            for name, error, (low, high) in columns
        ]


def bootstrap(
    result: CalibrationResult,
    surface: QuoteSurface,
    draws: int = 200,
    seed: int = 0,
    **options: Unpack[CalibrationArguments],
) -> Bootstrap:
    """Refit a surface with its strikes drawn again, all draws as one batch that starts from the fit.

    Args:
        result: One fit.
        surface: The surface that was calibrated.
        draws: Number of refits, at least 2.
        seed: Seed of the draws.
        options: engine, loss, prior, fixed, bounds and mask of the calibration, which the result knows: only
            one that an older version has saved needs them.

    Raises:
        ArgumentError: a batch, too few draws, another surface, or options that contradict the calibration.
    """
    if np.ndim(result.status) or draws < 2:
        raise ArgumentError(f"bootstrap takes one fit, as in results[3], and at least 2 draws, got {draws}.")
    (fit,) = fits_of(result, surface, **options)
    names = fit.result.names
    reason = fit.undetermined()
    if reason:
        return Bootstrap(names, np.zeros((0, len(names))), reason)
    times = _drawn(np.any(fit.at.bend > 0.0, axis=0), draws, seed)
    refits = _refits(fit, times)
    estimates = fit.named(np.asarray(refits.coordinates))
    enough = np.sum(times > 0.0, axis=(1, 2, 3)) > fit.moving.size
    determined = np.asarray(refits.converged) & enough
    return Bootstrap(names, np.where(determined[:, None], estimates, np.nan))


def _drawn(cells: Bool[np.ndarray, "T K"], draws: int, seed: int) -> Float[np.ndarray, "draws 1 T K"]:
    """How many times each draw has each of the strikes `cells`."""
    count = int(cells.sum())
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=draws)
    times = np.zeros((draws, 1, *cells.shape))
    times[:, 0, cells] = counts
    return times


def _refits(fit: Fit, times: Float[np.ndarray, "draws 1 T K"]) -> CalibrationResult:
    """Fits to the surface with its weights multiplied, which start from the fit."""
    draws = len(times)
    lanes = jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], draws, axis=0), fit.lane)
    y = np.asarray(fit.result.coordinates)
    lanes = lanes._replace(
        surface=eqx.tree_at(lambda s: s.weight, lanes.surface, lanes.surface.weight * times),
        used=lanes.used & (times > 0),
        starts=np.broadcast_to(y, (draws, 1, y.size)).copy(),
    )
    return solve_batch(fit.request, lanes)


def bootstrap_mean(
    values: Values, level: float = 0.95, draws: int = 3000, seed: int = 123
) -> tuple[float, float]:
    """Percentile interval of a mean over snapshots (Efron 1979).

    Args:
        values: One per snapshot; values that are not finite are left out.
        level: Probability of the interval.
        draws: Number of means that are drawn.
        seed: Seed of the draws.

    Returns:
        Lower and upper end; nan where fewer than two different values are finite.
    """
    sample = np.asarray(values, float)
    sample = sample[np.isfinite(sample)]
    if np.unique(sample).size < 2:
        return np.nan, np.nan
    rows = np.random.default_rng(seed).integers(sample.size, size=(draws, sample.size))
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(np.mean(sample[rows], axis=1), [tail, 100.0 - tail])
    return float(low), float(high)
