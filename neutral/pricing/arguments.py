"""The arguments of the public functions of options: numbers and columns, or a table with a row per option."""

from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..options.kinds import Kind, Settlement
from ..options.terms import Terms, terms
from ..precision import Precision
from ..quotes.option_columns import mid_prices, option_columns, terms_of
from ..quotes.table import settlement_of
from ..quotes.tables import AnyTable, is_frame
from ..times.instants import Ends, Instants

FirstTerm: TypeAlias = ArrayLike | AnyTable | None
"""The first term of options, the forward or the price; or a table that has all terms."""


def option_terms(
    forward: FirstTerm,
    kind: Kind = "call",
    settlement: Settlement = "cash",
    date: Instants | None = None,
    precision: Precision = "float64",
    **given: Ends | None,
) -> Terms:
    """Check and convert the terms of options, as `options.terms.terms` does; or read them from a table.

    Args:
        forward: As for `terms`; or a table, see `table_arguments`.
        kind: As for `terms`.
        settlement: As for `terms`.
        date: As for `terms`.
        precision: As for `terms`.
        given: The other arguments of `terms`.

    Raises:
        ArgumentError: As for `terms` and `table_arguments`.
        PrecisionError: As for `terms`.
    """
    if is_frame(forward):
        arguments = table_arguments(cast(AnyTable, forward), settlement, date, kind=kind, **given)
        return terms(**arguments, precision=precision)
    arguments = cast(dict[str, Any], given)
    numbers = cast(ArrayLike, forward)
    return terms(numbers, kind=kind, settlement=settlement, date=date, precision=precision, **arguments)


def table_arguments(
    table: AnyTable, settlement: Settlement, date: Instants | None = None, **given: Ends | None
) -> dict[str, Any]:
    """Read the arguments of a function of options from a table.

    Args:
        table: A table with the columns that `QuoteSurface.from_quotes` reads, of which prices and
            volatilities are not needed.
        settlement: "coin", or "cash" to take the column settlement, and "cash" where there is none.
        date: The quote date; None takes the column date.
        given: Arguments beside the table, which are refused unless they are None or the default of kind and
            discount.

    Returns:
        The settlement; and arrays of shape (rows,): strike, maturity in years, kind, and either forward and
        discount, or spot, rate and dividend where the table states these.

    Raises:
        ArgumentError: The table lacks a column, or comes with an argument that it states.
    """
    stated = [f"{name}=" for name, value in given.items() if not _is_default(name, value)]
    if stated:
        raise ArgumentError(
            f"{' and '.join(stated)} came with a table, which states the terms of the options; add a column "
            "to the table, or pass its columns one by one."
        )
    columns = option_columns(table)
    column = terms_of(columns, date)
    arguments: dict[str, Any] = {"strike": column["strike"], "maturity": column["maturity"]}
    arguments |= {"kind": column["is_call"]}
    arguments["settlement"] = settlement_of(columns, None if settlement == "cash" else settlement)
    if {"forward", "discount"} & set(columns):
        return arguments | {"forward": column["forward"], "discount": column["discount"]}
    names = {"spot", "rate", "dividend"} & set(columns)
    return arguments | {"forward": None} | {name: columns[name] for name in names}


def table_prices(table: AnyTable) -> np.ndarray:
    """Return the prices of the options of a table, or the middle of bid and ask, shape (rows,).

    Raises:
        ArgumentError: The table has neither.
    """
    prices = mid_prices(option_columns(table))
    if prices is None:
        raise ArgumentError("the table lacks the column price, or bid and ask; rename or add it.")
    return prices


def _is_default(name: str, value: object) -> bool:
    """Whether an argument was left out."""
    default = {"kind": "call", "discount": 1.0}.get(name)
    return value is None or (type(value) is type(default) and value == default)
