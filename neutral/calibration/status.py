"""The status of a fit: how it ended, and what to do about it."""

import enum

import jax.numpy as jnp
import numpy as np

from ..typing import Codes, Flags
from .solvers import Stop

QUADRATURE_ERROR = 1e-6  # of the forward; where the fitted prices are off by more, and by more than
QUADRATURE_SHARE = 0.01  # this share of the fit's errors, in the loss's weights, the engine misprices the fit


class CalibrationStatus(enum.IntEnum):
    """How a fit ended; `CalibrationStatus(code).message` states what it means and what to do."""

    converged = Stop.converged
    max_steps = Stop.max_steps
    stalled = Stop.stalled
    nonfinite = Stop.nonfinite
    bad_quotes = 4
    refused = 5
    useless = 6

    @staticmethod
    def from_stop(stop: Codes, usable: Flags | np.bool_, refused: Flags | None = None) -> Codes:
        """Status codes of fits, from why their solver stopped and whether their quotes could be used.

        A fit whose solver still runs has spent all its steps, so it counts as stopped by `max_steps`.

        Args:
            stop: Codes of `Stop`.
            usable: Whether there are quotes to fit, and they can be used.
            refused: Whether the engine refuses to price the fitted model; where None, it refuses none.

        Returns:
            Codes of `CalibrationStatus`, in the shape of `stop`.
        """
        status = jnp.where(stop == Stop.running, int(Stop.max_steps), stop)
        if refused is not None:
            status = jnp.where(refused & (status != Stop.nonfinite), int(CalibrationStatus.refused), status)
        return jnp.where(usable, status, int(CalibrationStatus.bad_quotes))

    @staticmethod
    def where_useless(status: Codes, useless: Flags) -> Codes:
        """Replace the status `converged` by `useless` in fits that are of no use."""
        replaced = useless & (status == CalibrationStatus.converged)
        return jnp.where(replaced, int(CalibrationStatus.useless), status)

    @property
    def message(self) -> str:
        """A sentence that states what the status means, and what to do."""
        return _MESSAGES[self]


_MESSAGES = {
    CalibrationStatus.converged: "The gradient vanishes on the free parameters.",
    CalibrationStatus.max_steps: "Stopped at max_steps before the gradient vanished: raise it, or check the "
    "model's identification on these quotes.",
    CalibrationStatus.stalled: "No step lowers the loss although the gradient has not vanished: the rounding "
    "or the quadrature error of the prices is reached; use more nodes.",
    CalibrationStatus.nonfinite: "A price or a derivative is nan or infinite at the start: check quotes, "
    "maturities and starting values.",
    CalibrationStatus.bad_quotes: "There is no quote of any weight to fit, or one of them is not a number, "
    "or has no maturity: check the surface's prices, weights, spreads and mask.",
    CalibrationStatus.refused: "The engine cannot price the fitted model (its damping is outside the strip "
    "of finite moments, a strike is off its grid, its range is too short, or its prices are off by more than "
    f"{QUADRATURE_ERROR:g} and {QUADRATURE_SHARE:.0%} of the errors of the fit): take the default engine, or "
    "more nodes, such as Lewis(256).",
    CalibrationStatus.useless: "The gradient vanishes, but the errors are beyond those of any market: check "
    "the units of prices, volatilities, strikes and maturities, the forwards, which quotes are calls, and "
    "any bounds=.",
}
