"""What a quote is worth: derivatives of anything under a fit in what it was fitted to, without bumps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..calibration.implicit import follow
from ..calibration.request import Lane, Request
from ..calibration.result import CalibrationResult, CalibrationStatus
from ..errors import ArgumentError
from ..quotes.surface import QuoteSurface
from ..surfaces import ESSVI, ESSVIMixture, fit_essvi, fit_surface
from ..typing import Flags, Real
from .linearisation import Fit, check_loss, fits_of, problem_of
from .uncertainty import inverse, value_and_slopes


class Inputs(NamedTuple):
    """What a fit is made from; or derivatives in it."""

    prices: Any  # (2, T, K) normalised
    weights: Any  # (2, T, K)
    forwards: Any  # (T,) at fixed strikes and quoted prices
    center: Any  # of a prior: its coordinates (n,); of an anchor: theta, psi and rho by name

    @classmethod
    def of(cls, surface: QuoteSurface, center: Any) -> "Inputs":
        """As they are."""
        return cls(*jax.tree.map(jnp.asarray, (surface.prices, surface.weight, surface.forward, center)))

    def onto(self, surface: QuoteSurface) -> QuoteSurface:
        """The surface made from these."""
        return surface.with_prices(self.prices).with_weights(self.weights).with_forwards(self.forwards)


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives of a function of a calibrated model or fitted surface; leading axes are those of its value.

    All are nan where the fit has not converged, or a direction of its parameters is not seen at all, with the
    reason. Quotes that were not fitted, and everything
    through a parameter on a bound, have derivative 0.

    Attributes:
        value: Of the function.
        vols: In each quoted implied volatility, all else equal, (..., 2, T, K).
        prices: In each quoted price, normalised, (..., 2, T, K).
        weights: In each quote's relative weight, (..., 2, T, K).
        forwards: In each expiry's forward, at fixed strikes and quoted prices (`QuoteSurface.with_forwards`),
            (..., T); through the fit alone.
        center: In the center of Tikhonov's prior, natural units, by name, 0 where there is none; of a fitted
            surface in theta, psi and rho of its anchor.
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
    result: CalibrationResult | ESSVI | ESSVIMixture,
    surface: QuoteSurface,
    function: Callable[[Any], Any],
    **options: Any,
) -> Sensitivities:
    """Derivatives of prices, Greeks, volatilities or parameters in what a model or surface was fitted to.

    The implicit function theorem with the full Hessian, backwards: one linear system and one reverse sweep
    per number that the function returns.

    Args:
        result: One calibration, or one surface from `fit_essvi` or `fit_surface`, which is fitted once more.
        surface: What it was fitted to.
        function: Differentiable, model or surface to array, such as
            `lambda m: neutral.price(m, 1.0, 1.1, 0.5)` or `lambda s: s.implied_vol(0.1, 0.5)`.
        options: engine, loss, prior, fixed, bounds and mask of the calibration; those of the surface's fit.

    Raises:
        ArgumentError: a batch; arguments that are not those of the fit; a surface that was not fitted.
    """
    if isinstance(result, ESSVI | ESSVIMixture):
        return _of_surface(result, surface, function, **options)
    if not isinstance(result, CalibrationResult) or np.ndim(result.status):
        raise ArgumentError(
            "sensitivities takes one fit, a CalibrationResult, ESSVI or ESSVIMixture; of a batch take one by "
            f"index, as in results[3]; got {result!r}."
        )
    (fit,) = fits_of(result, surface, **options)
    reason = fit.reason or _singular(fit)
    if reason:
        center = dict.fromkeys(result.names, np.zeros(()))
        return _unknown(function, result.model, Inputs.of(surface, center), surface, reason)
    value, slopes = value_and_slopes(fit, function)
    damping = 0.0 if result.damping is None else result.damping
    found = _swept(fit.asked, fit.lane, damping, fit.at.y, fit.at.moving, slopes.reshape(value.size, -1))
    center = np.zeros((value.size, len(result.names)))
    if np.any(fit.asked.precision):
        center = found.center @ np.linalg.inv(_center_chain(fit.asked, fit.lane))
    by_name = dict(zip(result.names, np.moveaxis(center, -1, 0), strict=True))
    return _laid_out(value, found._replace(center=by_name), surface)


def _laid_out(value: np.ndarray, found: Inputs, surface: QuoteSurface, reason: str = "") -> Sensitivities:
    """The axis of the numbers that a function returns in the shape of its value."""
    found = jax.tree.map(lambda x: np.asarray(x).reshape((*value.shape, *x.shape[1:])), found)
    return Sensitivities(value, found.prices * np.asarray(surface.vega), *found, surface, reason)


def _singular(fit: Fit) -> str:
    """Why the fit does not follow its quotes: it is no strict minimum; "" where it is."""
    curvature = fit.at.hessian[np.ix_(fit.moving, fit.moving)]
    few = fit.freedom < 0 and not np.any(fit.at.prior)
    if few or (curvature.size and np.any(np.isnan(inverse(curvature)))):
        return "the curvature is not positive in every direction, so quotes do not determine the parameters."
    return ""


def _unknown(
    function: Callable[[Any], Any], fitted: Any, inputs: Inputs, surface: QuoteSurface, reason: str
) -> Sensitivities:
    """nan of every shape."""
    value = np.full(np.shape(jax.eval_shape(function, fitted)), np.nan)
    found = jax.tree.map(lambda x: np.full((value.size, *np.shape(x)), np.nan), inputs)
    return _laid_out(value, found, surface, reason)


@eqx.filter_jit
def _swept(asked: Request, lane: Lane, damping: Any, y: Any, moving: Flags, slopes: Any) -> Inputs:
    """Derivatives in all inputs of numbers with slopes (m, n) in the coordinates, each with axis m first."""

    def solution(inputs: Inputs) -> Real:
        moved = lane._replace(surface=inputs.onto(lane.surface), center=inputs.center)
        return follow(asked.setting, problem_of(asked, moved, damping), y[None], moving[None])[0]

    _, back = jax.vjp(solution, Inputs.of(lane.surface, lane.center))
    return jax.lax.map(lambda slope: back(slope)[0], slopes)


@eqx.filter_jit
def _center_chain(asked: Request, lane: Lane) -> Real:
    """Derivatives of the center's natural values in its coordinates, (n, n)."""
    return asked.setting.named_chain(problem_of(asked, lane), jnp.asarray(lane.center)[None])[0]


def _of_surface(
    fitted: ESSVI | ESSVIMixture,
    surface: QuoteSurface,
    function: Callable[[Any], Any],
    anchor: ESSVI | None = None,
    **options: Any,
) -> Sensitivities:
    """`sensitivities` of a fitted surface, through a fit that is differentiable itself."""
    if np.ndim(fitted.status):
        raise ArgumentError("sensitivities takes one surface; take one from the batch first, as in fits[3].")
    names = ("theta", "psi", "rho") if anchor is not None else ()
    inputs = Inputs.of(surface, {name: getattr(anchor, name) for name in names})
    if not fitted.converged:
        message = CalibrationStatus(int(fitted.status)).message
        reason = f"The fit has not converged. {message}"
        return _unknown(function, fitted, inputs, surface, reason)

    def told(inputs: Inputs) -> tuple[Real, Real]:
        quotes = inputs.onto(surface)
        if isinstance(fitted, ESSVIMixture):
            again = fit_surface(quotes, **options)
        else:
            held = ESSVI(anchor.expiries, **inputs.center) if anchor is not None else None
            again = fit_essvi(quotes, anchor=held, **options)
        return jnp.asarray(function(again)), again.loss

    value, back, loss = jax.vjp(told, inputs, has_aux=True)
    check_loss(fitted.loss, loss, "loss, cap, anchor, strength, components and mask of the fit")
    units = jnp.eye(value.size).reshape(value.size, *value.shape)
    (found,) = jax.vmap(back)(units)
    return _laid_out(np.asarray(value), found, surface)
