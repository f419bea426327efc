"""The caller's map from the names of this package to the columns of a file, and the columns to leave out."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ...errors import ArgumentError
from .dates import check_form

IGNORE = "ignore"
DATE_FORMAT = "date_format"
EXAMPLE = 'columns={"date": "quote_datetime", "ignore": ["x"], "date_format": "MM/DD/YYYY"}'

Columns: TypeAlias = Mapping[str, str | Sequence[str]]
"""The name of this package for each column of a file that has another name. The key "ignore" lists columns
that mean nothing, and "date_format" is the form of dates that can be read in two ways."""


@dataclasses.dataclass(frozen=True)
class ColumnMap:
    """A checked map of columns."""

    names: tuple[tuple[str, str], ...] = ()  # the name of this package, and the column of the file
    ignored: tuple[str, ...] = ()
    date_format: str | None = None

    @property
    def mapped(self) -> frozenset[str]:
        """The names of this package that the map gives to columns."""
        return frozenset(name for name, _ in self.names)


NO_COLUMNS = ColumnMap()


def column_map(columns: Columns | ColumnMap | None) -> ColumnMap:
    """Check the caller's map of columns.

    Raises:
        ArgumentError: It is no mapping of names to names, maps two names to one column, or has a form of
            dates that is not accepted.
    """
    if columns is None or isinstance(columns, ColumnMap):
        return columns or NO_COLUMNS
    if not isinstance(columns, Mapping):
        raise ArgumentError(f"columns={columns!r} is not accepted; expected a mapping such as {EXAMPLE}.")
    names = {}
    for name, column in columns.items():
        if name in (IGNORE, DATE_FORMAT):
            continue
        if not isinstance(name, str) or not isinstance(column, str) or not column.strip():
            raise ArgumentError(
                f"columns={{{name!r}: {column!r}}} is not accepted; expected the name of a column of the "
                f"file, as in {EXAMPLE}."
            )
        names[name] = column
    if len(set(names.values())) < len(names):
        raise ArgumentError(f"columns={dict(columns)!r} gives one column of the file two names.")
    form = columns.get(DATE_FORMAT)
    return ColumnMap(tuple(names.items()), _ignored(columns.get(IGNORE, ())), check_form(form))


def parse_columns(texts: Sequence[str]) -> dict[str, str | list[str]]:
    """Read a map of columns from texts such as "date=quote_datetime" and "ignore=x".

    Raises:
        ArgumentError: A text has no equals sign.
    """
    columns: dict[str, str | list[str]] = {}
    ignored: list[str] = []
    for text in texts:
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise ArgumentError(
                f"--columns {text!r} is not accepted; expected NAME=COLUMN, such as date=quote_datetime, or "
                "ignore=COLUMN."
            )
        if name == IGNORE:
            ignored.append(column)
        else:
            columns[name] = column
    return columns | ({IGNORE: ignored} if ignored else {})


def how_to_map(role: str, column: str) -> str:
    """Write how a map states what a column means, for messages."""
    return f'columns={{"{role}": "{column}"}} or --columns {role}={column}'


def how_to_ignore(column: str) -> str:
    """Write how a map states that a column means nothing, for messages."""
    return f'columns={{"ignore": ["{column}"]}} or --columns ignore={column}'


def _ignored(columns: object) -> tuple[str, ...]:
    listed = [columns] if isinstance(columns, str) else columns
    if not isinstance(listed, Sequence) or not all(isinstance(name, str) for name in listed):
        raise ArgumentError(f"columns={{'ignore': {columns!r}}} is not accepted; expected names of columns.")
    return tuple(listed)
