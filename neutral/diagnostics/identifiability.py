"""Which parameters the quotes determine, which they do not, and what to do about it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ..typing import Values
from .linearisation import Fit, parameter_sizes

_LEAST = 1.0 / 200.0  # share of the largest singular value below which a direction counts as not seen
_LOOSE = 0.5  # move along a direction, in sizes of the parameters, that noise must not exceed
TOGETHER = 0.9  # size of a correlation above which it is flagged
_NAMED = 0.3  # share of a direction's largest component above which a component is named
_WRITTEN = 6  # findings that are written out
_PLAIN = 0.2  # exponents within this of 1 are written as 1


@dataclass(frozen=True)
class Finding:
    """Something that the quotes do not determine.

    Attributes:
        parameters: Names of the parameters that are concerned.
        text: What the quotes do not determine, in words.
        action: What may be done about it.
    """

    parameters: tuple[str, ...]
    text: str
    action: str


@dataclass(frozen=True)
class Identifiability:
    """The singular values of the weighted Jacobian, its columns scaled by the sizes of the parameters.

    A singular value is how much a move of one size along its direction changes the weighted residuals.

    Attributes:
        names: Names of the parameters that move, n.
        sizes: What counts as 1 of each parameter, natural units (`parameter_sizes`).
        singular_values: Singular values in descending order.
        directions: Directions in scaled parameters, one per row.
        information: Fisher information in natural parameters; nan where the noise is not known.
        correlation: Correlations of the estimates; nan where the Jacobian is singular.
        noise: Standard deviation of a weighted residual; nan with no more strikes than parameters, or where
            every quote is met.
        findings: What the quotes do not determine, worst first.
        reason: Why nothing can be determined; "" where it can.
    """

    names: tuple[str, ...] = ()
    sizes: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    singular_values: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    directions: Float[np.ndarray, "n n"] = field(default_factory=lambda: np.zeros((0, 0)))
    information: Float[np.ndarray, "n n"] = field(default_factory=lambda: np.zeros((0, 0)))
    correlation: Float[np.ndarray, "n n"] = field(default_factory=lambda: np.zeros((0, 0)))
    noise: float = np.nan
    findings: tuple[Finding, ...] = ()
    reason: str = ""

    @property
    def condition_number(self) -> float:
        """Largest over smallest singular value; inf where a direction has no effect, nan where unknown."""
        if not self.singular_values.size:
            return np.nan
        largest = self.singular_values[0]
        least = self.singular_values[-1]
        return float(largest / least) if least > 0.0 else np.inf

    @property
    def sloppy(self) -> Bool[np.ndarray, " n"]:
        """Which directions the quotes do not determine."""
        return _unseen(self.singular_values, self.noise)

    @property
    def effective_rank(self) -> int:
        """Number of directions that the quotes determine."""
        return int(np.sum(~self.sloppy))

    def __str__(self) -> str:
        """A few lines: condition number, rank and findings."""
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
    """Which of a fit's parameters the quotes determine, from the Jacobian at its solution."""
    moving = fit.moving
    if fit.reason or not moving.size:
        return Identifiability(reason=fit.undetermined())
    residuals, jacobian = fit.strikes()
    natural = jacobian @ np.linalg.inv(np.asarray(fit.at.chain)[np.ix_(moving, moving)])
    sizes = parameter_sizes(fit)
    values = np.asarray(fit.at.values)[moving]
    noise = np.nan if fit.undetermined() else noise_of(residuals, moving.size)
    return from_jacobian(natural, sizes, fit.names, noise, logarithmic=values == sizes)


def noise_of(residuals: Float[np.ndarray, " strikes"], parameters: int) -> float:
    """Standard deviation of weighted residuals by their scatter; nan with no more strikes than parameters."""
    left = residuals.size - parameters
    return float(np.sqrt(np.sum(residuals**2) / left)) if left > 0 else np.nan


def from_jacobian(
    jacobian: Float[np.ndarray, "quotes n"],
    sizes: Float[np.ndarray, " n"],
    names: tuple[str, ...],
    noise: float = np.nan,
    logarithmic: Values = False,
) -> Identifiability:
    """Which parameters a weighted Jacobian determines.

    Args:
        jacobian: Derivatives of the weighted residuals in natural parameters; the order of quotes does not
            matter.
        sizes: Sizes of the parameters.
        names: Names of the parameters.
        noise: Standard deviation of a weighted residual; nan where it is not known.
        logarithmic: Flags of the sizes that are the values of positive parameters, so that a move is one of
            the logarithm.
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
    positive = np.broadcast_to(np.asarray(logarithmic, bool), len(names))
    findings = [_finding(v, names, positive) for v in directions[lost][::-1]]
    findings += _pairs(correlation, names, [set(f.parameters) for f in findings])
    return Identifiability(
        names=names,
        sizes=sizes,
        singular_values=values,
        directions=directions,
        information=information,
        correlation=correlation,
        noise=noise,
        findings=tuple(findings),
    )


def _unseen(values: Float[np.ndarray, " n"], noise: float) -> Bool[np.ndarray, " n"]:
    """Which singular values are too small beside the largest, or beside the noise."""
    if not values.size:
        return np.zeros(0, bool)
    loose = noise > _LOOSE * values if np.isfinite(noise) else False
    return (values < _LEAST * values[0]) | loose


def _written(direction: Float[np.ndarray, " n"], names: tuple[str, ...]) -> str:
    """`kappa +0.71, theta -0.70`: the components that matter, largest first."""
    order = [
        i for i in np.argsort(-np.abs(direction)) if abs(direction[i]) >= _NAMED * np.abs(direction).max()
    ]
    return ", ".join(f"{names[i]} {direction[i]:+.2f}" for i in order)


def _finding(
    direction: Float[np.ndarray, " n"], names: tuple[str, ...], logarithmic: Bool[np.ndarray, " n"]
) -> Finding:
    """A direction that the quotes do not determine, in words."""
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
    """Two parameters of which the quotes see one product alone.

    Args:
        pair: Names of both.
        slope: d log first / d log second along the direction that is not seen.
    """
    first, second = pair
    exponent = -slope
    power = "" if abs(abs(exponent) - 1.0) <= _PLAIN else f"^{abs(exponent):.2g}"
    sign = "*" if exponent > 0.0 else "/"
    text = f"{first} and {second} trade off: only {first}{sign}{second}{power} is seen"
    return Finding(pair, text, f"freeze {first}, or read the combination alone")


def _pairs(
    correlation: Float[np.ndarray, "n n"], names: tuple[str, ...], reported: list[set[str]]
) -> list[Finding]:
    """Pairs of strongly correlated estimates that no direction has named together already."""
    pairs = []
    for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
        pair = (names[i], names[j])
        if abs(correlation[i, j]) > TOGETHER and not any(set(pair) <= group for group in reported):
            text = f"{pair[0]} and {pair[1]} have correlation {correlation[i, j]:+.2f}"
            pairs.append(Finding(pair, text, f"freeze one of them, or strengthen the prior of {pair[0]}"))
    return pairs
