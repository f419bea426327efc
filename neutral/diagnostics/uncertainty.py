"""How far the noise of the quotes lets a fit move: covariances and intervals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..calibration.coordinates import AbstractCoordinates
from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..typing import Real, Values
from .linearisation import Fit

Kind = Literal["sandwich", "gauss_newton", "hessian", "laplace"]

_LEAST_FREE = 1e-6  # share of a strike's residual that its own pull on the fit leaves
_UNIFORM = 12.0**-0.5  # standard deviation of a value that may lie anywhere in an interval of length 1


@dataclass(frozen=True)
class Uncertainty:
    """Covariances of a fit's coordinates, on those that move.

    Attributes:
        names: Names of the parameters that move, n.
        values: Their values in natural units.
        covariances: Covariances by kind, in calibration's coordinates; nan where one does not exist.
            "gauss_newton": variance times the inverse of J'J; "hessian": of the full Hessian of the loss;
            "sandwich": H^{-1} S H^{-1} with the Hessian H of loss and prior and the scatter S of the
            gradient (Huber 1967; White 1980; leverage as in HC2 of MacKinnon and White 1985), right whatever
            the weights; "laplace": the posterior where Tikhonov's prior is one, variance times H^{-1}.
        freedom: Number of strikes less number of parameters where the scatter tells the noise; inf where the
            noise was given. Intervals of the sandwich have fewer, those of Bell and McCaffrey (2002),
            since few strikes decide.
        variance: Variance of the noise, in units of the loss.
        notes: Why a covariance is missing, by kind.
        reason: Why nothing can be determined; "" where it can.
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
        """Standard errors of the parameters that move, natural units."""
        return np.sqrt(np.diag(self.covariance(kind)))

    def covariance(self, kind: Kind = "sandwich") -> Float[np.ndarray, "n n"]:
        """Covariance of the parameters that move, natural units."""
        fit = self._determined()
        chain = np.asarray(fit.at.chain)[np.ix_(fit.moving, fit.moving)]
        return chain @ self._covariance(kind) @ chain.T

    def intervals(self, level: float = 0.9, kind: Kind = "sandwich") -> Float[np.ndarray, "n 2"]:
        """Confidence (of "laplace": credible) intervals of the parameters, natural units.

        They are symmetric in calibration's coordinates, so that they keep to the domains.
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
        """A differentiable function of the model with its interval, by the delta method.

        Args:
            function: Model to array: prices, Greeks, implied volatilities, ...
            level: Probability of the interval.
            kind: Kind of the covariance.

        Returns:
            Value, lower and upper end, each of the shape of the function's value.
        """
        fit = self._determined()
        value, slopes = value_and_slopes(fit, function)
        slopes = slopes[..., fit.moving]
        variance = np.einsum("...i,ij,...j->...", slopes, self._covariance(kind), slopes)
        reach = quantile(level, self._freedom(kind, slopes)) * np.sqrt(variance)
        return value, value - reach, value + reach

    def _determined(self) -> Fit:
        """The fit.

        Raises:
            ArgumentError: its uncertainty cannot be determined.
        """
        if self._fit is None:
            raise ArgumentError(f"the uncertainty of this fit cannot be determined: {self.reason}")
        return self._fit

    def _freedom(
        self, kind: str, directions: Float[np.ndarray, "*axes n"]
    ) -> Float[np.ndarray, "*axes"] | float:
        """Degrees of freedom of the variance along directions."""
        if kind != "sandwich" or np.isinf(self.freedom):
            return self.freedom
        basis, _ = np.linalg.qr(self._determined().strikes()[1])
        return satterthwaite(directions @ self._pulls.T, basis)

    def _covariance(self, kind: str) -> Float[np.ndarray, "n n"]:
        """Covariance in calibration's coordinates."""
        self._determined()
        if kind not in self.covariances:
            raise ArgumentError(f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}.")
        return self.covariances[kind]

    def __str__(self) -> str:
        """One line per parameter: value, 90 % interval, standard errors by kind."""
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
        """One row per parameter: value, interval of the sandwich, standard errors by kind."""
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
    """Covariances of a fit.

    Args:
        fit: One fit.
        noise: None: the noise is what the residuals scatter by, call and put of a strike together. "spread":
            a fair price may lie anywhere between bid and ask. An array (2, T, K): standard deviations of the
            quotes' prices, normalised; quotes are independent.

    Raises:
        ArgumentError: noise is of another kind.
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
        square = residuals**2 / np.maximum(1.0 - leverage, _LEAST_FREE)
        scatter = (jacobian * square[:, None]).T @ jacobian
    else:
        weights = at.bend**2 * deviations(fit, noise) ** 2
        variance = float(np.sum(weights) / np.sum(at.bend))
        if variance == 0.0:
            return Uncertainty(reason="the noise that was given is 0 for every quote.")
        slopes = np.asarray(at.slopes)[moving]
        scatter = np.einsum("itk,tk,jtk->ij", slopes, np.sum(weights, axis=0), slopes)
    curvatures = {"gauss_newton": data, "hessian": full - prior, "laplace": full}
    covariances = {name: variance * inverse(matrix) for name, matrix in curvatures.items()}
    covariances["sandwich"] = inverse(full) @ scatter @ inverse(full)
    lost = "the curvature is not positive in every direction, so there is no covariance"
    notes = {name: lost for name, matrix in covariances.items() if np.any(np.isnan(matrix))}
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
    """Standard deviations of the quotes' prices, 0 where there is no quote.

    Args:
        fit: One fit.
        noise: "spread", or standard deviations that broadcast to (2, T, K).

    Raises:
        ArgumentError: noise of another kind or shape, negative or not finite.
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
            "noise must be finite and not negative for every quote that was fitted; 'spread' takes bid, ask."
        )
    return deviation


def value_and_slopes(
    fit: Fit, function: Callable[[Any], Any]
) -> tuple[Float[np.ndarray, "*value"], Float[np.ndarray, "*value n"]]:
    """A function of the model, and its derivatives in all coordinates on a last axis."""
    model, along = _model_and_slopes(fit.coordinates, fit.at.y, fit.at.unit, fit.at.t)

    # forwards, since `linearize` would compile programs inside the function anew for each call
    def moved(slope: AbstractFourierModel) -> tuple[Real, Real]:
        return jax.jvp(lambda model: jnp.asarray(function(model)), (model,), (slope,))

    value, slopes = jax.vmap(moved, out_axes=(None, -1))(along)
    return np.asarray(value), np.asarray(slopes)


@eqx.filter_jit
def _model_and_slopes(
    coordinates: AbstractCoordinates, y: Real, unit: Real, t: Real
) -> tuple[AbstractFourierModel, AbstractFourierModel]:
    """The model of a vector, and its derivatives with a leading axis of coordinates."""

    def build(y: Real) -> AbstractFourierModel:
        return jax.tree.map(lambda x: x[0], coordinates.build(y[None], unit[None], t[None]))

    y = jnp.asarray(y)
    return build(y), jax.vmap(lambda along: jax.jvp(build, (y,), (along,))[1])(jnp.eye(y.size))


def satterthwaite(
    pulls: Float[np.ndarray, "*axes strikes"], basis: Float[np.ndarray, "strikes n"]
) -> Float[np.ndarray, "*axes"]:
    """Degrees of freedom of the HC2 variance of a'e (Bell and McCaffrey 2002; Imbens and Kolesar 2016).

    With independent errors of one variance, residuals r = (1 - U U') e and v = a^2 / (1 - h), it is the
    quadratic form sum v r^2, whose first two moments are those of a chi-squared variable.

    Args:
        pulls: Vectors a.
        basis: Orthonormal basis U of the columns of the Jacobian; h are the sums of squares of its rows.

    Returns:
        Degrees of freedom; inf where no error pulls.
    """
    leverage = np.sum(basis**2, axis=1)
    v = pulls**2 / np.maximum(1.0 - leverage, _LEAST_FREE)
    outer = np.einsum("...q,qi,qj->...ij", v, basis, basis)
    spread = np.sum(v**2 * (1.0 - 2.0 * leverage), axis=-1) + np.sum(outer**2, axis=(-2, -1))
    mean = np.sum(v * (1.0 - leverage), axis=-1)
    return np.where(spread > 0.0, mean**2 / np.where(spread > 0.0, spread, 1.0), np.inf)


def quantile(level: float, freedom: Values = np.inf) -> np.ndarray | float:
    """Half the width of a central interval of Student's t, in standard deviations.

    Args:
        level: Probability of the interval, between 0 and 1.
        freedom: Degrees of freedom; the result has their shape.

    Raises:
        ArgumentError: level is not between 0 and 1.
    """
    from scipy.special import stdtrit

    if not 0.0 < level < 1.0:
        raise ArgumentError(f"level must lie between 0 and 1, got {level!r}.")
    return stdtrit(freedom, 0.5 + 0.5 * level)


def inverse(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Inverse of a positive definite matrix, computed from one of unit diagonal; nan where it is none."""
    diagonal = np.diag(matrix)
    scale = np.sqrt(np.where(diagonal > 0.0, diagonal, np.nan))
    scaled = matrix / np.outer(scale, scale)
    values = np.linalg.eigvalsh(scaled) if np.all(np.isfinite(scaled)) else np.array([np.nan])
    if not values[0] > len(matrix) * np.finfo(float).eps * values[-1]:
        return np.full(matrix.shape, np.nan)
    return np.linalg.inv(scaled) / np.outer(scale, scale)
