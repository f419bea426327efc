"""Refuses files in which a column that means something has an unknown name, by looking at its values."""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import pandas as pd

from ...errors import DataError
from ...options.kinds import KINDS
from ...quotes.column_names import MEANINGLESS, squeezed
from ..quotes import column
from .column_map import how_to_ignore, how_to_map
from .csv_table import texts
from .dates import fitting_forms, parse_dates
from .symbols import EUROPEAN, bare_symbol
from .table import Names, Table

TICKER = re.compile(r"[\^$.]?[A-Z][A-Z0-9]{0,7}([./:][A-Z]{1,3})?( (INDEX|EQUITY|Index|Equity))?")
MOST_UNDERLYINGS = 0.2  # per row; a column of more distinct texts is no column of underlyings
YEARS = (1970, 2100)  # of dates; numbers that are dates beyond them are no dates
LARGEST_DATE = 9e18  # numbers of nanoseconds since 1970 are smaller
SHOWN_VALUES = 3

Role: TypeAlias = Callable[[pd.Series, int], bool]
"""Whether the distinct texts of a column, whose number of rows follows, are those of a role."""


def refuse_unknown(
    table: Table, frame: pd.DataFrame, names: Names, roles: Mapping[str, Role] | None = None
) -> None:
    """Refuse a file if a role is not filled, and a column of an unknown name has values of that role.

    Args:
        table: The parsed file.
        frame: Its typed columns, by role.
        names: The accepted names of each column.
        roles: The roles, of which those count that `names` has. None takes `ROLES`.

    Raises:
        DataError: There is such a column; the message states which names are accepted and how to map it.
    """
    tests = ROLES if roles is None else roles
    open_roles = [role for role in tests if role in names and not _is_filled(frame, role)]
    if not open_roles:
        return
    for name in table.unused(names):
        if squeezed(name) in MEANINGLESS:
            continue
        distinct = _distinct(column(table.frame, name))
        role = next((role for role in open_roles if tests[role](distinct, len(frame))), None)
        if role is not None:
            shown = ", ".join(distinct.head(SHOWN_VALUES))
            raise DataError(
                f"{table.path}: the column {name!r} looks like the {role} ({shown}), but its name is "
                f"unknown; accepted names are {', '.join(names[role])}. Say what it means: "
                f"{how_to_map(role, name)}; or that it means nothing: {how_to_ignore(name)}. "
                f"The file has the columns {table.listed}."
            )


def _is_filled(frame: pd.DataFrame, role: str) -> bool:
    return role in frame and bool(column(frame, role).notna().any())


def _distinct(values: pd.Series) -> pd.Series:
    """Return the distinct texts of a column, without blanks around them; none for a column of numbers."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return pd.Series([], dtype="str")
    if pd.api.types.is_float_dtype(values.dtype):
        filled = values.dropna()
        whole = bool(((filled % 1 == 0) & (filled.abs() < LARGEST_DATE)).all())
        values = filled.astype("int64") if whole else filled.head(0)
    found = pd.Series(texts(values).dropna().unique(), dtype="str").str.strip()
    return found[found != ""]


def _are_underlyings(distinct: pd.Series, rows: int) -> bool:
    """Whether texts are tickers of several underlyings, or the one of a known index."""
    if _are_kinds(distinct, rows) or _are_halves(distinct, rows):
        return False
    if not len(distinct) or not distinct.map(lambda text: TICKER.fullmatch(text) is not None).all():
        return False
    if len(distinct) == 1:
        return bare_symbol(str(distinct.iloc[0])) in EUROPEAN
    return len(distinct) <= max(2, MOST_UNDERLYINGS * rows)


def are_dates(distinct: pd.Series, rows: int) -> bool:
    """Whether texts are dates of one form, in the years in which there are markets."""
    for form in fitting_forms(distinct):
        years = parse_dates(distinct, form).dt.year
        if bool(years.between(*YEARS).all()):
            return True
    return False


def _are_kinds(distinct: pd.Series, rows: int) -> bool:
    return bool(len(distinct)) and bool(distinct.str.lower().isin(list(KINDS)).all())


def _are_halves(distinct: pd.Series, rows: int) -> bool:
    """Whether texts are AM and PM, both of which occur."""
    return set(distinct.str.upper().str.replace(".", "", regex=False)) == {"AM", "PM"}


ROLES: dict[str, Role] = {
    "option_type": _are_kinds,
    "settlement_time": _are_halves,
    "date": are_dates,
    "underlying": _are_underlyings,
}
"""The roles of options: their kind and time of settlement, and the date and the underlying."""
