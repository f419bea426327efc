"""What the pipeline stores of a market: identity, fit, trust, stages and gates, as plain values."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd

from ...calibration import CalibrationStatus
from ...diagnostics import Diagnosis
from ...diagnostics.residuals import root_mean_square
from ...shipped import CODE_VERSION
from ..calibrate.rows import REFUSED
from ..inputs.archive import TIME
from ..inputs.markets import Market
from .config import PipelineConfig
from .runbook import Fitted, Setup
from .stages import Stage, outcome_of, reason_of


def record_of(
    market: Market,
    config: PipelineConfig,
    stages: Sequence[Stage],
    setup: Setup | None,
    fitted: Fitted | None,
    diagnosis: Diagnosis | None,
) -> dict[str, Any]:
    """What is stored of a market; without a fit, why there is none."""
    record: dict[str, Any] = {
        "asset": market.asset, "timestamp": iso_text(market.timestamp), "file": market.file,
        "sha256": market.sha256, "config_hash": config.hash, "code_version": CODE_VERSION,
        "application": config.application,
        "outcome": outcome_of(stages), "model": config.model,
        "status": REFUSED, "converged": False,
        "reason": reason_of(stages), "spot": market.spot, "n_rejected": market.n_rejected,
        "seconds": sum(stage.seconds for stage in stages),
        "stages": [
            {"name": stage.name, "seconds": stage.seconds, "outcome": stage.outcome, "reason": stage.reason}
            | {"metrics": dict(stage.metrics)}
            for stage in stages
        ],
        "gates": [vars(gate) for stage in stages for gate in stage.gates],
    }  # fmt: skip
    if fitted is None or setup is None:
        return record
    return record | _fit_record(setup, fitted) | (_trust_record(diagnosis) if diagnosis else {})


def _fit_record(setup: Setup, fitted: Fitted) -> dict[str, Any]:
    result, surface = fitted.result, setup.surface
    rows = np.any(surface.train, axis=(0, 2))
    model = result.model
    ratio, kappa = getattr(model, "feller_ratio", None), getattr(model, "kappa", None)
    return {
        "model": fitted.model, "status": CalibrationStatus(int(result.status)).name,
        "converged": bool(result.converged), "parameters": _parameters(result.model),
        "standard_errors": dict(zip(result.names, np.asarray(result.standard_errors), strict=True)),
        "loss": float(result.loss), "prior_loss": float(result.prior_loss), "steps": int(result.steps),
        "agreement": float(result.agreement), "minima": int(result.minima),
        "global_loss": fitted.global_loss, "at_bound": list(result.bounds_hit),
        "gradient_norm": float(result.gradient_norm), "log": fitted.log,
        "feller_ratio": float(ratio) if ratio is not None and np.size(ratio) == 1 else np.nan,
        "half_life": float(np.log(2.0) / kappa) if kappa is not None and np.size(kappa) == 1 else np.nan,
        "n_options": int(np.sum(surface.train)), "n_maturities": int(rows.sum()),
        "maturities": np.asarray(surface.t)[rows],
    }  # fmt: skip


def _parameters(model: Any) -> dict[str, float]:
    """By name, natural units; of those with an axis each entry."""
    found: dict[str, float] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(model):
        name = jax.tree_util.keystr(path[-1:]).strip(".")
        entries = {f"{name}[{i}]": float(x) for i, x in enumerate(leaf)} if np.ndim(leaf) else {}
        found |= entries or {name: float(leaf)}
    return found


def _trust_record(diagnosis: Diagnosis) -> dict[str, Any]:
    errors = diagnosis.residuals.vol
    used = np.asarray(diagnosis.fit.lane.used)
    rows = np.flatnonzero(np.any(used, axis=(0, 2)))
    spread = diagnosis.uncertainty
    return {
        "iv_rmse": root_mean_square(errors),
        "iv_rmse_per_maturity": [root_mean_square(errors[:, row]) for row in rows],
        "largest_iv_error": largest_error(diagnosis),
        "condition_number": diagnosis.identifiability.condition_number,
        "covariance_names": list(spread.names),
        "covariance": [] if spread.reason else spread.covariance(),
        "findings": [f"{one.text} -> {one.action}" for one in diagnosis.identifiability.findings],
    }


def iso_text(timestamp: Any) -> str:
    """ISO text, "" where it is not known."""
    return "" if pd.isna(timestamp) else pd.Timestamp(timestamp).strftime(TIME)


def largest_error(diagnosis: Diagnosis) -> float:
    """The largest error of volatility; nan where none is known."""
    sizes = np.abs(diagnosis.residuals.vol)
    return float(np.nanmax(sizes)) if np.isfinite(sizes).any() else np.nan
