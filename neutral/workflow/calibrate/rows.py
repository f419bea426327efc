"""Defines the columns of the tables of results, and turns fits and quotes into rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from ...shipped import CODE_VERSION
from ..inputs.archive import SnapshotFile
from ..inputs.markets import Market
from ..outcome import LOST, REFUSED, price_errors
from ..recipes import RECIPES, parameter_columns, price_columns

FIT_COLUMNS: dict[str, str] = {
    "snapshot_ts": "time",
    "currency": "text",
    "model": "text",
    "status": "text",
    "converged": "flag",
    "message": "text",
    "steps": "count",
    "loss": "real",
    "n_options_total": "count",
    "n_train": "count",
    "n_test": "count",
    "random_seed": "count",
    "rmse_fit": "real",
    "mae_fit": "real",
    "rmse_train": "real",
    "mae_train": "real",
    "inside_train": "real",
    "rmse_test": "real",
    "mae_test": "real",
    "inside_test": "real",
    "gradient_norm": "real",
    "condition_number": "real",
    "at_bound": "text",
    "prior_loss": "real",
    "config_hash": "text",
    "code_version": "text",
    "data_sha256": "text",
}
"""Columns of `fits.parquet` and their kinds; those of the models' parameters follow."""

QUOTE_COLUMNS: dict[str, str] = {
    "snapshot_ts": "time",
    "currency": "text",
    "instrument_name": "text",
    "split": "text",
    "bid_price": "real",
    "ask_price": "real",
    "mid_price_clean": "real",
    "option_type": "text",
    "strike": "real",
    "expiry_datetime": "time",
    "maturity": "real",
    "forward": "real",
    "forward_source": "text",
    "forward_sd": "real",
    "moneyness": "real",
    "log_moneyness": "real",
    "spread": "real",
    "rel_spread": "real",
    "settlement": "text",
    "discount": "real",
    "discount_sd": "real",
    "american_bid": "real",
    "american_ask": "real",
    "timestamp": "time",
    "underlying": "real",
    "underlying_name": "text",
    "time_to_maturity": "real",
    "mark_price": "real",
    "mid_price": "real",
    "futures_price": "real",
    "futures_instrument_name": "text",
    "implied_volatility": "real",
    "delta": "real",
    "vega": "real",
    "open_interest": "real",
    "volume": "real",
    "bid_ask_spread": "real",
    "index_price": "real",
    "volume_usd": "real",
}
"""Columns of `quotes.parquet` and their kinds; those of the models' prices follow."""

EVIDENCE = (
    "status",
    "converged",
    "message",
    "steps",
    "loss",
    "prior_loss",
    "gradient_norm",
    "condition_number",
    "at_bound",
)  # fields of `ModelFit` that are columns of its row

Parameters = dict[str, Any]
"""Parameters by column: a number, or a list of numbers for the shift and for parameters with an axis."""


def columns_of(kind: str, models: Sequence[str]) -> dict[str, str]:
    """Return the columns of a table of results, and their kinds.

    Args:
        kind: "fits" or "quotes".
        models: Names of the models of the run.
    """
    return dict(_columns_of(kind, tuple(models)))


@cache
def _columns_of(kind: str, models: tuple[str, ...]) -> dict[str, str]:
    if kind == "fits":
        return FIT_COLUMNS | parameter_columns(models)
    return QUOTE_COLUMNS | dict.fromkeys(price_columns(models).values(), "real")


@dataclass(frozen=True)
class ModelFit:
    """The result of fitting one model to one snapshot.

    Attributes:
        status: The text that `status_text` gives for the status of the calibration, or "error".
        converged: Whether the fit converged.
        message: The status in words.
        prices: Model prices in the unit of the quotes, shape (rows of the table,); nan where there is none.
        parameters: Parameters and their standard errors, by column.
        steps: Number of evaluations from all starting points together.
        loss: Loss without the prior.
        prior_loss: Loss of the prior.
        gradient_norm: Largest cosine between residuals and derivatives.
        condition_number: That of the Jacobian with columns scaled by the sizes of the parameters.
        at_bound: Coordinates that ended on a bound, separated by commas.
    """

    status: str
    converged: bool
    message: str
    prices: np.ndarray
    parameters: Parameters = field(default_factory=dict)
    steps: int | None = None
    loss: float = np.nan
    prior_loss: float = np.nan
    gradient_norm: float = np.nan
    condition_number: float = np.nan
    at_bound: str = ""


def lost(message: str, n_quotes: int) -> ModelFit:
    """Make the result of a fit that an error prevented."""
    return ModelFit(status=LOST, converged=False, message=message, prices=np.full(n_quotes, np.nan))


def fit_rows(
    file: SnapshotFile,
    seed: int,
    market: Market,
    fits: Mapping[str, ModelFit],
    models: Sequence[str],
    config_hash: str,
) -> list[dict[str, Any]]:
    """Make one row for each model, with its fit or with the reason why the snapshot was refused.

    Args:
        file: The snapshot.
        seed: The seed of its split.
        market: The quotes of one underlying.
        fits: The fits by model; empty if the snapshot was refused.
        models: Names of the models of the run.
        config_hash: The hash of the configuration.
    """
    common = {
        "snapshot_ts": file.time,
        "currency": market.underlying,
        "random_seed": seed,
        "config_hash": config_hash,
        "code_version": CODE_VERSION,
        "data_sha256": market.data_sha256,
    }
    if market.frame is None:
        refusal = {"status": REFUSED, "converged": False, "message": market.reason, "at_bound": ""}
        return [common | refusal | {"model": model} for model in models]
    return [common | {"model": model} | _fit_row(fits[model], market.frame) for model in models]


def quote_rows(
    file: SnapshotFile, currency: str, frame: pd.DataFrame, fits: Mapping[str, ModelFit]
) -> pd.DataFrame:
    """Make one row for each quote of the snapshot, with the prices of the models."""
    prices = {RECIPES[model].price_column: fit.prices for model, fit in fits.items()}
    rows = frame.assign(snapshot_ts=file.time, currency=currency, **prices)
    return rows.reindex(columns=list(columns_of("quotes", list(fits))))


def _fit_row(fit: ModelFit, frame: pd.DataFrame) -> dict[str, Any]:
    """Return the columns of one fit; `rmse_fit` and `mae_fit` cover train and test quotes together."""
    split = frame["split"].to_numpy(object)
    train = split == "train"
    test = split == "test"
    error = fit.prices - frame["mid_price_clean"].to_numpy(float)
    half = 0.5 * frame["spread"].to_numpy(float)
    rmse_fit, mae_fit, _ = price_errors(error, half, train | test)
    row: dict[str, Any] = {
        "n_options_total": int(np.sum(train | test)),
        "n_train": int(np.sum(train)),
        "n_test": int(np.sum(test)),
        "rmse_fit": rmse_fit,
        "mae_fit": mae_fit,
    }
    for name, rows in (("train", train), ("test", test)):
        row[f"rmse_{name}"], row[f"mae_{name}"], row[f"inside_{name}"] = price_errors(error, half, rows)
    for name in EVIDENCE:
        row[name] = getattr(fit, name)
    return row | fit.parameters
