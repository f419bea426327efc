"""A network that gives a calibration its prior, trained by the implicit derivatives of the fit.

Where few quotes are fresh, the last fit says more about the parameters than they do. The network reads what
the fresh quotes say of the last fit, and answers with a normal law of the parameters: where they are, how
far each may move, and which move together. The fit weighs this law against the quotes.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..calibration.coordinates import coordinates_of
from ..calibration.priors import AbstractPenalty
from ..models import AbstractFourierModel
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Numbers, Real, Scalar


class GaussianPrior(AbstractPenalty):
    """A normal prior of the parameters: |root (y - mean)|^2 is added to the loss.

    y are the coordinates of calibration, as for `Tikhonov`: logarithms of positive parameters, atanh of
    correlations. The precision, in units of the loss, is root' root. All numbers may be traced.
    """

    cls: type[AbstractFourierModel] = eqx.field(static=True)
    mean: Float[Numbers, " n"]
    root: Float[Numbers, "n n"]

    def residuals(self, values: dict[str, Real]) -> Real:
        """See `AbstractPenalty.residuals`."""
        return self.root @ (coordinates_of(self.cls, 0).parameter_vector(values) - self.mean)


def surprise(surface: QuoteSurface, model_prices: Real, fresh: Flags) -> Float[Numbers, "4"]:
    w = None


class PriorNetwork(eqx.Module):
    root: Real
    mlp: eqx.nn.MLP | None

    def __init__(self, size: int, features: int, width: int, key: jax.Array, strength: float = 4.0):
        self.root = jnp.sqrt(strength) * jnp.eye(size)
        self.mlp = None
        if width:
            mlp = eqx.nn.MLP(features, 2 * size, width, 1, jnp.tanh, key=key)
            self.mlp = eqx.tree_at(lambda n: n.layers[-1].weight, mlp, jnp.zeros((2 * size, width)))
            self.mlp = eqx.tree_at(lambda n: n.layers[-1].bias, self.mlp, jnp.zeros(2 * size))

    def __call__(self, last: AbstractFourierModel, features: Real, count: Scalar) -> GaussianPrior:
        values = {f: getattr(last, f) for f in last.__dataclass_fields__}
        y = coordinates_of(type(last), 0).parameter_vector(values)
        n = y.size
        out = jnp.zeros(2 * n) if self.mlp is None else self.mlp(features)
        root = jnp.tril(self.root) * jnp.exp(out[n:])[:, None] / jnp.sqrt(count)
        return GaussianPrior(type(last), y + out[:n], root)
