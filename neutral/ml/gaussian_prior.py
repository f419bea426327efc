"""Priors of a calibration whose numbers may be trained."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Float

from ..calibration.coordinates import coordinates_of
from ..calibration.priors import AbstractPenalty
from ..models import AbstractFourierModel
from ..models.parameters import domains
from ..typing import Numbers, Real


class GaussianPrior(AbstractPenalty):
    """A normal law of the parameters: |root (y - mean)|^2 is added to the loss.

    y are the coordinates of calibration, as for `Tikhonov`: logarithms of positive parameters, atanh of
    correlations. Where `Tikhonov` pulls every parameter by itself, this law may let some move together. The
    class has no extension and no parameter with an axis.

    Attributes:
        cls: Class of the model to fit.
        mean: The coordinates at which the penalty is 0, (n,); may be traced.
        root: A root of the precision root' root, in units of the loss, (n, n); may be traced.
    """

    cls: type[AbstractFourierModel] = eqx.field(static=True)
    mean: Float[Numbers, " n"]
    root: Float[Numbers, "n n"]

    def residuals(self, values: Mapping[str, Real]) -> Real:
        """See `AbstractPenalty.residuals`."""
        return self.root @ (vector(self.cls, values) - self.mean)


def vector(cls: type[AbstractFourierModel], values: Mapping[str, Real]) -> Real:
    """Coordinates of natural parameters by name, (n,)."""
    return coordinates_of(cls, 0).parameter_vector(values)


def vector_of(model: AbstractFourierModel) -> Real:
    """Coordinates of a model, (n,)."""
    return vector(type(model), {name: jnp.asarray(getattr(model, name)) for name in domains(model)})
