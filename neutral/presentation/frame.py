"""Results as tables of pandas, which is loaded when a table is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import ArgumentError

if TYPE_CHECKING:
    import pandas as pd


Labels: TypeAlias = Collection[Any]
"""Labels of the rows of a table, such as the index of a DataFrame."""


class Tabular:
    """A result with rows, which `to_frame` turns into a DataFrame."""

    rows: Callable[..., list[dict[str, Any]]]

    def to_frame(self, **options: Any) -> pd.DataFrame:
        """Return `rows()` as a DataFrame; without rows, its `attrs["reason"]` states why there are none.

        Args:
            options: Options of `rows`, such as `level` of intervals.
        """
        return frame_of_rows(self.rows(**options), getattr(self, "reason", ""))


def frame_of_rows(rows: Sequence[Mapping[str, Any]], reason: str = "") -> pd.DataFrame:
    """Make a DataFrame with one row per dictionary, and keep a reason in its `attrs`."""
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    if reason:
        frame.attrs["reason"] = reason
    return frame


def frame_of_arrays(columns: Mapping[str, Any], index: Labels | None = None) -> pd.DataFrame:
    """Make a DataFrame with one row per entry of arrays that broadcast to one shape.

    Args:
        columns: Arrays by column.
        index: Labels of the rows, as many as there are entries; by default the position of an entry, with one
            level for each axis of the arrays.

    Returns:
        One row per entry, in C order.

    Raises:
        ArgumentError: the number of labels differs from that of entries.
    """
    import pandas as pd

    arrays = {name: np.asarray(values) for name, values in columns.items()}
    shape = np.broadcast_shapes(*(values.shape for values in arrays.values()))
    size = int(np.prod(shape))
    if index is not None and len(index) != size:
        raise ArgumentError(f"index must have one label per row, {size}, got {len(index)}.")
    labels = index if isinstance(index, pd.Index) else pd.Index(range(size) if index is None else list(index))
    if index is None and len(shape) > 1:
        labels = pd.MultiIndex.from_product([range(n) for n in shape])
    flat = {name: np.broadcast_to(values, shape).ravel() for name, values in arrays.items()}
    return pd.DataFrame(flat, index=labels)


def stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tables of the components of a result below each other, with a first column `component`."""
    import pandas as pd

    numbered = [frame.assign(component=i) for i, frame in enumerate(frames)]
    table = pd.concat(numbered, ignore_index=True)
    return table.reindex(columns=["component", *(name for name in table if name != "component")])


def entries(values: Mapping[str, Any], axes: int) -> dict[str, np.ndarray]:
    """Split arrays with one axis more than `axes` into one column per entry: `kappa` to `kappa[0]`, ..."""
    columns: dict[str, np.ndarray] = {}
    for name, value in values.items():
        array = np.asarray(value)
        if array.ndim <= axes:
            columns[name] = array
        else:
            columns |= {f"{name}[{i}]": array[..., i] for i in range(array.shape[-1])}
    return columns
