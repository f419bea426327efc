"""`compare`: fits of several models to the same quotes beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Bool

from ..calibration import price_surface
from ..calibration.condition import SCALING
from ..calibration.result import CalibrationResult
from ..calibration.result_summary import loss_text
from ..calibration.statistics import (
    FitStatistics,
    fitted_quotes,
    free_parameters,
    request_of_fit,
    statistics_on,
    surface_of,
)
from ..calibration.status import CalibrationStatus
from ..errors import ArgumentError
from ..presentation.drawing import draw
from ..presentation.frame import Tabular
from ..presentation.summary import Summary, Table, number, percent
from ..quotes.given_surfaces import OneSurface, quote_surface
from ..quotes.surface import QuoteSurface
from .selection import Criteria, information_criteria

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ModelComparison(Tabular):
    """Fits of several models to the same quotes.

    Attributes:
        results: The fits by name.
        criteria: Information criteria; nan, with a reason, where the fits have different losses.
        statistics: Errors of each fit, over the quotes that were fitted or those of another surface.
        notes: How numbers are defined.
    """

    results: Mapping[str, CalibrationResult]
    criteria: Criteria
    statistics: Mapping[str, FitStatistics]
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per model.

        `model`, `status`, `converged`; `parameters` (free ones), `loss`, `loglikelihood`, `aic`, `aicc`,
        `bic`, `weight` (Akaike weight by AICc); `rmse_bp` (volatility, basis points), `rmse` (price, unit of
        the quotes), `inside`, `rsquared`; `steps`, `condition_number`, `at_bound` (names).
        """
        weights = self.criteria.weights()
        rows = []
        for i, (name, result) in enumerate(self.results.items()):
            status = CalibrationStatus(int(result.status))
            row = {"model": name, "status": status.name, "converged": bool(result.converged)}
            row |= {"parameters": int(self.criteria.parameters[i]) - 1, "loss": float(result.loss)}
            row |= {"loglikelihood": float(self.criteria.log_likelihood[i])}
            row |= {kind: float(getattr(self.criteria, kind)[i]) for kind in ("aic", "aicc", "bic")}
            errors = self.statistics[name]
            row |= {"weight": float(weights[i])}
            row |= {kind: float(getattr(errors, kind)) for kind in ("rmse_bp", "rmse", "inside", "rsquared")}
            row |= {"steps": int(result.steps), "condition_number": float(result.condition_number)}
            rows.append(row | {"at_bound": ", ".join(result.bounds_hit)})
        return rows

    def summary(self) -> Summary:
        """Summarise the comparison in one table: text, HTML and LaTeX."""
        header = ("model", "status", "parameters", "log L", "AIC", "BIC", "weight")
        header += ("RMSE, bp", "inside", "steps", "condition", "at bound")
        cells = [
            (
                *(str(row[name]) for name in ("model", "status", "parameters")),
                *(number(row[name], 6) for name in ("loglikelihood", "aic", "bic")),
                number(row["weight"], 3),
                number(row["rmse_bp"]),
                percent(row["inside"]),
                str(row["steps"]),
                number(row["condition_number"], 3),
                row["at_bound"],
            )
            for row in self.rows()
        ]
        table = Table(tuple(cells), header, align="llrrrrrrrrrl")
        return Summary(f"{len(cells)} models", [table], self.notes)

    def __str__(self) -> str:
        """Write the summary."""
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary().as_html()

    def plot(self, **options: Any) -> Figure:
        """Draw the models beside each other, as `neutral.plot.comparison` does.

        Args:
            options: Its options, such as `title` and `ax`.
        """
        return draw("comparison", self, **options)


def compare(results: Mapping[str, CalibrationResult], surface: OneSurface | None = None) -> ModelComparison:
    """Compare fits of several models to the same quotes.

    Likelihoods and criteria are those of the fits: Gaussian scaled errors with one variance, call and put of
    a strike as one observation. They are exact for a plain mean of squares, approximate for a robust loss or
    with a prior, and missing where the fits minimise different losses, because likelihoods of different
    errors cannot be compared.

    Args:
        results: At least two fits by name, as from `calibrate`.
        surface: Quotes whose errors are computed; those that were fitted where None. Other quotes, such as
            those of the next day, are priced by the fitted models.

    Returns:
        A table of the models; `summary()`, `to_frame()` and `plot()` show it.

    Raises:
        ArgumentError: there are fewer than two fits, one is a batch or no result, or two were fitted to
            different quotes.
    """
    _check_results(results)
    fits = list(results.values())
    quotes = surface_of(fits[0])
    used = fitted_quotes(fits[0])
    for name, fit in results.items():
        if not _same_quotes(surface_of(fit), quotes) or not np.array_equal(fitted_quotes(fit), used):
            raise ArgumentError(
                f"{name} was fitted to other quotes than {next(iter(results))}: calibrate all models to one "
                "surface, with the same mask."
            )
    if surface is not None:
        surface = quote_surface(surface, "compare")
    losses = [request_of_fit(fit).setting.loss for fit in fits]
    same_loss = all(_same(loss, losses[0]) for loss in losses)
    criteria = information_criteria(
        [float(fit.loglikelihood) if same_loss else np.nan for fit in fits],
        [int(np.sum(free_parameters(fit))) + 1 for fit in fits],
        int(fits[0].nobs),
        list(results),
    )
    other = None if surface is None or _same_quotes(jax.tree.map(np.asarray, surface), quotes) else surface
    return ModelComparison(
        results=dict(results),
        criteria=criteria,
        statistics={name: _errors(fit, used, other) for name, fit in results.items()},
        notes=_notes(losses[0] if same_loss else None, int(used.sum()), int(fits[0].nobs), other is None),
    )


def _check_results(results: Mapping[str, CalibrationResult]) -> None:
    """Refuse everything but two or more single fits by name.

    Raises:
        ArgumentError: the argument is something else.
    """
    if not isinstance(results, Mapping) or len(results) < 2:
        raise ArgumentError(
            'compare needs two or more fits by name, such as compare({"heston": fit, "bates": other}), got '
            f"{type(results).__name__}{f' of {len(results)}' if isinstance(results, list | dict) else ''}."
        )
    for name, fit in results.items():
        if not isinstance(fit, CalibrationResult):
            raise ArgumentError(f"{name} must be the result of calibrate, got {type(fit).__name__}.")
        if np.ndim(fit.status):
            raise ArgumentError(f"{name} is a batch; select one fit, such as results[3].")


def _same(first: object, second: object) -> bool:
    leaves = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    same_tree = jax.tree.structure(first) == jax.tree.structure(second)
    return same_tree and all(np.array_equal(x, y, equal_nan=True) for x, y in leaves)


def _same_quotes(first: QuoteSurface, second: QuoteSurface) -> bool:
    """Whether two surfaces have the same quotes, whatever their padding."""
    if first.shape != second.shape:
        return False
    names = ("t", "k", "prices", "mask", "weight")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in names)


def _errors(
    fit: CalibrationResult, used: Bool[np.ndarray, "2 T K"], other: QuoteSurface | None
) -> FitStatistics:
    """Errors over the fitted quotes, or over all quotes of another surface."""
    if other is None:
        return fit.statistics(used)
    prices = np.asarray(price_surface(fit.model, other))
    return statistics_on(other, prices, np.asarray(other.mask))


def _notes(loss: Any, quotes: int, strikes: int, fitted: bool) -> tuple[str, ...]:
    where = f"the {quotes} fitted quotes" if fitted else "all quotes of the given surface"
    notes = [f"Errors over {where}; likelihoods over the {strikes} fitted strikes; weights by AICc."]
    if loss is None:
        notes.append("The fits minimise different losses, so there are no likelihoods to compare.")
    else:
        notes.append(f"Loss: {loss_text(loss)}. Condition number: {SCALING}.")
    return tuple(notes)
