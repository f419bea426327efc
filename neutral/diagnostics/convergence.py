"""The course of a fit, from the points that its solver evaluated: plateau, oscillation or divergence."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ..calibration.history import History
from ..errors import ArgumentError

Kind = Literal["converging", "plateau", "oscillation", "divergence", "cannot be determined"]

STATIONARY = 1e-4  # gradient norm below which the gradient counts as vanished
_WINDOW = 10  # last steps that are looked at
_LEAST_STEPS = 4  # points that it takes to tell a plateau, an oscillation or a divergence
_LEVEL = 1e-3  # relative fall of the best loss over the window below which the loss no longer falls
_SLOW = 0.1  # relative fall over the window below which alternating steps count as an oscillation
_RISEN = 2.0  # the loss has risen where all recent points exceed the best of before by this factor
_BACK = -0.5  # cosine of two consecutive moves below which the second goes back
_MOSTLY = 0.75  # share of the moves that go back in an oscillation
_LASTING = (
    0.5  # an oscillation dies out where its later moves are shorter than this share of the earlier ones
)


class Convergence(NamedTuple):
    """The course of a fit in one word, with the reason.

    Attributes:
        kind: "converging": the gradient has vanished, or the loss still falls. "plateau": the loss no longer
            falls, and the gradient has not vanished. "oscillation": loss or parameters go back and forth, and
            the best loss falls slowly or not at all. "divergence": the loss rises, or is not finite.
            "cannot be determined": there are too few steps to tell.
        steps: Points that were evaluated.
        message: What was seen, with its numbers, and what to do.
    """

    kind: Kind
    steps: int
    message: str

    def __str__(self) -> str:
        """One line."""
        return f"course of the fit: {self.kind}: {self.message}"

    def rows(self) -> list[dict[str, str | int]]:
        """One row: kind, steps and message."""
        return [self._asdict()]


class _Course(NamedTuple):
    """The finite points of a history."""

    steps: int  # evaluated, finite or not
    lost: int  # of the last points, how many are not finite
    window: int  # last steps that are looked at
    loss: Float[np.ndarray, " points"]
    path: Float[np.ndarray, "points n"]
    gradient: float  # norm at the best point
    fall: float  # of the best loss over the window, relative

    @property
    def best(self) -> float:
        return float(np.min(self.loss))

    @property
    def recent(self) -> Float[np.ndarray, " recent"]:
        return self.loss[-self.window - 1 :]


def describe_convergence(history: History, stationary: float = STATIONARY) -> Convergence:
    """Tell from the course of one fit whether it converges, and what keeps it from doing so.

    Only the last 10 steps count for a plateau, an oscillation or a divergence; it takes 4 points to tell one.

    Args:
        history: Of one fit with `history=True`.
        stationary: Gradient norm below which the gradient counts as vanished, above 0.

    Raises:
        ArgumentError: the history of a batch.
    """
    if np.ndim(history.loss) != 1:
        raise ArgumentError("describe_convergence takes one history, as in results[3].history.")
    steps = _evaluated(history)
    if steps == 0:
        return Convergence("cannot be determined", 0, "No point was evaluated.")
    course = _course(history, steps)
    if course.loss.size and course.gradient <= stationary:
        return Convergence("converging", steps, _vanished(course))
    message = _diverges(course)
    if message:
        return Convergence("divergence", steps, message)
    if steps >= _LEAST_STEPS:
        message = _oscillates(course)
        if message:
            return Convergence("oscillation", steps, message)
        if course.fall < _LEVEL:
            return Convergence("plateau", steps, _level(course))
    if course.fall >= _LEVEL:
        return Convergence("converging", steps, _falls(course))
    few = f"{steps} steps without a fall of the loss are too few to tell; it takes {_LEAST_STEPS}."
    return Convergence("cannot be determined", steps, few)


def _evaluated(history: History) -> int:
    """Number of points that were evaluated; a loss that is not finite belongs to one."""
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
        lost=int(np.sum(~finite[-window - 1 :])),
        window=window,
        loss=loss[finite],
        path=np.asarray(history.parameters)[:steps][finite],
        gradient=gradient,
        fall=fall,
    )


def _diverges(course: _Course) -> str:
    """A message where the loss rises or is not finite, else ""."""
    points = course.window + 1
    if 2 * course.lost > points:
        return f"{course.lost} of the last {points} losses are not finite; take another start."
    half = min(_WINDOW, course.loss.size // 2)
    if course.loss.size < _LEAST_STEPS:
        return ""
    latest = course.loss[-half:]
    earlier = float(np.min(course.loss[:-half]))
    if np.min(latest) > _RISEN * earlier and latest[-1] >= latest[0]:
        return (
            f"The loss rises: the last of {course.steps} steps has {latest[-1]:.4g}, the best before had "
            f"{earlier:.4g}; take shorter steps or another start."
        )
    return ""


def _oscillates(course: _Course) -> str:
    """A message where loss or parameters go back and forth and the best loss hardly falls, else ""."""
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
    return (
        f"The {' and the '.join(alternating)} alternate: over the last {course.window} of {course.steps} "
        f"steps the loss moves between {np.min(course.recent):.4g} and {np.max(course.recent):.4g}, and the "
        f"best falls by {course.fall:.1%}; the gradient norm is {course.gradient:.1e}. Take shorter steps."
    )


def _alternates(points: Float[np.ndarray, "points n"]) -> bool:
    """Whether points go back and forth without coming to rest."""
    moves = np.diff(points, axis=0)
    if len(moves) < _LEAST_STEPS - 1:
        return False
    lengths = np.linalg.norm(moves, axis=1)
    both = lengths[1:] * lengths[:-1]
    cosines = np.sum(moves[1:] * moves[:-1], axis=1) / np.where(both > 0.0, both, np.inf)
    half = len(moves) // 2
    lasts = np.median(lengths[half:]) >= _LASTING * np.median(lengths[:half])
    large = np.median(lengths) > _LEVEL
    return bool(lasts and large and np.mean(cosines < _BACK) >= _MOSTLY)


def _vanished(course: _Course) -> str:
    return (
        f"The gradient norm is {course.gradient:.1e} after {course.steps} steps, in which the loss has gone "
        f"from {course.loss[0]:.4g} to {course.best:.4g}."
    )


def _level(course: _Course) -> str:
    return (
        f"The loss no longer falls: {course.best:.6g} after {course.steps} steps, of which the last "
        f"{course.window} lowered it by {course.fall:.1e} of itself, although the gradient norm is "
        f"{course.gradient:.1e}. The errors of the prices may be reached: use more nodes, or another start."
    )


def _falls(course: _Course) -> str:
    return (
        f"The loss still falls: {course.best:.4g} after {course.steps} steps, of which the last "
        f"{course.window} lowered it by {course.fall:.1%}; the gradient norm is {course.gradient:.1e}. Raise "
        "max_steps of the solver."
    )
