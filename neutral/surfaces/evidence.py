"""Evidence of how a surface was fitted, and the surface that carries it."""

import abc
from typing import Any, Generic, Self, TypeVar

import equinox as eqx
import jax
import numpy as np

from ..calibration import CalibrationStatus
from ..errors import ArgumentError
from ..typing import Codes, Flags, Real
from .base import VolSurface


class AbstractSurfaceFit(eqx.Module):
    """What every fit of a surface leaves as evidence, whatever its method.

    Attributes:
        status: `CalibrationStatus` code.
        loss: Mean of the loss over the quotes that were fitted.
        steps: Number of steps that the solver took.
    """

    status: eqx.AbstractVar[Any]
    loss: eqx.AbstractVar[Any]
    steps: eqx.AbstractVar[Any]


class SurfaceFit(AbstractSurfaceFit):
    """Evidence of a least-squares fit; a batch has a leading axis on every field.

    Attributes:
        status: `CalibrationStatus` code.
        loss: The data term alone: mean of the loss over the quotes that were fitted.
        prior_loss: The penalty for the distance to the anchor, and to the start on expiries with too few
            strikes.
        steps: Number of evaluations of prices and their Jacobian.
        gradient_norm: Largest cosine between the residuals and the derivative of the prices in a coordinate
            that is not on its bound; at most 1e-6 where the fit converged.
        at_bound: Conditions that hold with equality, (3, T): whether at each expiry the right wing, the left
            wing or the width theta / psi rises no more than it must.
    """

    status: Codes
    loss: Real
    prior_loss: Real
    steps: Codes
    gradient_norm: Real
    at_bound: Flags


Fit = TypeVar("Fit", bound=AbstractSurfaceFit)
Index = int | slice | np.ndarray | jax.Array
"""What selects surfaces from a batch."""


class FittedSurface(VolSurface, Generic[Fit]):
    """A surface of smiles that may have been fitted to quotes; a batch has a leading axis on every field."""

    fit: Fit | None = eqx.field(default=None, kw_only=True)

    @property
    @abc.abstractmethod
    def known(self) -> Flags:
        """Expiries that have a smile, (T,)."""

    @property
    def status(self) -> Any:
        """`CalibrationStatus` code of the fit."""
        return self._evidence().status

    @property
    def converged(self) -> Any:
        """Whether the fit is at a stationary point."""
        return self._evidence().status == CalibrationStatus.converged

    @property
    def loss(self) -> Any:
        """The data term of the fit: mean of the loss over the quotes that were fitted."""
        return self._evidence().loss

    def _evidence(self) -> Fit:
        if self.fit is None:
            raise ArgumentError(
                "This surface was not fitted to quotes; fit_essvi and fit_surface return fitted surfaces."
            )
        return self.fit

    def __len__(self) -> int:
        """Number of surfaces in a batch."""
        if np.ndim(self.known) == 1:
            raise TypeError("a single surface has no length")
        return np.shape(self.known)[0]

    def __getitem__(self, index: Index) -> Self:
        """One surface of a batch, or some of them."""
        if np.ndim(self.known) == 1:
            raise TypeError("a single surface has no items")
        return jax.tree.map(lambda x: x[index], self)
