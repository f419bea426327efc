"""The numbers of one fit that gates look at."""

from typing import Any

import numpy as np

from ..calibration.losses import Loss
from ..calibration.result import CalibrationResult, CalibrationStatus
from ..numerics.root_mean_square import root_mean_square
from ..quotes.surface import QuoteSurface
from .diagnose import Diagnosis

_BP = 1e4


def fit_measurements(diagnosis: Diagnosis) -> dict[str, float]:
    """What `evaluate_gates` can be told from one diagnosis.

    Args:
        diagnosis: Of one fit.

    Returns:
        By the names of the gates' measurements: convergence, errors in volatility (root mean square of all
        quotes and of the worst maturity, basis points), bounds, patterns, agreement of starts, the condition
        number of the scaled Jacobian, counts and weights of the quotes fitted; and where the model has them
        v0, theta against the market's variances at the money, kappa, sigma_v, rho and the Feller ratio. What
        a fit cannot tell - changes from the day before, running time - is not among them. nan: unknown, as
        the agreement of starts where there was one, errors of a fit with no more strikes than parameters, and
        theta against the longest maturity where there is one alone; the agreement is inf where starts have
        converged to different costs.
    """
    result, surface = diagnosis.fit.result, diagnosis.fit.surface
    weight = np.where(diagnosis.fit.lane.used, np.asarray(surface.weight), 0.0)
    used = np.asarray(surface.mask) & (weight > 0.0)
    errors = np.where(diagnosis.fit.few, np.nan, diagnosis.residuals.vol)
    rows = np.any(used, axis=(0, 2))
    per_maturity = np.array([root_mean_square(errors[:, row]) for row in np.flatnonzero(rows)])
    shapes = diagnosis.residuals.patterns
    found = {
        "converged": float(result.converged),
        "hit_max_steps": float(result.status == CalibrationStatus.max_steps),
        "iv_rmse_bp": _BP * root_mean_square(errors),
        "worst_maturity_iv_rmse_bp": _BP * float(np.max(per_maturity)) if rows.any() else np.nan,
        "parameters_at_bound": float(np.sum(result.at_bound)),
        "systematic_residuals": float(sum(p.name != "random" for p in shapes)) if shapes else np.nan,
        "start_spread": _start_spread(result),
        "condition_number": diagnosis.identifiability.condition_number,
        "least_quotes_per_maturity": float(np.min(np.sum(used, axis=(0, 2))[rows])) if rows.any() else np.nan,
        "weight_ratio": weight_ratio(diagnosis.fit.asked.setting.loss, surface, used),
    }
    return found | _parameters(diagnosis, rows)


def weight_ratio(loss: Loss, surface: QuoteSurface, used: Any) -> float:
    """Largest over median weight of squared price errors in a loss; nan without quotes.

    Args:
        loss: Of the calibration.
        surface: One surface.
        used: Quotes that are fitted, (2, T, K).
    """
    used = np.asarray(used) & np.asarray(surface.mask)
    targets = loss.targets(surface, used)
    weight = (np.asarray(targets.share) / np.asarray(targets.scale) ** 2)[used]
    return float(np.max(weight) / np.median(weight)) if weight.size and np.median(weight) > 0.0 else np.nan


def _start_spread(result: CalibrationResult) -> float:
    if result.minima > 1:
        return np.inf
    # Two starts never end in the same bits: no spread at all is that of a single one
    return float(result.spread) if result.spread > 0.0 else np.nan


def _parameters(diagnosis: Diagnosis, rows: np.ndarray) -> dict[str, float]:
    model, surface = diagnosis.fit.result.model, diagnosis.fit.surface
    names = ("kappa", "sigma_v", "rho", "feller_ratio")
    found = {name: float(getattr(model, name)) for name in names if np.size(getattr(model, name, ())) == 1}
    if rows.any() and "kappa" in found:
        variance = (np.asarray(surface.stdev) ** 2 / np.asarray(surface.t))[rows]
        found["v0_over_short_variance"] = float(model.v0) / float(variance[0])
        alone = variance.size == 1
        found["theta_over_long_variance"] = np.nan if alone else float(model.theta) / float(variance[-1])
    return found
