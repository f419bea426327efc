"""Says which column a file lacks whose header fits no kind, and how to map the one with its values."""

from collections.abc import Collection, Mapping

import pandas as pd

from ...quotes.column_names import CHAIN_NAMES, MEANINGLESS, SIDED_NAMES, sided_names, squeezed
from ..quotes import column
from .column_map import how_to_map
from .csv_table import numbers, texts
from .table import Names, Table
from .unknown_columns import ROLES

DATES = ("expiry", "date", "hour")
TEXTS = ("name", "exchange", "tenor")
SHOWN = 12  # names and columns in a message


def lacking_column(table: Table, kinds: Mapping[str, Names]) -> str | None:
    """Say which single column keeps a file from being of a kind.

    Args:
        table: The file.
        kinds: The names of the columns that each kind needs, by the description of the kind.

    Returns:
        The nearest kind, the accepted names of the column, and the map to write; None if every kind lacks
        several columns.
    """
    header = set(map(squeezed, table.frame))
    lacking = {
        kind: [role for role, accepted in names.items() if not header & set(map(squeezed, accepted))]
        for kind, names in kinds.items()
    }
    near = [kind for kind, roles in lacking.items() if len(roles) == 1 < len(kinds[kind])]
    if not near:
        return None
    # of several the last, which needs the commonest names
    kind = max(reversed(near), key=lambda kind: len(kinds[kind]))
    (role,) = lacking[kind]
    meant = [name for name in _unknown(table, kinds.values()) if _may_be(role, column(table.frame, name))]
    perhaps = f", perhaps {' or '.join(meant[:SHOWN])}" if meant else ""
    name = meant[0] if len(meant) == 1 else "..."
    return (
        f"It is nearest to {kind}, and lacks a column with one of the names "
        f"{', '.join(kinds[kind][role][:SHOWN])}. State which column contains these values{perhaps}: "
        f"{how_to_map(role, name)}."
    )


def _unknown(table: Table, kinds: Collection[Names]) -> list[str]:
    """Return the columns whose names mean nothing in any kind of file."""
    named = [names for groups in (CHAIN_NAMES, *kinds) for names in groups.values()]
    known = {squeezed(name) for names in (*named, *map(sided_names, SIDED_NAMES)) for name in names}
    return [name for name in table.frame if squeezed(name) not in known | MEANINGLESS]


def _may_be(role: str, values: pd.Series) -> bool:
    """Whether a column can contain the values of a role: dates, names, or numbers that are not all alike."""
    distinct = texts(values).dropna().drop_duplicates()
    if role in DATES:
        return ROLES["date"](distinct, len(values))
    if len(distinct) < 2 or (role == "strike" and 2 * len(distinct) > len(values)):
        return False  # prices hardly ever repeat, while strikes are those of calls and puts, and of expiries
    parsed = numbers(distinct)
    return bool(parsed.isna().all() if role in TEXTS else (parsed >= 0).all())
