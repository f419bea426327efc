"""Which parameters the quotes see, which they do not, and what to do about it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .linearisation import Fit, parameter_sizes

_LEAST = 1.0 / 200.0  # of the best seen direction: what is seen less counts as not seen ...
_LOOSE = 0.5  # ... as does what the noise lets move by more, in sizes of the parameters
TOGETHER = 0.9  # correlation that is flagged
_NAMED = 0.3  # of the largest component of a direction: what is named
_WRITTEN = 6  # findings that are written out
_PLAIN = 0.2  # exponents within this of 1 are written as 1


@dataclass(frozen=True)
class Finding:
    """One thing the quotes do not tell, in words, and what may be done."""

    parameters: tuple[str, ...]
    text: str
    action: str


@dataclass(frozen=True)
class Identifiability:
    """The singular values of the weighted Jacobian, its columns scaled by the sizes of the parameters.

    A singular value is how much a move of one size along its direction changes the weighted residuals.

    Attributes:
        names: Parameters that move, n.
        sizes: What counts as 1 of each, natural units (`parameter_sizes`).
        singular_values: Descending, (n,).
        directions: In scaled parameters, one per row, (n, n).
        information: Fisher information in natural parameters, (n, n); nan where the noise is not known.
        correlation: Of the estimates, (n, n); nan where the Jacobian is singular.
        noise: Standard deviation of a weighted residual; nan with no more strikes than parameters, or where
            every quote is met.
        findings: What is not seen, worst first.
        reason: Why nothing can be said; "" where it can.
    """

    names: tuple[str, ...] = ()
    sizes: np.ndarray = field(default_factory=lambda: np.zeros(0))
    singular_values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    directions: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    information: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    correlation: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    noise: float = np.nan
    findings: tuple[Finding, ...] = ()
    reason: str = ""

    @property
    def condition_number(self) -> float:
        """Largest over smallest singular value; inf where a direction has no effect, nan where unknown."""
        if not self.singular_values.size:
            return np.nan
        largest, least = self.singular_values[0], self.singular_values[-1]
        return float(largest / least) if least > 0.0 else np.inf

    @property
    def sloppy(self) -> np.ndarray:
        """Which directions are not seen, (n,)."""
        return _unseen(self.singular_values, self.noise)

    @property
    def effective_rank(self) -> int:
        """Number of directions that are seen."""
        return int(np.sum(~self.sloppy))

    def __str__(self) -> str:
        """A few lines."""
        if self.reason:
            return f"identifiability cannot be determined: {self.reason}"
        noise = "" if np.isfinite(self.noise) else ", were there no noise (it cannot be determined)"
        lines = [
            f"identifiability: condition number {self.condition_number:.3g}, {self.effective_rank} of "
            f"{len(self.names)} directions seen{noise}; best seen: {_written(self.directions[0], self.names)}"
        ]
        lines += [f"  {f.text} -> {f.action}" for f in self.findings[:_WRITTEN]]
        more = len(self.findings) - _WRITTEN
        return "\n".join(lines + ([f"  and {more} more in .findings"] if more > 0 else []))

    def rows(self) -> list[dict[str, Any]]:
        """One row per direction: singular value, whether it is seen, and its components."""
        return [
            {"singular_value": float(s), "sloppy": bool(lost), "direction": _written(v, self.names)}
            | {name: float(x) for name, x in zip(self.names, v, strict=True)}
            for s, lost, v in zip(self.singular_values, self.sloppy, self.directions, strict=True)
        ]


def identifiability(fit: Fit) -> Identifiability:
    """What the quotes tell of a fit's parameters, from the Jacobian at its solution."""
    moving = fit.moving
    if fit.reason or not moving.size:
        return Identifiability(reason=fit.undetermined())
    residuals, jacobian = fit.strikes()
    natural = jacobian @ np.linalg.inv(fit.at.chain[np.ix_(moving, moving)])
    sizes, values = parameter_sizes(fit), fit.at.values[moving]
    noise = np.nan if fit.undetermined() else noise_of(residuals, moving.size)
    return from_jacobian(natural, sizes, fit.names, noise, logarithmic=values == sizes)


def noise_of(residuals: np.ndarray, parameters: int) -> float:
    """Standard deviation of weighted residuals by their scatter; nan where nothing is left to scatter."""
    left = residuals.size - parameters
    return float(np.sqrt(np.sum(residuals**2) / left)) if left > 0 else np.nan


def from_jacobian(
    jacobian: np.ndarray,
    sizes: np.ndarray,
    names: tuple[str, ...],
    noise: float = np.nan,
    logarithmic: Any = False,
) -> Identifiability:
    """What a weighted Jacobian tells.

    Args:
        jacobian: Weighted residuals in natural parameters, (quotes, n); the order of quotes is of no account.
        sizes: Of the parameters, (n,).
        names: Of the parameters.
        noise: Standard deviation of a weighted residual; nan where it is not known.
        logarithmic: Which sizes are the values of positive parameters: a move is one of the logarithm.
    """
    if not np.all(np.isfinite(jacobian)):
        return Identifiability(names, reason="a derivative of a price is not finite.")
    scaled = jacobian * sizes
    _, values, directions = np.linalg.svd(
        np.vstack([scaled, np.zeros((len(names),) * 2)]), full_matrices=False
    )
    if values[0] == 0.0:
        return Identifiability(names, reason="no parameter changes any price that was fitted.")
    rounding = values[0] * len(names) * np.finfo(float).eps
    values = np.where(values > rounding, values, 0.0)
    signs = np.sign(np.take_along_axis(directions, np.argmax(np.abs(directions), axis=1)[:, None], 1))
    directions = directions * signs
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = (
            (directions.T / values**2) @ directions
            if values[-1] > 0.0
            else np.full((len(names),) * 2, np.nan)
        )
        spread = np.sqrt(np.diag(covariance))
        correlation = covariance / np.outer(spread, spread)
        information = jacobian.T @ jacobian / (noise**2 if noise > 0.0 else np.nan)
    lost = _unseen(values, noise)
    logarithmic = np.broadcast_to(logarithmic, len(names))
    findings = [_finding(v, names, logarithmic) for v in directions[lost][::-1]]
    findings += _pairs(correlation, names, [set(f.parameters) for f in findings])
    return Identifiability(
        names, sizes, values, directions, information, correlation, noise, tuple(findings)
    )  # fmt: skip


def _unseen(values: np.ndarray, noise: float) -> np.ndarray:
    if not values.size:
        return np.zeros(0, bool)
    loose = noise > _LOOSE * values if np.isfinite(noise) else False
    return (values < _LEAST * values[0]) | loose


def _written(direction: np.ndarray, names: tuple[str, ...]) -> str:
    """`kappa +0.71, theta -0.70`: the components that matter, largest first."""
    order = [
        i for i in np.argsort(-np.abs(direction)) if abs(direction[i]) >= _NAMED * np.abs(direction).max()
    ]
    return ", ".join(f"{names[i]} {direction[i]:+.2f}" for i in order)


def _finding(direction: np.ndarray, names: tuple[str, ...], logarithmic: np.ndarray) -> Finding:
    """A direction that is not seen, in words."""
    size = np.abs(direction)
    order = [int(i) for i in np.argsort(-size) if size[i] >= _NAMED * size.max()]
    involved = tuple(names[i] for i in order)
    if len(order) == 1:
        return Finding(involved, f"{involved[0]} is hardly seen", f"freeze {involved[0]} (fixed=)")
    if len(order) == 2 and all(logarithmic[order]):
        return _trade(involved, direction[order[0]] / direction[order[1]])
    text = (
        f"{', '.join(involved[:-1])} and {involved[-1]} move together unseen ({_written(direction, names)})"
    )
    return Finding(involved, text, 'pull them to a prior in that direction (on_degenerate="damp")')


def _trade(pair: tuple[str, ...], slope: float) -> Finding:
    """Two parameters of which one combination is seen; d log first = slope d log second along the other."""
    first, second = pair
    exponent = -slope
    power = "" if abs(abs(exponent) - 1.0) <= _PLAIN else f"^{abs(exponent):.2g}"
    sign = "*" if exponent > 0.0 else "/"
    text = f"{first} and {second} trade off: only {first}{sign}{second}{power} is seen"
    return Finding(pair, text, f"freeze {first}, or read the combination alone")


def _pairs(correlation: np.ndarray, names: tuple[str, ...], told: list[set[str]]) -> list[Finding]:
    """Pairs of strongly correlated estimates that no direction has named together already."""
    found = []
    for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
        pair = (names[i], names[j])
        if abs(correlation[i, j]) > TOGETHER and not any(set(pair) <= names for names in told):
            text = f"{pair[0]} and {pair[1]} have correlation {correlation[i, j]:+.2f}"
            found.append(Finding(pair, text, f"freeze one of them, or strengthen the prior of {pair[0]}"))
    return found
