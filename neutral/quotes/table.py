"""Checks of the table that a quote surface is built from."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import ArgumentError
from ..options import black
from ..options.kinds import call_flags
from ..options.terms import as_numbers

LARGEST_VOL = 5.0
"""Volatility at the money above which the unit is in doubt; no market has been quoted at 500 % for long."""
LEAST_VOL = 0.01
"""Volatility at the money below which the unit is in doubt."""


@runtime_checkable
class Columns(Protocol):
    """A table by columns: a DataFrame, or a mapping from names to values."""

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the names of the columns."""
        ...

    def __getitem__(self, name: str, /) -> Any:
        """Return one column by its name."""
        ...


def columns_of(frame: Columns) -> dict[str, np.ndarray]:
    """Read the columns of a table as arrays, with defaults for optional columns that are absent.

    Args:
        frame: The table; see `QuoteSurface.from_quotes`.

    Returns:
        Arrays with one value per row, by name; `is_call`, True for calls, replaces the column kind.

    Raises:
        ArgumentError: a column is missing or holds values that are not valid; the message names it and a row.
    """
    present = {str(name) for name in frame}
    missing = [name for name in ("forward", "strike", "maturity", "kind") if name not in present]
    if not {"price", "vol"} & present:
        missing.append("price (or vol)")
    if missing:
        raise ArgumentError(
            f"from_quotes needs the missing columns {', '.join(missing)}; got {', '.join(sorted(present))}."
        )
    names = present & {"forward", "strike", "maturity", "price", "vol", "discount", "bid", "ask", "weight"}
    column = {name: np.asarray(as_numbers(name, frame[name])) for name in names}
    rows = column["strike"].size
    if rows == 0:
        raise ArgumentError("from_quotes needs at least one row, got no quotes.")
    column["is_call"] = np.asarray(call_flags(frame["kind"]))
    column["train"] = np.asarray(frame["train"], bool) if "train" in present else np.ones(rows, bool)
    for name, default in (("discount", 1.0), ("weight", 1.0), ("bid", np.nan), ("ask", np.nan)):
        column.setdefault(name, np.full(rows, default))
    for name in ("forward", "strike", "maturity", "discount", "weight"):
        _refuse(name, column[name], ~(np.isfinite(column[name]) & (column[name] > 0)), "finite and above 0")
    value = "vol" if "vol" in column else "price"
    _refuse(
        value, column[value], ~(np.isfinite(column[value]) & (column[value] >= 0)), "finite and not negative"
    )
    if value == "vol":
        _refuse_percent(column["vol"])
    crossed = column["ask"] < column["bid"]
    _refuse("ask", column["ask"], crossed, "at least the bid")
    return column


def _refuse_percent(vols: Float[np.ndarray, "n"]) -> None:
    """Refuse volatilities that are in percent: their median is above that of any market."""
    middle = float(np.median(vols))
    if middle > LARGEST_VOL:
        raise ArgumentError(
            f"vol must be decimal (0.2 for 20 %); the median of the column is {middle:.4g}, that is "
            f"{100.0 * middle:,.0f} %. If it is in percent, divide it, and bid and ask, by 100."
        )


def _refuse(name: str, values: np.ndarray, bad: Bool[np.ndarray, "n"], rule: str) -> None:
    if bad.any():
        rows = np.nonzero(bad)[0]
        raise ArgumentError(
            f"{name} must be {rule}; {rows.size} of {bad.size} rows are not, the first is row {rows[0]} with "
            f"{values[rows[0]]}."
        )


def check_constant(
    name: str, values: Float[np.ndarray, "n"], t: Float[np.ndarray, "m"], row: Int[np.ndarray, "n"]
) -> None:
    """Raise an error if a column has different values at one maturity.

    Args:
        name: Name of the column.
        values: The column.
        t: The different maturities in years.
        row: Index of each row's maturity in `t`.

    Raises:
        ArgumentError: two values differ; the message names the maturity and both values.
    """
    first = np.full(t.size, np.nan)
    first[row] = values
    bad = np.abs(values - first[row]) > 1e-12 * np.abs(values)
    if bad.any():
        i = int(np.nonzero(bad)[0][0])
        raise ArgumentError(
            f"{name} must be one per maturity; at maturity {t[row[i]]:g} it is {values[i]} and "
            f"{first[row[i]]}. Use one value per expiry, such as the median."
        )


def slots(row: Int[np.ndarray, "n"], strike: Float[np.ndarray, "n"], maturities: int) -> Int[np.ndarray, "n"]:
    """Index each row's strike among the ascending strikes of its maturity; `row` is the maturity's index."""
    slot = np.zeros(row.size, np.int64)
    for i in range(maturities):
        same = row == i
        slot[same] = np.unique(strike[same], return_inverse=True)[1]
    return slot


def check_single(
    kind: Int[np.ndarray, "n"],
    row: Int[np.ndarray, "n"],
    slot: Int[np.ndarray, "n"],
    column: dict[str, np.ndarray],
) -> None:
    """Raise an error if a table quotes an option twice.

    Args:
        kind: 0 for calls, 1 for puts.
        row: Index of each row's maturity.
        slot: Index of each row's strike among those of its maturity.
        column: The columns of the table.

    Raises:
        ArgumentError: an option occurs twice; the message names it.
    """
    cells = np.stack([kind, row, slot], axis=1)
    _, first, count = np.unique(cells, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        i = int(first[count > 1][0])
        raise ArgumentError(
            f"the {'put' if kind[i] else 'call'} at maturity {column['maturity'][i]:g} and strike "
            f"{column['strike'][i]:g} is quoted {count.max()} times; keep one quote per option."
        )


def normalised_prices(
    column: dict[str, np.ndarray],
    unit: Float[np.ndarray, "n"],
    k: Float[np.ndarray, "n"],
    t: Float[np.ndarray, "n"],
) -> tuple[np.ndarray, ...]:
    """Compute normalised price, bid and ask from prices or from volatilities.

    Args:
        column: The columns of the table.
        unit: Unit of the quoted prices of each row.
        k: Log-forward moneyness of each row.
        t: Maturity of each row in years.

    Returns:
        Three arrays, price, bid and ask; nan where a bid or ask is absent.
    """
    if "vol" not in column:
        return column["price"] / unit, column["bid"] / unit, column["ask"] / unit
    names = ("vol", "bid", "ask")
    return tuple(np.asarray(black.price(k, column[name] * np.sqrt(t), column["is_call"])) for name in names)
