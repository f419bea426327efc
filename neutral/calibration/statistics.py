"""Statistics of a fit: errors of its quotes, likelihood, degrees of freedom, intervals of its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from ..errors import ArgumentError
from ..models.parameters import Domain, domains, split_unit
from ..numerics.error_measures import error_measures
from ..quotes.surface import QuoteSurface
from ..typing import Values
from .quote_errors import QuoteErrors, quote_errors
from .request import Request

if TYPE_CHECKING:
    from .result import CalibrationResult

BP = 1e4
"""Basis points of 1."""
_CHUNK = 1024  # fits whose quotes are compared together, which bounds the memory


class FitStatistics(NamedTuple):
    """Errors of fits over a set of quotes, with the leading axes of a batch; nan where they cannot be known.

    Attributes:
        quotes: Number of quotes.
        strikes: Number of strikes, over all maturities; call and put of a strike count as one.
        rmse_bp: Root mean square error of implied volatility, in basis points.
        rmse: Root mean square error of prices, in the unit of the quotes.
        mae: Mean absolute error of prices, in the unit of the quotes.
        inside: Share of the quotes with bid and ask whose model price lies between them.
        rsquared: 1 less the sum of squared errors of prices over that of their deviations from the mean.
        smape: Mean of 2 |model - market| / (|model| + |market|), a share between 0 and 2.
        rmse_over_mean: `rmse` over the mean price.
    """

    quotes: np.ndarray
    strikes: np.ndarray
    rmse_bp: np.ndarray
    rmse: np.ndarray
    mae: np.ndarray
    inside: np.ndarray
    rsquared: np.ndarray
    smape: np.ndarray
    rmse_over_mean: np.ndarray


def surface_of(result: CalibrationResult) -> QuoteSurface:
    """Return the quotes of a result, on the host.

    Raises:
        ArgumentError: the result has no quotes.
    """
    if result.surface is None:
        raise ArgumentError(
            "this result has no quotes, because an older version saved it: calibrate again, or use "
            "neutral.diagnose(result, surface)."
        )
    return jax.tree.map(np.asarray, result.surface)


def request_of_fit(result: CalibrationResult) -> Request:
    """Return the request of a result.

    Raises:
        ArgumentError: the result has no request.
    """
    if result.request is None:
        raise ArgumentError(
            "this result has no request: an older version saved it, or it has a custom engine, loss or "
            "prior. Calibrate again."
        )
    return result.request


def fitted_quotes(result: CalibrationResult) -> Bool[np.ndarray, "... 2 T K"]:
    """Flag the quotes that were fitted: those of the mask with a weight above 0."""
    surface = surface_of(result)
    mask = request_of_fit(result).mask
    used = surface.train if mask is None else np.asarray(mask, bool)
    return np.asarray(used & surface.mask & (surface.weight > 0.0))


def errors_of(result: CalibrationResult, chosen: Bool[np.ndarray, "... 2 T K"] | bool = True) -> QuoteErrors:
    """Compare the prices of a result with its quotes."""
    return quote_errors(result.prices, result.residuals, surface_of(result), chosen)


def statistics(result: CalibrationResult, chosen: Bool[np.ndarray, ...] | None = None) -> FitStatistics:
    """Compute the statistics of a result over chosen quotes, by default those that were fitted."""
    if np.ndim(result.status) and len(result) > _CHUNK:
        picks = None if chosen is None else np.broadcast_to(chosen, np.shape(result.prices))
        chunks = [slice(i, i + _CHUNK) for i in range(0, len(result), _CHUNK)]
        parts = [statistics(result[some], None if picks is None else picks[some]) for some in chunks]
        return FitStatistics(*(np.concatenate(x) for x in zip(*parts, strict=True)))
    surface = surface_of(result)
    pick = fitted_quotes(result) if chosen is None else chosen & surface.mask
    return statistics_on(surface, np.asarray(result.prices), pick, np.asarray(result.residuals))


def statistics_on(
    surface: QuoteSurface,
    prices: Float[np.ndarray, "... 2 T K"],
    pick: Bool[np.ndarray, "... 2 T K"],
    residuals: Float[np.ndarray, "... 2 T K"] | None = None,
) -> FitStatistics:
    """Compute the statistics of normalised prices against the chosen quotes of a surface.

    Args:
        surface: The quotes, one surface or a stack.
        prices: Normalised prices of a model.
        pick: True for the quotes that count.
        residuals: Prices less those of the market; computed where None.
    """
    surface = jax.tree.map(np.asarray, surface)
    residuals = prices - surface.prices if residuals is None else residuals
    errors = quote_errors(prices, residuals, surface, pick)
    unit = np.asarray(surface.unit)[..., None, :, None]
    market = np.where(pick, surface.prices, np.nan) * unit
    measured = error_measures(_flat(market + errors.price * unit), _flat(market), _flat(pick))
    vols = _flat(errors.vol)
    return FitStatistics(
        quotes=np.sum(_flat(pick), axis=-1),
        strikes=_strikes(pick),
        rmse_bp=BP * np.sqrt(_mean(vols**2)),
        rmse=measured.rmse,
        mae=measured.mae,
        inside=_mean(_flat(errors.inside)),
        rsquared=measured.rsquared,
        smape=measured.smape,
        rmse_over_mean=measured.rmse_over_mean,
    )


def observations(result: CalibrationResult) -> np.ndarray:
    """Number of fitted strikes; call and put of a strike are one observation."""
    return _strikes(fitted_quotes(result))


def free_parameters(result: CalibrationResult) -> Bool[np.ndarray, "... n"]:
    """Flag the parameters that the quotes of a fit could move and that were not fixed."""
    request = request_of_fit(result)
    used = fitted_quotes(result)
    free = request.setting.coordinates.free(np.reshape(used, (-1, *used.shape[-3:])))
    return np.reshape(np.asarray(free), (*used.shape[:-3], -1)) & ~np.asarray(request.fixed)


def log_likelihood(mean_square: Values, observations: Values) -> np.ndarray:
    """Compute the Gaussian log-likelihood of errors with one variance, which is estimated.

    It is -n/2 (log(2 pi s) + 1), where s is the mean square of the scaled errors.

    Args:
        mean_square: Mean squares s, such as the `loss` of fits.
        observations: Numbers n of observations.

    Returns:
        Log-likelihoods, nan where s is not above 0.
    """
    square = np.asarray(mean_square, float)
    positive = np.where(square > 0.0, square, np.nan)
    return np.asarray(-0.5 * np.asarray(observations) * (np.log(2.0 * np.pi * positive) + 1.0))


def named_values(result: CalibrationResult) -> Float[np.ndarray, "... n"]:
    """Values of the `names` of a result, in natural units."""
    leaves = jax.tree_util.tree_leaves_with_path(result.model)
    fields = {jax.tree_util.keystr(path[-1:]).strip("."): np.asarray(leaf) for path, leaf in leaves}
    return np.stack([_entry(fields, name) for name in result.names], axis=-1)


def parameter_domains(result: CalibrationResult) -> tuple[Domain, ...]:
    """Domain of each of the `names` of a result."""
    declared = domains(result.model.base) | domains(result.model)
    return tuple(declared[name.partition("[")[0]] for name in result.names)


def parameter_units(result: CalibrationResult) -> tuple[str, ...]:
    """Unit of each of the `names` of a result; "" for a number without one."""
    fields = type(result.model.base).__dataclass_fields__ | type(result.model).__dataclass_fields__
    described = (fields[name.partition("[")[0]].metadata["description"] for name in result.names)
    return tuple(split_unit(description)[1] for description in described)


def degrees_of_freedom(result: CalibrationResult) -> np.ndarray:
    """Number of fitted strikes less number of parameters that are neither fixed nor on a bound."""
    moving = free_parameters(result) & ~np.asarray(result.at_bound)
    return np.asarray(observations(result) - np.sum(moving, axis=-1))


def intervals(result: CalibrationResult, alpha: float) -> Float[np.ndarray, "... n 2"]:
    """Compute confidence intervals from the standard errors, by Student's t distribution.

    They are symmetric in the logarithm of a positive parameter and in atanh of a bounded one, so that they
    stay inside the domains.

    Args:
        result: One fit or a batch.
        alpha: Probability, in (0, 1), that an interval does not cover its parameter.

    Returns:
        Lower and upper ends; nan for a parameter without a standard error.

    Raises:
        ArgumentError: alpha is not between 0 and 1.
    """
    from scipy.special import stdtrit

    if not 0.0 < alpha < 1.0:
        raise ArgumentError(
            f"alpha must lie between 0 and 1, such as 0.05 for 95 % intervals, got {alpha!r}."
        )
    freedom = degrees_of_freedom(result)
    reach = np.where(freedom > 0, stdtrit(np.maximum(freedom, 1), 1.0 - 0.5 * alpha), np.nan)
    values = named_values(result)
    half = np.expand_dims(reach, -1) * np.asarray(result.standard_errors)
    ends = [
        _around(domain, values[..., i], half[..., i]) for i, domain in enumerate(parameter_domains(result))
    ]
    return np.stack(ends, axis=-2)


def _around(domain: Domain, value: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Ends of an interval around values of a parameter, whose half width is `half` to first order."""
    sides = np.array([-1.0, 1.0])
    value = np.expand_dims(value, -1)
    half = np.expand_dims(half, -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        if np.isinf(domain.lower):
            return value + sides * half
        if np.isinf(domain.upper):
            distance = value - domain.lower
            return domain.lower + distance * np.exp(sides * half / distance)
        radius = 0.5 * (domain.upper - domain.lower)
        position = (value - domain.lower) / radius - 1.0
        step = half / (radius * (1.0 - position**2))
        return domain.lower + radius * (1.0 + np.tanh(np.arctanh(position) + sides * step))


def _entry(fields: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Values of a coordinate: `kappa`, or `kappa[1]` of a parameter with an axis."""
    field, _, index = name.partition("[")
    return fields[field][..., int(index[:-1])] if index else fields[field]


def _flat(values: np.ndarray) -> np.ndarray:
    """Join the three axes of quotes."""
    return np.reshape(values, (*values.shape[:-3], -1))


def _strikes(chosen: Bool[np.ndarray, "... 2 T K"]) -> np.ndarray:
    return np.asarray(np.sum(np.any(chosen, axis=-3), axis=(-2, -1)))


def _mean(values: Float[np.ndarray, "... n"]) -> np.ndarray:
    """Mean of the finite values over the last axis; nan without any."""
    finite = np.isfinite(values)
    count = np.sum(finite, axis=-1)
    total = np.sum(np.where(finite, values, 0.0), axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
