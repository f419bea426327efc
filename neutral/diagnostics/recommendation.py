"""Recommendation of one of several models by five criteria, with the reasons in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import ArgumentError


class Candidate(NamedTuple):
    """Scores of a model, the smaller the better; nan where one is unknown.

    A score of -inf, which a fit without any error has, counts as unknown.
    """

    name: str
    information: float = np.nan  # an information criterion, as bic
    roughness: float = np.nan  # median step of the parameters from day to day over their interquartile range
    error: float = np.nan  # error out of sample
    seconds: float = np.nan  # seconds of one fit
    converged: float = np.nan  # share of the fits that converge
    parameter_risk: float = np.nan  # standard errors of the parameters over their sizes

    @property
    def seconds_per_converged_fit(self) -> float:
        """Seconds over the share of fits that converge; inf where none does."""
        return self.seconds / self.converged if self.converged != 0.0 else np.inf


_CRITERIA = {
    "parsimony": ("information", "information criterion"),
    "stability": ("roughness", "roughness of the parameters"),
    "generalisation": ("error", "error out of sample"),
    "speed": ("seconds_per_converged_fit", "seconds per converged fit"),
    "parameter risk": ("parameter_risk", "relative standard error of the parameters"),
}


@dataclass(frozen=True)
class Recommendation:
    """The model with the least mean rank over the criteria that are known of all.

    Attributes:
        model: Name of the model; None where none can be recommended.
        names: Names of all models, m.
        ranks: Ranks by criterion, 1 the best, ties sharing their mean rank; only criteria that are known of
            all models.
        reasons: A sentence per criterion, whether it counts or not, and one on the outcome.
    """

    model: str | None
    names: tuple[str, ...]
    ranks: dict[str, Float[np.ndarray, " m"]]
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """The model and the reasons."""
        head = "no model can be recommended" if self.model is None else f"recommended: {self.model}"
        return "\n".join([f"{head}:", *(f"  {reason}" for reason in self.reasons)])

    def rows(self) -> list[dict[str, Any]]:
        """One row per model: its rank by criterion."""
        return [
            {"model": name} | {criterion: float(rank[i]) for criterion, rank in self.ranks.items()}
            for i, name in enumerate(self.names)
        ]


def recommend(candidates: Sequence[Candidate]) -> Recommendation:
    """Rank models by parsimony, stability, generalisation, speed with convergence, and parameter risk.

    A criterion that is not known of every model is left out. The least mean rank wins; of models with equal
    mean ranks the one with the smaller error out of sample. Where that does not decide either, there is no
    recommendation.

    Args:
        candidates: Models with their scores.

    Raises:
        ArgumentError: fewer than two models, or two of one name.
    """
    names = tuple(c.name for c in candidates)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ArgumentError(f"recommend takes two models or more of different names, got {names}.")
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
        return Recommendation(None, names, ranks, (*reasons, "no criterion is known of all models"))
    mean = np.mean(list(ranks.values()), axis=0)
    best, decision = _winner(mean, np.array([c.error for c in candidates]), names)
    standing = ", ".join(f"{names[i]} {mean[i]:.3g}" for i in np.argsort(mean, kind="stable"))
    outcome = f"mean rank over {len(ranks)} of {len(_CRITERIA)} criteria: {standing}{decision}"
    return Recommendation(best, names, ranks, (*reasons, outcome))


def _ranks(values: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Ranks from 1; ties share their mean rank."""
    below = values[:, None] > values
    equal = values[:, None] == values
    return np.sum(below, axis=1) + 0.5 * (np.sum(equal, axis=1) + 1.0)


def _winner(
    mean: Float[np.ndarray, " m"], error: Float[np.ndarray, " m"], names: tuple[str, ...]
) -> tuple[str | None, str]:
    """The model with the least mean rank, None where ties remain; and what decided between equal ones."""
    first = np.flatnonzero(mean <= mean.min() + 1e-12)
    if first.size == 1:
        return names[first[0]], ""
    level = ", ".join(names[i] for i in first)
    least = first[error[first] == np.min(error[first])]  # nothing where an error is nan
    if least.size == 1:
        return names[least[0]], f"; {level} are level, {names[least[0]]} has the least error out of sample"
    return None, f"; {level} are level, and their errors out of sample do not decide"
