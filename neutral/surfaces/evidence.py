"""How a surface was fitted."""

import equinox as eqx

from ..typing import Codes, Flags, Real


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
