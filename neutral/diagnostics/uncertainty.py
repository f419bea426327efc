"""Uncertainty of a fit from the noise of the quotes: covariances and intervals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..calibration.coordinates import AbstractCoordinates
from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..numerics.compiled import compiled
from ..presentation.frame import Tabular
from ..typing import Real, Values
from .linearisation import Fit

Kind = Literal["sandwich", "gauss_newton", "hessian", "laplace"]

_LEAST_FREE = 1e-6  # least value of 1 - leverage of a strike
_UNIFORM = 12.0**-0.5  # standard deviation of a uniform variable on an interval of length 1


@dataclass(frozen=True)
class Uncertainty(Tabular):
    """Covariances of the coordinates of a fit that are neither fixed nor on a bound.

    Attributes:
        names: Names of these n parameters.
        values: Fitted values of these parameters, natural units.
        covariances: Covariances by kind, in the calibration's coordinates; nan if a covariance does not
            exist. "gauss_newton": variance times the inverse of J'J. "hessian": variance times the inverse of
            the full Hessian of the loss. "sandwich": H^{-1} S H^{-1} with the Hessian H of loss and prior and
            the covariance S of the gradient (Huber 1967; White 1980; leverage as in HC2 of MacKinnon and
            White 1985), which is valid for all weights. "laplace": variance times H^{-1}, the covariance of
            the posterior if the Tikhonov prior expresses prior knowledge.
        freedom: Number of strikes less number of parameters if the noise is estimated from the residuals; inf
            if the noise is known. Intervals of the sandwich use the smaller number of Bell and McCaffrey
            (2002), because few strikes dominate.
        variance: Variance of the noise, in units of the loss.
        notes: Why a covariance is missing, by kind.
        reason: Why nothing can be determined; "" if it can.
    """

    names: tuple[str, ...] = ()
    values: Float[np.ndarray, " n"] = field(default_factory=lambda: np.zeros(0))
    covariances: dict[str, np.ndarray] = field(default_factory=dict)
    freedom: float = np.nan
    variance: float = np.nan
    notes: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    _fit: Fit | None = field(default=None, repr=False)
    _pulls: Float[np.ndarray, "strikes n"] = field(default_factory=lambda: np.zeros((0, 0)), repr=False)

    def standard_errors(self, kind: Kind = "sandwich") -> Float[np.ndarray, " n"]:
        """Compute standard errors of the parameters in natural units, (n,), from a kind of covariance."""
        return np.sqrt(np.diag(self.covariance(kind)))

    def covariance(self, kind: Kind = "sandwich") -> Float[np.ndarray, "n n"]:
        """Compute the covariance of the parameters in natural units, (n, n).

        Args:
            kind: "sandwich", "gauss_newton", "hessian" or "laplace".

        Returns:
            The covariance; nan if it does not exist.

        Raises:
            ArgumentError: the kind is not accepted, or the uncertainty cannot be determined.
        """
        fit = self._determined()
        chain = np.asarray(fit.at.chain)[np.ix_(fit.moving, fit.moving)]
        return chain @ self._covariance(kind) @ chain.T

    def intervals(self, level: float = 0.9, kind: Kind = "sandwich") -> Float[np.ndarray, "n 2"]:
        """Compute confidence intervals (credible ones for "laplace") of the parameters, natural units.

        They are symmetric in the calibration's coordinates, so that they are inside the domains.

        Args:
            level: Probability of the intervals, in (0, 1).
            kind: Kind of the covariance.

        Returns:
            Lower and upper ends, (n, 2).

        Raises:
            ArgumentError: the level or the kind is not accepted, or the uncertainty cannot be determined.
        """
        fit = self._determined()
        at = fit.at
        moving = fit.moving
        freedom = self._freedom(kind, np.eye(moving.size))
        reach = quantile(level, freedom) * np.sqrt(np.diag(self._covariance(kind)))
        units = np.eye(np.size(at.y))[moving] * reach[:, None]
        ends = [fit.named(np.clip(at.y + sign * units, at.lower, at.upper)) for sign in (-1.0, 1.0)]
        return np.stack([np.diag(end[:, moving]) for end in ends], axis=1)

    def of(
        self, function: Callable[[Any], Any], level: float = 0.9, kind: Kind = "sandwich"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compute a differentiable function of the model with its interval, by the delta method.

        Args:
            function: Function from a model to an array, such as prices, Greeks or implied volatilities.
            level: Probability of the interval, in (0, 1).
            kind: Kind of the covariance.

        Returns:
            Value, lower end and upper end, each in the shape of the function's value.

        Raises:
            ArgumentError: the level or the kind is not accepted, or the uncertainty cannot be determined.
        """
        fit = self._determined()
        value, slopes = value_and_slopes(fit, function)
        slopes = slopes[..., fit.moving]
        variance = np.einsum("...i,ij,...j->...", slopes, self._covariance(kind), slopes)
        reach = quantile(level, self._freedom(kind, slopes)) * np.sqrt(variance)
        return value, value - reach, value + reach

    def _determined(self) -> Fit:
        """Return the fit.

        Raises:
            ArgumentError: the uncertainty cannot be determined.
        """
        if self._fit is None:
            raise ArgumentError(f"the uncertainty of this fit cannot be determined: {self.reason}")
        return self._fit

    def _freedom(
        self, kind: str, directions: Float[np.ndarray, "*axes n"]
    ) -> Float[np.ndarray, "*axes"] | float:
        """Compute degrees of freedom of the variance along directions."""
        if kind != "sandwich" or np.isinf(self.freedom):
            return self.freedom
        basis, _ = np.linalg.qr(self._determined().strikes()[1])
        return satterthwaite(directions @ self._pulls.T, basis)

    def _covariance(self, kind: str) -> Float[np.ndarray, "n n"]:
        """Return the covariance in the calibration's coordinates."""
        self._determined()
        if kind not in self.covariances:
            raise ArgumentError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}.")
        return self.covariances[kind]

    def __str__(self) -> str:
        """Write one line per parameter: value, 90 % interval, standard errors by kind."""
        if self.reason:
            return f"uncertainty cannot be determined: {self.reason}"
        lines = ["uncertainty (value, 90 % interval, standard errors by " + ", ".join(get_args(Kind)) + "):"]
        for row in self.rows():
            errors = " ".join(f"{row[kind]:.2g}" for kind in get_args(Kind))
            lines.append(
                f"  {row['parameter']}: {row['value']:.5g} [{row['low']:.4g}, {row['high']:.4g}] {errors}"
            )
        return "\n".join(lines + [f"  {kind}: {note}" for kind, note in self.notes.items()])

    def rows(self, level: float = 0.9) -> list[dict[str, Any]]:
        """Return one row per parameter: value, interval of the sandwich, standard errors by kind."""
        if self.reason:
            return []
        errors = {kind: self.standard_errors(kind) for kind in get_args(Kind)}
        ends = self.intervals(level)
        return [
            {"parameter": name, "value": float(self.values[i]), "low": float(ends[i, 0])}
            | {"high": float(ends[i, 1])}
            | {kind: float(error[i]) for kind, error in errors.items()}
            for i, name in enumerate(self.names)
        ]


def uncertainty(fit: Fit, noise: Values | None = None) -> Uncertainty:
    """Compute covariances of a fit.

    Args:
        fit: One fit.
        noise: None: the noise is estimated from the residuals, where call and put of a strike are one.
            "spread": fair prices are uniform between bid and ask. An array (2, T, K): standard deviations of
            the normalised prices of independent quotes.

    Returns:
        The covariances, or a reason why there are none.

    Raises:
        ArgumentError: the noise is not valid.
    """
    reason = fit.undetermined(noise_known=noise is not None)
    if reason:
        return Uncertainty(reason=reason)
    at = fit.at
    moving = fit.moving
    residuals, jacobian = fit.strikes()
    pick = np.ix_(moving, moving)
    data = jacobian.T @ jacobian
    prior = np.asarray(at.prior)[pick]
    full = np.asarray(at.hessian)[pick]
    if noise is None:
        variance = float(np.sum(residuals**2)) / fit.freedom
        leverage = np.einsum("qi,ij,qj->q", jacobian, inverse(data), jacobian)
        squares = residuals**2 / np.maximum(1.0 - leverage, _LEAST_FREE)
        scatter = (jacobian * squares[:, None]).T @ jacobian
    else:
        weights = at.bend**2 * deviations(fit, noise) ** 2
        variance = float(np.sum(weights) / np.sum(at.bend))
        if variance == 0.0:
            return Uncertainty(reason="the noise is 0 for every quote.")
        slopes = np.asarray(at.slopes)[moving]
        scatter = np.einsum("itk,tk,jtk->ij", slopes, np.sum(weights, axis=0), slopes)
    curvatures = {"gauss_newton": data, "hessian": full - prior, "laplace": full}
    covariances = {name: variance * inverse(matrix) for name, matrix in curvatures.items()}
    covariances["sandwich"] = inverse(full) @ scatter @ inverse(full)
    note = "the curvature is not positive in every direction, so there is no covariance"
    notes = {name: note for name, matrix in covariances.items() if np.any(np.isnan(matrix))}
    return Uncertainty(
        names=fit.names,
        values=np.asarray(at.values)[moving],
        covariances=covariances,
        freedom=float(fit.freedom) if noise is None else np.inf,
        variance=variance,
        notes=notes,
        _fit=fit,
        _pulls=jacobian @ inverse(full),
    )


def deviations(fit: Fit, noise: Values) -> Float[np.ndarray, "2 T K"]:
    """Compute standard deviations of the quotes' normalised prices; 0 for quotes that were not fitted.

    Args:
        fit: One fit.
        noise: "spread", or standard deviations, a number or (2, T, K).

    Returns:
        The standard deviations.

    Raises:
        ArgumentError: the noise is of another kind or shape, negative or not finite.
    """
    used = np.asarray(fit.at.used)
    if isinstance(noise, str):
        if noise != "spread":
            raise ArgumentError(f"noise must be None, 'spread' or an array, got {noise!r}.")
        deviation = _UNIFORM * np.asarray(fit.surface.spread)
    else:
        deviation = np.asarray(noise, float)
    if deviation.shape not in ((), used.shape):
        raise ArgumentError(f"noise must have shape {used.shape}, got {deviation.shape}.")
    deviation = np.where(used, deviation, 0.0)
    if not np.all(np.isfinite(deviation)) or np.any(deviation < 0.0):
        raise ArgumentError(
            "noise must be finite and not negative for every fitted quote; 'spread' needs their bid and ask."
        )
    return deviation


def value_and_slopes(
    fit: Fit, function: Callable[[Any], Any]
) -> tuple[Float[np.ndarray, "*value"], Float[np.ndarray, "*value n"]]:
    """Compute a function of the model, and its derivatives in all coordinates on a last axis."""
    model, model_tangents = _model_and_slopes(fit.coordinates, fit.at.y, fit.at.unit, fit.at.t)

    # forward mode, because `linearize` would recompile programs inside the function in each call
    def derivative_along(slope: AbstractFourierModel) -> tuple[Real, Real]:
        return jax.jvp(lambda model: jnp.asarray(function(model)), (model,), (slope,))

    value, slopes = jax.vmap(derivative_along, out_axes=(None, -1))(model_tangents)
    return np.asarray(value), np.asarray(slopes)


@compiled
def _model_and_slopes(
    coordinates: AbstractCoordinates, y: Real, unit: Real, t: Real
) -> tuple[AbstractFourierModel, AbstractFourierModel]:
    """Build the model of a vector of coordinates, and its derivatives on a leading axis."""

    def build(y: Real) -> AbstractFourierModel:
        return jax.tree.map(lambda x: x[0], coordinates.build(y[None], unit[None], t[None]))

    y = jnp.asarray(y)
    return build(y), jax.vmap(lambda model_tangents: jax.jvp(build, (y,), (model_tangents,))[1])(
        jnp.eye(y.size)
    )


def satterthwaite(
    pulls: Float[np.ndarray, "*axes strikes"], basis: Float[np.ndarray, "strikes n"]
) -> Float[np.ndarray, "*axes"]:
    """Compute degrees of freedom of HC2 variances of a'e (Bell and McCaffrey 2002; Imbens and Kolesar 2016).

    For independent errors e of one variance, residuals r = (1 - U U') e and v = a^2 / (1 - h), the variance
    is the quadratic form sum v r^2. The result matches its first two moments to a scaled chi-squared
    variable.

    Args:
        pulls: Vectors a, on the last axis.
        basis: Orthonormal basis U of the columns of the Jacobian; h are the sums of squares of its rows.

    Returns:
        Degrees of freedom; inf where a is 0.
    """
    leverage = np.sum(basis**2, axis=1)
    v = pulls**2 / np.maximum(1.0 - leverage, _LEAST_FREE)
    outer_sum = np.einsum("...q,qi,qj->...ij", v, basis, basis)
    spread = np.sum(v**2 * (1.0 - 2.0 * leverage), axis=-1) + np.sum(outer_sum**2, axis=(-2, -1))
    mean = np.sum(v * (1.0 - leverage), axis=-1)
    return np.where(spread > 0.0, mean**2 / np.where(spread > 0.0, spread, 1.0), np.inf)


def quantile(level: float, freedom: Values = np.inf) -> np.ndarray | float:
    """Compute the half width of a central interval of Student's t distribution.

    Args:
        level: Probability of the interval, in (0, 1).
        freedom: Degrees of freedom, any shape.

    Returns:
        The half width, in the shape of `freedom`.

    Raises:
        ArgumentError: level is not between 0 and 1.
    """
    from scipy.special import stdtrit

    if not 0.0 < level < 1.0:
        raise ArgumentError(f"level must lie between 0 and 1, got {level!r}.")
    return stdtrit(freedom, 0.5 + 0.5 * level)


def inverse(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Invert a positive definite matrix, with its diagonal scaled to 1; nan if it is not one."""
    diagonal = np.diag(matrix)
    scale = np.sqrt(np.where(diagonal > 0.0, diagonal, np.nan))
    scaled = matrix / np.outer(scale, scale)
    values = np.linalg.eigvalsh(scaled) if np.all(np.isfinite(scaled)) else np.array([np.nan])
    if not values[0] > len(matrix) * np.finfo(float).eps * values[-1]:
        return np.full(matrix.shape, np.nan)
    return np.linalg.inv(scaled) / np.outer(scale, scale)
