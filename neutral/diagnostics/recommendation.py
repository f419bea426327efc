"""Which of several models to use, by five criteria, with the reasons in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError


class Candidate(NamedTuple):
    """What is known of a model; nan where it is not. A score of -inf, of no error, counts as unknown."""

    name: str
    information: float = np.nan  # an information criterion, as bic: the fit less its parameters
    roughness: float = np.nan  # median step of the parameters from day to day over their interquartile range
    error: float = np.nan  # out of sample
    seconds: float = np.nan  # of one fit
    converged: float = np.nan  # share of the fits
    parameter_risk: float = np.nan  # standard errors of the parameters over their sizes

    @property
    def seconds_per_converged_fit(self) -> float:
        """Speed and rate of convergence as one; inf where no fit converges."""
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
        model: Its name; None where nothing can be said.
        names: Of all models, m.
        ranks: By criterion, (m,), 1 the best, equals sharing theirs; only criteria that are known of all.
        reasons: A sentence per criterion, whether it counts or not, and one on the outcome.
    """

    model: str | None
    names: tuple[str, ...]
    ranks: dict[str, np.ndarray]
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

    A criterion that is not known of every model counts for none. The least mean rank wins; of equals the one
    with the smaller error out of sample, and where that does not decide there is no recommendation.

    Raises:
        ArgumentError: fewer than two models, or two of one name.
    """
    names = tuple(c.name for c in candidates)
    if len(names) < 2 or len(set(names)) < len(names):
        raise ArgumentError(f"recommend takes two models or more of different names, got {names}.")
    ranks, reasons = {}, []
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
        told = ", ".join(f"{names[i]} {values[i]:.4g}" for i in order)
        reasons.append(f"{criterion}: {meaning} {told}")
    if not ranks:
        return Recommendation(None, names, ranks, (*reasons, "no criterion is known of all models"))
    mean = np.mean(list(ranks.values()), axis=0)
    best, told = _winner(mean, np.array([c.error for c in candidates]), names)
    standing = ", ".join(f"{names[i]} {mean[i]:.3g}" for i in np.argsort(mean, kind="stable"))
    outcome = f"mean rank over {len(ranks)} of {len(_CRITERIA)} criteria: {standing}{told}"
    return Recommendation(best, names, ranks, (*reasons, outcome))


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1; equals share the mean of theirs."""
    below, equal = values[:, None] > values, values[:, None] == values
    return np.sum(below, axis=1) + 0.5 * (np.sum(equal, axis=1) + 1.0)


def _winner(mean: np.ndarray, error: np.ndarray, names: tuple[str, ...]) -> tuple[str | None, str]:
    first = np.flatnonzero(mean <= mean.min() + 1e-12)
    if first.size == 1:
        return names[first[0]], ""
    level = ", ".join(names[i] for i in first)
    least = first[error[first] == np.min(error[first])]  # nothing where an error is nan
    if least.size == 1:
        return names[least[0]], f"; {level} are level, {names[least[0]]} has the least error out of sample"
    return None, f"; {level} are level, and their errors out of sample do not decide"
