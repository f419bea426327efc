"""The pipeline: each market through five stages, each with its metrics, timing, limits and failure.

Preprocess, configure, optimise, validate, store. Whatever fails, a record says so.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...calibration import CalibrationStatus, Loss, data_bounds
from ...diagnostics import Diagnosis, cross_validate, diagnose, fit_measurements
from ...diagnostics.measurements import weight_ratio
from ...errors import ArgumentError, DataError
from ...market.build import surface_of
from ...market.filters import is_choice
from ...pricing import implied_vol
from ...quotes.surface import QuoteSurface
from ...shipped import sample_folder
from ..inputs.archive import market_files
from ..inputs.markets import Market, read_markets
from ..recipes import RECIPES
from . import runbook
from .config import PipelineConfig
from .record import iso_text, largest_error, record_of
from .records import Records, as_plain
from .runbook import Fitted, Setup
from .stages import MarketRun, Stage, staged

SETS = {"preprocess": "quotes", "configure": "objective", "optimise": "search", "validate": "fit"}
SETS |= {"store": "storage"}
NEAR = 1.0  # standard deviations from the forward, to which strikes count as liquid
CHANGES = ("kappa", "rho")
JUDGED_BEFORE = ("converged", "hit_max_steps", "least_quotes_per_maturity", "weight_ratio")


class PipelineResult(NamedTuple):
    """Markets in their order, and every record with a fit that the folder has, in order of time."""

    runs: list[MarketRun]
    history: list[Mapping[str, Any]]


def pipeline_files(inputs: Sequence[str | Path], config: PipelineConfig) -> list[Path]:
    """The files to read: those given, else those of the configuration, else the shipped example.

    Raises:
        DataError: there is no such file.
    """
    given = list(inputs) or list(config.data.files) or [sample_folder("index")]
    return market_files(given)[: config.data.limit]


def run_pipeline(
    files: Iterable[Path],
    out: str | Path,
    config: PipelineConfig,
    progress: Callable[[MarketRun], None] = lambda run: None,
    keep: int = 4,
) -> PipelineResult:
    """Take the markets in files through the pipeline, one after another.

    Args:
        files: Of market data of any kind, as of `pipeline_files`.
        out: Folder of the results: `records/`, `records.csv`. What it holds of earlier days is the history.
        config: As `load_pipeline_config` reads it.
        progress: Told of every market.
        keep: Markets, the last ones, whose surface and diagnosis stay in memory.

    Returns:
        A run per market. Nothing is raised for one that cannot be used.

    Raises:
        DataError: a record of the folder, or the file of limits, is damaged.
        WriteError: the folder or the table of records cannot be written.
    """
    records = Records(Path(out))
    runs: list[MarketRun] = []
    for market, seconds in _timed(read_markets(files, config, config.data.assets)):
        runs.append(run_market(market, config, records, seconds))
        progress(runs[-1])
        if len(runs) > keep:
            runs[-1 - keep] = runs[-1 - keep].without_numbers()
    records.write_table()
    return PipelineResult(runs, records.history())


def run_market(
    market: Market,
    config: PipelineConfig,
    records: Records,
    seconds: float = 0.0,
) -> MarketRun:
    """Take one market through the pipeline.

    Args:
        market: Its quotes, or why there are none.
        config: What to do.
        records: Where the record goes, and where those of the days before are.
        seconds: Spent on reading the market.
    """
    stages: list[Stage] = []

    def stage(name: str, work: Callable[[], tuple[dict[str, float], Any]], seconds: float = 0.0) -> Any:
        own = [limit for limit in config.limits if limit.set in (SETS[name], *config.gates.playbooks)]
        one, value = staged(name, work, own, config.application, seconds)
        stages.append(one)
        return value

    frame = stage("preprocess", lambda: _preprocess(market), seconds)
    setup = fitted = diagnosis = None
    if frame is not None:
        setup = stage("configure", lambda: _configure(market, frame, config, records))
    if setup is not None:
        fitted = stage("optimise", lambda: _optimise(setup, config))
    if setup is not None and fitted is not None:
        diagnosis = stage("validate", lambda: _validate(setup, fitted, config))
    record = as_plain(record_of(market, config, stages, setup, fitted, diagnosis))
    stage("store", lambda: (records.store(record, market.rejected), record))
    log = tuple(fitted.log) if fitted else ()
    surface = setup.surface if setup else None
    return MarketRun(market, tuple(stages), log, record, surface, diagnosis, market.rejected)


def _timed(items: Iterable[Market]) -> Iterator[tuple[Market, float]]:
    """Items, and the time that each took to come."""
    began = time.perf_counter()
    for item in items:
        yield item, time.perf_counter() - began
        began = time.perf_counter()


def _preprocess(market: Market) -> tuple[dict[str, float], pd.DataFrame]:
    frame, rejected = market.frame, market.rejected
    if frame is None or rejected is None:
        raise DataError(market.reason)
    faults = rejected[~rejected["reason"].map(is_choice).to_numpy(bool)]
    vols, reasons = _implied_vols(frame), pd.Series(faults["reason"], dtype=str)
    outside = int(reasons.str.contains("intrinsic|upper bound").sum())
    interest = frame["open_interest"].to_numpy() if "open_interest" in frame else None
    return {
        "quotes": float(len(frame) + len(rejected)),
        "kept": float(len(frame)),
        "removed_share": len(faults) / (len(frame) + len(faults)),
        "butterfly_share": _largest_share(faults.loc[reasons.str.contains("butterfly")], frame),
        "iv_failure_share": float(np.isnan(vols).sum() + outside) / (len(frame) + outside),
        "largest_iv": float(np.nanmax(vols, initial=-np.inf)),
        "smallest_iv": float(np.nanmin(vols, initial=np.inf)),
    } | ({} if interest is None else {"least_open_interest": float(interest.min())}), frame


def _implied_vols(frame: pd.DataFrame) -> np.ndarray:
    """Of the mids, shape (rows,); nan where there is none."""
    columns = (
        frame[name].to_numpy() for name in ("mid_price_clean", "forward", "strike", "maturity", "kind")
    )
    return np.asarray(
        implied_vol(*columns, discount=frame["discount"].to_numpy(), settlement=frame["settlement"].iloc[0])
    )


def _largest_share(some: pd.DataFrame, rest: pd.DataFrame) -> float:
    """The largest share of one maturity's quotes that are among some."""
    counts = some["expiry_datetime"].value_counts()
    total = counts.add(rest["expiry_datetime"].value_counts(), fill_value=0.0)
    return float(np.nanmax((counts / total).to_numpy())) if len(counts) else 0.0


def _configure(
    market: Market, frame: pd.DataFrame, config: PipelineConfig, records: Records
) -> tuple[dict[str, float], Setup]:
    surface = surface_of(frame, config.loss.open_interest_power)
    loss = Loss(**config.loss.model_dump(exclude={"open_interest_power"}))
    known = (data_bounds(surface) if config.bounds.from_data else {}) | config.bounds.intervals
    options, before = {}, {}
    for name in (config.model, *config.simpler):
        last = records.before(market.asset, iso_text(market.timestamp), name, config.prior.days)
        before[name] = last["parameters"] if last else None
        options[name] = {
            "loss": loss,
            "bounds": {key: ends for key, ends in known.items() if key in RECIPES[name].columns},
            "engine": config.engine.build(),
            "prior": config.anchor(name, before[name]),
            "starts": config.starts(name, before[name]),
            "on_degenerate": config.prior.on_degenerate,
        }
    low, high = options[config.model]["bounds"].get("v0", (np.nan, np.nan))
    counts = np.sum(surface.train, axis=(0, 2))
    metrics = {
        "maturities": float(np.sum(counts > 0)),
        "least_quotes_per_maturity": float(np.min(counts[counts > 0])),
        "weight_ratio": weight_ratio(loss, surface, surface.train),
    }
    metrics |= {"v0_bound_ratio": high / low} if np.isfinite(low) else {}
    return metrics, Setup(surface, options, before)


def _optimise(setup: Setup, config: PipelineConfig) -> tuple[dict[str, float], Fitted]:
    began = time.perf_counter()
    found = runbook.fit(config, setup)
    result = found.result
    metrics = {
        "converged": float(result.converged),
        "hit_max_steps": float(result.status == CalibrationStatus.max_steps),
        "starts_converged": float(result.minima >= 1),
        "simpler_model": float(found.model != config.model),
        "agreement": float(result.agreement),
        "steps": float(result.steps),
        "loss": float(result.loss),
        "attempts": float(len(found.log) - (found.log[-1] == runbook.ESCALATE)),
    }
    if config.search.explore != "none":
        metrics["local_gain"] = 1.0 - float(result.loss) / found.global_loss
    return metrics | {"seconds": time.perf_counter() - began}, found


def _validate(setup: Setup, fitted: Fitted, config: PipelineConfig) -> tuple[dict[str, float], Diagnosis]:
    result, surface = fitted.result, setup.surface
    options = {key: fitted.options[key] for key in ("engine", "loss", "prior", "bounds")}
    diagnosis = diagnose(result, surface, **options)
    measured = fit_measurements(diagnosis)
    metrics = {key: x for key, x in measured.items() if key not in JUDGED_BEFORE}
    metrics |= {"price_error": _price_error(diagnosis), "largest_iv_error": largest_error(diagnosis)}
    if config.validation.folds:
        metrics["fold_variation"] = _fold_variation(setup.surface, fitted, config.validation.folds)
    return metrics | _changes(diagnosis, setup.before[fitted.model]), diagnosis


def _fold_variation(surface: QuoteSurface, fitted: Fitted, folds: int) -> float:
    """Of the errors on quotes held out; nan where there are too few quotes for so many folds."""
    options = {key: fitted.options[key] for key in ("engine", "loss", "prior", "bounds", "solver")}
    try:
        found = cross_validate({fitted.model: fitted.result.model}, surface, folds, **options)
    except ArgumentError:
        return np.nan
    return float(found.variation()[0])


def _price_error(diagnosis: Diagnosis) -> float:
    """Mean relative error of out-of-the-money prices, of strikes within a standard deviation."""
    surface, residuals = diagnosis.fit.surface, diagnosis.residuals
    if residuals.reason:
        return np.nan
    outside = np.where(np.arange(2)[:, None, None] == 0, residuals.k >= 0.0, residuals.k < 0.0)
    near = np.abs(residuals.k) <= NEAR * np.asarray(surface.stdev)[:, None]
    prices = np.asarray(surface.prices)
    here = outside & near & np.isfinite(residuals.price) & (prices > 0.0)
    return float(np.mean(np.abs(residuals.price[here]) / prices[here])) if here.any() else np.nan


def _changes(diagnosis: Diagnosis, before: Mapping[str, float] | None) -> dict[str, float]:
    """Of kappa, relative, and rho from the fit before; nan on the first day."""
    model, found = diagnosis.fit.result.model, {}
    for name in CHANGES:
        if np.size(getattr(model, name, ())) == 1:
            last = np.nan if before is None else before[name]
            size = abs(last) if name == "kappa" else 1.0
            found[f"{name}_change"] = abs(float(getattr(model, name)) - last) / size
    return found
