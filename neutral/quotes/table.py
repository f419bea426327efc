"""The table that a surface is built from: its columns, checked."""

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..options import black
from ..options.terms import as_numbers


def columns_of(frame: Any) -> dict[str, np.ndarray]:
    """The columns of a table as arrays, defaults where absent.

    Raises:
        ArgumentError: names the column or the rows that are wrong.
    """
    given = {str(name) for name in frame}
    missing = [name for name in ("forward", "strike", "maturity", "kind") if name not in given]
    if not {"price", "vol"} & given:
        missing.append("price (or vol)")
    if missing:
        raise ArgumentError(
            f"from_quotes misses the column {', '.join(missing)}; got {', '.join(sorted(given))}."
        )
    names = given & {"forward", "strike", "maturity", "price", "vol", "discount", "bid", "ask", "weight"}
    column = {name: as_numbers(name, np.asarray(frame[name])) for name in names}
    rows = column["strike"].size
    if rows == 0:
        raise ArgumentError("from_quotes got no quotes.")
    column["is_call"] = _kinds(np.asarray(frame["kind"]))
    column["train"] = np.asarray(frame["train"], bool) if "train" in given else np.ones(rows, bool)
    for name, default in (("discount", 1.0), ("weight", 1.0), ("bid", np.nan), ("ask", np.nan)):
        column.setdefault(name, np.full(rows, default))
    for name in ("forward", "strike", "maturity", "discount", "weight"):
        _refuse(name, column[name], ~(np.isfinite(column[name]) & (column[name] > 0)), "finite and above 0")
    value = "vol" if "vol" in column else "price"
    _refuse(
        value, column[value], ~(np.isfinite(column[value]) & (column[value] >= 0)), "finite and not negative"
    )
    crossed = column["ask"] < column["bid"]
    _refuse("ask", column["ask"], crossed, "not below the bid")
    return column


def _refuse(name: str, values: np.ndarray, bad: np.ndarray, rule: str) -> None:
    if bad.any():
        rows = np.nonzero(bad)[0]
        raise ArgumentError(
            f"{name} must be {rule}; {rows.size} of {bad.size} rows are not, first row {rows[0]}: "
            f"{values[rows[0]]}."
        )


def _kinds(kind: np.ndarray) -> np.ndarray:
    if kind.dtype == bool:
        return kind
    text = kind.astype(str)
    known = np.isin(text, ["call", "put"])
    if not known.all():
        raise ArgumentError(
            f"kind must hold 'call' and 'put' or booleans (True = call), got {text[~known][0]!r}."
        )
    return text == "call"


def check_constant(name: str, values: np.ndarray, t: np.ndarray, row: np.ndarray) -> None:
    """One forward and one discount factor per maturity."""
    first = np.full(t.size, np.nan)
    first[row] = values
    bad = np.abs(values - first[row]) > 1e-12 * np.abs(values)
    if bad.any():
        i = int(np.nonzero(bad)[0][0])
        raise ArgumentError(
            f"{name} must be one per maturity; at maturity {t[row[i]]:g} it is {values[i]} and "
            f"{first[row[i]]}. Take one value per expiry, such as its median."
        )


def slots(row: np.ndarray, strike: np.ndarray, maturities: int) -> np.ndarray:
    """Position of each quote's strike among those of its maturity."""
    slot = np.zeros(row.size, np.int64)
    for i in range(maturities):
        here = row == i
        slot[here] = np.unique(strike[here], return_inverse=True)[1]
    return slot


def check_single(kind: np.ndarray, row: np.ndarray, slot: np.ndarray, column: dict[str, np.ndarray]) -> None:
    """One quote per option."""
    cells = np.stack([kind, row, slot], axis=1)
    _, first, count = np.unique(cells, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        i = int(first[count > 1][0])
        raise ArgumentError(
            f"the {'put' if kind[i] else 'call'} at maturity {column['maturity'][i]:g} and strike "
            f"{column['strike'][i]:g} is quoted {count.max()} times; keep one quote per option."
        )


def normalised_prices(
    column: dict[str, np.ndarray], unit: np.ndarray, k: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Normalised price, bid and ask, from prices or from volatilities."""
    if "vol" not in column:
        return column["price"] / unit, column["bid"] / unit, column["ask"] / unit
    names = ("vol", "bid", "ask")
    return tuple(np.asarray(black.price(k, column[name] * np.sqrt(t), column["is_call"])) for name in names)
