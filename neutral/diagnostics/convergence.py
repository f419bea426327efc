"""The course of a fit, from the points that its solver evaluated: plateau, oscillation or divergence."""

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ..calibration.history import History
from ..errors import ArgumentError
from ..presentation.frame import frame_of_rows

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["converging", "plateau", "oscillation", "divergence", "cannot be determined"]

STATIONARY = 1e-4  # gradient norm below which the gradient counts as zero
_WINDOW = 10  # number of last steps that are examined
_LEAST_STEPS = 4  # points needed to detect a plateau, an oscillation or a divergence
_LEVEL = 1e-3  # relative fall of the best loss over the window below which the fit is on a plateau
_SLOW = 0.1  # relative fall over the window below which alternating steps count as an oscillation
_RISEN = 2.0  # the loss diverges if all recent losses exceed the best earlier one by this factor
_BACK = -0.5  # cosine of two consecutive steps below which the second one reverses the first
_MOSTLY = 0.75  # share of reversed steps in an oscillation
_LASTING = 0.5  # an oscillation decays if its later steps are shorter than this share of the earlier ones


class Convergence(NamedTuple):
    """The course of a fit, with the reason.

    Attributes:
        kind: "converging": the gradient is zero up to a tolerance, or the loss is falling. "plateau": the
            loss is constant, but the gradient is not zero. "oscillation": loss or parameters alternate, and
            the best loss falls slowly or not at all. "divergence": the loss rises, or is not finite. "cannot
            be determined": there are too few steps.
        steps: Number of points that were evaluated.
        message: Observations in numbers, and what to do.
    """

    kind: Kind
    steps: int
    message: str

    def __str__(self) -> str:
        """Write one line."""
        return f"course of the fit: {self.kind}: {self.message}"

    def rows(self) -> list[dict[str, str | int]]:
        """Return one row with kind, steps and message."""
        return [self._asdict()]

    def to_frame(self) -> "pd.DataFrame":
        """Return `rows()` as a DataFrame."""
        return frame_of_rows(self.rows())


class _Course(NamedTuple):
    """The finite points of a history."""

    steps: int  # number of evaluated points, finite or not
    nonfinite: int  # number of points in the window that are not finite
    window: int  # number of last steps that are examined
    loss: Float[np.ndarray, " points"]
    path: Float[np.ndarray, "points n"]
    gradient: float  # gradient norm at the best point
    fall: float  # relative fall of the best loss over the window

    @property
    def best(self) -> float:
        return float(np.min(self.loss))

    @property
    def recent(self) -> Float[np.ndarray, " recent"]:
        return self.loss[-self.window - 1 :]


def describe_convergence(history: History, stationary: float = STATIONARY) -> Convergence:
    """Classify the course of one fit as convergence, plateau, oscillation or divergence.

    A plateau, an oscillation or a rise of the loss is detected from the last 10 steps, and needs 4 points.

    Args:
        history: History of one fit with `history=True`.
        stationary: Gradient norm, > 0, below which the gradient counts as zero.

    Returns:
        The course, with a message.

    Raises:
        ArgumentError: the history is that of a batch.
    """
    if np.ndim(history.loss) != 1:
        raise ArgumentError(
            "describe_convergence needs the history of one fit, such as results[3].history, got a batch."
        )
    steps = _evaluated(history)
    if steps == 0:
        return Convergence("cannot be determined", 0, "No point was evaluated.")
    course = _course(history, steps)
    if course.loss.size and course.gradient <= stationary:
        return Convergence("converging", steps, _stationary(course))
    message = _diverges(course)
    if message:
        return Convergence("divergence", steps, message)
    if steps >= _LEAST_STEPS:
        message = _oscillates(course)
        if message:
            return Convergence("oscillation", steps, message)
        if course.fall < _LEVEL:
            return Convergence("plateau", steps, _plateau(course))
    if course.fall >= _LEVEL:
        return Convergence("converging", steps, _descending(course))
    few = f"{steps} steps without a fall of the loss are too few; at least {_LEAST_STEPS} are needed."
    return Convergence("cannot be determined", steps, few)


def _evaluated(history: History) -> int:
    """Count the points that were evaluated, also those whose loss is not finite."""
    rows = np.isfinite(np.asarray(history.loss)) | np.isfinite(np.asarray(history.damping))
    rows = rows | np.any(np.isfinite(np.asarray(history.parameters)), axis=1)
    return int(np.flatnonzero(rows)[-1]) + 1 if rows.any() else 0


def _course(history: History, steps: int) -> _Course:
    loss = np.asarray(history.loss)[:steps]
    finite = np.isfinite(loss)
    window = min(_WINDOW, steps - 1)
    before = np.min(loss[: steps - window], initial=np.inf, where=finite[: steps - window])
    best = np.min(loss, initial=np.inf, where=finite)
    gradient = np.inf
    if finite.any():
        gradient = float(np.asarray(history.gradient_norm)[:steps][np.nanargmin(loss)])
    fall = 0.0
    if best < before:
        fall = 1.0 if np.isinf(before) else float((before - best) / abs(before))
    return _Course(
        steps=steps,
        nonfinite=int(np.sum(~finite[-window - 1 :])),
        window=window,
        loss=loss[finite],
        path=np.asarray(history.parameters)[:steps][finite],
        gradient=gradient,
        fall=fall,
    )


def _diverges(course: _Course) -> str:
    """Return a message if the loss rises or is not finite, else ""."""
    points = course.window + 1
    if 2 * course.nonfinite > points:
        return f"{course.nonfinite} of the last {points} losses are not finite; use another start."
    half = min(_WINDOW, course.loss.size // 2)
    if course.loss.size < _LEAST_STEPS:
        return ""
    latest = course.loss[-half:]
    earlier = float(np.min(course.loss[:-half]))
    if np.min(latest) > _RISEN * earlier and latest[-1] >= latest[0]:
        return (
            f"The loss rises: the last of {course.steps} steps has {latest[-1]:.4g}, the best before had "
            f"{earlier:.4g}; use shorter steps or another start."
        )
    return ""


def _oscillates(course: _Course) -> str:
    """Return a message if loss or parameters alternate and the best loss hardly falls, else ""."""
    if course.fall >= _SLOW:
        return ""
    size = course.best if course.best > 0.0 else 1.0
    scale = np.max(np.abs(course.path), axis=0)
    parts = {
        "loss": course.recent[:, None] / size,
        "parameters": course.path[-course.window - 1 :] / np.where(scale > 0.0, scale, 1.0),
    }
    alternating = [name for name, points in parts.items() if _alternates(points)]
    if not alternating:
        return ""
    verb = "alternates" if alternating == ["loss"] else "alternate"
    return (
        f"The {' and the '.join(alternating)} {verb}: over the last {course.window} of {course.steps} "
        f"steps the loss moves between {np.min(course.recent):.4g} and {np.max(course.recent):.4g}, and the "
        f"best falls by {course.fall:.1%}; the gradient norm is {course.gradient:.1e}. Use shorter steps."
    )


def _alternates(points: Float[np.ndarray, "points n"]) -> bool:
    """Test whether points alternate without their steps becoming shorter."""
    moves = np.diff(points, axis=0)
    if len(moves) < _LEAST_STEPS - 1:
        return False
    lengths = np.linalg.norm(moves, axis=1)
    length_products = lengths[1:] * lengths[:-1]
    cosines = np.sum(moves[1:] * moves[:-1], axis=1) / np.where(
        length_products > 0.0, length_products, np.inf
    )
    half = len(moves) // 2
    persistent = np.median(lengths[half:]) >= _LASTING * np.median(lengths[:half])
    large = np.median(lengths) > _LEVEL
    return bool(persistent and large and np.mean(cosines < _BACK) >= _MOSTLY)


def _stationary(course: _Course) -> str:
    return (
        f"The gradient norm is {course.gradient:.1e} after {course.steps} steps, in which the loss changed "
        f"from {course.loss[0]:.4g} to {course.best:.4g}."
    )


def _plateau(course: _Course) -> str:
    return (
        f"The loss no longer falls: {course.best:.6g} after {course.steps} steps, of which the last "
        f"{course.window} lowered it by a share of {course.fall:.1e}, although the gradient norm is "
        f"{course.gradient:.1e}. Errors of the prices may limit it: use more nodes or another start."
    )


def _descending(course: _Course) -> str:
    return (
        f"The loss still falls: {course.best:.4g} after {course.steps} steps, of which the last "
        f"{course.window} lowered it by {course.fall:.1%}; the gradient norm is {course.gradient:.1e}. Raise "
        "max_steps of the solver."
    )
