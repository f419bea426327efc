"""The loss as a function of one parameter, all others fitted again: likelihood intervals."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ..calibration.batch import solve_batch
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..quotes.surface import QuoteSurface
from .identifiability import noise_of
from .linearisation import Fit, fits_of
from .uncertainty import quantile, uncertainty

_REACH = 4.0  # standard errors that the grid reaches to either side
_SIDE = 8  # values to either side


@dataclass(frozen=True)
class Profile:
    """Profile likelihood of one parameter (Bates and Watts 1988, chapter 6).

    Attributes:
        parameter: Its name.
        values: Of it, ascending, the fit's own among them, natural units, (m,).
        root: Signed square root of the likelihood ratio there, in standard deviations, (m,); a straight line
            where the model is linear; nan where the refit has not converged.
        freedom: Strikes less parameters.
        reason: Why there is none; "" where there is.
    """

    parameter: str
    values: np.ndarray
    root: np.ndarray
    freedom: float
    reason: str = ""

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """Values whose likelihood is not too small; infinite on a side where the grid has not reached it."""
        if self.reason:
            return np.nan, np.nan
        known = np.isfinite(self.root)
        root, values = np.maximum.accumulate(self.root[known]), self.values[known]
        reach = quantile(level, self.freedom)
        low = np.interp(-reach, root, values) if root[0] <= -reach else -np.inf
        high = np.interp(reach, root, values) if root[-1] >= reach else np.inf
        return float(low), float(high)

    def __str__(self) -> str:
        """One line."""
        if self.reason:
            return f"the profile of {self.parameter} cannot be determined: {self.reason}"
        low, high = self.interval()
        return f"profile of {self.parameter}: 90 % likelihood interval [{low:.5g}, {high:.5g}]"

    def rows(self) -> list[dict[str, Any]]:
        """One row per value: the parameter and the signed root of the likelihood ratio."""
        return [
            {"parameter": self.parameter, "value": float(x), "root": float(z)}
            for x, z in zip(self.values, self.root, strict=True)
        ]


def profile(
    result: CalibrationResult, surface: QuoteSurface, parameter: str, values: Any = None, **options: Any
) -> Profile:
    """Fit again with a parameter fixed at each value, all as one batch that starts from the fit.

    Args:
        result: One fit.
        surface: What it was calibrated to.
        parameter: Name of the parameter, as in `result.names`; not an increment of a shift.
        values: Where to fix it, natural units; 16 values up to four standard errors away where None.
        options: engine, loss, prior, fixed, bounds and mask of the calibration.

    Raises:
        ArgumentError: an unknown or fixed parameter; arguments that are not those of the calibration.
    """
    if np.ndim(result.status):
        raise ArgumentError("profile takes one fit; take one from the batch first, as in results[3].")
    (fit,) = fits_of(result, surface, **options)
    if parameter not in fit.coordinates.parameters:
        raise ArgumentError(f"there is no parameter {parameter!r}; there are {fit.coordinates.parameters}.")
    if fit.asked.fixed[result.names.index(parameter)]:
        raise ArgumentError(f"{parameter} is fixed.")
    reason = fit.undetermined()
    if not reason and parameter not in fit.names:
        reason = f"{parameter} is on a bound."
    if reason:
        return Profile(parameter, np.zeros(0), np.zeros(0), np.nan, reason)
    own = float(fit.at.values[result.names.index(parameter)])
    grid = _grid(fit, parameter) if values is None else np.asarray(values, float)
    grid = np.sort(grid[grid != own])
    refits = _refits(fit, surface, parameter, grid)
    rise = np.asarray(refits.loss + refits.prior_loss) - float(result.loss + result.prior_loss)
    ratio = np.maximum(rise, 0.0) / noise_of(fit.strikes()[0], fit.moving.size) ** 2
    root = np.where(np.asarray(refits.converged), np.sign(grid - own) * np.sqrt(ratio), np.nan)
    where = int(np.searchsorted(grid, own))
    return Profile(parameter, np.insert(grid, where, own), np.insert(root, where, 0.0), float(fit.freedom))


def _grid(fit: Fit, parameter: str) -> np.ndarray:
    """Values evenly spaced in the coordinate, within its bounds."""
    i, at = fit.result.names.index(parameter), fit.at
    j = fit.names.index(parameter)
    error = np.sqrt(uncertainty(fit).covariances["gauss_newton"][j, j])
    inset = 1e-6 * (at.upper[i] - at.lower[i])
    reach = _REACH * error if np.isfinite(error) else np.inf
    low, high = max(at.lower[i] + inset, at.y[i] - reach), min(at.upper[i] - inset, at.y[i] + reach)
    sides = [np.linspace(end, at.y[i], _SIDE, endpoint=False) for end in (low, high)]
    moved = np.repeat(at.y[None], 2 * _SIDE, axis=0)
    moved[:, i] = np.concatenate(sides)
    return fit.named(moved)[:, i]


def _refits(fit: Fit, surface: QuoteSurface, parameter: str, values: np.ndarray) -> CalibrationResult:
    surfaces = jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], values.size, axis=0), surface)
    every = [fit.asked.fixing({parameter: float(x)}) for x in values]
    held = np.stack([request.values for request in every])
    return solve_batch(every[0], every[0].lanes(surfaces)._replace(fixed=held))
