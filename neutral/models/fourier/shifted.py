"""The ++ extension: a deterministic variance shift on any model (Pacati, Pompa and Reno 2018)."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...typing import Flags, Frequencies, Real, Row
from ..base import AbstractFourierModel, Gradient, Jumps, Strip, with_leading_axes
from ..parameters import Positive, is_concrete, param
from .black import gaussian_log_cf
from .heston import Heston


class Shifted(AbstractFourierModel):
    """A model with an independent Gaussian part of deterministic variance added to its log forward.

    log_cf is that of the model less (z^2 + i z) Phi(t)/2. Phi is 0 at t = 0, rises by one of the `increments`
    between consecutive `times`, linearly, and keeps its last slope beyond them. Names of such models end in
    '++'. Pacati, Pompa and Reno (2018) drive the shift by the Brownian motion of the variance; here it is
    independent, so that the formulas of every model stay exact. `Shifted(SVCJ)`, of a class without numbers,
    is a recipe: calibration takes the expiries of the surface as times.

    Attributes:
        model: The model that is shifted; its class in a recipe.
    """

    is_extension: ClassVar[bool] = True

    model: Any
    times: Any = param(Positive(), "expiries of the added variance, yr, ascending, shape (n,)", default=None)
    increments: Any = param(
        Positive(), "total variance added between consecutive times, shape (n,)", default=None
    )

    @staticmethod
    def field_ndim(name: str) -> int:
        """Number of axes: 1, because times and increments have one value per maturity."""
        return 1

    @property
    def base(self) -> Any:
        """The model that is shifted, which is a class in a recipe such as `Shifted(SVCJ)`."""
        return self.model

    @property
    def is_recipe(self) -> bool:
        """Whether the model that is shifted lacks its numbers, as in `Shifted(SVCJ)`."""
        return isinstance(self.model, type) or self.model.is_recipe

    def _check_joint(self) -> None:
        if np.shape(self.times) != np.shape(self.increments) or np.size(self.times) == 0:
            raise ArgumentError(
                f"Shifted needs one increment per time, got {np.shape(self.times)} times and "
                f"{np.shape(self.increments)} increments."
            )
        times = np.asarray(self.times, float)
        if is_concrete(self.times) and not np.all(np.diff(times, prepend=0.0) > 0):
            raise ArgumentError(f"Shifted.times must ascend from above 0, got {self.times}.")

    @classmethod
    def typical(cls) -> Self:
        """A typical Heston model with 10 % of its variance moved into the shift."""
        return cls(Heston.typical(), np.array([0.25, 1.0]), np.array([0.001, 0.003]))

    def expand(self, axes: int) -> Self:
        """See `AbstractModel.expand`; the axis of `times` and `increments` stays last."""

        def field(x: Row) -> Real:
            shape = jnp.shape(x)
            return jnp.reshape(x, shape[:-1] + (1,) * axes + shape[-1:])

        fields = (self.model.expand(axes), field(self.times), field(self.increments))
        return eqx.tree_at(lambda s: (s.model, s.times, s.increments), self, fields)

    def __repr__(self) -> str:
        """The class name `Shifted` with the model, and then the times and increments of the shift."""
        if self.is_recipe:
            return f"Shifted({self.model.__name__ if isinstance(self.model, type) else self.model!r})"
        return super().__repr__().replace("(", f"({self.model!r}, ", 1)

    def _elapsed(self, t: Real) -> Real:
        """Share of each interval that has passed at t, without limit in the last; shape (*t.shape, n)."""
        later = jnp.expand_dims(t, -1)
        times = with_leading_axes(self.times, later.ndim)
        start = jnp.concatenate([jnp.zeros_like(times[..., :1]), times[..., :-1]], axis=-1)
        share = jnp.maximum((later - start) / (times - start), 0.0)
        last = jnp.arange(times.shape[-1]) == times.shape[-1] - 1
        return jnp.minimum(share, jnp.where(with_leading_axes(last, share.ndim), jnp.inf, 1.0))

    def added_variance(self, t: Real) -> Real:
        """Phi(t), the total variance added up to t; shape of t."""
        elapsed = self._elapsed(t)
        return jnp.sum(elapsed * with_leading_axes(self.increments, elapsed.ndim), axis=-1)

    def is_admissible(self) -> Flags:
        """Whether the parameters of shift and model lie in their domains, and the times ascend; shape ()."""
        ascending = jnp.all(jnp.diff(self.times, prepend=0.0) > 0)
        return super().is_admissible() & self.model.is_admissible() & ascending

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """The model's log characteristic function plus that of an independent Gaussian of variance Phi(t)."""
        return WithVariance(self.model, self.added_variance(t)).log_cf(z, t)

    def jumps(self, z: Frequencies, t: Real) -> Jumps | None:
        """The parts of the model, of which the smooth one has the Gaussian part."""
        return WithVariance(self.model, self.added_variance(t)).jumps(z, t)

    def strip(self, t: Real) -> Strip:
        """The strip of the model, because a Gaussian has every moment."""
        return self.model.strip(t)

    def total_variance(self, t: Real) -> Real:
        """The total variance of the model plus Phi(t)."""
        return self.model.total_variance(t) + self.added_variance(t)


class WithVariance(AbstractFourierModel):
    """A model with an independent Gaussian part whose total variance is given at each maturity of a grid.

    Calibration prices `Shifted` models in this form, because each added variance moves the prices of one
    maturity only.

    Attributes:
        model: The model without the Gaussian part.
        variance: Total variance of the Gaussian part, shape (..., maturities) before `expand`.
    """

    is_extension: ClassVar[bool] = True

    model: Any
    variance: Any

    @property
    def base(self) -> Any:
        """The model without the Gaussian part."""
        return self.model

    def expand(self, axes: int) -> Self:
        """See `AbstractModel.expand`; the axis of maturities counts as the first of the trailing axes."""
        shape = jnp.shape(self.variance) + (1,) * (axes - 1)
        return type(self)(self.model.expand(axes), jnp.reshape(self.variance, shape))

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """The model's log characteristic function plus that of the Gaussian part."""
        return self.model.log_cf(z, t) + gaussian_log_cf(z, self.variance)

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The value and gradient of the model, then the derivative -(z^2 + i z)/2 in the variance."""
        psi, slopes = self.model.log_cf_and_gradient(z, t)
        unit = gaussian_log_cf(z, jnp.ones_like(t))
        return psi + unit * self.variance, (*slopes, unit)

    def jumps(self, z: Frequencies, t: Real) -> Jumps | None:
        """The parts of the model, of which the smooth one has the Gaussian part."""
        parts = self.model.jumps(z, t)
        if parts is None:
            return None
        return parts._replace(smooth=parts.smooth + gaussian_log_cf(z, self.variance))

    def strip(self, t: Real) -> Strip:
        """The strip of the model, because a Gaussian has every moment."""
        return self.model.strip(t)

    def total_variance(self, t: Real) -> Real:
        """The total variance of the model plus that of the Gaussian part."""
        return self.model.total_variance(t) + self.variance
