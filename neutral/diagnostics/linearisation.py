"""A fit to first and second order in its parameters: what every diagnostic is computed from."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calibration.coordinates import AbstractCoordinates, Bounds
from ..calibration.implicit import hessian
from ..calibration.lane import make_problem
from ..calibration.losses import Loss
from ..calibration.problem import Problem
from ..calibration.request import Lane, Request
from ..calibration.result import CalibrationResult, CalibrationStatus
from ..calibration.solvers.base import EXACT, gradient_norm
from ..errors import ArgumentError
from ..pricing import Lewis
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Real

_SAME_LOSS = 1e-6  # relative: the loss of a result, computed again
_STATIONARY = 1e-4  # largest cosine of residuals and derivatives that passes for a fit that has converged


class Linearisation(NamedTuple):
    """A fit of n coordinates to (2, T, K) quotes at its solution; half of the loss's derivatives.

    The gradient of the data term is sum_q pull_q s, its Gauss-Newton curvature sum_q bend_q s s', with s the
    slopes of a cell's price.
    """

    y: Real  # (n,) coordinates
    values: Real  # (n,) of what `names` lists, natural units
    chain: Real  # (n, n) derivatives of the values in the coordinates
    moving: Flags  # (n,) free and not on a bound
    lower: Real  # (n,)
    upper: Real  # (n,)
    unit: Real  # (T,) increments of a shift that count as 1
    t: Real  # (T,)
    slopes: Real  # (n, T, K) of the prices in the coordinates
    pull: Real  # (2, T, K)
    bend: Real  # (2, T, K)
    used: Flags  # (2, T, K)
    prior: Real  # (n, n) curvature of prior and penalties
    hessian: Real  # (n, n) of loss and prior together
    loss: Real
    gradient_norm: Real
    error: Real


class Fit(NamedTuple):
    """One fit of a result, ready to be diagnosed; `reason` tells why it cannot be, "" where it can."""

    result: CalibrationResult
    surface: QuoteSurface
    asked: Request
    lane: Lane
    at: Any  # Linearisation; None where there is none
    reason: str

    @property
    def coordinates(self) -> AbstractCoordinates:
        """Of the model."""
        return self.asked.setting.coordinates

    @property
    def moving(self) -> np.ndarray:
        """Indices of the coordinates that move."""
        return np.nonzero(self.at.moving)[0] if self.at else np.zeros(0, int)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coordinates that move."""
        return tuple(self.result.names[i] for i in self.moving)

    @property
    def freedom(self) -> int:
        """Strikes of any weight less coordinates that move."""
        return self._strikes - self.moving.size

    @property
    def few(self) -> bool:
        """Whether the quotes can be met whatever the model: no more strikes than coordinates that move."""
        return not self.at or self.freedom < 1

    @property
    def _strikes(self) -> int:
        return int(np.sum(np.any(self.at.bend > 0.0, axis=0)))

    def undetermined(self, noise_known: bool = False) -> str:
        """Why nothing can be said of the noise in the parameters; "" where something can."""
        if self.reason:
            return self.reason
        if not self.moving.size:
            return "no parameter moves: all are fixed or on a bound."
        if self.freedom < (0 if noise_known else 1):
            counts = f"{self._strikes} strikes for {self.moving.size} parameters"
            return f"{counts} leave nothing to tell noise by."
        exact = not noise_known and self.at.error <= EXACT
        return "the model meets every quote, so its residuals tell no noise." if exact else ""

    def named(self, y: Any) -> np.ndarray:
        """What vectors of coordinates stand for, natural units, (..., n)."""
        unit = jnp.broadcast_to(self.at.unit, (*np.shape(y)[:-1], self.at.unit.size))
        natural = self.coordinates.natural(jnp.asarray(y), unit)
        return np.asarray(self.coordinates.named(natural, y, unit))

    def strikes(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted residuals and their Jacobian in the moving coordinates, call and put of a strike as one.

        Returns:
            Shapes (strikes,) and (strikes, moving): J'J is the data's curvature, J'r its gradient.
        """
        pull, bend = (np.sum(x, axis=0) for x in (self.at.pull, self.at.bend))
        rows = bend > 0.0
        root = np.sqrt(bend[rows])
        slopes = self.at.slopes[self.moving][:, rows]
        return pull[rows] / root, (slopes * root).T


def fits_of(
    result: CalibrationResult,
    surface: QuoteSurface,
    engine: Lewis | None = None,
    loss: Loss | None = None,
    prior: Any = None,
    fixed: dict[str, float] | None = None,
    bounds: Bounds | None = None,
    mask: Any = None,
) -> Iterator[Fit]:
    """The fits of a result, one by one.

    The result itself knows what it was asked for; where it does not, or where an argument is given, all
    arguments must be those of the calibration.

    Raises:
        ArgumentError: the arguments are not those that the result was calibrated with.
    """
    many = np.ndim(result.status) > 0
    if not isinstance(surface, QuoteSurface) or (np.ndim(surface.t) == 2) != many:
        raise ArgumentError("surface must be the QuoteSurface, or the stack of them, that was calibrated.")
    results, surfaces = (result, surface) if many else jax.tree.map(lambda x: x[None], (result, surface))
    request = result.request
    if request is None or any(x is not None for x in (engine, loss, prior, fixed, bounds, mask)):
        request = Request.of(
            result.model,
            surfaces,
            engine=engine,
            loss=loss,
            prior=prior,
            fixed=fixed,
            bounds=bounds,
            mask=mask,
        ).repeated(len(surfaces))
    elif not many:
        request = jax.tree.map(lambda x: np.asarray(x)[None], request)
    same_shape = np.shape(result.residuals) == np.shape(surface.prices)
    if request.setting.coordinates.names != result.names or not same_shape:
        raise ArgumentError("surface has not the maturities of the one that was calibrated.")
    for i in range(len(surfaces)):
        one, surface, asked = jax.tree.map(lambda x: np.asarray(x)[i], (results, surfaces, request))  # noqa: B023
        asked = asked.again(one.model)
        lanes = asked.lanes(jax.tree.map(lambda x: x[None], surface))
        yield _fit(asked, one, surface, jax.tree.map(lambda x: np.asarray(x)[0], lanes))


def _fit(asked: Request, result: CalibrationResult, surface: QuoteSurface, lane: Lane) -> Fit:
    status = CalibrationStatus(int(result.status))
    if status in (CalibrationStatus.nonfinite, CalibrationStatus.bad_quotes):
        return Fit(result, surface, asked, lane, None, status.message)
    damping = np.zeros((len(result.names),) * 2) if result.damping is None else result.damping
    linearised = _linearise(asked.shared(), lane, result.coordinates, result.at_bound, damping)
    at = jax.tree.map(np.asarray, linearised)
    _check_arguments(result, at, damped=bool(np.any(damping)))
    reason = "" if bool(result.converged) else f"The fit has not converged. {status.message}"
    if not reason and not np.all(np.isfinite(np.where(at.used, result.residuals, at.loss))):
        reason = "A residual of a quote that was fitted is not finite."
    if not reason and not np.any(at.bend > 0.0):
        reason = "No quote pulls on the fit: every price lies between its bid and ask."
    return Fit(result, surface, asked, lane, at, reason)


def _check_arguments(result: CalibrationResult, at: Linearisation, damped: bool) -> None:
    wanted = "engine, loss, prior, fixed, bounds and mask of the calibration"
    check_loss(result.loss, at.loss, wanted)
    stationary = damped or at.error <= EXACT or not bool(result.converged)
    if not stationary and at.gradient_norm > max(_STATIONARY, 2.0 * float(result.gradient_norm)):
        raise ArgumentError(f"the result has converged, with these arguments it has not: give {wanted}.")


def check_loss(found: Any, again: Any, wanted: str) -> None:
    """Refuse arguments that do not give the loss of a fit again.

    Raises:
        ArgumentError: says what to give.
    """
    if abs(again - found) > _SAME_LOSS * abs(found) + 1e-16:
        raise ArgumentError(
            f"the loss of the result is {float(found):.8g}, with these arguments {float(again):.8g}: "
            f"give {wanted}."
        )


def problem_of(asked: Request, lane: Lane, damping: Any = 0.0) -> Problem:
    """Constants of one fit, with a leading axis; the prior with the pull of a damped fit."""
    lanes = jax.tree.map(lambda x: x[None], lane)
    _, used, clean = asked.setting.loss.usable(lanes.surface, lanes.used)
    problem = make_problem(asked, lanes, clean, used)
    return problem._replace(precision=problem.precision + damping)


@eqx.filter_jit
def _linearise(asked: Request, lane: Lane, y: Real, at_bound: Flags, damping: Any) -> Linearisation:
    setting, problem = asked.setting, problem_of(asked, lane)
    _, used, clean = setting.loss.usable(*jax.tree.map(lambda x: x[None], (lane.surface, lane.used)))
    natural, chain = setting.natural_and_chain(problem, y[None])
    price, slopes = setting.engine.prices_and_jacobian(setting.coordinates.kernel(natural), problem.grid)
    target, e = problem.targets, setting.errors(problem, price)
    _, first, second = setting.loss.rho(e)
    slope = jnp.where((e != 0.0) | (target.low == target.high), 1.0 / target.scale, 0.0)
    at = setting.evaluate(problem, y[None])
    objective = setting.objective(problem)
    moving = problem.free[0] & ~at_bound
    columns = jnp.einsum("ptk,pj->jtk", setting.coordinates.columns(slopes).dense()[0], chain[0])
    bend = (target.share * second * slope**2)[0]
    data = jnp.einsum("itk,tk,jtk->ij", columns, jnp.sum(bend, axis=0), columns)
    values = setting.coordinates.named(natural[0], y, problem.unit[0])
    return Linearisation(
        y, values, setting.named_chain(problem, y[None])[0], moving, problem.lower[0], problem.upper[0],
        problem.unit[0], clean.t[0], columns,
        (target.share * first * e * slope)[0], bend, used[0], at.curvature[0] - data + damping,
        0.5 * hessian(jax.grad(lambda y: jnp.sum(setting.cost(problem, y))), y[None])[0] + damping,
        setting.data_loss(problem, price)[0], gradient_norm(objective, y[None], at)[0], at.error[0],
    )  # fmt: skip


def parameter_sizes(fit: Fit) -> np.ndarray:
    """What counts as the size of each moving parameter, natural units.

    Its absolute value, at least a tenth of the typical one; 1 in a bounded domain (a correlation); for an
    increment of a shift that of the market's variance at the money.
    """
    sizes = fit.coordinates.sizes(fit.at.values, fit.at.unit)
    return np.array(sizes)[fit.moving]
