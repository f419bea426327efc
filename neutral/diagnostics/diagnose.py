"""`diagnose`: everything that a fit tells of itself, in one call."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..calibration.coordinates import Bounds
from ..calibration.losses import Loss
from ..calibration.result import CalibrationResult
from ..pricing import Lewis
from ..quotes.surface import QuoteSurface
from .identifiability import Identifiability, identifiability
from .influence import Influence, influence, strongest
from .linearisation import Fit, fits_of
from .residuals import Residuals, residuals
from .uncertainty import Uncertainty, uncertainty


@dataclass(frozen=True)
class Diagnosis:
    """What one fit tells of itself; every part says by `reason` why it says nothing."""

    status: str
    identifiability: Identifiability
    uncertainty: Uncertainty
    residuals: Residuals
    influence: Influence
    fit: Fit

    def __str__(self) -> str:
        """A page for people."""
        parts = (self.identifiability, self.uncertainty, self.residuals, self.influence)
        return "\n".join([f"fit: {self.status}", *(str(part) for part in parts)])

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Tables by name: parameters, directions, buckets of residuals, influential quotes."""
        return {
            "parameters": self.uncertainty.rows(),
            "directions": self.identifiability.rows(),
            "residuals": self.residuals.rows(),
            "influence": strongest(self.influence, self.fit),
        }


def diagnose(
    result: CalibrationResult,
    surface: QuoteSurface,
    engine: Lewis | None = None,
    loss: Loss | None = None,
    prior: Any = None,
    fixed: dict[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Any = None,
    *,
    noise: Any = None,
) -> Any:
    """What a calibration's parameters are worth: identifiability, uncertainty, residuals, influence.

    Args:
        result: Of `calibrate` or `calibrate_batch`.
        surface: The surface, or the stack of them, that was calibrated.
        engine: As in the calibration, as are the next five.
        loss: As in the calibration.
        prior: As in the calibration.
        fixed: As in the calibration.
        bounds: As in the calibration.
        mask: As in the calibration.
        noise: Of the quotes: None, what the residuals scatter by; "spread", fair prices lie anywhere between
            bid and ask; or standard deviations of normalised prices, (2, T, K), with a leading axis for a
            batch.

    Returns:
        A `Diagnosis`; of a batch a list of them. What cannot be determined says so, with the reason.

    Raises:
        ArgumentError: the arguments are not those that the result was calibrated with.
    """
    many = np.ndim(result.status) > 0
    found = []
    for i, fit in enumerate(fits_of(result, surface, engine, loss, prior, fixed, bounds, mask)):
        own = noise if noise is None or isinstance(noise, str) or not many else np.asarray(noise)[i]
        found.append(
            Diagnosis(
                fit.result.summary().splitlines()[1],
                identifiability(fit),
                uncertainty(fit, own),
                residuals(fit.result, fit.surface),
                influence(fit),
                fit,
            )
        )
    return found if many else found[0]
