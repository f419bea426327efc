"""Summaries of results: parameters with standard errors, errors of the quotes, and warnings with remedies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import numpy as np

from ..presentation.summary import Summary, Table, number, pairs, percent
from ..quotes.notices import cause_of_refusals
from . import statistics as stats
from .condition import SCALING, UNDETERMINED
from .losses import Loss
from .status import CalibrationStatus

if TYPE_CHECKING:
    from .request import Request
    from .result import CalibrationResult

_LOOSE = 0.5  # share of a parameter's size above which its standard error calls it hardly determined
_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


def summary_of_fit(result: CalibrationResult, alpha: float) -> Summary:
    """Summarise one fit; a result of an older version, which lacks quotes or request, in fewer numbers."""
    result = jax.device_get(result)  # once, instead of one transfer for each number
    complete = result.surface is not None and result.request is not None
    status = CalibrationStatus(int(result.status))
    tables = [_header(result, status), _parameters(result, alpha, complete)]
    notes = [repr(result.model), f"{status.name}: {status.message}"]
    if complete:
        tables.append(_errors(result))
        notes += _definitions(result)
    else:
        notes.append(
            "An older version saved this result, without quotes or request; calibrate again for the rest."
        )
    warnings = [f"Warning: {text}" for text in _warnings(result, complete)]
    return Summary(f"{model_name(result)}, calibrated", tables, [*notes, *warnings])


def summary_of_batch(result: CalibrationResult) -> Summary:
    """Summarise a batch: counts of statuses, quantiles of parameters and of errors over converged fits."""
    converged = np.asarray(result.converged)
    status = np.asarray(result.status)
    counts = ", ".join(
        f"{np.sum(status == code)} {code.name}" for code in CalibrationStatus if np.any(status == code)
    )
    parameters = "1 parameter" if len(result.names) == 1 else f"{len(result.names)} parameters"
    title = f"{status.size} fits of {model_name(result)}, {parameters}: {counts}"
    if not converged.any():
        return Summary(title, notes=["No fit has converged."])
    rows = dict(zip(result.names, stats.named_values(result)[converged].T, strict=True))
    rows |= {"loss": np.asarray(result.loss)[converged], "steps": np.asarray(result.steps)[converged]}
    rows["condition number"] = np.asarray(result.condition_number)[converged]
    if result.surface is not None and result.request is not None:
        errors = result.statistics()
        names = {
            "rmse_bp": "RMSE, bp of volatility",
            "rmse": "RMSE, price",
            "rmse_over_mean": "RMSE over mean price",
            "inside": "share inside bid-ask",
            "rsquared": "R squared",
            "smape": "sMAPE",
        }
        rows |= {text: getattr(errors, name)[converged] for name, text in names.items()}
    header = ("", "smallest", "5 %", "median", "95 %", "largest", "bound")
    hits = {name: percent(x) for name, x in zip(result.names, _bound_shares(result), strict=True)}
    cells = [(name, *_quantiles(values), hits.get(name, "")) for name, values in rows.items()]
    steps = np.quantile(rows["steps"], 0.9)
    notes = [
        "Over the fits that have converged; the last column is the share of fits on a bound. Prices are in "
        "the unit of the quotes.",
        f"90 % quantile of the steps: {steps:.0f}. Condition number: {SCALING}.",
    ]
    return Summary(title, [Table(tuple(cells), header)], notes)


def loss_text(loss: Loss) -> str:
    """Describe a loss in a few words, such as "spread, soft_l1 (c = 0.4)"."""
    parts = [loss.weight]
    if loss.robust != "none":
        parts.append(f"{loss.robust} (c = {float(loss.c):g})")
    if loss.inside == "free":
        parts.append("free inside bid-ask")
    if loss.vega_power:
        parts.append(f"times vega^{float(loss.vega_power):g}")
    return ", ".join(parts)


def engine_text(request: Request) -> str:
    """Name the engine of a request, with its number of nodes where it has one."""
    engine = request.setting.engine
    nodes = getattr(engine, "nodes", None)
    return type(engine).__name__ if nodes is None else f"{type(engine).__name__}({int(nodes)} nodes)"


def model_name(result: CalibrationResult) -> str:
    """Name of the model, with ++ for a variance shift."""
    model = result.model
    return type(model.base).__name__ + ("++" if model.is_extension else "")


def _header(result: CalibrationResult, status: CalibrationStatus) -> Table:
    items = [("model", model_name(result)), ("status", status.name)]
    if result.surface is not None and result.request is not None:
        fitted = stats.fitted_quotes(result)
        request = result.request
        free = int(np.sum(stats.free_parameters(result)))
        items += [
            ("quotes fitted", f"{int(fitted.sum())} of {int(np.sum(result.surface.mask))}"),
            ("strikes, expiries", f"{int(result.nobs)}, {int(np.sum(np.any(fitted, axis=(0, 2))))}"),
            ("free parameters", str(free)),
            ("loss function", loss_text(request.setting.loss)),
            ("engine", engine_text(request)),
            ("solver", type(request.solver).__name__),
        ]
    items += [
        ("loss", number(float(result.loss), 6)),
        ("prior", number(float(result.prior_loss), 3)),
        ("steps", str(int(result.steps))),
        ("gradient norm", f"{float(result.gradient_norm):.1e}"),
        ("condition number", number(float(result.condition_number), 3)),
        ("quadrature error", f"{float(result.quadrature_error):.1e}"),
    ]
    if result.surface is not None and result.request is not None:
        items += [
            ("log-likelihood", number(float(result.loglikelihood), 6)),
            ("AIC", number(float(result.aic), 6)),
            ("BIC", number(float(result.bic), 6)),
        ]
    return pairs(items)


def _parameters(result: CalibrationResult, alpha: float, complete: bool) -> Table:
    values = stats.named_values(result)
    errors = np.asarray(result.standard_errors)
    ends = stats.intervals(result, alpha) if complete else np.full((values.size, 2), np.nan)
    fixed = np.asarray(result.request.fixed) if complete and result.request is not None else errors < 0.0
    free = stats.free_parameters(result) if complete else ~fixed
    units = stats.parameter_units(result)
    rows = []
    for i, name in enumerate(result.names):
        if not (free[i] or fixed[i]):
            continue  # the increment of a maturity without quotes
        note = "fixed" if fixed[i] else "at bound" if bool(result.at_bound[i]) else ""
        numbers = (number(float(x), 5) for x in (values[i], errors[i], *ends[i]))
        rows.append((name, *numbers, units[i], note))
    low, high = (f"{x:.3g}" for x in (0.5 * alpha, 1.0 - 0.5 * alpha))
    header = ("parameter", "value", "std error", f"[{low}", f"{high}]", "unit", "")
    return Table(tuple(rows), header, align="lrrrrll")


def _errors(result: CalibrationResult) -> Table:
    """Errors of the quotes that were fitted, and of those that were not, where there are some."""
    fitted = stats.fitted_quotes(result)
    sets = {"fitted": fitted, "held out": stats.surface_of(result).mask & ~fitted}
    found = {name: stats.statistics(result, chosen) for name, chosen in sets.items() if chosen.any()}
    forms = {
        "quotes": ("quotes", lambda x: str(int(x))),
        "RMSE, bp of volatility": ("rmse_bp", number),
        "RMSE, price": ("rmse", number),
        "MAE, price": ("mae", number),
        "RMSE over mean price": ("rmse_over_mean", percent),
        "inside bid-ask": ("inside", percent),
        "R squared": ("rsquared", lambda x: number(x, 6)),
        "sMAPE": ("smape", percent),
    }
    rows = [
        (label, *(write(float(getattr(one, field))) for one in found.values()))
        for label, (field, write) in forms.items()
    ]
    return Table(tuple(rows), ("errors of the quotes", *found))


def _definitions(result: CalibrationResult) -> list[str]:
    notes = [
        "Standard errors: sandwich (HC1), clustered by strike; intervals by Student's t with "
        f"{max(0, int(stats.degrees_of_freedom(result)))} degrees of freedom.",
        f"Condition number: {SCALING}. Prices are in the unit of the quotes.",
    ]
    request = result.request
    if request is not None and (request.setting.loss.robust != "none" or float(result.prior_loss) > 0.0):
        notes.append("AIC and BIC are approximate, because the loss is robust or there is a prior.")
    return notes


def _warnings(result: CalibrationResult, complete: bool) -> list[str]:
    """What a reader must know before using the parameters, each with what to do."""
    warnings = []
    if result.bounds_hit:
        names = ", ".join(result.bounds_hit)
        warnings.append(
            f"{names} on a bound, without a standard error: widen bounds=, fix it (fixed=), or take a "
            "simpler model."
        )
    condition = float(result.condition_number)
    if condition > UNDETERMINED:
        warnings.append(
            f"condition number {condition:.3g} is above {UNDETERMINED:g}: the quotes do not determine some "
            "combination of the parameters; see neutral.diagnose(result, surface).identifiability, fix a "
            'parameter, add a prior, or pass on_degenerate="damp".'
        )
    if complete:
        warnings += _warnings_of_quotes(result)
    if int(result.minima) > 1:
        warnings.append(
            f"the starts ended in {int(result.minima)} different minima, of which the best was kept; "
            f"{float(result.agreement):.0%} of them agree with it. More starts (starts=, search=) may find a "
            "better one."
        )
    return warnings


def _warnings_of_quotes(result: CalibrationResult) -> list[str]:
    warnings = []
    values = stats.named_values(result)
    errors = np.asarray(result.standard_errors)
    loose = [
        name
        for name, value, error, domain in zip(
            result.names, values, errors, stats.parameter_domains(result), strict=True
        )
        if error > _LOOSE * (1.0 if np.isfinite(domain.lower + domain.upper) else abs(value))
    ]
    if loose:
        warnings.append(
            f"{', '.join(loose)} hardly determined (standard error above half of its size): fix it, or add a "
            "prior."
        )
    return warnings + _warnings_of_counts(result)


def _warnings_of_counts(result: CalibrationResult) -> list[str]:
    """Too few quotes for the parameters, and the quotes that are refused."""
    warnings = []
    strikes, free = int(result.nobs), int(np.sum(stats.free_parameters(result)))
    if 0 < strikes < free:
        known = "1 strike cannot" if strikes == 1 else f"{strikes} strikes cannot"
        warnings.append(
            f"{known} determine {free} parameters, which other values fit as well: add quotes, fix "
            "parameters (fixed=), or take a simpler model."
        )
    elif stats.degrees_of_freedom(result) < 1:
        warnings.append(
            "there are no more strikes than parameters, so there are no standard errors: fix parameters or "
            "add quotes."
        )
    surface = stats.surface_of(result)
    rows = surface.refusals()
    for row in rows:
        quotes = "1 quote" if row["count"] == 1 else f"{row['count']} quotes"
        warnings.append(
            f"{quotes} refused: {row['reason']} (the first is row {row['row']}); result.quotes() lists them."
        )
    refused, kept = sum(row["count"] for row in rows), int(np.sum(surface.mask))
    if cause := cause_of_refusals(refused, kept):
        whole = refused + kept
        warnings.append(f"the fit is of {kept} of {whole} quotes, because the others are refused.{cause}")
    return warnings


def _bound_shares(result: CalibrationResult) -> np.ndarray:
    return np.mean(np.asarray(result.at_bound), axis=0)


def _quantiles(values: np.ndarray) -> list[str]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ["-"] * len(_QUANTILES)
    return [number(float(x)) for x in np.quantile(finite, _QUANTILES)]
