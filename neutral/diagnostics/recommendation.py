"""Recommendation of one of several models by five criteria, with reasons in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError
from ..presentation.frame import Tabular


class Candidate(NamedTuple):
    """Scores of a model, where smaller is better; nan if unknown.

    A score of -inf, as of a fit without any error, counts as unknown.
    """

    name: str
    information: float = np.nan  # an information criterion, such as bic
    roughness: float = np.nan  # median daily step of the parameters over their interquartile range
    error: float = np.nan  # out-of-sample error
    seconds: float = np.nan  # duration of one fit in seconds
    converged: float = np.nan  # share of fits that converge
    parameter_risk: float = np.nan  # standard errors of the parameters over their sizes

    @property
    def seconds_per_converged_fit(self) -> float:
        """Seconds over the share of fits that converge; inf if none converges."""
        return self.seconds / self.converged if self.converged != 0.0 else np.inf


_CRITERIA = {
    "parsimony": ("information", "information criterion"),
    "stability": ("roughness", "roughness of the parameters"),
    "generalisation": ("error", "out-of-sample error"),
    "speed": ("seconds_per_converged_fit", "seconds per converged fit"),
    "parameter risk": ("parameter_risk", "relative standard error of the parameters"),
}


@dataclass(frozen=True)
class Recommendation(Tabular):
    """The model with the least mean rank over the criteria that are known for all models.

    Attributes:
        model: Name of the model; None if none can be recommended.
        names: Names of all m models.
        ranks: Ranks by criterion, for criteria that are known for all models; 1 is the best, and ties share
            their mean rank.
        reasons: One line for each criterion, used or not, and one for the outcome.
    """

    model: str | None
    names: tuple[str, ...]
    ranks: dict[str, Float[np.ndarray, " m"]]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """Write the model and the reasons."""
        head = "no model can be recommended" if self.model is None else f"recommended: {self.model}"
        return "\n".join([f"{head}:", *(f"  {reason}" for reason in self.reasons)])

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per model: its rank by criterion."""
        return [
            {"model": name} | {criterion: float(rank[i]) for criterion, rank in self.ranks.items()}
            for i, name in enumerate(self.names)
        ]


def recommend(candidates: Sequence[Candidate]) -> Recommendation:
    """Rank models by parsimony, stability, generalisation, speed with convergence, and parameter risk.

    A criterion that is unknown for a model is left out. The model with the least mean rank is recommended; of
    models with equal mean ranks, the one with the smallest out-of-sample error. If there is still a tie, no
    model is recommended.

    Args:
        candidates: Models with their scores, at least two.

    Returns:
        The recommendation.

    Raises:
        ArgumentError: there are fewer than two models, or two have the same name.
    """
    names = tuple(c.name for c in candidates)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ArgumentError(f"recommend needs two or more models of different names, got {names}.")
    ranks = {}
    reasons = []
    for criterion, (attribute, meaning) in _CRITERIA.items():
        values = np.array([getattr(c, attribute) for c in candidates], float)
        unknown = [name for name, x in zip(names, values, strict=True) if np.isnan(x) or x == -np.inf]
        if unknown:
            reasons.append(
                f"{criterion}: cannot be determined, the {meaning} of {', '.join(unknown)} is not known"
            )
            continue
        ranks[criterion] = _ranks(values)
        order = np.argsort(values, kind="stable")
        scores = ", ".join(f"{names[i]} {values[i]:.4g}" for i in order)
        reasons.append(f"{criterion}: {meaning} {scores}")
    if not ranks:
        return Recommendation(None, names, ranks, (*reasons, "no criterion is known for all models"))
    mean = np.mean(list(ranks.values()), axis=0)
    best, decision = _winner(mean, np.array([c.error for c in candidates]), names)
    mean_ranks = ", ".join(f"{names[i]} {mean[i]:.3g}" for i in np.argsort(mean, kind="stable"))
    outcome = f"mean rank over {len(ranks)} of {len(_CRITERIA)} criteria: {mean_ranks}{decision}"
    return Recommendation(best, names, ranks, (*reasons, outcome))


def _ranks(values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Compute ranks from 1; ties share their mean rank."""
    smaller = values[:, None] > values
    equal = values[:, None] == values
    return np.sum(smaller, axis=1) + 0.5 * (np.sum(equal, axis=1) + 1.0)


def _winner(
    mean: Float[np.ndarray, " m"], error: Float[np.ndarray, " m"], names: tuple[str, ...]
) -> tuple[str | None, str]:
    """Return the model with the least mean rank, or None for a tie, and a text on how a tie was decided."""
    first = np.flatnonzero(mean <= mean.min() + 1e-12)
    if first.size == 1:
        return names[first[0]], ""
    tied = ", ".join(names[i] for i in first)
    best = first[error[first] == np.min(error[first])]  # empty if an error is nan
    if best.size == 1:
        return names[best[0]], f"; {tied} are tied, {names[best[0]]} has the least out-of-sample error"
    return None, f"; {tied} are tied, and their out-of-sample errors do not decide"
