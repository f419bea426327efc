"""Bootstrap: refits of a surface with resampled strikes, and intervals of means."""

from dataclasses import dataclass
from typing import Any, Unpack

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Bool, Float

from ..calibration.batch import solve_batch
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..presentation.frame import Tabular
from ..quotes.given_surfaces import OneSurface
from ..typing import Values
from .arguments import CalibrationArguments
from .linearisation import Fit, fits_of


@dataclass(frozen=True)
class Bootstrap(Tabular):
    """Fits to strikes resampled with replacement, in pairs of call and put (Efron 1979).

    Attributes:
        names: Names of the n parameters.
        estimates: Fitted values in natural units, (draws, n); nan where the fit of a draw has not converged,
            or the draw has no more strikes than free parameters.
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
        """Compute standard errors of the parameters in natural units; nan with fewer than two fits."""
        few = len(self._fitted) < 2
        return np.full(len(self.names), np.nan) if few else np.std(self._fitted, axis=0, ddof=1)

    def intervals(self, level: float = 0.9) -> Float[np.ndarray, "n 2"]:
        """Compute percentile intervals of the parameters in natural units; nan with fewer than two fits."""
        if len(self._fitted) < 2:
            return np.full((len(self.names), 2), np.nan)
        tail = 50.0 * (1.0 - level)
        return np.percentile(self._fitted, [tail, 100.0 - tail], axis=0).T

    def __str__(self) -> str:
        """Write one line per parameter."""
        if self.reason:
            return f"the bootstrap cannot be computed: {self.reason}"
        head = (
            f"bootstrap of strikes, {len(self.estimates)} draws, {self.failed} without a fit, 90 % intervals:"
        )
        ends = zip(self.names, self.intervals(), strict=True)
        return "\n".join([head, *(f"  {name}: [{low:.4g}, {high:.4g}]" for name, (low, high) in ends)])

    def rows(self, level: float = 0.9) -> list[dict[str, Any]]:
        """Return one row per parameter: standard error and percentile interval."""
        if self.reason:
            return []
        columns = zip(self.names, self.standard_errors(), self.intervals(level), strict=True)
        return [
            {"parameter": name, "standard_error": float(error), "low": float(low), "high": float(high)}
            for name, error, (low, high) in columns
        ]


def bootstrap(
    result: CalibrationResult,
    surface: OneSurface | None = None,
    draws: int = 200,
    seed: int = 0,
    **options: Unpack[CalibrationArguments],
) -> Bootstrap:
    """Refit a surface with resampled strikes; all draws are one batch, which starts from the fit.

    Args:
        result: One fit.
        surface: The surface that was calibrated; not needed for a result that contains it.
        draws: Number of refits, at least 2.
        seed: Seed of the draws.
        options: engine, loss, prior, fixed, bounds and mask of the calibration. Only a result without
            request, saved by an older version, needs them.

    Returns:
        The fits of all draws, or a reason why there are none.

    Raises:
        ArgumentError: the result is a batch, draws is below 2, the surface is another one, or options
            contradict the calibration.
    """
    if np.ndim(result.status) or draws < 2:
        raise ArgumentError(
            f"bootstrap needs a single fit, such as results[3], and at least 2 draws, got {draws} draws."
        )
    (fit,) = fits_of(result, surface, **options)
    names = fit.result.names
    reason = fit.undetermined()
    if reason:
        return Bootstrap(names, np.zeros((0, len(names))), reason)
    times = _draw_counts(np.any(fit.at.bend > 0.0, axis=0), draws, seed)
    refits = _refits(fit, times)
    estimates = fit.named(np.asarray(refits.coordinates))
    enough_strikes = np.sum(times > 0.0, axis=(1, 2, 3)) > fit.moving.size
    determined = np.asarray(refits.converged) & enough_strikes
    return Bootstrap(names, np.where(determined[:, None], estimates, np.nan))


def _draw_counts(cells: Bool[np.ndarray, "T K"], draws: int, seed: int) -> Float[np.ndarray, "draws 1 T K"]:
    """Draw strikes of `cells` with replacement, and count how often each draw has each strike."""
    count = int(cells.sum())
    counts = np.random.default_rng(seed).multinomial(count, np.full(count, 1.0 / count), size=draws)
    times = np.zeros((draws, 1, *cells.shape))
    times[:, 0, cells] = counts
    return times


def _refits(fit: Fit, times: Float[np.ndarray, "draws 1 T K"]) -> CalibrationResult:
    """Fit the surface with weights multiplied by `times`, starting from the fit."""
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
    """Compute the bootstrap percentile interval of a mean over snapshots (Efron 1979).

    Args:
        values: One value per snapshot; values that are not finite are left out.
        level: Probability of the interval, in (0, 1).
        draws: Number of bootstrap samples.
        seed: Seed of the draws.

    Returns:
        Lower and upper end; nan with fewer than two different finite values.
    """
    sample = np.asarray(values, float)
    sample = sample[np.isfinite(sample)]
    if np.unique(sample).size < 2:
        return np.nan, np.nan
    rows = np.random.default_rng(seed).integers(sample.size, size=(draws, sample.size))
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(np.mean(sample[rows], axis=1), [tail, 100.0 - tail])
    return float(low), float(high)
