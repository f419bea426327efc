"""Records of how a surface was fitted, and the base class of surfaces that have one."""

import abc
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

import equinox as eqx
import jax
import numpy as np

from ..calibration import CalibrationStatus
from ..errors import ArgumentError
from ..models.parameters import is_concrete
from ..presentation.frame import frame_of_arrays
from ..typing import Codes, Flags, Real
from .base import VolSurface

if TYPE_CHECKING:
    import pandas as pd


class AbstractSurfaceFit(eqx.Module):
    """Record of a surface fit, whatever its method.

    Attributes:
        status: `CalibrationStatus` code.
        loss: Weighted mean of the loss over the quotes that were fitted.
        steps: Number of steps that the solver took.
    """

    status: eqx.AbstractVar[Any]
    loss: eqx.AbstractVar[Any]
    steps: eqx.AbstractVar[Any]

    def to_frame(self) -> "pd.DataFrame":
        """Return a table with one row per fit: `status`, `converged`, `loss`, `steps`, `message`."""
        statuses = [CalibrationStatus(int(code)) for code in np.ravel(np.asarray(self.status))]
        columns = {
            "status": [status.name for status in statuses],
            "converged": [status is CalibrationStatus.converged for status in statuses],
            "loss": np.ravel(np.asarray(self.loss)),
            "steps": np.ravel(np.asarray(self.steps)),
            "message": [status.message for status in statuses],
        }
        return frame_of_arrays(columns)


class SurfaceFit(AbstractSurfaceFit):
    """Record of a least-squares fit; a batch has a leading axis on every field.

    Attributes:
        status: `CalibrationStatus` code.
        loss: Weighted mean of the loss over the quotes that were fitted, without `prior_loss`.
        prior_loss: Penalty for the distance to the anchor, and to the start at expiries with too few strikes.
        steps: Number of evaluations of prices and their Jacobian.
        gradient_norm: Largest cosine between the residuals and the derivatives of the prices in a coordinate
            that is not on its bound; at most 1e-6 where the fit converged.
        at_bound: No-arbitrage conditions that are met with equality, (3, T): True where the slope of the
            right wing, the slope of the left wing, or the width theta / psi rises by the least amount at an
            expiry.
    """

    status: Codes
    loss: Real
    prior_loss: Real
    steps: Codes
    gradient_norm: Real
    at_bound: Flags


Fit = TypeVar("Fit", bound=AbstractSurfaceFit)
Index = int | slice | np.ndarray | jax.Array
"""Index that selects surfaces from a batch."""


class FittedSurface(VolSurface, Generic[Fit]):
    """A surface of smiles, fitted to quotes or not; a batch has a leading axis on every field.

    Attributes:
        fit: Record of the fit; None if the surface was not fitted.
    """

    fit: Fit | None = eqx.field(default=None, kw_only=True)

    @property
    @abc.abstractmethod
    def known(self) -> Flags:
        """True for expiries that have a smile, (T,)."""

    @property
    def status(self) -> Any:
        """`CalibrationStatus` code of the fit."""
        return self._record().status

    @property
    def converged(self) -> Any:
        """True where the fit converged to a stationary point."""
        return self._record().status == CalibrationStatus.converged

    @property
    def loss(self) -> Any:
        """Weighted mean of the loss over the quotes that were fitted."""
        return self._record().loss

    def _record(self) -> Fit:
        if self.fit is None:
            raise ArgumentError(
                "This surface has no fit record: it was not fitted by fit_essvi, fit_surface or fit_sanos."
            )
        return self.fit

    def __repr__(self) -> str:
        """Show the expiries and the outcome of the fit, or how many surfaces of a batch converged."""
        known = self.known
        if not is_concrete(known) or not all(map(is_concrete, jax.tree.leaves(self.fit))):
            return super().__repr__()
        if np.ndim(known) > 1:
            converged = "" if self.fit is None else f", {int(np.sum(self.converged))} converged"
            return f"{type(self).__name__}({len(self)} surfaces{converged})"
        t = np.asarray(cast(Any, self).expiries)[np.asarray(known)]
        span = f", {t.min():.3g} to {t.max():.3g} years" if t.size else ""
        fit = ""
        if self.fit is not None:
            fit = f", {CalibrationStatus(int(self.status)).name}, loss {float(self.loss):.6g}"
        return f"{type(self).__name__}({t.size} expiries{span}{fit})"

    def __len__(self) -> int:
        """Return the number of surfaces in a batch."""
        if np.ndim(self.known) == 1:
            raise TypeError("a single surface has no length; a batch of surfaces has one")
        return np.shape(self.known)[0]

    def __getitem__(self, index: Index) -> Self:
        """Select one surface of a batch, or several."""
        if np.ndim(self.known) == 1:
            raise TypeError("a single surface cannot be indexed; a batch of surfaces can")
        return jax.tree.map(lambda x: x[index], self)
