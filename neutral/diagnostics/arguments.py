"""Arguments of a calibration that are given to a diagnostic again: checked against what the result knows."""

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

_SAME_LOSS = 1e-6  # relative: the loss of a result, computed again
_STATIONARY = 1e-4  # largest cosine of residuals and derivatives that passes for a fit that has converged
_NAMES = "engine, loss, prior, fixed, bounds and mask"


class CalibrationArguments(TypedDict, total=False):
    """Arguments of `calibrate` that a result keeps in its request. They need not be given again."""

    engine: AbstractGridEngine[Any] | None
    loss: Loss | None
    prior: Prior | None
    fixed: Mapping[str, float] | None
    bounds: Bounds | None
    mask: Numbers | None


def request_of(result: CalibrationResult, surfaces: QuoteSurface, arguments: CalibrationArguments) -> Request:
    """The request of the fits of a result, with a leading axis of surfaces on every array.

    Args:
        result: Fits with a leading axis.
        surfaces: Their surfaces.
        arguments: Those that the caller repeats; None stands for an argument that is not given. A result
            without request, which an older version has saved, takes them for its request.

    Raises:
        ArgumentError: an unknown argument; one that contradicts the request; a result without request where
            no argument is given.
    """
    unknown = sorted(set(arguments) - set(CalibrationArguments.__annotations__))
    if unknown:
        raise ArgumentError(f"there is no argument {', '.join(unknown)}; accepted: {_NAMES}.")
    given = [name for name, value in arguments.items() if value is not None]
    if result.request is None and not given:
        raise ArgumentError(
            "this result does not keep what it was asked for: an older version has saved it, or it has an "
            f"engine, loss or prior of your own. Give {_NAMES} of its calibration, as far as they were not "
            "the defaults (loss=neutral.Loss() where all were), or calibrate again."
        )
    if not given:
        assert result.request is not None
        return result.request
    repeated = Request.of(result.model, surfaces, **arguments).repeated(len(surfaces))
    if result.request is None:
        return repeated
    kept = _by_argument(result.request, surfaces)
    again = _by_argument(repeated, surfaces)
    wrong = [name for name in given if not _same(kept[name], again[name])]
    if wrong:
        raise ArgumentError(
            f"these arguments contradict the calibration of the result: {', '.join(wrong)}. Leave them out, "
            f"since the result keeps {_NAMES} in its request."
        )
    return result.request


def check_fit(result: CalibrationResult, loss: float, gradient_norm: float, *, settled: bool) -> None:
    """Refuse a surface that a fit does not belong to, and wrong arguments of one that keeps no request.

    Args:
        result: One fit.
        loss: Its data term, computed again from the surface.
        gradient_norm: Its gradient norm, computed again.
        settled: Whether the gradient need not vanish: the fit is exact, damped, or has not converged.

    Raises:
        ArgumentError: says what to give.
    """
    arguments = f"give {_NAMES} of the calibration"
    if result.request is not None:
        check_loss(float(result.loss), loss, "give the surface that was calibrated")
        return
    check_loss(float(result.loss), loss, arguments)
    if not settled and gradient_norm > max(_STATIONARY, 2.0 * float(result.gradient_norm)):
        raise ArgumentError(f"the result has converged, but not with these arguments: {arguments}.")


def check_loss(loss: float, again: float, remedy: str) -> None:
    """Refuse a fit whose loss is another when it is computed again.

    Args:
        loss: Of the fit.
        again: Computed from what the caller has given.
        remedy: What the caller should give, for the message.

    Raises:
        ArgumentError: names both losses and the remedy.
    """
    if abs(again - loss) > _SAME_LOSS * abs(loss) + 1e-16:
        raise ArgumentError(
            f"the loss of the result is {loss:.8g}, with these arguments {again:.8g}: {remedy}."
        )


def _by_argument(request: Request, surfaces: QuoteSurface) -> dict[str, object]:
    """The part of a request that each argument of the calibration determines."""
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
    """Whether two trees have one structure and equal numbers."""
    if jax.tree.structure(first) != jax.tree.structure(second):
        return False
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)
