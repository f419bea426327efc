"""The result of a calibration: model, status, evidence, and the request that led to it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..typing import Codes, Flags, Real
from .history import History
from .request import Request
from .solvers import Stop

if TYPE_CHECKING:
    import pandas as pd


QUADRATURE_ERROR = 1e-6  # of the forward; where the fitted prices are off by more, and by more than
QUADRATURE_SHARE = 0.01  # this share of the fit's errors, in the loss's weights, the engine misprices the fit


class CalibrationStatus(enum.IntEnum):
    """How a fit ended; `CalibrationStatus(code).message` says what it means and what to do."""

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
        """A sentence that says what the status means, and what to do."""
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
    "the units of prices, volatilities, strikes and maturities, the forwards, and which quotes are calls.",
}


class CalibrationResult(eqx.Module):
    """A fit, or many fits with a leading axis on every array. n is the number of coordinates.

    Attributes:
        model: The calibrated model, in natural parameters.
        status: `CalibrationStatus` code, shape ().
        loss: The data term alone: mean of the loss over the quotes that were fitted, shape ().
        prior_loss: The term of the prior and the penalties, which is minimised together with the data term.
        steps: Number of evaluations of prices and Jacobian, all starts together.
        residuals: Model price less market price of every quote (normalised), 0 where there is no quote,
            (2, T, K).
        prices: Model price of every quote (normalised), calls first, 0 where there is no quote, (2, T, K).
        gradient_norm: Largest cosine between the residuals and the derivative of the prices in a free
            parameter; at most `gtol` of the solver where the fit has converged, and 0 where the fit is exact.
        condition_number: Condition number of the scaled curvature on the free parameters; inf where a
            parameter has no effect.
        at_bound: Whether a coordinate of `names` ends on a bound and the gradient holds it there, (n,).
        agreement: Among the starts that have converged, the share whose cost is within 0.1 % of the best.
        spread: Largest range of a parameter among these, relative to its value in the best fit.
        minima: Number of distinct costs, more than 0.1 % apart, among the starts that have converged.
        standard_errors: Standard errors of the values of `names`, in natural units, from the scatter of the
            quotes' errors, (n,); nan for a parameter that is fixed or on a bound, and where the fit has not
            converged.
        quadrature_error: Estimated error of the fitted prices, the largest over all quotes, normalised.
        coordinates: The solution in the coordinates of the solver, (n,).
        undamped_loss: The data term before the fit was damped; equal to `loss` where it was not.
        damping: Precision of the pull that damped the fit, in the coordinates, (n, n); None unless
            `on_degenerate="damp"`.
        names: Names of the n coordinates: the parameters, then shift increments.
        request: The arguments of the calibration, except further `starts`; None in a result that an older
            version of the package has saved.
        history: The course of the fit, with `history=True`; else None.
    """

    model: Any  # of the recipe's class
    status: Codes
    loss: Real
    prior_loss: Real
    steps: Codes
    residuals: Real
    prices: Real
    gradient_norm: Real
    condition_number: Real
    at_bound: Flags
    agreement: Real
    spread: Real
    minima: Codes
    standard_errors: Real
    quadrature_error: Real
    coordinates: Real
    undamped_loss: Real
    damping: Real | None
    names: tuple[str, ...] = eqx.field(static=True)
    request: Request | None = None
    history: History | None = None

    @property
    def converged(self) -> Flags | np.bool_:
        """Whether the status is `converged`: a stationary point that is of use; shape of `status`."""
        return self.status == CalibrationStatus.converged

    def __len__(self) -> int:
        """Number of fits in a batch."""
        if np.ndim(self.status) == 0:
            raise TypeError("a single result has no length")
        return np.shape(self.status)[0]

    def __getitem__(self, index: int | slice | Codes | Flags) -> CalibrationResult:
        """One fit of a batch, or some of them."""
        if np.ndim(self.status) == 0:
            raise TypeError("a single result has no items")
        return jax.tree.map(lambda x: x[index], self)

    @property
    def bounds_hit(self) -> tuple[str, ...]:
        """Names of the coordinates of one fit that end on a bound."""
        return tuple(name for name, hit in zip(self.names, np.asarray(self.at_bound), strict=True) if hit)

    def summary(self) -> str:
        """Text about the result: one fit in a few lines, a batch in counts of its statuses."""
        status = np.atleast_1d(np.asarray(self.status))
        counts = ", ".join(
            f"{np.sum(status == code)} {code.name}" for code in CalibrationStatus if np.any(status == code)
        )
        if np.ndim(self.status):
            loss = np.asarray(self.loss)[status == CalibrationStatus.converged]
            middle = f", median loss {np.median(loss):.4g}" if loss.size else ""
            return f"{status.size} fits of {len(self.names)} parameters: {counts}{middle}."
        code = CalibrationStatus(int(status[0]))
        bound = f"; at a bound: {', '.join(self.bounds_hit)}" if self.bounds_hit else ""
        return (
            f"{self.model!r}\n{code.name}: {code.message}\nloss {float(self.loss):.6g} (prior "
            f"{float(self.prior_loss):.3g}), {int(self.steps)} steps, gradient norm "
            f"{float(self.gradient_norm):.1e}, condition number {float(self.condition_number):.1e}{bound}"
        )

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with one row per fit: status, evidence, parameters and their standard errors."""
        import pandas as pd

        rows = self if np.ndim(self.status) else jax.tree.map(lambda x: np.asarray(x)[None], self)
        columns: dict[str, list | np.ndarray] = {
            "status": [CalibrationStatus(int(code)).name for code in rows.status],
            "converged": np.asarray(rows.converged),
        }
        for name in ("loss", "prior_loss", "steps", "gradient_norm", "condition_number", "agreement"):
            columns[name] = np.asarray(getattr(rows, name))
        for path, leaf in jax.tree_util.tree_leaves_with_path(rows.model):
            name = jax.tree_util.keystr(path[-1:]).strip(".")
            columns[name] = list(np.asarray(leaf)) if np.ndim(leaf) > 1 else np.asarray(leaf)
        for name, errors in zip(rows.names, np.asarray(rows.standard_errors).T, strict=True):
            if "[" not in name:
                columns[f"{name}_se"] = errors
        return pd.DataFrame(columns)
