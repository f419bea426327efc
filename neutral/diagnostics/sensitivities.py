"""What a quote is worth: derivatives of anything under a calibrated model in its quotes, without a refit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calibration.lane import make_problem
from ..calibration.request import Lane, Request
from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..quote_surface import QuoteSurface
from ..typing import Real
from .linearisation import Fit, fits_of
from .uncertainty import inverse, value_and_slopes


class Inputs(NamedTuple):
    """What a fit is made from; or derivatives in it."""

    prices: Real  # (2, T, K) normalised
    weights: Real  # (2, T, K)
    log_forward: Real  # (T,) change of it, at fixed strikes and quoted prices
    center: Real  # (n,) of the prior, in the coordinates


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives of a function of the calibrated model; leading axes are those of its value.

    All are nan where the fit has not converged, or a direction of its parameters is not seen at all, with the
    reason. Quotes that were not fitted, and everything
    through a parameter on a bound, have derivative 0.

    Attributes:
        value: Of the function.
        vols: In each quoted implied volatility, all else equal, (..., 2, T, K).
        prices: In each quoted price, normalised, (..., 2, T, K).
        weights: In each quote's relative weight, (..., 2, T, K).
        forwards: In each expiry's forward, at fixed strikes and quoted prices, (..., T); through the
            parameters alone.
        center: In the center of Tikhonov's prior, natural units, by name; 0 where it does not pull.
        surface: Where the quotes are.
        reason: Why there are none; "" where there are.
    """

    value: np.ndarray
    vols: np.ndarray
    prices: np.ndarray
    weights: np.ndarray
    forwards: np.ndarray
    center: dict[str, np.ndarray]
    surface: QuoteSurface
    reason: str = ""

    def rows(self) -> list[dict[str, Any]]:
        """The vega ladder: a row per quote with its place and derivatives, by row of the source."""
        mask = np.asarray(self.surface.mask)
        places = sorted(zip(*np.nonzero(mask), strict=True), key=lambda p: int(self.surface.index[p]))
        flat = self.vols.reshape((-1, *mask.shape))
        return [
            {"index": int(self.surface.index[p]), "kind": ("call", "put")[p[0]]}
            | {"t": float(self.surface.t[p[1]]), "k": float(self.surface.k[p[1:]])}
            | {f"vol[{i}]": float(ladder[p]) for i, ladder in enumerate(flat)}
            for p in places
        ]

    def __str__(self) -> str:
        """The sums over each expiry."""
        if self.reason:
            return f"sensitivities cannot be determined: {self.reason}"
        rows = np.any(np.asarray(self.surface.mask), axis=(0, 2))
        total = np.sum(self.vols, axis=(-3, -1)).reshape(-1, rows.size)[:, rows]
        head = "d value / d volatility, by expiry " + ", ".join(f"{t:.3g}" for t in self.surface.t[rows])
        return "\n".join([head] + ["  " + ", ".join(f"{x:.4g}" for x in line) for line in total])


def sensitivities(
    result: CalibrationResult, surface: QuoteSurface, function: Callable[[Any], Any], **options: Any
) -> Sensitivities:
    """Derivatives of prices, Greeks, volatilities or parameters in what a model was fitted to.

    The implicit function theorem with the full Hessian, backwards: one linear system, and one reverse sweep
    per number that the function returns.

    Args:
        result: One fit.
        surface: What it was calibrated to.
        function: Differentiable, model to array, such as `lambda m: neutral.price(m, 1.0, 1.1, 0.5)`.
        options: engine, loss, prior, fixed, bounds and mask of the calibration.

    Raises:
        ArgumentError: a batch; arguments that are not those of the calibration.
    """
    if np.ndim(result.status):
        raise ArgumentError("sensitivities takes one fit; take one from the batch first, as in results[3].")
    (fit,) = fits_of(result, surface, **options)
    reason = fit.reason or _singular(fit)
    if reason:
        return _unknown(fit._replace(reason=reason), function)
    value, slopes = value_and_slopes(fit, function)
    at, moving = fit.at, fit.moving
    adjoint = np.zeros((value.size, at.y.size))
    system = 2.0 * at.hessian[np.ix_(moving, moving)]
    adjoint[:, moving] = np.linalg.solve(system, slopes.reshape(value.size, -1)[:, moving].T).T
    found = jax.tree.map(np.asarray, _swept(fit.asked, fit.lane, at.y, adjoint))
    found = jax.tree.map(lambda x: x.reshape((*value.shape, *x.shape[1:])), found)
    chain = np.asarray(_center_chain(fit.asked, fit.lane))
    center = found.center @ np.linalg.inv(chain) if np.any(fit.asked.precision) else found.center
    return Sensitivities(
        value,
        found.prices * np.asarray(surface.vega),
        found.prices,
        found.weights,
        found.log_forward / np.asarray(surface.forward),
        {name: center[..., i] for i, name in enumerate(result.names)},
        surface,
    )


def _singular(fit: Fit) -> str:
    """Why the fit does not follow its quotes: it is no strict minimum; "" where it is."""
    curvature = fit.at.hessian[np.ix_(fit.moving, fit.moving)]
    few = fit.freedom < 0 and not np.any(fit.at.prior)
    if few or (curvature.size and np.any(np.isnan(inverse(curvature)))):
        return "the curvature is not positive in every direction, so quotes do not determine the parameters."
    return ""


def _unknown(fit: Fit, function: Callable[[Any], Any]) -> Sensitivities:
    """nan of every shape."""
    value = np.full(np.shape(jax.eval_shape(function, fit.result.model)), np.nan)
    quotes = np.full((*value.shape, *np.shape(fit.surface.mask)), np.nan)
    rows = np.full((*value.shape, np.size(fit.surface.t)), np.nan)
    center = dict.fromkeys(fit.result.names, value)
    return Sensitivities(value, quotes, quotes, quotes, rows, center, fit.surface, fit.reason)


def _gradient(asked: Request, lane: Lane, y: Real, given: Inputs) -> Real:
    """Of the cost of one surface, (n,), with quadrature nodes and scales of errors held."""
    setting = asked.setting
    _, used, clean = setting.loss.usable(lane.surface, lane.used)
    shift = given.log_forward[:, None]
    unit = jnp.exp(-shift)[None] if clean.settlement == "cash" else jnp.ones((1, 1, 1))
    quotes = {"prices": given.prices, "bid": clean.bid, "ask": clean.ask}
    moved = eqx.tree_at(
        lambda s: (s.k, s.prices, s.bid, s.ask, s.weight),
        clean,
        (clean.k - shift, *(x * unit for x in quotes.values()), given.weights),
    )
    lanes = jax.tree.map(lambda x: x[None], lane._replace(surface=moved, center=given.center))
    problem = make_problem(asked, lanes, lanes.surface, used[None])
    # a spread that moves with the forward would move the scale of the errors too
    still = setting.loss.targets(clean, used).scale[None]
    problem = problem._replace(
        targets=problem.targets._replace(scale=still),
        unit=jax.lax.stop_gradient(problem.unit),
    )
    return jax.grad(lambda y: setting.cost(problem, y[None])[0])(y)


@eqx.filter_jit
def _swept(asked: Request, lane: Lane, y: Any, adjoint: Any) -> Inputs:
    """Less the derivatives of adjoint . gradient in all inputs, with a leading axis of adjoints."""
    clean = asked.setting.loss.usable(lane.surface, lane.used)[2]
    given = Inputs(clean.prices, clean.weight, jnp.zeros_like(clean.t), jnp.asarray(lane.center))
    _, back = jax.vjp(lambda given: _gradient(asked, lane, y, given), given)
    return jax.tree.map(lambda x: -x, jax.lax.map(lambda one: back(one)[0], adjoint))


@eqx.filter_jit
def _center_chain(asked: Request, lane: Lane) -> Real:
    """Derivatives of the center's natural values in its coordinates, (n, n)."""
    lanes = jax.tree.map(lambda x: x[None], lane)
    _, used, clean = asked.setting.loss.usable(lanes.surface, lanes.used)
    return asked.setting.named_chain(make_problem(asked, lanes, clean, used), lanes.center)[0]
