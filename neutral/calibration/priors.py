"""What a fit knows beforehand: a pull towards a point, and penalties on combinations of parameters."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..typing import Real
from .coordinates import Coordinates


class Tikhonov(eqx.Module):
    """strength x sum_j w_j (y_j - y0_j)^2 in calibration's coordinates, added to the loss.

    Coordinates are logarithms of positive parameters, atanh of correlations, shift increments in units of the
    market's own variance; losses are means over quotes: a strength means the same on every day. Strength and
    the center's fields may be traced.

    Attributes:
        strength: In units of the loss.
        center: The point, such as yesterday's model; typical values of the class where None. A shift's
            increments are pulled towards the center's own, 0 where it has none.
        weights: Relative weights by parameter name, and "increments"; 1 for all where None, else 0 for those
            not named.
    """

    strength: Any = eqx.field(default=1e-3)
    center: AbstractFourierModel | None = None
    weights: dict[str, float] | None = eqx.field(static=True, default=None)

    def quadratic(self, coordinates: Coordinates, vector: Callable[[Any], Any]) -> tuple[Any, Any]:
        """Precision of each coordinate, shape (size,), and center, (..., size), by `vector` of a model."""
        names = [name.split("[")[0] for name in coordinates.names]
        weights = dict.fromkeys(names, 1.0) if self.weights is None else self.weights
        unknown = set(weights) - set(names) - {"increments"}
        if unknown:
            known = ", ".join(dict.fromkeys(names))
            raise ArgumentError(f"Tikhonov.weights names {', '.join(sorted(unknown))}; there are {known}.")
        precision = self.strength * np.array([weights.get(name, 0.0) for name in names])
        if self.center is not None:
            return precision, vector(self.center)
        return precision, vector(coordinates.typical())


class AbstractPenalty(eqx.Module):
    """Residuals of parameters, squared and added to the loss."""

    @abc.abstractmethod
    def residuals(self, values: dict[str, Real]) -> Real:
        """Residuals of one model, shape (n,).

        Args:
            values: Natural parameters by name, scalars, or with an axis of entries.
        """


class FellerPenalty(AbstractPenalty):
    """sqrt(strength) max(0, 1 - 2 kappa theta / sigma_v^2): pulls variance away from zero."""

    strength: float = 1.0

    def residuals(self, values: dict[str, Real]) -> Real:
        """See `AbstractPenalty.residuals`."""
        missing = values["sigma_v"] ** 2 - 2.0 * values["kappa"] * values["theta"]
        scale = jnp.maximum(values["sigma_v"] ** 2, 1e-12)
        return jnp.ravel(jnp.sqrt(self.strength) * jnp.maximum(missing / scale, 0.0))


class JumpMomentPenalty(AbstractPenalty):
    """sqrt(strength) max(0, mu_v rho_j - 1 + margin) / margin: keeps the mean jump of SVCJ from exploding."""

    strength: float = 1.0
    margin: float = 0.1

    def residuals(self, values: dict[str, Real]) -> Real:
        """See `AbstractPenalty.residuals`."""
        excess = values["mu_v"] * values["rho_j"] - 1.0 + self.margin
        return jnp.sqrt(self.strength) * jnp.maximum(excess / self.margin, 0.0)[None]
