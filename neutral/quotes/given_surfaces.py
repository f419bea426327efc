"""Surfaces as arguments: given as such, or as tables of quotes."""

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from ..errors import ArgumentError
from .column_names import squeezed
from .stack import stack
from .surface import QuoteSurface
from .tables import AnyTable, column_names, is_frame

SURFACE = "surface"
"""The column of a table that names the surface of each row."""
OneSurface: TypeAlias = QuoteSurface | AnyTable
"""The quotes of one surface: a `QuoteSurface`, or a table that `QuoteSurface.from_quotes` reads."""
ManySurfaces: TypeAlias = QuoteSurface | Sequence[OneSurface] | AnyTable
"""The quotes of several surfaces: a stack; a sequence or a mapping of surfaces or tables; or one table with
the column `surface`, whose distinct values name the surfaces in the order in which they first occur."""


def quote_surface(quotes: OneSurface, caller: str, batch: str = "") -> QuoteSurface:
    """Return one surface.

    Args:
        quotes: A surface, or a table of quotes.
        caller: Name of the function, for error messages.
        batch: Name of the function for several surfaces; "" if there is none.

    Raises:
        ArgumentError: The quotes are of several surfaces, are neither a surface nor a table, or the table
            cannot be used.
    """
    remedy = f"use {batch}" if batch else "pass one of them"
    if isinstance(quotes, QuoteSurface):
        if np.ndim(quotes.t) == 1:
            return quotes
        raise ArgumentError(f"{caller} takes one surface, got a stack of them; {remedy}.")
    if (
        isinstance(quotes, list | tuple)
        and len(quotes)
        and all(map(is_frame, quotes))
        and not is_frame(quotes)
    ):
        raise ArgumentError(f"{caller} takes one surface, got {len(quotes)} tables; {remedy}.")
    if not is_frame(quotes):
        raise ArgumentError(_no_surface(caller, quotes))
    if len(parts := tables_by_surface(quotes)) > 1:
        raise ArgumentError(
            f"{caller} takes one surface, and the column {SURFACE} names {len(parts)}; {remedy}."
        )
    return QuoteSurface.from_quotes(quotes)


def quote_surfaces(quotes: ManySurfaces, caller: str) -> QuoteSurface:
    """Return a stack of one or more surfaces.

    Args:
        quotes: As for `ManySurfaces`.
        caller: Name of the function, for error messages.

    Raises:
        ArgumentError: There is no surface, or only a single one that is no stack; or quotes are neither a
            surface nor a table, or a table cannot be used. The message names the surface.
    """
    if isinstance(quotes, QuoteSurface):
        if np.ndim(quotes.t) != 2:
            single = caller.removesuffix("_batch")
            raise ArgumentError(
                f"{caller} takes a stack or a sequence of surfaces, got a single one: use {single} for it."
            )
        if not len(quotes):
            raise ArgumentError(f"{caller} needs at least one surface, got a stack without any.")
        return quotes
    named = _named(quotes, caller)
    if not named:
        raise ArgumentError(f"{caller} needs at least one surface, got none.")
    return stack([_surface(name, part, caller) for name, part in named.items()])


def tables_by_surface(table: AnyTable) -> dict[object, AnyTable]:
    """Split a table by its column `surface`; a table without this column is of one surface, "".

    Args:
        table: A table of any library, or a mapping of columns.

    Returns:
        The rows of each surface, in order of first occurrence.

    Raises:
        ArgumentError: A row has no surface.
    """
    if SURFACE not in map(squeezed, column_names(table)):
        return {"": table}
    from .frames import pandas_frame  # loads pandas

    frame = pandas_frame(table)
    column = next((name for name in frame.columns if squeezed(name) == SURFACE), "")
    if not column:
        return {"": table}
    if bool(frame[column].isna().any()):
        raise ArgumentError(f"the column {column} must name the surface of every row; fill what is missing.")
    return {name: part for name, part in frame.groupby(column, sort=False)}


def _named(quotes: ManySurfaces, caller: str) -> Mapping[Any, OneSurface]:
    """Return the surfaces or tables with the name or number of each."""
    by_name = isinstance(quotes, Mapping)
    if by_name and all(isinstance(x, QuoteSurface) or is_frame(x) for x in quotes.values()):
        return cast(Mapping[Any, OneSurface], quotes)
    if is_frame(quotes):
        parts = tables_by_surface(cast(AnyTable, quotes))
        if "" in parts:
            raise ArgumentError(
                f"{caller} needs to know which rows make a surface: add the column {SURFACE}, as with "
                f"table.assign({SURFACE}=table['date']), or pass a list of tables."
            )
        return parts
    if not isinstance(quotes, Iterable) or isinstance(quotes, str):
        raise ArgumentError(_no_surface(caller, quotes))
    return dict(enumerate(cast(Iterable[OneSurface], quotes)))


def _surface(name: object, quotes: OneSurface, caller: str) -> QuoteSurface:
    if isinstance(quotes, QuoteSurface):
        return quotes
    if not is_frame(quotes):
        raise ArgumentError(f"surface {name}: {_no_surface(caller, quotes)}")
    try:
        return QuoteSurface.from_quotes(quotes)
    except ArgumentError as error:
        raise ArgumentError(f"surface {name}: {error}") from error


def _no_surface(caller: str, quotes: object) -> str:
    return (
        f"{caller} takes a QuoteSurface, or a table of quotes with the columns that QuoteSurface.from_quotes "
        f"lists, got {type(quotes).__name__}: {reprlib.repr(quotes)}. neutral.build_surface makes the "
        "surface of what a loader returns."
    )
