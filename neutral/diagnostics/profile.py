"""Profile likelihood: the loss as a function of one parameter with all others refitted."""

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import numpy as np
from jaxtyping import Float

from ..calibration.batch import solve_batch
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..options.terms import as_numbers
from ..presentation.frame import Tabular
from ..quotes.given_surfaces import OneSurface
from ..quotes.surface import QuoteSurface
from ..typing import Values
from .arguments import CalibrationArguments
from .identifiability import noise_of
from .linearisation import Fit, fits_of
from .uncertainty import quantile, uncertainty

_REACH = 4.0  # half width of the grid in standard errors
_SIDE = 8  # number of values on either side of the fit


@dataclass(frozen=True)
class Profile(Tabular):
    """Profile likelihood of one parameter (Bates and Watts 1988, chapter 6).

    Attributes:
        parameter: Name of the parameter.
        values: Ascending values of the parameter, including the fitted one, natural units.
        root: Signed square root of the likelihood ratio at each value, in standard deviations, which is
            linear for a linear model; nan where the refit has not converged.
        freedom: Number of strikes less number of free parameters.
        reason: Why there is no profile; "" if there is one.
    """

    parameter: str
    values: Float[np.ndarray, " m"]
    root: Float[np.ndarray, " m"]
    freedom: float
    reason: str = ""

    def interval(self, level: float = 0.9) -> tuple[float, float]:
        """Compute the likelihood interval of the parameter.

        Args:
            level: Probability of the interval, in (0, 1).

        Returns:
            Lower and upper end; infinite on a side where the values do not extend to it, nan without a
            profile.
        """
        if self.reason:
            return np.nan, np.nan
        converged = np.isfinite(self.root)
        root = np.maximum.accumulate(self.root[converged])
        values = self.values[converged]
        reach = quantile(level, self.freedom)
        low = np.interp(-reach, root, values) if root[0] <= -reach else -np.inf
        high = np.interp(reach, root, values) if root[-1] >= reach else np.inf
        return float(low), float(high)

    def __str__(self) -> str:
        """Write one line."""
        if self.reason:
            return f"the profile of {self.parameter} cannot be determined: {self.reason}"
        low, high = self.interval()
        return f"profile of {self.parameter}: 90 % likelihood interval [{low:.5g}, {high:.5g}]"

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per value: the parameter and the signed root of the likelihood ratio."""
        return [
            {"parameter": self.parameter, "value": float(x), "root": float(z)}
            for x, z in zip(self.values, self.root, strict=True)
        ]


def profile(
    result: CalibrationResult,
    surface: OneSurface | None,
    parameter: str,
    values: Values | None = None,
    **options: Unpack[CalibrationArguments],
) -> Profile:
    """Refit with a parameter fixed at each of several values, in one batch that starts from the fit.

    Args:
        result: One fit.
        surface: The surface that was calibrated; that of the result where None.
        parameter: Name of the parameter, as in `result.names`; not an increment of a shift.
        values: Values at which the parameter is fixed, natural units; if None, 16 values up to four standard
            errors from the fit.
        options: engine, loss, prior, fixed, bounds and mask of the calibration. Only a result without
            request, saved by an older version, needs them.

    Returns:
        The profile, or a reason why there is none.

    Raises:
        ArgumentError: the result is a batch, the parameter is unknown or fixed, the surface is another one,
            or options contradict the calibration.
    """
    if np.ndim(result.status):
        raise ArgumentError("profile needs a single fit, got a batch; select one, such as results[3].")
    (fit,) = fits_of(result, surface, **options)
    if parameter not in fit.coordinates.parameters:
        raise ArgumentError(
            f"there is no parameter {parameter!r}; accepted: {', '.join(fit.coordinates.parameters)}."
        )
    if fit.request.fixed[result.names.index(parameter)]:
        raise ArgumentError(f"{parameter} is fixed in the calibration; choose a parameter that was fitted.")
    reason = fit.undetermined()
    if not reason and parameter not in fit.names:
        reason = f"{parameter} is on a bound."
    if reason:
        return Profile(parameter, np.zeros(0), np.zeros(0), np.nan, reason)
    fitted_value = float(fit.at.values[result.names.index(parameter)])
    grid = _grid(fit, parameter) if values is None else _checked_values(values)
    grid = np.sort(grid[grid != fitted_value])
    if not grid.size:
        return Profile(parameter, np.array([fitted_value]), np.zeros(1), float(fit.freedom))
    refits = _refits(fit, fit.surface, parameter, grid)
    excess = np.asarray(refits.loss + refits.prior_loss) - float(result.loss + result.prior_loss)
    ratio = np.maximum(excess, 0.0) / noise_of(fit.strikes()[0], fit.moving.size) ** 2
    root = np.where(np.asarray(refits.converged), np.sign(grid - fitted_value) * np.sqrt(ratio), np.nan)
    insertion = int(np.searchsorted(grid, fitted_value))
    return Profile(
        parameter=parameter,
        values=np.insert(grid, insertion, fitted_value),
        root=np.insert(root, insertion, 0.0),
        freedom=float(fit.freedom),
    )


def _checked_values(values: Values) -> Float[np.ndarray, " m"]:
    """Return the caller's values as a flat array, after checking that there are some and all are finite."""
    numbers = np.ravel(np.asarray(as_numbers("values", values)))
    if not numbers.size or not np.isfinite(numbers).all():
        raise ArgumentError(f"values must be one or more finite numbers, got {values!r}; None chooses them.")
    return numbers


def _grid(fit: Fit, parameter: str) -> Float[np.ndarray, " m"]:
    """Choose values of the parameter, evenly spaced in its coordinate and within its bounds."""
    i = fit.result.names.index(parameter)
    j = fit.names.index(parameter)
    y = np.asarray(fit.at.y)
    error = np.sqrt(uncertainty(fit).covariances["gauss_newton"][j, j])
    inset = 1e-6 * (fit.at.upper[i] - fit.at.lower[i])
    reach = _REACH * error if np.isfinite(error) else np.inf
    low = max(fit.at.lower[i] + inset, y[i] - reach)
    high = min(fit.at.upper[i] - inset, y[i] + reach)
    sides = [np.linspace(end, y[i], _SIDE, endpoint=False) for end in (low, high)]
    points = np.repeat(y[None], 2 * _SIDE, axis=0)
    points[:, i] = np.concatenate(sides)
    return fit.named(points)[:, i]


def _refits(
    fit: Fit, surface: QuoteSurface, parameter: str, values: Float[np.ndarray, " m"]
) -> CalibrationResult:
    """Refit with the parameter fixed at each value, with a leading axis of values."""
    surfaces = jax.tree.map(lambda x: np.repeat(np.asarray(x)[None], values.size, axis=0), surface)
    requests = [fit.request.fixing({parameter: float(x)}) for x in values]
    fixed = np.stack([np.asarray(request.values) for request in requests])
    return solve_batch(requests[0], requests[0].lanes(surfaces)._replace(fixed=fixed))
