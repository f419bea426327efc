"""Defines the sheets of the workbook of results and their columns, for the writer and the reader."""

from collections.abc import Sequence

import pandas as pd

from ..recipes import RECIPES, SHIFT, price_columns
from .rows import columns_of

COMMON = (
    "timestamp",
    "currency",
    "success",
    "message",
    "nfev",
    "rmse_fit",
    "mae_fit",
    "rmse_train",
    "mae_train",
    "rmse_test",
    "mae_test",
    "n_options_total",
    "n_train",
    "n_test",
    "random_seed",
)  # columns of a sheet of parameters before the parameters
RENAMED = {
    "snapshot_ts": "timestamp",
    "converged": "success",
    "steps": "nfev",
    "mu_y": "ell_y",
    "mu_v": "ell_v",
}  # columns of fits that have another name in the workbook
FIRST = ("kappa", "theta", "sigma_v", "rho", "v0")  # parameters in the published order; all others follow
QUOTE_FRONT = (
    "snapshot_ts",
    "currency",
    "instrument_name",
    "option_type",
    "strike",
    "expiry_datetime",
    "time_to_maturity",
    "futures_price",
    "bid_price",
    "ask_price",
    "mid_price_clean",
    "rel_spread",
    "open_interest",
    "vega",
    "random_seed",
)  # columns of a sheet of quotes before the prices of models
HEADER_STYLE = {"bold": True, "bottom": 1, "bg_color": "#E8EDF3"}
EPOCH = pd.Timestamp("1899-12-30", tz="UTC")  # day 0 of Excel
SPLITS = ("train", "test")


def quote_sheet(split: str) -> str:
    """Return the name of the sheet of the train or the test quotes."""
    return f"{split}_data"


def sheet_columns(model: str) -> list[str]:
    """Return the columns of the sheet of a model's parameters."""
    recipe = RECIPES[model]
    rank = {name: i for i, name in enumerate(FIRST)}
    parameters = sorted(recipe.columns.values(), key=lambda name: rank.get(name, len(FIRST)))
    shift = SHIFT if recipe.shifted else ()
    return [*COMMON, *(RENAMED.get(name, name) for name in parameters), *shift]


def quote_sheet_columns(models: Sequence[str]) -> list[str]:
    """Return the columns of the sheets of quotes: `QUOTE_FRONT`, the prices of models, the rest by name."""
    front = [*QUOTE_FRONT, *price_columns(models).values()]
    return [*front, *sorted(set(columns_of("quotes", models)) - set(front))]


def kinds_of(models: Sequence[str]) -> dict[str, str]:
    """Return the kinds of all columns of the sheets, by name."""
    fits = columns_of("fits", models)
    renamed = {new: fits[old] for old, new in RENAMED.items()}
    return fits | columns_of("quotes", models) | renamed


def days(times: pd.Series) -> pd.Series:
    """Return UTC times as Excel counts them, in days since `EPOCH`; a missing time is nan."""
    elapsed: pd.Series = pd.to_datetime(times, utc=True) - EPOCH
    return elapsed / pd.Timedelta(days=1)
