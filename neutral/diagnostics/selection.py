"""Choice of a model: information criteria, and tests of a model nested in another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Int

from ..errors import ArgumentError
from ..typing import Values

Criterion = Literal["aic", "aicc", "bic", "hqic"]


@dataclass(frozen=True)
class Criteria:
    """Information criteria of m models on the same n observations; smaller is better.

    Akaike (1974), corrected for small samples (Hurvich and Tsai 1989), Schwarz (1978), Hannan and Quinn
    (1979).

    Attributes:
        names: Names of the models.
        log_likelihood: Log-likelihood log L of each model at its maximum.
        parameters: Number p of estimated parameters of each, the scale of the errors included where it is
            estimated.
        observations: Number n of observations.
        aic: -2 log L + 2 p.
        aicc: aic + 2 p (p + 1) / (n - p - 1).
        bic: -2 log L + p log n.
        hqic: -2 log L + 2 p log log n.
        reasons: Why a model's criteria are nan; "" where they are not.
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
        """Differences to the smallest value; nan where a criterion cannot be determined."""
        if criterion not in get_args(Criterion):
            accepted = ", ".join(map(repr, get_args(Criterion)))
            raise ArgumentError(f"criterion must be one of {accepted}, got {criterion!r}.")
        values = getattr(self, criterion)
        return values - np.min(values, initial=np.inf, where=np.isfinite(values))

    def weights(self, criterion: Criterion = "aicc") -> Float[np.ndarray, " m"]:
        """Akaike weights exp(-delta / 2), that sum to 1 over the models that have a criterion; else nan."""
        likelihood = np.exp(-0.5 * self.deltas(criterion))
        return likelihood / np.nansum(likelihood)

    def rows(self) -> list[dict[str, Any]]:
        """One row per model."""
        weights = self.weights()
        return [
            {"model": name, "parameters": int(self.parameters[i]), "reason": self.reasons[i]}
            | {kind: float(getattr(self, kind)[i]) for kind in get_args(Criterion)}
            | {"weight": float(weights[i])}
            for i, name in enumerate(self.names)
        ]

    def __str__(self) -> str:
        """One line per model."""
        lines = [f"information criteria on {self.observations} observations (weights by aicc):"]
        for row in self.rows():
            values = ", ".join(f"{kind} {row[kind]:.6g}" for kind in get_args(Criterion))
            outcome = f"cannot be determined: {row['reason']}" if row["reason"] else values
            share = "" if row["reason"] else f", weight {row['weight']:.3g}"
            lines.append(f"  {row['model']} ({row['parameters']} parameters): {outcome}{share}")
        return "\n".join(lines)


class NestedTest(NamedTuple):
    """Test of a model nested in a larger one.

    Attributes:
        statistic: Value of the test statistic.
        freedom: Its degrees of freedom.
        probability: Probability of as large a statistic if the smaller model is true.
        reason: Why the probability is nan; "" where it is not.
    """

    statistic: float
    freedom: tuple[int, ...]
    probability: float
    reason: str = ""


def information_criteria(
    log_likelihood: Values, parameters: Values, observations: int, names: Sequence[str] | None = None
) -> Criteria:
    """Criteria of models from their largest log-likelihoods.

    Args:
        log_likelihood: Largest log-likelihood of each model, (m,), of the same observations in one unit.
        parameters: Number of parameters of each model, (m,).
        observations: Number n of observations; call and put of a strike are one.
        names: Names of the models; "0", "1", ... where None.

    Returns:
        Criteria; nan with a reason for a model with p >= n - 1, or whose likelihood is not finite.

    Raises:
        ArgumentError: the lengths differ, or a count is negative.
    """
    value = np.atleast_1d(np.asarray(log_likelihood, float))
    p = np.atleast_1d(np.asarray(parameters))
    named = tuple(str(i) for i in range(value.size)) if names is None else tuple(names)
    if value.ndim != 1 or p.shape != value.shape or len(named) != value.size:
        raise ArgumentError(
            f"likelihoods, parameters and names must have one length, got {value.shape}, {p.shape}, "
            f"{len(named)}."
        )
    if np.any(p < 0) or observations < 1:
        raise ArgumentError(
            f"parameters must not be negative and observations at least 1, got {p}, {observations}."
        )
    reasons = tuple(_undetermined(x, int(q), observations) for x, q in zip(value, p, strict=True))
    determined = np.array([not reason for reason in reasons])
    twice = np.where(determined, -2.0 * value, np.nan)
    n = float(observations)
    small = 2.0 * p * (p + 1.0) / np.where(determined, n - p - 1.0, np.nan)
    loglog = np.log(np.log(n)) if n > 1.0 else np.nan
    return Criteria(
        names=named,
        log_likelihood=value,
        parameters=p,
        observations=observations,
        aic=twice + 2.0 * p,
        aicc=twice + 2.0 * p + small,
        bic=twice + p * np.log(n),
        hqic=twice + 2.0 * p * loglog,
        reasons=reasons,
    )


def criteria_of_losses(
    losses: Values, parameters: Values, observations: int, names: Sequence[str] | None = None
) -> Criteria:
    """Criteria of models from their least mean squares, such as the `loss` of fits.

    The scaled errors are taken as independent and Gaussian with one variance, which is profiled out and
    counts as a parameter: log L = -n/2 (log(2 pi loss) + 1). Right for a loss that is a plain mean of
    squares; with a robust loss or a prior it is an approximation.

    Args:
        losses: (m,), of the same quotes with the same scale and weights.
        parameters: Number of the model's parameters, (m,), without the variance.
        observations: Quotes fitted; call and put of a strike are one.
        names: Of the models.
    """
    loss = np.atleast_1d(np.asarray(losses, float))
    safe = np.where(loss > 0.0, loss, np.nan)
    likelihood = -0.5 * observations * (np.log(2.0 * np.pi * safe) + 1.0)
    return information_criteria(likelihood, np.atleast_1d(np.asarray(parameters)) + 1, observations, names)


def likelihood_ratio_test(restricted: float, full: float, more: int) -> NestedTest:
    """Wilks (1938): twice the gain in log-likelihood is chi-square with `more` degrees of freedom.

    Where the smaller model lies on a bound of the larger one (no jumps: lam = 0) the probability is too large
    (Self and Liang 1987), and parameters that then have no effect break the law altogether.

    Args:
        restricted: Log-likelihood of the smaller model.
        full: Of the larger one.
        more: Parameters that it has more, at least 1.
    """
    from scipy.special import chdtrc

    statistic = 2.0 * (float(full) - float(restricted))
    reason = _not_nested(statistic, more)
    if reason:
        return NestedTest(statistic, (more,), np.nan, reason)
    return NestedTest(statistic, (more,), float(chdtrc(more, statistic)))


def f_test(restricted: float, full: float, more: int, parameters: int, observations: int) -> NestedTest:
    """Fisher's F test of nested least-squares fits.

    Args:
        restricted: Mean square error of the smaller model.
        full: Of the larger one, on the same quotes with the same weights.
        more: Parameters that the larger model has more, at least 1.
        parameters: Of the larger model.
        observations: Quotes fitted; call and put of a strike are one.
    """
    from scipy.special import fdtrc

    left = observations - parameters
    if left < 1 or not full > 0.0:
        why = f"{observations} observations for {parameters} parameters leave no error to compare with."
        return NestedTest(np.nan, (more, left), np.nan, why)
    statistic = (float(restricted) / float(full) - 1.0) * left / more if more > 0 else np.nan
    reason = _not_nested(statistic, more)
    if reason:
        return NestedTest(statistic, (more, left), np.nan, reason)
    return NestedTest(statistic, (more, left), float(fdtrc(more, left, statistic)))


def _undetermined(likelihood: float, parameters: int, observations: int) -> str:
    """Why the criteria of a model cannot be determined; "" where they can."""
    if parameters >= observations - 1:
        return (
            f"{observations} observations are too few for {parameters} parameters; it takes {parameters + 2}."
        )
    if not np.isfinite(likelihood):
        return "the log-likelihood is not finite: no fit, or one without any error."
    return ""


def _not_nested(statistic: float, more: int) -> str:
    """Why a nested test cannot be made; "" where it can."""
    if more < 1:
        return f"the larger model must have more parameters, got {more} more."
    if not np.isfinite(statistic):
        return "a fit has no finite likelihood or loss."
    return "the larger model fits worse: it is not at its optimum." if statistic < 0.0 else ""
