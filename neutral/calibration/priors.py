"""Priors: a pull towards a point, and penalties on combinations of parameters."""

import abc
from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..typing import Real, Scalar
from .coordinates import AbstractCoordinates


class Weights(dict[str, float]):
    """Relative weights by parameter name; hashable, because they are fixed at compile time."""

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Equal weights have equal hashes, whatever their order."""
        return hash(frozenset(self.items()))


def _as_weights(weights: dict[str, float] | None) -> Weights | None:
    return None if weights is None else Weights(weights)


class Tikhonov(eqx.Module):
    """A pull towards a point: strength x sum_j w_j (y_j - y0_j)^2 is added to the loss.

    y are the coordinates of calibration: logarithms of positive parameters, atanh of correlations, and shift
    increments in units of the market's own variance. Since these do not depend on the market, and losses are
    means over quotes, a strength has the same meaning every day. The strength and the fields of the center
    may be traced.

    Attributes:
        strength: Strength in units of the loss.
        center: The point, such as yesterday's model; typical values of the class where None. Increments of a
            shift are pulled towards those of the center, or towards 0 if it has none.
        weights: Relative weights by parameter name, and by "increments" for a shift. Where None all are 1;
            otherwise a parameter that is not named has weight 0.
    """

    strength: Scalar = 1e-3
    center: AbstractFourierModel | None = None
    weights: dict[str, float] | None = eqx.field(static=True, default=None, converter=_as_weights)

    def precision(self, coordinates: AbstractCoordinates) -> Real:
        """Precision of each coordinate, shape (size,).

        Args:
            coordinates: Coordinates of the model to fit.

        Raises:
            ArgumentError: a name in `weights` is not that of a parameter.
        """
        names = [name.split("[")[0] for name in coordinates.names]
        weights = dict.fromkeys(names, 1.0) if self.weights is None else self.weights
        unknown = set(weights) - set(names) - {"increments"}
        if unknown:
            accepted = ", ".join(dict.fromkeys(names))
            raise ArgumentError(
                f"Tikhonov.weights: there is no parameter {', '.join(sorted(unknown))}; accepted: {accepted}."
            )
        return self.strength * np.array([weights.get(name, 0.0) for name in names])

    def center_or_typical(self, coordinates: AbstractCoordinates) -> AbstractFourierModel:
        """The center, or typical values of the model where there is none."""
        return coordinates.typical() if self.center is None else self.center


class AbstractPenalty(eqx.Module):
    """Residuals that are functions of the parameters; their squares are added to the loss."""

    @abc.abstractmethod
    def residuals(self, values: dict[str, Real]) -> Real:
        """Residuals of one model, shape (n,).

        Args:
            values: Natural parameters by name, scalars, or with an axis of entries.
        """


class FellerPenalty(AbstractPenalty):
    """Penalty with residual sqrt(strength) max(0, 1 - 2 kappa theta / sigma_v^2).

    It favours parameters that meet Feller's condition, at which the variance stays positive.

    Attributes:
        strength: Strength in units of the loss.
    """

    strength: float = 1.0

    def residuals(self, values: dict[str, Real]) -> Real:
        """See `AbstractPenalty.residuals`."""
        missing = values["sigma_v"] ** 2 - 2.0 * values["kappa"] * values["theta"]
        scale = jnp.maximum(values["sigma_v"] ** 2, 1e-12)
        return jnp.ravel(jnp.sqrt(self.strength) * jnp.maximum(missing / scale, 0.0))


class JumpMomentPenalty(AbstractPenalty):
    """Penalty with residual sqrt(strength) max(0, mu_v rho_j - 1 + margin) / margin.

    It keeps parameters of SVCJ away from mu_v rho_j = 1, where the mean jump becomes infinite.

    Attributes:
        strength: Strength in units of the loss.
        margin: Distance of mu_v rho_j from 1 below which the penalty is positive.
    """

    strength: float = 1.0
    margin: float = 0.1

    def residuals(self, values: dict[str, Real]) -> Real:
        """See `AbstractPenalty.residuals`."""
        excess = values["mu_v"] * values["rho_j"] - 1.0 + self.margin
        return jnp.sqrt(self.strength) * jnp.maximum(excess / self.margin, 0.0)[None]


Prior = Tikhonov | AbstractPenalty | Sequence[Tikhonov | AbstractPenalty]
"""One prior, or several: at most one `Tikhonov`, and any penalties."""


def split_prior(prior: Prior | None) -> tuple[Tikhonov | None, tuple[AbstractPenalty, ...]]:
    """The pull and the penalties of a `prior` argument.

    Raises:
        ArgumentError: the prior contains something else, or more than one `Tikhonov`.
    """
    priors = () if prior is None else prior if isinstance(prior, list | tuple) else (prior,)
    pulls = [p for p in priors if isinstance(p, Tikhonov)]
    penalties = tuple(p for p in priors if isinstance(p, AbstractPenalty))
    if len(pulls) + len(penalties) != len(priors) or len(pulls) > 1:
        raise ArgumentError(
            f"prior must be one Tikhonov and any penalties, alone or in a list, got {prior!r}."
        )
    return (pulls[0] if pulls else None), penalties
