"""The types of tables as arguments."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np


@runtime_checkable
class Frame(Protocol):
    """What tables of all libraries have in common, by which types distinguish them from other arguments."""

    @property
    def filter(self) -> Callable[..., object]:
        """Select rows."""
        ...

    @property
    def join(self) -> Callable[..., object]:
        """Add the columns of another table."""
        ...


@runtime_checkable
class Batch(Protocol):
    """What record batches of pyarrow have, which cannot be joined."""

    @property
    def column_names(self) -> list[str]:
        """Names of the columns."""
        ...


AnyTable: TypeAlias = Frame | Batch | Mapping[str, object] | Sequence[Mapping[str, object]] | np.ndarray
"""A table of pandas, polars, pyarrow or another library that narwhals reads; a mapping of columns; a list of
rows (mappings of names to single values); or an array of records of numpy."""


def is_frame(data: object) -> bool:
    """Whether an argument is a table or a mapping; unlike `frames.is_table` it loads no library."""
    of_library = hasattr(data, "filter") and (hasattr(data, "join") or is_batch(data))
    return isinstance(data, Mapping) or of_library or are_records(data) or are_rows(data)


def is_batch(data: object) -> bool:
    """Whether an argument is a record batch of pyarrow, which has columns and cannot be joined."""
    return hasattr(data, "column_names") and not hasattr(data, "join")


def are_records(data: object) -> bool:
    """Whether an argument is an array of records of numpy."""
    return bool(getattr(getattr(data, "dtype", None), "names", None))


def are_rows(data: object) -> bool:
    """Whether an argument is a list of rows; the values of a list of tables have lengths."""
    if not isinstance(data, list | tuple) or not data or not all(isinstance(row, Mapping) for row in data):
        return False
    return not any(hasattr(x, "__len__") and not isinstance(x, str) for x in data[0].values())


def column_names(table: object) -> list[str]:
    """Return the names of the columns of a table, also those of the levels of a pandas index."""
    source: Any = table
    if are_rows(table):
        names = dict.fromkeys(name for row in source for name in row)
    elif are_records(table):
        names = source.dtype.names
    elif isinstance(table, Mapping):
        names = list(table)
    elif hasattr(table, "column_names"):  # pyarrow
        names = source.column_names
    elif hasattr(table, "collect_schema"):  # polars
        names = source.collect_schema()
    else:
        names = [*getattr(table, "columns", []), *getattr(getattr(table, "index", None), "names", [])]
    return list(map(str, names))
