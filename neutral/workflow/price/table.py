"""`price_table`: adds to a table of options a column of prices for each model."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from ...models import AbstractFourierModel
from ...options import black
from ...options.kinds import Settlement
from ...options.terms import terms as checked_terms
from ...options.terms import unit
from ...pricing import price
from ...quotes.frames import AnyTable, with_columns
from ...quotes.option_columns import option_columns, terms_of
from ...quotes.table import settlement_of
from ...surfaces import VolSurface
from ...times.instants import Instants, as_instants
from .models import FittedModel, Models, model_source


def price_table(
    models: Models,
    table: AnyTable,
    *,
    settlement: Settlement | None = None,
    date: Instants | None = None,
    underlying: str | None = None,
) -> Any:
    """Add to a table of options a column of prices for each model.

    Args:
        models: A model, a surface (from `fit_surface`) or the result of a calibration; several of them in a
            list, or by name in a mapping; the path of a file of `save`; or the path of a folder of results of
            `neutral calibrate`, of which each model's latest converged fit at or before the last quote date
            of the table counts.
        table: A table of pandas, polars, pyarrow or another library, or a mapping of columns, with the
            columns that `QuoteSurface.from_quotes` reads, of which prices and volatilities are not needed.
        settlement: "cash" for prices in the unit of the forward, "coin" for prices in the underlying; where
            None that of the column settlement, or "cash".
        date: The quote date; where None the column date.
        underlying: The underlying, where a folder of results has several.

    Returns:
        A table of the same library with the same rows and index (pandas for a mapping), and a column `price_`
        and the model's name for each model. A price is nan where a term of the option is missing, where the
        option has expired, and where the model gives no accurate price.

    Raises:
        ArgumentError: The table lacks a column, or a model has no prices.
        DataError: What is stored cannot be read, or has no fit of the underlying at that time.
        PrecisionError: Double precision is off.
    """
    columns = option_columns(table)
    terms = terms_of(columns, date)
    in_unit = settlement_of(columns, settlement)
    last = _last_date(columns.get("date") if date is None else date)
    return with_columns(table, price_columns(model_source(models).at(underlying, last), terms, in_unit))


def _last_date(dates: Instants | None) -> datetime | None:
    """Return the last quote date, UTC; None where there is none."""
    times = np.array([], "datetime64[us]") if dates is None else np.ravel(as_instants("date", dates))
    known = times[~np.isnat(times)]
    return known.max().item().replace(tzinfo=UTC) if known.size else None


def price_columns(
    models: dict[str, FittedModel], terms: dict[str, np.ndarray], settlement: Settlement
) -> dict[str, np.ndarray]:
    """Return the prices of each model, shape (rows,), by the name of their column.

    Args:
        models: The models by name.
        terms: As `neutral.quotes.option_columns.terms_of` returns them; nan where a term is missing.
        settlement: The unit of the prices.

    Raises:
        ArgumentError: A number is infinite or of the wrong sign.
        PrecisionError: Double precision is off.
    """
    alive = terms | {"maturity": np.where(terms["maturity"] < 0, np.nan, terms["maturity"])}
    return {f"price_{name}": prices(fitted.model, alive, settlement) for name, fitted in models.items()}


def prices(
    model: AbstractFourierModel | VolSurface, terms: dict[str, np.ndarray], settlement: Settlement
) -> np.ndarray:
    """Return the prices of a model or surface, shape (rows,); the arguments are those of `price_columns`."""
    arguments: dict[str, Any] = {name: terms[name] for name in ("forward", "strike", "maturity", "discount")}
    if not isinstance(model, VolSurface):
        return np.asarray(price(model, **arguments, kind=terms["is_call"], settlement=settlement))
    option = checked_terms(**arguments, kind=terms["is_call"], settlement=settlement)
    k = np.log(option.strike / option.forward)
    stdev = np.sqrt(model.total_variance(k, option.maturity))
    money = unit(np.asarray(option.discount), np.asarray(option.forward), settlement)
    return np.asarray(money * black.price(k, stdev, option.is_call))
