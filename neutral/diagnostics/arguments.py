"""Checks of calibration arguments that are passed to a diagnostic again, against those of the result."""

from collections.abc import Mapping
from typing import Any, TypedDict

import jax
import numpy as np

from ..calibration.coordinates import Bounds
from ..calibration.losses import Loss
from ..calibration.priors import Prior
from ..calibration.request import Request
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..pricing import AbstractGridEngine
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Numbers, Real

_SAME_LOSS = 1e-6  # largest relative difference of the loss of a result and the loss computed again
_STATIONARY = 1e-4  # largest gradient norm, a cosine, that is accepted for a fit that has converged
_NAMES = "engine, loss, prior, fixed, bounds and mask"


class CalibrationArguments(TypedDict, total=False):
    """Arguments of `calibrate`. A result stores them in its request, so they need not be passed again."""

    engine: AbstractGridEngine[Any] | None
    loss: Loss | None
    prior: Prior | None
    fixed: Mapping[str, float] | None
    bounds: Bounds | None
    mask: Numbers | None


def request_of(result: CalibrationResult, surfaces: QuoteSurface, arguments: CalibrationArguments) -> Request:
    """Return the request of the fits of a result, with a leading axis of surfaces on every array.

    Args:
        result: Fits with a leading axis.
        surfaces: The surfaces that were fitted.
        arguments: Arguments that the caller repeats; None if an argument is not repeated. For a result
            without request, saved by an older version, they define the request.

    Returns:
        The request.

    Raises:
        ArgumentError: an argument is unknown or contradicts the request, or a result without request comes
            without arguments.
    """
    unknown = sorted(set(arguments) - set(CalibrationArguments.__annotations__))
    if unknown:
        raise ArgumentError(f"there is no argument {', '.join(unknown)}; accepted: {_NAMES}.")
    passed = [name for name, value in arguments.items() if value is not None]
    if result.request is None and not passed:
        raise ArgumentError(
            "this result has no request: an older version saved it, or it has a custom engine, loss or "
            f"prior. Pass those of {_NAMES} that were not defaults in its calibration (loss=neutral.Loss() "
            "if all were), or calibrate again."
        )
    if not passed:
        assert result.request is not None
        return result.request
    repeated = Request.of(result.model, surfaces, **arguments).repeated(len(surfaces))
    if result.request is None:
        return repeated
    stored = _by_argument(result.request, surfaces)
    again = _by_argument(repeated, surfaces)
    contradicting = [name for name in passed if not _same(stored[name], again[name])]
    if contradicting:
        raise ArgumentError(
            f"these arguments contradict the calibration of the result: {', '.join(contradicting)}. "
            f"Leave them out, because the request of the result contains {_NAMES}."
        )
    return result.request


def check_fit(
    result: CalibrationResult, loss: float, gradient_norm: float, *, gradient_may_differ: bool
) -> None:
    """Check that a fit belongs to a surface, and the arguments of a fit without request.

    Args:
        result: One fit.
        loss: Loss without prior, computed again from the surface.
        gradient_norm: Gradient norm of the fit, computed again.
        gradient_may_differ: True if the gradient need not be 0, because the fit is exact or damped or has
            not converged.

    Raises:
        ArgumentError: the loss or the gradient norm is different; the message names what to pass.
    """
    remedy = f"pass {_NAMES} of the calibration"
    if result.request is not None:
        check_loss(float(result.loss), loss, "pass the surface that was calibrated")
        return
    check_loss(float(result.loss), loss, remedy)
    if not gradient_may_differ and gradient_norm > max(_STATIONARY, 2.0 * float(result.gradient_norm)):
        raise ArgumentError(f"the result has converged, but not with these arguments: {remedy}.")


def check_loss(loss: float, again: float, remedy: str) -> None:
    """Check that the loss of a fit is reproduced when it is computed again.

    Args:
        loss: Loss of the fit.
        again: Loss computed from the caller's arguments.
        remedy: What the caller should do, for the message.

    Raises:
        ArgumentError: the losses differ; the message names both and the remedy.
    """
    if abs(again - loss) > _SAME_LOSS * abs(loss) + 1e-16:
        raise ArgumentError(
            f"the loss of the result is {loss:.8g}, but with these arguments it is {again:.8g}: {remedy}."
        )


def _by_argument(request: Request, surfaces: QuoteSurface) -> dict[str, object]:
    """Return the parts of a request by the argument of the calibration that determines them."""
    used: Flags = surfaces.train if request.mask is None else request.mask
    bounds: tuple[Real, Real] = (request.lower, request.upper)
    return {
        "engine": request.setting.engine,
        "loss": request.setting.loss,
        "prior": (request.prior, request.setting.penalties),
        "fixed": (request.fixed, request.values),
        "bounds": bounds,
        "mask": np.asarray(used) & np.asarray(surfaces.mask),
    }


def _same(first: object, second: object) -> bool:
    """Test whether two trees have the same structure and equal numbers."""
    if jax.tree.structure(first) != jax.tree.structure(second):
        return False
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)
