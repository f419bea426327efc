"""The padded grid (call or put, maturity, strike) that the rows of a table of quotes are placed on."""

from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from ..typing import Numbers
from .table import check_constant, check_single, slots

_MATURITIES = (4, 8, 12, 16, 24, 32, 48, 64)
_STRIKES = (8, 16, 32, 64, 128, 192, 256)


class Cells(NamedTuple):
    """Position on the padded grid of each of the n rows of a table.

    Attributes:
        maturities: The m different maturities in years, ascending, without padding.
        kind: 0 for a call, 1 for a put, of each row.
        row: Index of each row's maturity in `maturities`.
        slot: Index of each row's strike among the ascending strikes of its maturity.
        shape: Padded numbers (T, K) of maturities and strikes.
    """

    maturities: Float[np.ndarray, "m"]
    kind: Int[np.ndarray, "n"]
    row: Int[np.ndarray, "n"]
    slot: Int[np.ndarray, "n"]
    shape: tuple[int, int]

    @classmethod
    def of(cls, column: dict[str, np.ndarray]) -> Self:
        """Place the rows of a checked table on a grid.

        Args:
            column: Columns from `columns_of`.

        Returns:
            The position of each row.

        Raises:
            ArgumentError: a maturity has several forwards or discount factors, or an option is quoted twice.
        """
        t, row = np.unique(column["maturity"], return_inverse=True)
        check_constant("forward", column["forward"], t, row)
        check_constant("discount", column["discount"], t, row)
        slot = slots(row, column["strike"], t.size)
        kind = np.where(column["is_call"], 0, 1)
        check_single(kind, row, slot, column)
        shape = (_bucket(t.size, _MATURITIES), _bucket(int(slot.max()) + 1, _STRIKES))
        return cls(maturities=t, kind=kind, row=row, slot=slot, shape=shape)

    @property
    def t(self) -> Float[np.ndarray, "T"]:
        """Maturities in years; those that pad the grid follow at intervals of one year."""
        t = self.maturities
        return np.concatenate([t, t[-1] + np.arange(1.0, self.shape[0] - t.size + 1.0)])

    def quotes(self, values: Shaped[np.ndarray, "n"], empty: float) -> Shaped[np.ndarray, "2 T K"]:
        """Place one value per row on the grid, in its dtype, with `empty` in all other cells."""
        out = np.full((2, *self.shape), empty, values.dtype)
        out[self.kind, self.row, self.slot] = values
        return out

    def strikes(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "T K"]:
        """Place one value per row on the grid without the axis of call and put, with 0 in all other cells."""
        out = np.zeros(self.shape)
        out[self.row, self.slot] = values
        return out

    def line(self, values: Float[np.ndarray, "n"]) -> Float[np.ndarray, "T"]:
        """Reduce one value per row to one per maturity, with 1 where the grid is padded."""
        out = np.ones(self.shape[0])
        out[self.row] = values
        return out


def in_row_order(
    chosen: Bool[Numbers, "2 T K"], index: Int[Numbers, "2 T K"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return kind, maturity and strike of chosen cells by position, in the order of the rows of the table.

    Args:
        chosen: True for the cells that are listed.
        index: The row of each cell.
    """
    kind, maturity, slot = np.nonzero(np.asarray(chosen))
    order = np.argsort(np.asarray(index)[kind, maturity, slot], kind="stable")
    return kind[order], maturity[order], slot[order]


def _bucket(size: int, sizes: tuple[int, ...]) -> int:
    """Round up to the next of the sizes, or to a multiple of the last one where none is large enough."""
    return next((s for s in sizes if s >= size), -(-size // sizes[-1]) * sizes[-1])
