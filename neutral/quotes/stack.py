"""Surfaces padded to a common shape, with a leading axis."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..errors import ArgumentError
from .surface import QuoteSurface


def stack(surfaces: Sequence[QuoteSurface]) -> QuoteSurface:
    """Surfaces padded to a common bucket, with a leading axis.

    Raises:
        ArgumentError: there is none, or they differ in settlement.
    """
    if not surfaces:
        raise ArgumentError("stack needs at least one surface, got none.")
    if len({s.settlement for s in surfaces}) > 1:
        raise ArgumentError(
            "Surfaces of cash-settled and of coin-settled options cannot be stacked together."
        )
    maturities, strikes = (max(s.shape[i] for s in surfaces) for i in (0, 1))
    padded = [pad(s, maturities, strikes) for s in surfaces]
    return jax.tree.map(lambda *x: np.stack(x), *padded)


def pad(surface: QuoteSurface, maturities: int, strikes: int) -> QuoteSurface:
    """One surface with more padded maturities and strikes."""
    rows, columns = maturities - surface.shape[0], strikes - surface.shape[1]
    if (rows, columns) == (0, 0):
        return surface
    empty = {"bid": np.nan, "ask": np.nan, "mask": False, "train": False, "index": -1}
    empty |= {"forward": 1.0, "discount": 1.0, "stdev": 1.0, "vol": 1.0}

    def padded(name: str) -> Any:
        x = np.asarray(getattr(surface, name))
        width = [(0, 0)] * (x.ndim - 2) + [(0, rows), (0, columns)] if x.ndim > 1 else [(0, rows)]
        if name == "t":
            return np.concatenate([x, x[-1] + np.arange(1.0, rows + 1.0)])
        return np.pad(x, width, constant_values=empty.get(name, 0))

    names = [name for name in surface.__dataclass_fields__ if name != "settlement"]
    return QuoteSurface(**{name: padded(name) for name in names}, settlement=surface.settlement)
