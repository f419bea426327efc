"""Identifiability: which parameters the quotes determine, which not, and what to do about it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from ..calibration.condition import SCALING, UNDETERMINED
from ..presentation.frame import Tabular
from ..typing import Values
from .linearisation import Fit, parameter_sizes

_LOOSE = 0.5  # standard error along a direction, in sizes of the parameters, above which it is undetermined
TOGETHER = 0.9  # absolute correlation above which two parameters are reported
_NAMED = 0.3  # share of a direction's largest component above which a component is named
_WRITTEN = 6  # number of findings in the text
_PLAIN = 0.2  # exponents that differ from 1 by at most this are written as 1


@dataclass(frozen=True)
class Finding:
    """A parameter or combination of parameters that the quotes do not determine.

    Attributes:
        parameters: Names of the parameters.
        text: What the quotes do not determine, in words.
        action: What may be done about it.
    """

    parameters: tuple[str, ...]
    text: str
    action: str


@dataclass(frozen=True)
class Identifiability(Tabular):
    """Singular value decomposition of the weighted Jacobian, with columns scaled by the parameters' sizes.

    A singular value is the change of the weighted residuals per unit step along its direction.

    Attributes:
        names: Names of the n parameters that are neither fixed nor on a bound.
        sizes: Sizes of the parameters, in natural units, that scale the columns (`parameter_sizes`).
        singular_values: Singular values in descending order.
        directions: Directions in scaled parameters, one per row.
        information: Fisher information in natural parameters; nan if the noise is unknown.
        correlation: Correlations of the estimates; nan if the Jacobian is singular.
        noise: Standard deviation of a weighted residual; nan if there are no more strikes than parameters, or
            if the model fits every quote exactly.
        findings: What the quotes do not determine, the worst first.
        reason: Why nothing can be determined; "" if it can.
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
        """Largest over smallest singular value, as `CalibrationResult.condition_number`.

        It is inf if a direction has no effect, nan if unknown.
        """
        if not self.singular_values.size:
            return np.nan
        largest = self.singular_values[0]
        least = self.singular_values[-1]
        return float(largest / least) if least > 0.0 else np.inf

    @property
    def sloppy(self) -> Bool[np.ndarray, " n"]:
        """True for directions that the quotes do not determine."""
        return _undetermined(self.singular_values, self.noise)

    @property
    def effective_rank(self) -> int:
        """Number of directions that the quotes determine."""
        return int(np.sum(~self.sloppy))

    def __str__(self) -> str:
        """Write condition number, rank and findings in a few lines."""
        if self.reason:
            return f"identifiability cannot be determined: {self.reason}"
        noise = "" if np.isfinite(self.noise) else " (if there is no noise, which cannot be determined)"
        lines = [
            f"identifiability: condition number {self.condition_number:.3g} ({SCALING}), "
            f"{self.effective_rank} of {len(self.names)} directions determined{noise}; best determined: "
            f"{_written(self.directions[0], self.names)}"
        ]
        lines += [f"  {f.text} -> {f.action}" for f in self.findings[:_WRITTEN]]
        more = len(self.findings) - _WRITTEN
        return "\n".join(lines + ([f"  and {more} more in .findings"] if more > 0 else []))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per direction: singular value, flag `sloppy` if undetermined, and components."""
        return [
            {"singular_value": float(s), "sloppy": bool(undetermined), "direction": _written(v, self.names)}
            | {name: float(x) for name, x in zip(self.names, v, strict=True)}
            for s, undetermined, v in zip(self.singular_values, self.sloppy, self.directions, strict=True)
        ]


def identifiability(fit: Fit) -> Identifiability:
    """Determine which parameters of a fit the quotes identify, from the Jacobian at its solution."""
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
    """Estimate the standard deviation of weighted residuals; nan with no more strikes than parameters."""
    degrees_of_freedom = residuals.size - parameters
    return float(np.sqrt(np.sum(residuals**2) / degrees_of_freedom)) if degrees_of_freedom > 0 else np.nan


def from_jacobian(
    jacobian: Float[np.ndarray, "quotes n"],
    sizes: Float[np.ndarray, " n"],
    names: tuple[str, ...],
    noise: float = np.nan,
    logarithmic: Values = False,
) -> Identifiability:
    """Determine which parameters a weighted Jacobian identifies.

    Args:
        jacobian: Derivatives of the weighted residuals in natural parameters, (quotes, n).
        sizes: Sizes of the parameters, (n,).
        names: Names of the parameters.
        noise: Standard deviation of a weighted residual; nan if unknown.
        logarithmic: True where a size is the value of a positive parameter, so that a step is one in its
            logarithm.

    Returns:
        Singular values, directions and findings.
    """
    if not np.all(np.isfinite(jacobian)):
        return Identifiability(names, reason="a derivative of a price is not finite.")
    scaled = jacobian * sizes
    _, values, directions = np.linalg.svd(
        np.vstack([scaled, np.zeros((len(names),) * 2)]), full_matrices=False
    )
    if values[0] == 0.0:
        return Identifiability(names, reason="no parameter changes the price of any fitted quote.")
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
    undetermined = _undetermined(values, noise)
    positive = np.broadcast_to(np.asarray(logarithmic, bool), len(names))
    findings = [_finding(v, names, positive) for v in directions[undetermined][::-1]]
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


def _undetermined(values: Float[np.ndarray, " n"], noise: float) -> Bool[np.ndarray, " n"]:
    """Flag singular values that are too small relative to the largest, or to the noise."""
    if not values.size:
        return np.zeros(0, bool)
    noisy = noise > _LOOSE * values if np.isfinite(noise) else False
    return (values * UNDETERMINED < values[0]) | noisy


def _written(direction: Float[np.ndarray, " n"], names: tuple[str, ...]) -> str:
    """Write the large components of a direction, the largest first, as in `kappa +0.71, theta -0.70`."""
    order = [
        i for i in np.argsort(-np.abs(direction)) if abs(direction[i]) >= _NAMED * np.abs(direction).max()
    ]
    return ", ".join(f"{names[i]} {direction[i]:+.2f}" for i in order)


def _finding(
    direction: Float[np.ndarray, " n"], names: tuple[str, ...], logarithmic: Bool[np.ndarray, " n"]
) -> Finding:
    """Describe a direction that the quotes do not determine."""
    size = np.abs(direction)
    order = [int(i) for i in np.argsort(-size) if size[i] >= _NAMED * size.max()]
    involved = tuple(names[i] for i in order)
    if len(order) == 1:
        return Finding(involved, f"{involved[0]} is hardly determined", f"fix {involved[0]} (fixed=)")
    if len(order) == 2 and all(logarithmic[order]):
        return _trade(involved, direction[order[0]] / direction[order[1]])
    text = (
        f"a combination of {', '.join(involved[:-1])} and {involved[-1]} is undetermined "
        f"({_written(direction, names)})"
    )
    return Finding(involved, text, 'shrink them to a prior in that direction (on_degenerate="damp")')


def _trade(pair: tuple[str, ...], slope: float) -> Finding:
    """Describe two parameters of which the quotes determine only one product of powers.

    Args:
        pair: Names of both parameters.
        slope: d log first / d log second along the undetermined direction.

    Returns:
        The finding.
    """
    first, second = pair
    exponent = -slope
    power = "" if abs(abs(exponent) - 1.0) <= _PLAIN else f"^{abs(exponent):.2g}"
    sign = "*" if exponent > 0.0 else "/"
    text = f"{first} and {second} trade off: only {first}{sign}{second}{power} is determined"
    return Finding(pair, text, f"fix {first}, or use only the combination")


def _pairs(
    correlation: Float[np.ndarray, "n n"], names: tuple[str, ...], reported: list[set[str]]
) -> list[Finding]:
    """Report pairs of strongly correlated estimates that no finding of a direction contains."""
    pairs = []
    for i, j in zip(*np.triu_indices(len(names), 1), strict=True):
        pair = (names[i], names[j])
        if abs(correlation[i, j]) > TOGETHER and not any(set(pair) <= group for group in reported):
            text = f"{pair[0]} and {pair[1]} have correlation {correlation[i, j]:+.2f}"
            pairs.append(Finding(pair, text, f"fix one of them, or strengthen the prior of {pair[0]}"))
    return pairs
