"""Refits of a surface whose strikes are drawn again, and of means drawn again."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ..calibration.batch import solve_batch
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..quotes.surface import QuoteSurface
from .linearisation import fits_of


@dataclass(frozen=True)
class Bootstrap:
    """Fits to strikes drawn with replacement (Efron 1979; pairs).

    Attributes:
        names: Coordinates.
        estimates: Natural units, (draws, n); nan where a draw's fit has not converged, or has no more strikes
            than parameters.
        reason: Why there are none; "" where there are.
    """

    names: tuple[str, ...]
    estimates: np.ndarray
    reason: str = ""

    @property
    def failed(self) -> int:
        """Draws without a fit."""
        return len(self.estimates) - len(self._known)

    @property
    def _known(self) -> np.ndarray:
        return self.estimates[np.isfinite(self.estimates[:, 0])]

    def standard_errors(self) -> np.ndarray:
        """Of what `names` lists, (n,); nan with fewer than two fits."""
        few = len(self._known) < 2
        return np.full(len(self.names), np.nan) if few else np.std(self._known, axis=0, ddof=1)

    def intervals(self, level: float = 0.9) -> np.ndarray:
        """Percentile intervals, (n, 2); nan with fewer than two fits."""
        if len(self._known) < 2:
            return np.full((len(self.names), 2), np.nan)
        tail = 50.0 * (1.0 - level)
        return np.percentile(self._known, [tail, 100.0 - tail], axis=0).T

    def __str__(self) -> str:
        """One line per parameter."""
        if self.reason:
            return f"the bootstrap cannot be made: {self.reason}"
        lines = [f"bootstrap of strikes, {len(self.estimates)} draws, {self.failed} without a fit:"]
        ends = self.intervals()
        return "\n".join(
            lines
            + [f"  {n}: [{low:.4g}, {high:.4g}]" for n, (low, high) in zip(self.names, ends, strict=True)]
        )

    def rows(self, level: float = 0.9) -> list[dict[str, Any]]:
        """One row per parameter: standard error and percentile interval."""
        if self.reason:
            return []
        columns = zip(self.names, self.standard_errors(), self.intervals(level), strict=True)
        return [
            {"parameter": n, "standard_error": float(s), "low": float(e[0]), "high": float(e[1])}
            for n, s, e in columns
        ]


def bootstrap(
    result: CalibrationResult, surface: QuoteSurface, draws: int = 200, seed: int = 0, **options: Any
) -> Bootstrap:
    """Refit a surface with its strikes drawn again, all draws as one batch that starts from the fit.

    Args:
        result: One fit.
        surface: What it was calibrated to.
        draws: Refits.
        seed: Of the draws.
        options: engine, loss, prior, fixed, bounds and mask of the calibration.

    Raises:
        ArgumentError: a batch, too few draws, arguments that are not those of the calibration.
    """
    if np.ndim(result.status) or draws < 2:
        raise ArgumentError(f"bootstrap takes one fit, as in results[3], and at least 2 draws, got {draws}.")
    (fit,) = fits_of(result, surface, **options)
    reason = fit.undetermined()
    if reason:
        return Bootstrap(fit.result.names, np.zeros((0, len(fit.result.names))), reason)
    cells = np.any(fit.at.bend > 0.0, axis=0)
    count = int(cells.sum())
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=draws)
    times = np.zeros((draws, 1, *cells.shape))
    times[:, 0, cells] = drawn
    lanes = jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], draws, axis=0), fit.lane)
    surfaces = eqx.tree_at(lambda s: s.weight, lanes.surface, lanes.surface.weight * times)
    y = np.asarray(fit.result.coordinates)
    lanes = lanes._replace(
        surface=surfaces, used=lanes.used & (times > 0), starts=np.broadcast_to(y, (draws, 1, y.size)).copy()
    )
    result = solve_batch(fit.asked, lanes)
    estimates = fit.named(np.asarray(result.coordinates))
    known = np.asarray(result.converged) & (np.sum(drawn > 0, axis=1) > fit.moving.size)
    return Bootstrap(fit.result.names, np.where(known[:, None], estimates, np.nan))


def bootstrap_mean(
    values: Any, level: float = 0.95, draws: int = 3000, seed: int = 123
) -> tuple[float, float]:
    """Percentile interval of a mean over snapshots (Efron 1979).

    Args:
        values: One per snapshot; those that are not finite are left out.
        level: Of the interval.
        draws: Means drawn.
        seed: Of the draws.

    Returns:
        Lower and upper end; nan where fewer than two different values are finite.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if np.unique(values).size < 2:
        return np.nan, np.nan
    rows = np.random.default_rng(seed).integers(values.size, size=(draws, values.size))
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(np.mean(values[rows], axis=1), [tail, 100.0 - tail])
    return float(low), float(high)
