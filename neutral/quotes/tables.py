"""The types of tables as arguments."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias, runtime_checkable


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


AnyTable: TypeAlias = Frame | Mapping[str, object]
"""A table of pandas, polars, pyarrow or another library that narwhals reads, or a mapping of columns."""


def is_frame(data: object) -> bool:
    """Whether an argument is a table or a mapping; unlike `frames.is_table` it loads no library."""
    return isinstance(data, Mapping) or (hasattr(data, "filter") and hasattr(data, "join"))
