"""Does the work of the pipeline's stages; each returns metrics and the value that the next stage needs."""

import time
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ...calibration import CalibrationStatus, data_bounds
from ...diagnostics import Diagnosis, cross_validate, diagnose, fit_measurements
from ...diagnostics.measurements import weight_ratio
from ...errors import ArgumentError, DataError
from ...market.build import surface_of
from ...market.filters import is_choice
from ...pricing import implied_vol
from ...quotes.surface import QuoteSurface
from ...times import time_text
from ..inputs.markets import Market
from ..recipes import RECIPES
from . import runbook
from .config import PipelineConfig
from .record import largest_error
from .records import Records
from .runbook import AcceptedFit, Setup
from .stages import Metrics

NEAR = 1.0  # strikes up to this many standard deviations from the forward count as liquid
CHANGES = ("kappa", "rho")  # parameters whose daily changes are metrics
EARLIER = (
    "converged",
    "hit_max_steps",
    "least_quotes_per_maturity",
    "weight_ratio",
)  # metrics of earlier stages


def preprocess(market: Market) -> tuple[Metrics, pd.DataFrame]:
    """Measure the kept and the refused quotes; the value is the table of the kept quotes.

    Raises:
        DataError: The market has no quotes.
    """
    frame = market.frame
    rejected = market.rejected
    if frame is None or rejected is None:
        raise DataError(market.reason)
    faults = rejected[~rejected["reason"].map(is_choice).to_numpy(bool)]
    reasons = pd.Series(faults["reason"], dtype=str)
    outside = int(reasons.str.contains("intrinsic|upper bound").sum())
    vols = _implied_vols(frame)
    metrics = {
        "quotes": float(len(frame) + len(rejected)),
        "kept": float(len(frame)),
        "removed_share": len(faults) / (len(frame) + len(faults)),
        "butterfly_share": _largest_share(faults.loc[reasons.str.contains("butterfly")], frame),
        "iv_failure_share": float(np.isnan(vols).sum() + outside) / (len(frame) + outside),
        "largest_iv": float(np.nanmax(vols, initial=-np.inf)),
        "smallest_iv": float(np.nanmin(vols, initial=np.inf)),
    }
    if market.check is not None:
        numbers = market.check.numbers
        metrics |= {name: numbers[name] for name in ("parity_error", "forward_jump")}
        metrics |= {"lowest_atm_vol": numbers["lowest_vol"], "highest_atm_vol": numbers["highest_vol"]}
    if "open_interest" in frame:
        metrics["least_open_interest"] = float(frame["open_interest"].to_numpy().min())
    return metrics, frame


def _implied_vols(frame: pd.DataFrame) -> np.ndarray:
    """Return the implied volatilities of the mid prices, shape (rows,); nan where a price has none."""
    columns = (
        frame[name].to_numpy() for name in ("mid_price_clean", "forward", "strike", "maturity", "kind")
    )
    discount = frame["discount"].to_numpy()
    return np.asarray(implied_vol(*columns, discount=discount, settlement=frame["settlement"].iloc[0]))


def _largest_share(faults: pd.DataFrame, others: pd.DataFrame) -> float:
    """Return the largest share, over the expiries, of some quotes in these and other quotes together."""
    counts = faults["expiry_datetime"].value_counts()
    total = counts.add(others["expiry_datetime"].value_counts(), fill_value=0.0)
    return float(np.nanmax((counts / total).to_numpy())) if len(counts) else 0.0


def configure(
    market: Market, frame: pd.DataFrame, config: PipelineConfig, records: Records
) -> tuple[Metrics, Setup]:
    """Arrange the quotes on a grid, and collect the arguments of the fits, which are the value."""
    surface = surface_of(frame, config.loss.open_interest_power)
    loss = config.loss.build()
    bounds = (data_bounds(surface) if config.bounds.from_data else {}) | config.bounds.intervals
    options = {}
    before = {}
    for name in config.models:
        timestamp = time_text(market.timestamp)
        last = records.before(market.underlying, timestamp, name, config.prior.days)
        before[name] = last["parameters"] if last else None
        options[name] = {
            "loss": loss,
            "bounds": {key: interval for key, interval in bounds.items() if key in RECIPES[name].columns},
            "engine": config.engine.build(),
            "prior": config.anchor(name, before[name]),
            "starts": config.starts(name, before[name]),
            "on_degenerate": config.prior.on_degenerate,
        }
    counts = np.sum(surface.train, axis=(0, 2))
    metrics = {
        "maturities": float(np.sum(counts > 0)),
        "least_quotes_per_maturity": float(np.min(counts[counts > 0])),
        "weight_ratio": weight_ratio(loss, surface, surface.train),
    }
    low, high = options[config.model]["bounds"].get("v0", (np.nan, np.nan))
    if np.isfinite(low):
        metrics["v0_bound_ratio"] = high / low
    return metrics, Setup(surface, options, before)


def optimise(setup: Setup, config: PipelineConfig) -> tuple[Metrics, AcceptedFit]:
    """Fit the model; the value is the accepted fit."""
    began = time.perf_counter()
    accepted = runbook.fit(config, setup)
    result = accepted.result
    attempts = [line for line in accepted.log if line != runbook.ESCALATE]
    metrics = {
        "converged": float(result.converged),
        "hit_max_steps": float(result.status == CalibrationStatus.max_steps),
        "starts_converged": float(result.minima >= 1),
        "simpler_model": float(accepted.model != config.model),
        "agreement": float(result.agreement),
        "steps": float(result.steps),
        "loss": float(result.loss),
        "attempts": float(len(attempts)),
    }
    if config.search.explore != "none":
        metrics["local_gain"] = 1.0 - float(result.loss) / accepted.global_loss
    metrics["seconds"] = time.perf_counter() - began
    return metrics, accepted


def validate(setup: Setup, accepted: AcceptedFit, config: PipelineConfig) -> tuple[Metrics, Diagnosis]:
    """Measure how good the fit is; the value is its diagnosis."""
    options = {key: accepted.options[key] for key in ("engine", "loss", "prior", "bounds")}
    diagnosis = diagnose(accepted.result, setup.surface, **options)
    measured = fit_measurements(diagnosis)
    metrics = {key: number for key, number in measured.items() if key not in EARLIER}
    metrics["price_error"] = _price_error(diagnosis)
    metrics["largest_iv_error"] = largest_error(diagnosis)
    if config.validation.folds:
        metrics["fold_variation"] = _fold_variation(setup.surface, accepted, config.validation.folds)
    return metrics | _changes(diagnosis, setup.before[accepted.model]), diagnosis


def _fold_variation(surface: QuoteSurface, accepted: AcceptedFit, folds: int) -> float:
    """Return the relative variation of errors on held-out quotes; nan with too few quotes for the folds."""
    options = {key: accepted.options[key] for key in ("engine", "loss", "prior", "bounds", "solver")}
    try:
        validation = cross_validate({accepted.model: accepted.result.model}, surface, folds, **options)
    except ArgumentError:
        return np.nan
    return float(validation.variation()[0])


def _price_error(diagnosis: Diagnosis) -> float:
    """Return the mean relative error of out-of-the-money prices within `NEAR` standard deviations."""
    surface = diagnosis.fit.surface
    residuals = diagnosis.residuals
    if residuals.reason:
        return np.nan
    is_call = np.arange(2)[:, None, None] == 0
    out_of_the_money = np.where(is_call, residuals.k >= 0.0, residuals.k < 0.0)
    near = np.abs(residuals.k) <= NEAR * np.asarray(surface.stdev)[:, None]
    prices = np.asarray(surface.prices)
    counted = out_of_the_money & near & np.isfinite(residuals.price) & (prices > 0.0)
    if not counted.any():
        return np.nan
    return float(np.mean(np.abs(residuals.price[counted]) / prices[counted]))


def _changes(diagnosis: Diagnosis, before: Mapping[str, float] | None) -> Metrics:
    """Return the changes of kappa (relative) and rho since the previous fit; nan if there is none."""
    model = diagnosis.fit.result.model
    changes = {}
    for name in CHANGES:
        if np.size(getattr(model, name, ())) == 1:
            last = np.nan if before is None else before[name]
            scale = abs(last) if name == "kappa" else 1.0
            changes[f"{name}_change"] = abs(float(getattr(model, name)) - last) / scale
    return changes
