"""Stacks of quote surfaces, which are padded to a common shape and have a leading axis."""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from ..errors import ArgumentError
from .surface import QuoteSurface


def stack(surfaces: Sequence[QuoteSurface]) -> QuoteSurface:
    """Pad surfaces to a common shape and stack them along a new leading axis.

    Args:
        surfaces: At least one surface, all of the same settlement.

    Returns:
        The stack; `stack(surfaces)[i]` is the i-th surface, padded.

    Raises:
        ArgumentError: there is no surface, or settlements differ.
    """
    if not surfaces:
        raise ArgumentError("stack needs at least one surface, got an empty sequence.")
    if len({s.settlement for s in surfaces}) > 1:
        raise ArgumentError(
            "stack needs surfaces of one settlement, got both cash and coin; stack each kind separately."
        )
    maturities, strikes = (max(s.shape[i] for s in surfaces) for i in (0, 1))
    padded = [pad(s, maturities, strikes) for s in surfaces]
    return jax.tree.map(lambda *x: np.stack(x), *padded)


def pad(surface: QuoteSurface, maturities: int, strikes: int) -> QuoteSurface:
    """Pad a surface to more maturities and strikes.

    Args:
        surface: A single surface or a stack.
        maturities: Padded number of maturities, at least that of the surface.
        strikes: Padded number of strikes, at least that of the surface.

    Returns:
        The padded surface.
    """
    rows = maturities - surface.shape[0]
    columns = strikes - surface.shape[1]
    if (rows, columns) == (0, 0) and surface.refused is not None:
        return surface
    empty = {"bid": np.nan, "ask": np.nan, "mask": False, "train": False, "index": -1}
    empty |= {"forward": 1.0, "discount": 1.0, "stdev": 1.0, "vol": 1.0}
    if surface.refused is None:
        surface = dataclasses.replace(surface, refused=np.zeros(np.shape(surface.mask), np.int8))

    def padded_field(name: str) -> np.ndarray:
        x = np.asarray(getattr(surface, name))
        width = [(0, 0)] * (x.ndim - 2) + [(0, rows), (0, columns)] if x.ndim > 1 else [(0, rows)]
        if name == "t":
            return np.concatenate([x, x[-1] + np.arange(1.0, rows + 1.0)])
        return np.pad(x, width, constant_values=empty.get(name, 0))

    names = [name for name in surface.__dataclass_fields__ if name != "settlement"]
    return QuoteSurface(**{name: padded_field(name) for name in names}, settlement=surface.settlement)
