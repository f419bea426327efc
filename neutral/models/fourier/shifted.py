"""The ++ extension: a deterministic variance shift on any model (Pacati, Pompa and Reno 2018)."""

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ...errors import ArgumentError
from ...typing import Flags, Frequencies, Real, Row
from ..base import AbstractFourierModel, Gradient, Strip, with_leading_axes
from ..parameters import Positive, is_concrete, param
from .black import gaussian_log_cf
from .heston import Heston


class Shifted(AbstractFourierModel):
    """A model whose forward has an independent Gaussian part with deterministic variance added.

    log_cf = log_cf of the model - (z^2 + i z) Phi(t)/2, Phi(0) = 0, Phi linear between `times` and rising by
    `increments`; its last slope is kept beyond. Written '++' (Pacati, Pompa and Reno 2018 feed the shift
    through the variance's own Brownian motion; here it is independent, so every model's formulas stay exact).
    `Shifted(SVCJ)`, a class and no numbers, is a recipe: calibration takes the surface's expiries as times.
    """

    is_extension: ClassVar[bool] = True

    model: Any
    times: Any = param(Positive(), "expiries of the added variance, yr, ascending, shape (n,)", default=None)
    increments: Any = param(
        Positive(), "total variance added between consecutive times, shape (n,)", default=None
    )

    @staticmethod
    def field_ndim(name: str) -> int:
        """Times and increments have a value per maturity."""
        return 1

    @property
    def base(self) -> Any:
        """The model that is shifted; a class where this is a recipe such as `Shifted(SVCJ)`."""
        return self.model

    @property
    def is_recipe(self) -> bool:
        """Whether it names a model without numbers, for calibration to find: `Shifted(SVCJ)`."""
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
        """The same with `axes` trailing axes of size 1 on every scalar; the axis of `times` stays last."""

        def expand(x: Row) -> Real:
            shape = jnp.shape(x)
            return jnp.reshape(x, shape[:-1] + (1,) * axes + shape[-1:])

        changed = (self.model.expand(axes), expand(self.times), expand(self.increments))
        return eqx.tree_at(lambda s: (s.model, s.times, s.increments), self, changed)

    def __repr__(self) -> str:
        """The model, then the shift."""
        if self.is_recipe:
            return f"Shifted({self.model.__name__ if isinstance(self.model, type) else self.model!r})"
        return super().__repr__().replace("(", f"({self.model!r}, ", 1)

    def _elapsed(self, t: Real) -> Real:
        """Share of each interval that has passed at t, last one open-ended: shape of t plus (n,)."""
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
        """Whether shift and model lie in their domains, and times ascend; shape ()."""
        ascending = jnp.all(jnp.diff(self.times, prepend=0.0) > 0)
        return super().is_admissible() & self.model.is_admissible() & ascending

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """The model's log characteristic function plus that of an independent Gaussian of variance Phi(t)."""
        return WithVariance(self.model, self.added_variance(t)).log_cf(z, t)

    def phase_slack(self, z: Frequencies, t: Real) -> Real:
        """The phase slack of the model: the Gaussian adds none."""
        return self.model.phase_slack(z, t)

    def strip(self, t: Real) -> Strip:
        """The strip of the model: a Gaussian has every moment."""
        return self.model.strip(t)

    def total_variance(self, t: Real) -> Real:
        """The total variance of the model plus Phi(t)."""
        return self.model.total_variance(t) + self.added_variance(t)


class WithVariance(AbstractFourierModel):
    """A model with an independent Gaussian whose total variance is given at each maturity of a grid.

    Calibration prices `Shifted` models in this form: the derivative of a price in an added variance lives on
    its own maturity.
    """

    is_extension: ClassVar[bool] = True

    model: Any
    variance: Any  # leading axes, then the maturities

    @property
    def base(self) -> Any:
        """The model without the Gaussian."""
        return self.model

    def expand(self, axes: int) -> Self:
        """The same with `axes` trailing axes; the first of them is that of the maturities."""
        shape = jnp.shape(self.variance) + (1,) * (axes - 1)
        return type(self)(self.model.expand(axes), jnp.reshape(self.variance, shape))

    def log_cf(self, z: Frequencies, t: Real) -> Frequencies:
        """The model's log characteristic function plus that of the Gaussian."""
        return self.model.log_cf(z, t) + gaussian_log_cf(z, self.variance)

    def log_cf_and_gradient(self, z: Frequencies, t: Real) -> Gradient:
        """The model's value and gradient; the derivative in the variance is -(z^2 + i z)/2."""
        psi, slopes = self.model.log_cf_and_gradient(z, t)
        unit = gaussian_log_cf(z, jnp.ones_like(t))
        return psi + unit * self.variance, (*slopes, unit)

    def phase_slack(self, z: Frequencies, t: Real) -> Real:
        """The phase slack of the model: the Gaussian adds none."""
        return self.model.phase_slack(z, t)

    def strip(self, t: Real) -> Strip:
        """The strip of the model: a Gaussian has every moment."""
        return self.model.strip(t)

    def total_variance(self, t: Real) -> Real:
        """The total variance of the model plus the variance given."""
        return self.model.total_variance(t) + self.variance
