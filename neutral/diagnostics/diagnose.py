"""`diagnose`: everything that one fit tells, in one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibration.coordinates import Bounds
from ..calibration.losses import Loss
from ..calibration.priors import Prior
from ..calibration.result import CalibrationResult
from ..pricing import AbstractGridEngine
from ..quotes.surface import QuoteSurface
from ..typing import Numbers, Values
from .convergence import STATIONARY, Convergence, describe_convergence
from .identifiability import Identifiability, identifiability
from .influence import Influence, influence, strongest
from .linearisation import Fit, fits_of
from .residuals import Residuals, residuals
from .uncertainty import Uncertainty, uncertainty


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of one fit. A part that cannot be determined says why in its `reason`.

    Attributes:
        status: How the fit ended.
        identifiability: Which parameters the quotes determine.
        uncertainty: How far noise of the quotes moves the parameters.
        residuals: Where the model misses its quotes.
        influence: Which quotes decide the fit.
        fit: The fit itself, with its derivatives.
        convergence: The course of the fit, of a calibration with `history=True`; else None.
    """

    status: str
    identifiability: Identifiability
    uncertainty: Uncertainty
    residuals: Residuals
    influence: Influence
    fit: Fit
    convergence: Convergence | None = None

    def __str__(self) -> str:
        """A page for people."""
        parts = [self.identifiability, self.uncertainty, self.residuals, self.influence]
        course = [] if self.convergence is None else [self.convergence]
        return "\n".join([f"fit: {self.status}", *(str(part) for part in [*course, *parts])])

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Tables by name: parameters, directions, buckets of residuals, influential quotes, convergence."""
        return {
            "parameters": self.uncertainty.rows(),
            "directions": self.identifiability.rows(),
            "residuals": self.residuals.rows(),
            "influence": strongest(self.influence, self.fit),
            "convergence": [] if self.convergence is None else self.convergence.rows(),
        }


def diagnose(
    result: CalibrationResult,
    surface: QuoteSurface,
    engine: AbstractGridEngine[Any] | None = None,
    loss: Loss | None = None,
    prior: Prior | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Numbers | None = None,
    *,
    noise: Values | None = None,
) -> Any:
    """Diagnose a calibration: identifiability, uncertainty, residuals, influence and convergence.

    Args:
        result: From `calibrate` or `calibrate_batch`.
        surface: The surface, or the stack of them, that was calibrated.
        engine: Of the calibration. The result knows it, as it knows the next five, and refuses another;
            only a result that an older version has saved needs them.
        loss: Of the calibration.
        prior: Of the calibration.
        fixed: Of the calibration.
        bounds: Of the calibration.
        mask: Of the calibration.
        noise: Noise of the quotes. None: it is what the residuals scatter by. "spread": fair prices lie
            anywhere between bid and ask. Or standard deviations of normalised prices, shape (2, T, K), with a
            leading axis for a batch.

    Returns:
        A `Diagnosis`; of a batch a list of them. What cannot be determined says so, with the reason.

    Raises:
        ArgumentError: another surface, or arguments that contradict the calibration.
    """
    many = np.ndim(result.status) > 0
    fits = fits_of(
        result, surface, engine=engine, loss=loss, prior=prior, fixed=fixed, bounds=bounds, mask=mask
    )
    every = []
    for i, fit in enumerate(fits):
        common = noise is None or isinstance(noise, str) or not many
        every.append(_diagnosis(fit, noise if common else np.asarray(noise)[i]))
    return every if many else every[0]


def _diagnosis(fit: Fit, noise: Values | None) -> Diagnosis:
    history = fit.result.history
    stationary = max(STATIONARY, fit.request.solver.gtol)
    return Diagnosis(
        status=fit.result.summary().splitlines()[1],
        identifiability=identifiability(fit),
        uncertainty=uncertainty(fit, noise),
        residuals=residuals(fit.result, fit.surface),
        influence=influence(fit),
        fit=fit,
        convergence=None if history is None else describe_convergence(history, stationary),
    )
