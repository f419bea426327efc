"""Measurements of one fit, which gates compare with limits."""

import numpy as np
from jaxtyping import Bool

from ..calibration.losses import Loss
from ..calibration.result import CalibrationResult
from ..calibration.status import CalibrationStatus
from ..numerics.root_mean_square import root_mean_square
from ..quotes.surface import QuoteSurface
from ..typing import Numbers
from .diagnose import Diagnosis

_BP = 1e4  # basis points of 1


def fit_measurements(diagnosis: Diagnosis) -> dict[str, float]:
    """Compute the measurements for `evaluate_gates` that one diagnosis determines.

    Args:
        diagnosis: The diagnosis of one fit.

    Returns:
        Numbers by the names of the gates' measurements: convergence, errors in volatility (root mean square
        of all quotes and of the worst maturity, basis points), bounds, patterns, agreement of starts, the
        condition number of the scaled Jacobian, and counts and weights of the fitted quotes. If the model has
        them, also v0 and theta over the market's variances at the money, kappa, sigma_v, rho and the Feller
        ratio. A single fit does not determine changes from the day before and running time.

        A number is nan if it is unknown: the agreement of a single start, errors of a fit with no more
        strikes than parameters, theta of a single maturity. The agreement is inf if starts converged to
        different costs.
    """
    result = diagnosis.fit.result
    surface = diagnosis.fit.surface
    weight = np.where(diagnosis.fit.lane.used, np.asarray(surface.weight), 0.0)
    used = np.asarray(surface.mask) & (weight > 0.0)
    errors = np.where(diagnosis.fit.few, np.nan, diagnosis.residuals.vol)
    rows = np.any(used, axis=(0, 2))
    per_maturity = np.array([root_mean_square(errors[:, row]) for row in np.flatnonzero(rows)])
    patterns = diagnosis.residuals.patterns
    measurements = {
        "converged": float(result.converged),
        "hit_max_steps": float(result.status == CalibrationStatus.max_steps),
        "iv_rmse_bp": _BP * root_mean_square(errors),
        "worst_maturity_iv_rmse_bp": _BP * float(np.max(per_maturity)) if rows.any() else np.nan,
        "parameters_at_bound": float(np.sum(result.at_bound)),
        "systematic_residuals": float(sum(p.name != "random" for p in patterns)) if patterns else np.nan,
        "start_spread": _start_spread(result),
        "condition_number": diagnosis.identifiability.condition_number,
        "least_quotes_per_maturity": float(np.min(np.sum(used, axis=(0, 2))[rows])) if rows.any() else np.nan,
        "weight_ratio": weight_ratio(diagnosis.fit.request.setting.loss, surface, used),
    }
    return measurements | _parameters(diagnosis, rows)


def weight_ratio(loss: Loss, surface: QuoteSurface, used: Bool[Numbers, "2 T K"]) -> float:
    """Compute the largest over the median weight of squared price errors in a loss.

    Args:
        loss: Loss of the calibration.
        surface: A single surface.
        used: True for fitted quotes.

    Returns:
        The ratio; nan without quotes, or if the median weight is 0.
    """
    fitted = np.asarray(used) & np.asarray(surface.mask)
    targets = loss.targets(surface, fitted)
    weight = (np.asarray(targets.share) / np.asarray(targets.scale) ** 2)[fitted]
    return float(np.max(weight) / np.median(weight)) if weight.size and np.median(weight) > 0.0 else np.nan


def _start_spread(result: CalibrationResult) -> float:
    """Return the spread of the ends of all starts; inf if their costs differ, nan for a single start."""
    if result.minima > 1:
        return np.inf
    # two starts never end in exactly the same numbers, so a spread of 0 is that of a single start
    return float(result.spread) if result.spread > 0.0 else np.nan


def _parameters(diagnosis: Diagnosis, rows: Bool[np.ndarray, " T"]) -> dict[str, float]:
    """Compute measurements of those parameters that the model has; `rows` are maturities with quotes."""
    model = diagnosis.fit.result.model
    surface = diagnosis.fit.surface
    names = ("kappa", "sigma_v", "rho", "feller_ratio")
    values = {name: float(getattr(model, name)) for name in names if np.size(getattr(model, name, ())) == 1}
    if rows.any() and "kappa" in values:
        variance = (np.asarray(surface.stdev) ** 2 / np.asarray(surface.t))[rows]
        values["v0_over_short_variance"] = float(model.v0) / float(variance[0])
        single_maturity = variance.size == 1
        values["theta_over_long_variance"] = (
            np.nan if single_maturity else float(model.theta) / float(variance[-1])
        )
    return values
