"""States the unit and the meaning of every column of the tables of results."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from ..recipes import RECIPES, in_order, price_columns, standard_models


class Note(NamedTuple):
    """What a column contains."""

    unit: str  # "" for texts and for numbers without a unit
    meaning: str

    def __str__(self) -> str:
        """The meaning, with the unit in brackets."""
        return f"{self.meaning} [{self.unit}]" if self.unit else self.meaning


PRICE = "coin or cash"
COUNT = "number"
SHARE = "share"
YEARS = "years"
UTC = "UTC"

NOTES: dict[str, Note] = {
    "snapshot_ts": Note(UTC, "time of the snapshot"),
    "timestamp": Note(UTC, "time of the quote; in a sheet of parameters, of the snapshot"),
    "currency": Note("", "the underlying"),
    "model": Note("", "name of the model"),
    "status": Note("", "how the fit ended"),
    "converged": Note("", "whether the fit converged"),
    "success": Note("", "whether the fit converged"),
    "message": Note("", "the status in words, or why the snapshot was refused"),
    "steps": Note(COUNT, "evaluations from all starting points together"),
    "nfev": Note(COUNT, "evaluations from all starting points together"),
    "loss": Note("", "the minimised loss, without the prior"),
    "prior_loss": Note("", "what the prior adds to the loss"),
    "gradient_norm": Note("cosine", "largest cosine between residuals and a derivative"),
    "condition_number": Note("ratio", "condition number of the scaled curvature"),
    "at_bound": Note("", "parameters that ended on a bound"),
    "n_options_total": Note(COUNT, "quotes"),
    "n_train": Note(COUNT, "quotes that were fitted"),
    "n_test": Note(COUNT, "quotes that were kept from the fit"),
    "random_seed": Note("", "seed of the split into train and test"),
    "rmse_fit": Note(PRICE, "root mean square error of all quotes"),
    "mae_fit": Note(PRICE, "mean absolute error of all quotes"),
    "rmse_train": Note(PRICE, "root mean square error of the fitted quotes"),
    "mae_train": Note(PRICE, "mean absolute error of the fitted quotes"),
    "inside_train": Note(SHARE, "fitted quotes priced within half a spread of mid"),
    "rmse_test": Note(PRICE, "root mean square error of the test quotes"),
    "mae_test": Note(PRICE, "mean absolute error of the test quotes"),
    "inside_test": Note(SHARE, "test quotes priced within half a spread of mid"),
    "config_hash": Note("", "SHA-256 of the configuration"),
    "code_version": Note("", "version of neutral"),
    "data_sha256": Note("", "SHA-256 of the data"),
    "shift_times": Note(YEARS, "maturities of the variance shift"),
    "shift_increments": Note("variance", "total variance added up to each of them"),
    "instrument_name": Note("", "name of the option at its exchange"),
    "split": Note("", "train or test"),
    "option_type": Note("", "call or put"),
    "strike": Note("price of the underlying", "strike"),
    "expiry_datetime": Note(UTC, "time of expiry"),
    "maturity": Note(YEARS, "time to expiry, by the day count of the run"),
    "time_to_maturity": Note(YEARS, "time to expiry, as the file states it"),
    "bid_price": Note(PRICE, "bid"),
    "ask_price": Note(PRICE, "ask"),
    "mid_price": Note(PRICE, "mid price, as the file states it"),
    "mid_price_clean": Note(PRICE, "mean of bid and ask, which is fitted"),
    "mark_price": Note(PRICE, "mark price of the exchange"),
    "spread": Note(PRICE, "ask less bid"),
    "bid_ask_spread": Note(PRICE, "ask less bid, as the file states it"),
    "rel_spread": Note(SHARE, "ask less bid, over mid"),
    "american_bid": Note(PRICE, "bid of the American option"),
    "american_ask": Note(PRICE, "ask of the American option"),
    "settlement": Note("", "coin or cash: the unit of prices"),
    "forward": Note("price of the underlying", "forward to the expiry"),
    "forward_source": Note("", "where the forward is from"),
    "forward_sd": Note("price of the underlying", "standard deviation of the forward"),
    "futures_price": Note("price of the underlying", "price of the future, as the file states it"),
    "futures_instrument_name": Note("", "name of the future"),
    "underlying": Note("price of the underlying", "price of the underlying, as the file states it"),
    "underlying_name": Note("", "name of the underlying"),
    "index_price": Note("price of the underlying", "index of the exchange"),
    "moneyness": Note("ratio", "strike over forward"),
    "log_moneyness": Note("ratio", "logarithm of strike over forward"),
    "discount": Note("", "discount factor to the expiry"),
    "discount_sd": Note("", "standard deviation of the discount factor"),
    "implied_volatility": Note("1/sqrt(yr)", "volatility, as the file states it, decimal"),
    "delta": Note("", "delta, as the file states it"),
    "vega": Note("price for 1 point of volatility", "vega, as the file states it"),
    "open_interest": Note("contracts", "open interest"),
    "volume": Note("contracts", "traded volume"),
    "volume_usd": Note("USD", "traded volume"),
}
"""Notes by column, except for parameters and prices of models."""


def notes_of(kind: str, models: Sequence[str]) -> dict[str, Note]:
    """Return the notes on the columns of a table of results.

    Args:
        kind: "fits" or "quotes".
        models: Names of the models of the run.
    """
    if kind == "quotes":
        prices = price_columns(models)
        return NOTES | {column: Note(PRICE, f"price of {name}") for name, column in prices.items()}
    parameters: dict[str, Note] = {}
    for name in in_order([*standard_models(), *models]):
        parameters = _parameter_notes(name) | parameters
    return NOTES | parameters


def _parameter_notes(name: str) -> dict[str, Note]:
    """Return the notes on the parameters of a model and their standard errors, as its class declares them."""
    from ...models.parameters import split_unit  # loads JAX

    recipe = RECIPES[name]
    fields = {field.name: field for field in dataclasses.fields(recipe.model_class)}
    notes = {}
    for parameter, column in recipe.columns.items():
        meaning, unit = split_unit(fields[parameter].metadata["description"])
        notes[column] = Note(unit, meaning)
        notes[f"{column}_se"] = Note(notes[column].unit, f"standard error of {column}")
    return notes
