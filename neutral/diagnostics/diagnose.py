"""`diagnose`: all diagnostics of a fit in one call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration.coordinates import Bounds
from ..calibration.losses import Loss
from ..calibration.priors import Prior
from ..calibration.result import CalibrationResult
from ..calibration.status import CalibrationStatus
from ..errors import ArgumentError
from ..presentation.frame import frame_of_rows
from ..pricing import AbstractGridEngine
from ..quotes.given_surfaces import ManySurfaces, OneSurface
from ..typing import Numbers, Values
from .convergence import STATIONARY, Convergence, describe_convergence
from .identifiability import Identifiability, identifiability
from .influence import Influence, influence, strongest
from .linearisation import Fit, fits_of
from .residuals import Residuals, residuals
from .uncertainty import Uncertainty, uncertainty

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of one fit. A part that cannot be determined states why in its `reason`.

    Attributes:
        status: How the fit ended.
        identifiability: Which parameters the quotes determine.
        uncertainty: Covariances and intervals of the parameters.
        residuals: Model less market of the quotes, and their patterns.
        influence: Influence of each quote on the fit.
        fit: The fit, with its derivatives.
        convergence: The course of the fit if the calibration had `history=True`; else None.
    """

    status: str
    identifiability: Identifiability
    uncertainty: Uncertainty
    residuals: Residuals
    influence: Influence
    fit: Fit
    convergence: Convergence | None = None

    def __str__(self) -> str:
        """Write all parts as readable text."""
        parts = [self.identifiability, self.uncertainty, self.residuals, self.influence]
        course = [] if self.convergence is None else [self.convergence]
        return "\n".join([f"fit: {self.status}", *(str(part) for part in [*course, *parts])])

    def to_frame(self, part: str = "parameters") -> "pd.DataFrame":
        """Return one of the tables of `rows()` as a DataFrame.

        Args:
            part: "parameters", "directions", "residuals", "influence" or "convergence".

        Raises:
            ArgumentError: there is no such table.
        """
        tables = self.rows()
        if part not in tables:
            raise ArgumentError(f"part must be one of {', '.join(tables)}, got {part!r}.")
        return frame_of_rows(tables[part])

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return tables by name: parameters, directions, residuals, influence and convergence."""
        return {
            "parameters": self.uncertainty.rows(),
            "directions": self.identifiability.rows(),
            "residuals": self.residuals.rows(),
            "influence": strongest(self.influence, self.fit),
            "convergence": [] if self.convergence is None else self.convergence.rows(),
        }


def diagnose(
    result: CalibrationResult,
    surface: OneSurface | ManySurfaces | None = None,
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
        result: Result of `calibrate` or `calibrate_batch`.
        surface: The surface, or for a batch the surfaces, that were calibrated; not needed for a result
            that contains them, which all but those of older versions do.
        engine: Engine of the calibration. This argument and the next five must agree with the result, which
            contains them; only a result without request, saved by an older version, needs them.
        loss: Loss of the calibration.
        prior: Prior of the calibration.
        fixed: Fixed parameters of the calibration.
        bounds: Bounds of the calibration.
        mask: Quotes of the calibration.
        noise: Noise of the quotes. None: it is estimated from the residuals. "spread": fair prices are
            uniform between bid and ask. Otherwise standard deviations of normalised prices, shape (2, T, K),
            with a leading axis for a batch.

    Returns:
        A `Diagnosis`, or a list of them for a batch. Parts that cannot be determined have a reason.

    Raises:
        ArgumentError: the surface is another one, or arguments contradict the calibration.
    """
    is_batch = np.ndim(result.status) > 0
    fits = fits_of(
        result, surface, engine=engine, loss=loss, prior=prior, fixed=fixed, bounds=bounds, mask=mask
    )
    diagnoses = []
    for i, fit in enumerate(fits):
        shared_noise = noise is None or isinstance(noise, str) or not is_batch
        diagnoses.append(_diagnosis(fit, noise if shared_noise else np.asarray(noise)[i]))
    return diagnoses if is_batch else diagnoses[0]


def _diagnosis(fit: Fit, noise: Values | None) -> Diagnosis:
    history = fit.result.history
    status = CalibrationStatus(int(fit.result.status))
    stationary = max(STATIONARY, fit.request.solver.gtol)
    return Diagnosis(
        status=f"{status.name}: {status.message}",
        identifiability=identifiability(fit),
        uncertainty=uncertainty(fit, noise),
        residuals=residuals(fit.result, fit.surface),
        influence=influence(fit),
        fit=fit,
        convergence=None if history is None else describe_convergence(history, stationary),
    )
