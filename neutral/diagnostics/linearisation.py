"""Expansion of a fit to second order in its parameters, from which all diagnostics are computed."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple, TypeVar, Unpack, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ..calibration.coordinates import AbstractCoordinates
from ..calibration.implicit import hessian
from ..calibration.lane import make_problem
from ..calibration.problem import Problem
from ..calibration.request import Lane, Request
from ..calibration.result import CalibrationResult
from ..calibration.solvers import LevenbergMarquardt
from ..calibration.solvers.base import EXACT, gradient_norm
from ..calibration.starts.search import Search
from ..calibration.statistics import surface_of
from ..calibration.status import CalibrationStatus
from ..errors import ArgumentError
from ..numerics.compiled import compiled_as
from ..quotes.given_surfaces import ManySurfaces, OneSurface, quote_surface, quote_surfaces
from ..quotes.surface import QuoteSurface
from ..typing import Flags, Numbers, Real
from .arguments import CalibrationArguments, check_fit, request_of

Tree = TypeVar("Tree")


class Linearisation(NamedTuple):
    """A fit of n coordinates to (2, T, K) quotes, expanded at its solution.

    With s the slopes of a quote's price, half the gradient of the loss without prior is sum_q pull_q s, and
    half its Gauss-Newton curvature is sum_q bend_q s s'.
    """

    y: Real  # (n,) coordinates
    values: Real  # (n,) parameters in natural units
    chain: Real  # (n, n) derivatives of the values in the coordinates
    moving: Flags  # (n,) True for coordinates that are neither fixed nor on a bound
    lower: Real  # (n,) bounds of the coordinates
    upper: Real  # (n,)
    unit: Real  # (T,) units of the increments of a shift
    t: Real  # (T,) maturities in years
    slopes: Real  # (n, T, K) derivatives of the prices in the coordinates
    pull: Real  # (2, T, K) half the derivative of the loss in the price
    bend: Real  # (2, T, K) half the Gauss-Newton second derivative of the loss in the price
    used: Flags  # (2, T, K) True for fitted quotes
    prior: Real  # (n, n) half the curvature of prior and penalties
    hessian: Real  # (n, n) half the Hessian of loss and prior
    loss: Real  # without prior
    gradient_norm: Real
    error: Real  # weighted root mean square error in prices


class Fit(NamedTuple):
    """One fit of a result, prepared for diagnosis.

    Attributes:
        result: The fit.
        surface: The surface that was fitted.
        request: The request of the calibration, with the fit as its start.
        lane: The surface's numbers in the form that the solver needs.
        linearised: The expansion at the fit; None if the fit is not finite.
        reason: Why the fit cannot be diagnosed; "" if it can.
    """

    result: CalibrationResult
    surface: QuoteSurface
    request: Request
    lane: Lane
    linearised: Linearisation | None
    reason: str

    @property
    def at(self) -> Linearisation:
        """The expansion at the fit.

        Raises:
            ArgumentError: there is none; the message states why.
        """
        if self.linearised is None:
            raise ArgumentError(f"the fit has no derivatives: {self.reason}")
        return self.linearised

    @property
    def coordinates(self) -> AbstractCoordinates:
        """Coordinates of the model."""
        return self.request.setting.coordinates

    @property
    def moving(self) -> Int[np.ndarray, " moving"]:
        """Indices of the coordinates that are neither fixed nor on a bound."""
        return np.zeros(0, int) if self.linearised is None else np.nonzero(self.linearised.moving)[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coordinates in `moving`."""
        return tuple(self.result.names[i] for i in self.moving)

    @property
    def freedom(self) -> int:
        """Degrees of freedom: number of strikes with a weight less number of coordinates in `moving`."""
        return self._strikes - self.moving.size

    @property
    def few(self) -> bool:
        """True if there are no degrees of freedom, so that residuals contain no information on the model."""
        return self.linearised is None or self.freedom < 1

    @property
    def _strikes(self) -> int:
        return int(np.sum(np.any(self.at.bend > 0.0, axis=0)))

    def undetermined(self, noise_known: bool = False) -> str:
        """Return why the uncertainty of the parameters cannot be determined; "" if it can.

        Args:
            noise_known: True if the noise of the quotes is known, so that residuals need not determine it.
        """
        if self.reason:
            return self.reason
        if not self.moving.size:
            return "no parameter is free: all are fixed or on a bound."
        if self.freedom < (0 if noise_known else 1):
            counts = f"{self._strikes} strikes for {self.moving.size} parameters"
            return f"{counts} leave no degrees of freedom to estimate the noise."
        is_exact = not noise_known and self.at.error <= EXACT
        return "the model fits every quote exactly, so the noise is unknown." if is_exact else ""

    def named(self, y: Float[Numbers, "*rows n"]) -> Float[np.ndarray, "*rows n"]:
        """Convert vectors of coordinates to natural units, in the order of the result's `names`."""
        unit = jnp.broadcast_to(self.at.unit, (*np.shape(y)[:-1], np.size(self.at.unit)))
        natural = self.coordinates.natural(jnp.asarray(y), unit)
        return np.asarray(self.coordinates.named(natural, y, unit))

    def strikes(self) -> tuple[Float[np.ndarray, " strikes"], Float[np.ndarray, "strikes moving"]]:
        """Combine call and put of each strike to weighted residuals r and their Jacobian J.

        Returns:
            r and J in the moving coordinates: J'J is half the Gauss-Newton curvature of the loss without
            prior, J'r half its gradient.
        """
        pull = np.sum(self.at.pull, axis=0)
        bend = np.sum(self.at.bend, axis=0)
        rows = bend > 0.0
        root = np.sqrt(bend[rows])
        slopes = np.asarray(self.at.slopes)[self.moving][:, rows]
        return pull[rows] / root, (slopes * root).T


def fits_of(
    result: CalibrationResult,
    surface: OneSurface | ManySurfaces | None,
    **arguments: Unpack[CalibrationArguments],
) -> Iterator[Fit]:
    """Yield the fits of a result, one by one.

    Args:
        result: One fit or a batch.
        surface: The surface that was calibrated, for a batch the surfaces; that of the result where None.
        arguments: Arguments of the calibration. Only a result without request, saved by an older version,
            needs them.

    Yields:
        Each fit with its expansion.

    Raises:
        ArgumentError: the surface is another one, or arguments contradict the calibration or are missing.
    """
    many = np.ndim(result.status) > 0
    quotes = surface_of(result) if surface is None else _quotes(surface, many)
    if np.shape(result.residuals) != np.shape(quotes.prices):
        raise ArgumentError("surface must have the maturities and strikes of the one that was calibrated.")
    results = result if many else _first_axis(result)
    surfaces = quotes if many else _first_axis(quotes)
    requests = request_of(results, surfaces, arguments)
    if requests.setting.coordinates.names != result.names:
        raise ArgumentError("surface must have the maturities of the one that was calibrated.")
    for i in range(len(surfaces)):
        yield _fit(_row(requests, i), _row(results, i), _row(surfaces, i))


def _quotes(surface: OneSurface | ManySurfaces, many: bool) -> QuoteSurface:
    """Return the quotes of one fit, or of several, that a caller passes."""
    if isinstance(surface, QuoteSurface):
        if (np.ndim(surface.t) == 2) != many:
            raise ArgumentError("surface must be the calibrated one, or for a batch the stack of them.")
        return surface
    if many:
        return quote_surfaces(surface, "a batch")
    return quote_surface(cast(OneSurface, surface), "a single fit")


def _first_axis(tree: Tree) -> Tree:
    return jax.tree.map(lambda x: np.asarray(x)[None], tree)


def _row(tree: Tree, i: int) -> Tree:
    return jax.tree.map(lambda x: np.asarray(x)[i], tree)


def _fit(request: Request, result: CalibrationResult, surface: QuoteSurface) -> Fit:
    """Expand one fit, or state why it has no expansion."""
    restarted = request.again(result.model)
    lane = _row(restarted.lanes(jax.tree.map(lambda x: x[None], surface)), 0)
    fit = Fit(result=result, surface=surface, request=restarted, lane=lane, linearised=None, reason="")
    status = CalibrationStatus(int(result.status))
    if status in (CalibrationStatus.nonfinite, CalibrationStatus.bad_quotes):
        return fit._replace(reason=status.message)
    damping = np.zeros((len(result.names),) * 2) if result.damping is None else result.damping
    at = _linearise(_without_solver(restarted), lane, result.coordinates, result.at_bound, damping)
    at = jax.tree.map(np.asarray, at)
    converged = bool(result.converged)
    gradient_may_differ = bool(np.any(damping)) or bool(at.error <= EXACT) or not converged
    check_fit(result, float(at.loss), float(at.gradient_norm), gradient_may_differ=gradient_may_differ)
    reason = "" if converged else f"The fit has not converged. {status.message}"
    if not reason and not np.all(np.isfinite(np.where(at.used, result.residuals, at.loss))):
        reason = "A residual of a fitted quote is not finite."
    if not reason and not np.any(at.bend > 0.0):
        reason = "No quote affects the fit: every price lies between its bid and ask."
    return fit._replace(linearised=at, reason=reason)


def _without_solver(request: Request) -> Request:
    """Replace parts of a request that derivatives do not depend on, so that solvers share a program."""
    return dataclasses.replace(request.shared(), solver=LevenbergMarquardt(), search=Search())


def problem_of(request: Request, lane: Lane, damping: Real | float = 0.0) -> Problem:
    """Build the constants of one fit, with a leading axis.

    Args:
        request: Request of the calibration.
        lane: Numbers of the surface.
        damping: Precision of the prior of a damped fit, shape (n, n); it is added to that of the prior.

    Returns:
        The problem.
    """
    lanes = jax.tree.map(lambda x: x[None], lane)
    _, used, clean = request.setting.loss.usable(lanes.surface, lanes.used)
    problem = make_problem(request, lanes, clean, used)
    return problem._replace(precision=problem.precision + damping)


@compiled_as("the diagnosis")
def _linearise(request: Request, lane: Lane, y: Real, at_bound: Flags, damping: Real) -> Linearisation:
    setting = request.setting
    problem = problem_of(request, lane)
    _, used, clean = setting.loss.usable(*jax.tree.map(lambda x: x[None], (lane.surface, lane.used)))
    natural, chain = setting.natural_and_chain(problem, y[None])
    price, slopes = setting.engine.prices_and_jacobian(setting.coordinates.kernel(natural), problem.grid)
    target = problem.targets
    e = setting.errors(problem, price)
    _, first, second = setting.loss.rho(e)
    slope = setting.loss.slopes(target, price, e)
    at = setting.evaluate(problem, y[None])
    objective = setting.objective(problem)
    moving = problem.free[0] & ~at_bound
    columns = jnp.einsum("ptk,pj->jtk", setting.coordinates.columns(slopes).dense()[0], chain[0])
    bend = (target.share * second * slope**2)[0]
    data = jnp.einsum("itk,tk,jtk->ij", columns, jnp.sum(bend, axis=0), columns)
    full_hessian = hessian(jax.grad(lambda y: jnp.sum(setting.cost(problem, y))), y[None])
    return Linearisation(
        y=y,
        values=setting.coordinates.named(natural[0], y, problem.unit[0]),
        chain=setting.named_chain(problem, y[None])[0],
        moving=moving,
        lower=problem.lower[0],
        upper=problem.upper[0],
        unit=problem.unit[0],
        t=clean.t[0],
        slopes=columns,
        pull=(target.share * first * e * slope)[0],
        bend=bend,
        used=used[0],
        prior=at.curvature[0] - data + damping,
        hessian=0.5 * full_hessian[0] + damping,
        loss=setting.data_loss(problem, price)[0],
        gradient_norm=gradient_norm(objective, y[None], at)[0],
        error=at.error[0],
    )


def parameter_sizes(fit: Fit) -> Float[np.ndarray, " moving"]:
    """Return sizes of the moving parameters, natural units.

    The size of a parameter is its absolute value, but at least a tenth of its typical value. In a bounded
    domain (such as that of a correlation) it is 1. For an increment of a shift it is the increment of the
    market's variance at the money.
    """
    sizes = fit.coordinates.sizes(np.asarray(fit.at.values), np.asarray(fit.at.unit))
    return np.asarray(sizes)[fit.moving]
