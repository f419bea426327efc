"""Derivatives of any function of a fit in the quotes that it was fitted to, without bumping them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..calibration.implicit import follow
from ..calibration.request import Lane, Request
from ..calibration.result import CalibrationResult, CalibrationStatus
from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..quotes.surface import QuoteSurface
from ..surfaces import ESSVI, ESSVIMixture, fit_essvi, fit_surface
from ..typing import Flags, Real
from .arguments import check_loss
from .linearisation import Fit, fits_of, problem_of
from .uncertainty import inverse, value_and_slopes


class Inputs(NamedTuple):
    """The inputs of a fit, or derivatives in them."""

    prices: Real  # (2, T, K) normalised
    weights: Real  # (2, T, K)
    forwards: Real  # (T,) at fixed strikes and quoted prices
    center: Any  # of a prior: its coordinates (n,); of an anchor: theta, psi and rho by name

    @classmethod
    def of(cls, surface: QuoteSurface, center: Real | Mapping[str, Real]) -> Inputs:
        """The inputs of a surface, unchanged."""
        return cls(
            prices=jnp.asarray(surface.prices),
            weights=jnp.asarray(surface.weight),
            forwards=jnp.asarray(surface.forward),
            center=jax.tree.map(jnp.asarray, center),
        )

    def onto(self, surface: QuoteSurface) -> QuoteSurface:
        """The surface with these inputs in place of its own."""
        return surface.with_prices(self.prices).with_weights(self.weights).with_forwards(self.forwards)


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives of a function of a calibrated model or fitted surface; leading axes are those of its value.

    All are nan, with the reason, where the fit has not converged or the quotes do not determine its
    parameters. Derivatives in quotes that were not fitted, and through a parameter on a bound, are 0.

    Attributes:
        value: Value of the function.
        vols: Derivatives in each quoted implied volatility, all else equal, shape (..., 2, T, K).
        prices: Derivatives in each quoted price, normalised, shape (..., 2, T, K).
        weights: Derivatives in each quote's relative weight, shape (..., 2, T, K).
        forwards: Derivatives in each expiry's forward, at fixed strikes and quoted prices
            (`QuoteSurface.with_forwards`), shape (..., T); through the fit alone.
        center: Derivatives in the center of Tikhonov's prior, natural units, by name, 0 where there is none;
            of a fitted surface in theta, psi and rho of its anchor.
        surface: Where the quotes are.
        reason: Why there are no derivatives; "" where there are.
    """

    value: Float[np.ndarray, "*value"]
    vols: Float[np.ndarray, "*value 2 T K"]
    prices: Float[np.ndarray, "*value 2 T K"]
    weights: Float[np.ndarray, "*value 2 T K"]
    forwards: Float[np.ndarray, "*value T"]
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
        """Sums of the derivatives in volatility over each expiry."""
        if self.reason:
            return f"sensitivities cannot be determined: {self.reason}"
        rows = np.any(np.asarray(self.surface.mask), axis=(0, 2))
        t = np.asarray(self.surface.t)[rows]
        total = np.sum(self.vols, axis=(-3, -1)).reshape(-1, rows.size)[:, rows]
        head = "d value / d volatility, by expiry " + ", ".join(f"{x:.3g}" for x in t)
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
        surface: The quotes that it was fitted to.
        function: Differentiable, model or surface to array, such as
            `lambda m: neutral.price(m, 1.0, 1.1, 0.5)` or `lambda s: s.implied_vol(0.1, 0.5)`.
        options: Of a calibration: engine, loss, prior, fixed, bounds and mask, which the result knows, so
            that only one that an older version has saved needs them. Of a surface: the options of its fit.

    Raises:
        ArgumentError: a batch; other quotes; options that contradict the fit; a surface that was not fitted.
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
    slopes = slopes.reshape(value.size, -1)
    swept = _swept(fit.request, fit.lane, damping, fit.at.y, fit.at.moving, slopes=slopes)
    center = np.zeros((value.size, len(result.names)))
    if np.any(fit.request.precision):
        center = swept.center @ np.linalg.inv(_center_chain(fit.request, fit.lane))
    by_name = dict(zip(result.names, np.moveaxis(center, -1, 0), strict=True))
    return _laid_out(value, swept._replace(center=by_name), surface)


def _laid_out(
    value: np.ndarray, derivatives: Inputs, surface: QuoteSurface, reason: str = ""
) -> Sensitivities:
    """Derivatives of the numbers that a function returns, with the axes of its value in front."""
    shaped = jax.tree.map(lambda x: np.asarray(x).reshape((*value.shape, *x.shape[1:])), derivatives)
    return Sensitivities(
        value=value,
        vols=shaped.prices * np.asarray(surface.vega),
        prices=shaped.prices,
        weights=shaped.weights,
        forwards=shaped.forwards,
        center=shaped.center,
        surface=surface,
        reason=reason,
    )


def _singular(fit: Fit) -> str:
    """A reason where the fit is no strict minimum, so that it does not follow its quotes; else ""."""
    curvature = np.asarray(fit.at.hessian)[np.ix_(fit.moving, fit.moving)]
    few = fit.freedom < 0 and not np.any(fit.at.prior)
    if few or (curvature.size and np.any(np.isnan(inverse(curvature)))):
        return "the curvature is not positive in every direction, so quotes do not determine the parameters."
    return ""


def _unknown(
    function: Callable[[Any], Any],
    fitted: AbstractFourierModel | ESSVI | ESSVIMixture,
    inputs: Inputs,
    surface: QuoteSurface,
    reason: str,
) -> Sensitivities:
    """Derivatives that are all nan, with the reason."""
    value = np.full(np.shape(jax.eval_shape(function, fitted)), np.nan)
    missing = jax.tree.map(lambda x: np.full((value.size, *np.shape(x)), np.nan), inputs)
    return _laid_out(value, missing, surface, reason)


@eqx.filter_jit
def _swept(
    request: Request, lane: Lane, damping: Real | float, y: Real, moving: Flags, slopes: Real
) -> Inputs:
    """Derivatives in all inputs of numbers with slopes (m, n) in the coordinates, each with axis m first."""

    def solution(inputs: Inputs) -> Real:
        moved = lane._replace(surface=inputs.onto(lane.surface), center=inputs.center)
        return follow(request.setting, problem_of(request, moved, damping), y[None], moving[None])[0]

    _, back = jax.vjp(solution, Inputs.of(lane.surface, lane.center))
    return jax.lax.map(lambda slope: back(slope)[0], slopes)


@eqx.filter_jit
def _center_chain(request: Request, lane: Lane) -> Real:
    """Derivatives of the center's natural values in its coordinates, (n, n)."""
    return request.setting.named_chain(problem_of(request, lane), jnp.asarray(lane.center)[None])[0]


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

    def refitted(inputs: Inputs) -> tuple[Real, Real]:
        """The value of the function of a new fit, and the loss of the fit."""
        quotes = inputs.onto(surface)
        if isinstance(fitted, ESSVIMixture):
            again = fit_surface(quotes, **options)
        else:
            moved = None
            if anchor is not None:
                moved = ESSVI(anchor.expiries, **inputs.center)
            again = fit_essvi(quotes, anchor=moved, **options)
        return jnp.asarray(function(again)), again.loss

    value, back, loss = jax.vjp(refitted, inputs, has_aux=True)
    check_loss(
        float(fitted.loss), float(loss), "give loss, cap, anchor, strength, components and mask of the fit"
    )
    units = jnp.eye(value.size).reshape(value.size, *value.shape)
    (derivatives,) = jax.vmap(back)(units)
    return _laid_out(np.asarray(value), derivatives, surface)
