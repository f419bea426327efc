"""Makes the record of a market that the pipeline stores: identity, fit, diagnosis, stages and gates."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ...calibration import CalibrationResult, CalibrationStatus
from ...diagnostics import Diagnosis
from ...models import AbstractFourierModel
from ...numerics.root_mean_square import root_mean_square
from ...shipped import CODE_VERSION
from ...times import time_text
from ..inputs.markets import Market
from ..outcome import REFUSED, status_text
from .config import PipelineConfig
from .runbook import AcceptedFit, Setup
from .stages import Stage, outcome_of, reason_of


def record_of(
    market: Market,
    config: PipelineConfig,
    stages: Sequence[Stage],
    *,
    setup: Setup | None,
    accepted: AcceptedFit | None,
    diagnosis: Diagnosis | None,
) -> dict[str, Any]:
    """Make the record of a market; without a fit it states why there is none.

    Args:
        market: The quotes.
        config: The configuration of the pipeline.
        stages: The stages that ran.
        setup: The arguments of the fits; None if the market was not configured.
        accepted: The accepted fit; None if there is none.
        diagnosis: The diagnosis of the fit; None if there is none.
    """
    record = _identity(market, config) | {
        "outcome": outcome_of(stages),
        "model": config.model,
        "status": REFUSED,
        "converged": False,
        "reason": reason_of(stages),
        "spot": market.spot,
        "n_rejected": market.n_rejected,
        "reading": "; ".join(market.findings),
        "seconds": sum(stage.seconds for stage in stages),
        "stages": [_stage_record(stage) for stage in stages],
        "gates": [vars(gate) for stage in stages for gate in stage.gates],
    }
    if accepted is None or setup is None:
        return record
    return record | _fit_record(setup, accepted) | (_diagnosis_record(diagnosis) if diagnosis else {})


def _identity(market: Market, config: PipelineConfig) -> dict[str, Any]:
    """Identify the quotes, the configuration and the version of the code."""
    return {
        "asset": market.underlying,
        "timestamp": time_text(market.timestamp),
        "file": market.file,
        "sha256": market.sha256,
        "config_hash": config.hash,
        "code_version": CODE_VERSION,
        "application": config.application,
    }


def _stage_record(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "seconds": stage.seconds,
        "outcome": stage.outcome,
        "reason": stage.reason,
        "metrics": dict(stage.metrics),
    }


def _fit_record(setup: Setup, accepted: AcceptedFit) -> dict[str, Any]:
    """Return the fit, in the units of the model."""
    result = accepted.result
    train = np.asarray(setup.surface.train)
    rows = np.any(train, axis=(0, 2))
    return {
        "model": accepted.model,
        "status": status_text(CalibrationStatus(int(result.status))),
        "converged": bool(result.converged),
        "parameters": _parameters(result.model),
        "standard_errors": dict(zip(result.names, np.asarray(result.standard_errors), strict=True)),
        **_search_record(result),
        "global_loss": accepted.global_loss,
        "at_bound": list(result.bounds_hit),
        "gradient_norm": float(result.gradient_norm),
        "log": accepted.log,
        **_time_scales(result.model),
        "n_options": int(np.sum(train)),
        "n_maturities": int(rows.sum()),
        "maturities": np.asarray(setup.surface.t)[rows],
    }


def _search_record(result: CalibrationResult) -> dict[str, Any]:
    """Return how good the optimum is, and how the search reached it."""
    return {
        "loss": float(result.loss),
        "prior_loss": float(result.prior_loss),
        "steps": int(result.steps),
        "agreement": float(result.agreement),
        "minima": int(result.minima),
    }


def _time_scales(model: AbstractFourierModel) -> dict[str, float]:
    """Return Feller ratio and half-life of the variance in years; nan unless the model has exactly one."""
    ratio = getattr(model, "feller_ratio", None)
    kappa = getattr(model, "kappa", None)
    return {
        "feller_ratio": float(ratio) if ratio is not None and np.size(ratio) == 1 else np.nan,
        "half_life": float(np.log(2.0) / kappa) if kappa is not None and np.size(kappa) == 1 else np.nan,
    }


def _parameters(model: AbstractFourierModel) -> dict[str, float]:
    """Return parameters by name in natural units; those with an axis entry by entry, such as `kappa[0]`."""
    parameters: dict[str, float] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(model):
        name = jax.tree_util.keystr(path[-1:]).strip(".")
        entries = {f"{name}[{i}]": float(x) for i, x in enumerate(leaf)} if np.ndim(leaf) else {}
        parameters |= entries or {name: float(leaf)}
    return parameters


def _diagnosis_record(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the errors, identifiability and uncertainty of the fit."""
    errors = diagnosis.residuals.vol
    used = np.asarray(diagnosis.fit.lane.used)
    rows = np.flatnonzero(np.any(used, axis=(0, 2)))
    uncertainty = diagnosis.uncertainty
    return {
        "iv_rmse": root_mean_square(errors),
        "iv_rmse_per_maturity": [root_mean_square(errors[:, row]) for row in rows],
        "largest_iv_error": largest_error(diagnosis),
        "condition_number": diagnosis.identifiability.condition_number,
        "covariance_names": list(uncertainty.names),
        "covariance": [] if uncertainty.reason else uncertainty.covariance(),
        "findings": [f"{finding.text} -> {finding.action}" for finding in diagnosis.identifiability.findings],
    }


def largest_error(diagnosis: Diagnosis) -> float:
    """Return the largest absolute error of volatility, decimal; nan if no error is finite."""
    sizes = np.abs(diagnosis.residuals.vol)
    return float(np.nanmax(sizes)) if np.isfinite(sizes).any() else np.nan
