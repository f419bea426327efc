"""Reads the tenors of a file of foreign-exchange volatilities as dates of expiry."""

from typing import cast

import numpy as np
import pandas as pd

from ...errors import ArgumentError
from ...times.tenors import end_of_tenor
from ..quotes import column


def expiry_of(tenor: str, start: pd.Timestamp, dated: bool = True) -> pd.Timestamp:
    """Return the time at which a tenor ends, UTC.

    Args:
        tenor: The tenor; see `end_of_tenor`.
        start: The quote date, UTC.
        dated: Whether the quote date is known.

    Raises:
        ArgumentError: As for `end_of_tenor`.
    """
    end = pd.Timestamp(end_of_tenor(tenor, start.to_pydatetime(warn=False), dated))
    return cast(pd.Timestamp, end).as_unit("us")


def expiries(rows: pd.DataFrame, start: pd.Timestamp, dated: bool) -> tuple[pd.Series, np.ndarray]:
    """Return the days on which tenors end, and why they cannot be used.

    Args:
        rows: The quotes of each tenor, with the tenor as text in the column `ends`, or a day in its place.
        start: The quote date, UTC.
        dated: Whether the quote date is known.

    Returns:
        The day of each row, NaT where there is none, and the reason or "", shape (rows,) each.
    """
    expiries: list[pd.Timestamp | None] = []
    faults = []
    for text in rows["ends"]:
        try:
            expiries.append(expiry_of(str(text).removesuffix(".0"), start, dated))
            faults.append("")
        except ArgumentError as error:
            expiries.append(None)
            faults.append(str(error))
    expiry = pd.Series(expiries, dtype="datetime64[us, UTC]", index=rows.index)
    return expiry, np.where(np.array(faults, object) == "", _repeats(rows, expiry), faults)


def _repeats(rows: pd.DataFrame, expiry: pd.Series) -> np.ndarray:
    """Return why a tenor that ends on the day of another is refused, or "", shape (rows,).

    Of equal rows the first is kept; of others none is, because nothing determines which is right.
    """
    quotes = rows.drop(columns=["line", "tenor", "ends"]).assign(expiry=expiry)
    again = (quotes.duplicated() & expiry.notna()).to_numpy()
    kept = expiry.where(~again)
    other = (kept.duplicated(keep=False) & kept.notna()).to_numpy()
    reasons = np.full(len(rows), "", object)
    for i in np.flatnonzero(again | other):
        tenors = ", ".join(sorted(column(rows, "tenor")[expiry == expiry[i]]))
        reasons[i] = f"the tenors {tenors} end on the same day, {expiry[i]:%Y-%m-%d}; keep one of them"
    return reasons
