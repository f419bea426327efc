"""Choice of a model: information criteria, and tests of nested models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Int

from ..calibration.statistics import log_likelihood
from ..errors import ArgumentError
from ..presentation.frame import Tabular, frame_of_rows
from ..typing import Values

if TYPE_CHECKING:
    import pandas as pd


Criterion = Literal["aic", "aicc", "bic", "hqic"]


@dataclass(frozen=True)
class Criteria(Tabular):
    """Information criteria of m models on the same n observations; smaller is better.

    They are those of Akaike (1974), also corrected for small samples (Hurvich and Tsai 1989), of Schwarz
    (1978) and of Hannan and Quinn (1979).

    Attributes:
        names: Names of the models.
        log_likelihood: Log-likelihood log L of each model at its maximum.
        parameters: Number p of estimated parameters of each model, including the scale of the errors if it is
            estimated.
        observations: Number n of observations.
        aic: -2 log L + 2 p.
        aicc: aic + 2 p (p + 1) / (n - p - 1).
        bic: -2 log L + p log n.
        hqic: -2 log L + 2 p log log n.
        reasons: Why a model's criteria are nan; "" if they are not.
    """

    names: tuple[str, ...]
    log_likelihood: Float[np.ndarray, " m"]
    parameters: Int[np.ndarray, " m"]
    observations: int
    aic: Float[np.ndarray, " m"]
    aicc: Float[np.ndarray, " m"]
    bic: Float[np.ndarray, " m"]
    hqic: Float[np.ndarray, " m"]
    reasons: tuple[str, ...]

    def deltas(self, criterion: Criterion = "aicc") -> Float[np.ndarray, " m"]:
        """Compute differences to the smallest value of a criterion; nan where it cannot be determined.

        Raises:
            ArgumentError: the criterion is not one of "aic", "aicc", "bic", "hqic".
        """
        if criterion not in get_args(Criterion):
            accepted = ", ".join(map(repr, get_args(Criterion)))
            raise ArgumentError(f"criterion must be one of {accepted}, got {criterion!r}.")
        values = getattr(self, criterion)
        return values - np.min(values, initial=np.inf, where=np.isfinite(values))

    def weights(self, criterion: Criterion = "aicc") -> Float[np.ndarray, " m"]:
        """Compute Akaike weights exp(-delta / 2), scaled to sum 1; nan for models without a criterion."""
        likelihood = np.exp(-0.5 * self.deltas(criterion))
        return likelihood / np.nansum(likelihood)

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per model."""
        weights = self.weights()
        return [
            {"model": name, "parameters": int(self.parameters[i]), "reason": self.reasons[i]}
            | {kind: float(getattr(self, kind)[i]) for kind in get_args(Criterion)}
            | {"weight": float(weights[i])}
            for i, name in enumerate(self.names)
        ]

    def __str__(self) -> str:
        """Write one line per model."""
        lines = [f"information criteria on {self.observations} observations (weights by aicc):"]
        for row in self.rows():
            values = ", ".join(f"{kind} {row[kind]:.6g}" for kind in get_args(Criterion))
            outcome = f"cannot be determined: {row['reason']}" if row["reason"] else values
            share = "" if row["reason"] else f", weight {row['weight']:.3g}"
            lines.append(f"  {row['model']} ({row['parameters']} parameters): {outcome}{share}")
        return "\n".join(lines)


class NestedTest(NamedTuple):
    """Result of a test of a model against a larger one in which it is nested.

    Attributes:
        statistic: Value of the test statistic.
        freedom: Degrees of freedom of the statistic.
        probability: Probability of at least this statistic if the smaller model is true (p-value).
        reason: Why the probability is nan; "" if it is not.
    """

    statistic: float
    freedom: tuple[int, ...]
    probability: float
    reason: str = ""

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with these fields as columns."""
        return frame_of_rows([self._asdict()])


def information_criteria(
    log_likelihood: Values, parameters: Values, observations: int, names: Sequence[str] | None = None
) -> Criteria:
    """Compute information criteria of models from their maximum log-likelihoods.

    Args:
        log_likelihood: Maximum log-likelihood of each model, (m,), for the same observations in the same
            unit.
        parameters: Number of estimated parameters of each model, (m,).
        observations: Number n of observations; call and put of a strike count as one.
        names: Names of the models; "0", "1", ... if None.

    Returns:
        The criteria; nan, with a reason, for a model with p >= n - 1 or a likelihood that is not finite.

    Raises:
        ArgumentError: the lengths differ, a number of parameters is negative, or there are no observations.
    """
    value = np.atleast_1d(np.asarray(log_likelihood, float))
    p = np.atleast_1d(np.asarray(parameters))
    model_names = tuple(str(i) for i in range(value.size)) if names is None else tuple(names)
    if value.ndim != 1 or p.shape != value.shape or len(model_names) != value.size:
        raise ArgumentError(
            f"likelihoods, parameters and names must have one length, got shapes {value.shape} and {p.shape} "
            f"and {len(model_names)} names."
        )
    if np.any(p < 0) or observations < 1:
        raise ArgumentError(
            f"parameters must not be negative and observations at least 1, got parameters={p}, "
            f"observations={observations}."
        )
    reasons = tuple(_undetermined(x, int(q), observations) for x, q in zip(value, p, strict=True))
    determined = np.array([not reason for reason in reasons])
    deviance = np.where(determined, -2.0 * value, np.nan)
    n = float(observations)
    correction = 2.0 * p * (p + 1.0) / np.where(determined, n - p - 1.0, np.nan)
    loglog = np.log(np.log(n)) if n > 1.0 else np.nan
    return Criteria(
        names=model_names,
        log_likelihood=value,
        parameters=p,
        observations=observations,
        aic=deviance + 2.0 * p,
        aicc=deviance + 2.0 * p + correction,
        bic=deviance + p * np.log(n),
        hqic=deviance + 2.0 * p * loglog,
        reasons=reasons,
    )


def criteria_of_losses(
    losses: Values, parameters: Values, observations: int, names: Sequence[str] | None = None
) -> Criteria:
    """Compute information criteria of models from their least mean squares, such as the `loss` of fits.

    The scaled errors are assumed independent and Gaussian with one variance, which is estimated and counts as
    a parameter: log L = -n/2 (log(2 pi loss) + 1). This is exact for a loss that is a plain mean of squares,
    and an approximation with a robust loss or a prior.

    Args:
        losses: Mean square error of each model, (m,), on the same quotes with the same scale and weights.
        parameters: Number of parameters of each model, (m,), without the variance.
        observations: Number of fitted quotes; call and put of a strike count as one.
        names: Names of the models; "0", "1", ... if None.

    Returns:
        The criteria, as from `information_criteria`.

    Raises:
        ArgumentError: as in `information_criteria`.
    """
    likelihood = log_likelihood(np.atleast_1d(np.asarray(losses, float)), observations)
    return information_criteria(likelihood, np.atleast_1d(np.asarray(parameters)) + 1, observations, names)


def likelihood_ratio_test(restricted: float, full: float, more: int) -> NestedTest:
    """Test a nested model by its likelihood ratio (Wilks 1938).

    Twice the gain in log-likelihood is chi-squared with `more` degrees of freedom. If the smaller model is on
    a bound of the larger one (such as lam = 0, no jumps), the probability is too large (Self and Liang 1987),
    and if parameters then have no effect, the distribution is not valid at all.

    Args:
        restricted: Log-likelihood of the smaller model.
        full: Log-likelihood of the larger model.
        more: Number of additional parameters of the larger model, at least 1.

    Returns:
        The test; its probability is nan, with a reason, if it cannot be made.
    """
    from scipy.special import chdtrc

    statistic = 2.0 * (float(full) - float(restricted))
    reason = _not_nested(statistic, more)
    if reason:
        return NestedTest(statistic, (more,), np.nan, reason)
    return NestedTest(statistic, (more,), float(chdtrc(more, statistic)))


def f_test(restricted: float, full: float, more: int, parameters: int, observations: int) -> NestedTest:
    """Test nested least-squares fits by Fisher's F test.

    Args:
        restricted: Mean square error of the smaller model.
        full: Mean square error of the larger model, on the same quotes with the same weights.
        more: Number of additional parameters of the larger model, at least 1.
        parameters: Number of parameters of the larger model.
        observations: Number of fitted quotes; call and put of a strike count as one.

    Returns:
        The test; its probability is nan, with a reason, if it cannot be made.
    """
    from scipy.special import fdtrc

    residual_freedom = observations - parameters
    if residual_freedom < 1 or not full > 0.0:
        why = f"{observations} observations for {parameters} parameters leave no error to compare with."
        return NestedTest(np.nan, (more, residual_freedom), np.nan, why)
    statistic = (float(restricted) / float(full) - 1.0) * residual_freedom / more if more > 0 else np.nan
    reason = _not_nested(statistic, more)
    if reason:
        return NestedTest(statistic, (more, residual_freedom), np.nan, reason)
    return NestedTest(statistic, (more, residual_freedom), float(fdtrc(more, residual_freedom, statistic)))


def _undetermined(likelihood: float, parameters: int, observations: int) -> str:
    """Return why the criteria of a model cannot be determined; "" if they can."""
    if parameters >= observations - 1:
        return (
            f"{observations} observations are too few for {parameters} parameters; at least {parameters + 2} "
            "are needed."
        )
    if not np.isfinite(likelihood):
        return "the log-likelihood is not finite: there is no fit, or a fit without any error."
    return ""


def _not_nested(statistic: float, more: int) -> str:
    """Return why a nested test cannot be made; "" if it can."""
    if more < 1:
        return f"the larger model must have at least 1 additional parameter, got more={more}."
    if not np.isfinite(statistic):
        return "a fit has no finite likelihood or loss."
    return "the larger model fits worse, so it is not at its optimum." if statistic < 0.0 else ""
