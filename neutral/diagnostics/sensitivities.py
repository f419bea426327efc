"""Derivatives of any function of a fit in the fitted quotes, without finite differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..calibration.implicit import follow
from ..calibration.request import Lane, Request
from ..calibration.result import CalibrationResult
from ..calibration.status import CalibrationStatus
from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..numerics.compiled import compiled
from ..presentation.frame import frame_of_arrays
from ..quotes.cells import in_row_order
from ..quotes.given_surfaces import OneSurface, quote_surface
from ..quotes.surface import QuoteSurface
from ..surfaces import ESSVI, ESSVIMixture, fit_essvi, fit_surface
from ..typing import Flags, Real
from .arguments import check_loss
from .linearisation import Fit, fits_of, problem_of
from .uncertainty import inverse, value_and_slopes

if TYPE_CHECKING:
    import pandas as pd


class Inputs(NamedTuple):
    """Inputs of a fit, or derivatives in them."""

    prices: Real  # (2, T, K) normalised
    weights: Real  # (2, T, K) relative
    forwards: Real  # (T,) at fixed strikes and quoted prices
    center: Any  # coordinates (n,) of a prior's center; or theta, psi and rho of an anchor by name

    @classmethod
    def of(cls, surface: QuoteSurface, center: Real | Mapping[str, Real]) -> Inputs:
        """Take the inputs from a surface."""
        return cls(
            prices=jnp.asarray(surface.prices),
            weights=jnp.asarray(surface.weight),
            forwards=jnp.asarray(surface.forward),
            center=jax.tree.map(jnp.asarray, center),
        )

    def onto(self, surface: QuoteSurface) -> QuoteSurface:
        """Replace the inputs of a surface by these."""
        return surface.with_prices(self.prices).with_weights(self.weights).with_forwards(self.forwards)


@dataclass(frozen=True)
class Sensitivities:
    """Derivatives of a function of a calibrated model or fitted surface; leading axes are those of its value.

    All are nan, with a reason, if the fit has not converged or the quotes do not determine its parameters.
    Derivatives in quotes that were not fitted, and through a parameter on a bound, are 0.

    Attributes:
        value: Value of the function.
        vols: Derivatives in each quoted implied volatility, all else equal, (..., 2, T, K).
        prices: Derivatives in each normalised quoted price, (..., 2, T, K).
        weights: Derivatives in each quote's relative weight, (..., 2, T, K).
        forwards: Derivatives in each expiry's forward, at fixed strikes and quoted prices
            (`QuoteSurface.with_forwards`), (..., T); only the effect through the fit.
        center: Derivatives in the center of the Tikhonov prior by name, natural units, 0 if there is no
            prior; for a fitted surface, derivatives in theta, psi and rho of its anchor.
        surface: The quotes.
        reason: Why there are no derivatives; "" if there are.
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
        """Return the vega ladder: one row per quote with its position and derivatives, in source order."""
        mask = np.asarray(self.surface.mask)
        cells = sorted(zip(*np.nonzero(mask), strict=True), key=lambda p: int(self.surface.index[p]))
        flat = self.vols.reshape((-1, *mask.shape))
        return [
            {"index": int(self.surface.index[p]), "kind": ("call", "put")[p[0]]}
            | {"t": float(self.surface.t[p[1]]), "k": float(self.surface.k[p[1:]])}
            | {f"vol[{i}]": float(ladder[p]) for i, ladder in enumerate(flat)}
            for p in cells
        ]

    def to_frame(self) -> pd.DataFrame:
        """Return a table with one row per quote, in the order of the table that the surface was built from.

        Columns: `kind`, `maturity` (years), `k` (log of strike over forward), and the derivatives of the
        value in the quote's volatility, normalised price and weight, `d_vol`, `d_price` and `d_weight`; of
        several values `d_vol[0]`, `d_vol[1]`, ... in C order.
        """
        pick = in_row_order(self.surface.mask, self.surface.index)
        kind, maturity, slot = pick
        columns = {
            "kind": np.array(["call", "put"], object)[kind],
            "maturity": np.asarray(self.surface.t)[maturity],
            "k": np.asarray(self.surface.k)[maturity, slot],
        }
        for name, values in (("d_vol", self.vols), ("d_price", self.prices), ("d_weight", self.weights)):
            flat = values.reshape((-1, *self.surface.mask.shape))[:, kind, maturity, slot]
            many = np.ndim(self.value) > 0
            columns |= {f"{name}[{i}]" if many else name: row for i, row in enumerate(flat)}
        frame = frame_of_arrays(columns, np.asarray(self.surface.index)[pick])
        frame.attrs["reason"] = self.reason
        return frame

    def __str__(self) -> str:
        """Write the sums of the derivatives in volatility over each expiry."""
        if self.reason:
            return f"sensitivities cannot be determined: {self.reason}"
        rows = np.any(np.asarray(self.surface.mask), axis=(0, 2))
        t = np.asarray(self.surface.t)[rows]
        total = np.sum(self.vols, axis=(-3, -1)).reshape(-1, rows.size)[:, rows]
        head = "d value / d volatility, by expiry " + ", ".join(f"{x:.3g}" for x in t)
        return "\n".join([head] + ["  " + ", ".join(f"{x:.4g}" for x in line) for line in total])


def sensitivities(
    result: CalibrationResult | ESSVI | ESSVIMixture,
    surface: OneSurface | None,
    function: Callable[[Any], Any],
    **options: Any,
) -> Sensitivities:
    """Compute derivatives of prices, Greeks, volatilities or parameters in the inputs of a fit.

    They follow from the implicit function theorem with the full Hessian in reverse mode: one linear system
    and one reverse sweep per number that the function returns.

    Args:
        result: One calibration, or one surface from `fit_essvi` or `fit_surface`, whose fit is repeated.
        surface: The quotes that were fitted; those of the calibration where None.
        function: Differentiable function from a model or surface to an array, such as
            `lambda m: neutral.price(m, 1.0, 1.1, 0.5)` or `lambda s: s.implied_vol(0.1, 0.5)`.
        options: For a calibration, engine, loss, prior, fixed, bounds and mask; only a result without
            request, saved by an older version, needs them. For a surface, the options of its fit.

    Returns:
        The derivatives, or a reason why there are none.

    Raises:
        ArgumentError: the result is a batch or was not fitted, the quotes are other ones, or options
            contradict the fit.
    """
    if isinstance(result, ESSVI | ESSVIMixture):
        quotes = quote_surface(cast(OneSurface, surface), "sensitivities")  # refuses None too
        return _of_surface(result, quotes, function, **options)
    if not isinstance(result, CalibrationResult) or np.ndim(result.status):
        raise ArgumentError(
            "sensitivities needs one fit, a CalibrationResult, ESSVI or ESSVIMixture; select one of a batch "
            f"by index, such as results[3]; got {result!r}."
        )
    (fit,) = fits_of(result, surface, **options)
    quotes = fit.surface
    reason = fit.reason or _singular(fit)
    if reason:
        center = dict.fromkeys(result.names, np.zeros(()))
        return _all_nan(function, result.model, Inputs.of(quotes, center), quotes, reason)
    value, slopes = value_and_slopes(fit, function)
    damping = 0.0 if result.damping is None else result.damping
    slopes = slopes.reshape(value.size, -1)
    input_derivatives = _reverse_sweep(fit.request, fit.lane, damping, fit.at.y, fit.at.moving, slopes=slopes)
    center = np.zeros((value.size, len(result.names)))
    if np.any(fit.request.precision):
        center = input_derivatives.center @ np.linalg.inv(_center_chain(fit.request, fit.lane))
    by_name = dict(zip(result.names, np.moveaxis(center, -1, 0), strict=True))
    return _arrange(value, input_derivatives._replace(center=by_name), quotes)


def _arrange(
    value: np.ndarray, derivatives: Inputs, surface: QuoteSurface, reason: str = ""
) -> Sensitivities:
    """Reshape derivatives, so that the axes of the function's value come first."""
    arranged = jax.tree.map(lambda x: np.asarray(x).reshape((*value.shape, *x.shape[1:])), derivatives)
    return Sensitivities(
        value=value,
        vols=arranged.prices * np.asarray(surface.vega),
        prices=arranged.prices,
        weights=arranged.weights,
        forwards=arranged.forwards,
        center=arranged.center,
        surface=surface,
        reason=reason,
    )


def _singular(fit: Fit) -> str:
    """Return a reason if the fit is not a strict minimum, so that it has no derivatives; else ""."""
    curvature = np.asarray(fit.at.hessian)[np.ix_(fit.moving, fit.moving)]
    too_few_strikes = fit.freedom < 0 and not np.any(fit.at.prior)
    if too_few_strikes or (curvature.size and np.any(np.isnan(inverse(curvature)))):
        return (
            "the curvature is not positive in every direction, so the quotes do not determine the parameters."
        )
    return ""


def _all_nan(
    function: Callable[[Any], Any],
    fitted: AbstractFourierModel | ESSVI | ESSVIMixture,
    inputs: Inputs,
    surface: QuoteSurface,
    reason: str,
) -> Sensitivities:
    """Return derivatives that are all nan, with the reason."""
    value = np.full(np.shape(jax.eval_shape(function, fitted)), np.nan)
    missing = jax.tree.map(lambda x: np.full((value.size, *np.shape(x)), np.nan), inputs)
    return _arrange(value, missing, surface, reason)


@compiled
def _reverse_sweep(
    request: Request, lane: Lane, damping: Real | float, y: Real, moving: Flags, slopes: Real
) -> Inputs:
    """Compute derivatives in all inputs, axis m first, of m numbers with slopes (m, n) in the coordinates."""

    def refit_coordinates(inputs: Inputs) -> Real:
        changed = lane._replace(surface=inputs.onto(lane.surface), center=inputs.center)
        return follow(request.setting, problem_of(request, changed, damping), y[None], moving[None])[0]

    _, back = jax.vjp(refit_coordinates, Inputs.of(lane.surface, lane.center))
    return jax.lax.map(lambda slope: back(slope)[0], slopes)


@compiled
def _center_chain(request: Request, lane: Lane) -> Real:
    """Compute derivatives of the center's natural values in its coordinates, (n, n)."""
    return request.setting.named_chain(problem_of(request, lane), jnp.asarray(lane.center)[None])[0]


def _of_surface(
    fitted: ESSVI | ESSVIMixture,
    surface: QuoteSurface,
    function: Callable[[Any], Any],
    anchor: ESSVI | None = None,
    **options: Any,
) -> Sensitivities:
    """Compute `sensitivities` of a fitted surface by differentiating its fit."""
    if np.ndim(fitted.status):
        raise ArgumentError("sensitivities needs a single surface, got a batch; select one, such as fits[3].")
    names = ("theta", "psi", "rho") if anchor is not None else ()
    inputs = Inputs.of(surface, {name: getattr(anchor, name) for name in names})
    if not fitted.converged:
        message = CalibrationStatus(int(fitted.status)).message
        reason = f"The fit has not converged. {message}"
        return _all_nan(function, fitted, inputs, surface, reason)

    def refit(inputs: Inputs) -> tuple[Real, Real]:
        """Return the function's value for a new fit, and the loss of that fit."""
        quotes = inputs.onto(surface)
        if isinstance(fitted, ESSVIMixture):
            new_fit = fit_surface(quotes, **options)
        else:
            changed = None
            if anchor is not None:
                changed = ESSVI(anchor.expiries, **inputs.center)
            new_fit = fit_essvi(quotes, anchor=changed, **options)
        return jnp.asarray(function(new_fit)), new_fit.loss

    value, back, loss = jax.vjp(refit, inputs, has_aux=True)
    check_loss(
        float(fitted.loss), float(loss), "pass loss, cap, anchor, strength, components and mask of the fit"
    )
    units = jnp.eye(value.size).reshape(value.size, *value.shape)
    (derivatives,) = jax.vmap(back)(units)
    return _arrange(np.asarray(value), derivatives, surface)
