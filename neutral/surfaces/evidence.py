"""How a surface was fitted, and what every surface tells of it."""

import abc
from typing import Any, Self

import equinox as eqx
import jax
import numpy as np

from ..calibration import CalibrationStatus
from ..errors import ArgumentError
from ..typing import Codes, Flags, Real
from .base import VolSurface


class SurfaceFit(eqx.Module):
    """Evidence of a fit; a batch has a leading axis on every field.

    Attributes:
        status: `CalibrationStatus` code.
        loss: The data term alone: mean of the loss over the quotes that were fitted.
        prior_loss: The pull of the anchor, and of the start on expiries with too few strikes.
        steps: Evaluations of prices and their Jacobian spent.
        gradient_norm: Largest cosine between the residuals and the derivative of the prices in a coordinate
            that is not on its bound; at most 1e-6 where converged.
        at_bound: Conditions that hold with equality: of each expiry (T,) whether a wing, up then down, or the
            width theta / psi rises no further than it must, (3, T).
    """

    status: Codes
    loss: Real
    prior_loss: Real
    steps: Codes
    gradient_norm: Real
    at_bound: Flags


class FittedSurface(VolSurface):
    """A surface of smiles that may have been fitted to quotes; a batch has a leading axis on every field."""

    fit: SurfaceFit | None = eqx.field(default=None, kw_only=True)

    @property
    @abc.abstractmethod
    def known(self) -> Flags:
        """Expiries that have a smile, (T,)."""

    @property
    def status(self) -> Any:
        """`CalibrationStatus` code of the fit."""
        return self._fit().status

    @property
    def converged(self) -> Any:
        """Whether the fit is at a stationary point."""
        return self._fit().status == CalibrationStatus.converged

    @property
    def loss(self) -> Any:
        """The data term of the fit: mean of the loss over the quotes that were fitted."""
        return self._fit().loss

    def _fit(self) -> SurfaceFit:
        if self.fit is None:
            raise ArgumentError(
                "This surface was not fitted to quotes; fit_essvi and fit_surface return one that was."
            )
        return self.fit

    def __len__(self) -> int:
        """Number of surfaces in a batch."""
        if np.ndim(self.known) == 1:
            raise TypeError("a single surface has no length")
        return np.shape(self.known)[0]

    def __getitem__(self, index: Any) -> Self:
        """One surface of a batch, or some of them."""
        if np.ndim(self.known) == 1:
            raise TypeError("a single surface has no items")
        return jax.tree.map(lambda x: x[index], self)
