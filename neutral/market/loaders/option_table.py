"""Builds the common table of options from files of any layout: its columns and refused rows."""

from collections.abc import Collection, Mapping
from typing import cast

import numpy as np
import pandas as pd

from ...errors import ArgumentError
from ...options.kinds import KINDS
from ...times import DAY_COUNTS
from ..filters import EXPIRED, EXPIRES_TODAY, NON_STANDARD, REPEATED, first_reason

ALWAYS = (
    "timestamp",
    "expiry_datetime",
    "option_type",
    "strike",
    "maturity",
    "bid_price",
    "ask_price",
    "futures_price",
    "discount",
    "implied_volatility",
    "underlying_name",
)
WHERE_PRESENT = ("open_interest", "volume", "vega", "quote_time", "root", "settlement_time")
DAY = pd.Timedelta(days=1)
ON_FUTURES = ("VIX", "VIXW", "VSTOXX", "V2X")  # indices that are not traded; forwards do not follow from them
Value = pd.Series | np.ndarray | str | float | pd.Timestamp | pd.api.typing.NaTType
"""A column of a table: one value for each row, or one value for all rows."""


def option_table(
    columns: Mapping[str, Value],
    rows: int,
    non_standard: np.ndarray | bool = False,
    repeated: np.ndarray | bool = False,
) -> pd.DataFrame:
    """Make the frame of `Quotes`, with the reasons of refused rows.

    Args:
        columns: Arrays of shape (rows,) or single values, by the names in `ALWAYS` and `WHERE_PRESENT`. A
            missing column of `ALWAYS` is nan.
        rows: Number of rows.
        non_standard: Whether each row is a contract on another number of shares, bool, shape (rows,).
        repeated: Whether each row repeats an earlier one, bool, shape (rows,).
    """
    names = [*ALWAYS, *(name for name in WHERE_PRESENT if name in columns)]
    frame = pd.DataFrame({name: columns.get(name, np.nan) for name in names}, index=pd.RangeIndex(rows))
    maturity = frame["maturity"].to_numpy()
    frame["refused"] = first_reason(
        [
            (NON_STANDARD, np.broadcast_to(non_standard, rows)),
            (EXPIRED, maturity < 0),
            (EXPIRES_TODAY, maturity == 0),
            (REPEATED, np.broadcast_to(repeated, rows)),
        ],
        rows,
    )
    return frame


def check_day_count(day_count: str, accepted: Collection[str] = tuple(DAY_COUNTS)) -> None:
    """Refuse an unknown day count.

    Raises:
        ArgumentError: The day count is none of those accepted.
    """
    if day_count not in accepted:
        raise ArgumentError(
            f"day_count={day_count!r} is unknown; expected one of {', '.join(map(repr, accepted))}."
        )


def check_exercise(exercise: str | None) -> None:
    """Refuse an unknown exercise.

    Raises:
        ArgumentError: The exercise is neither "european" nor "american" nor None.
    """
    if exercise not in (None, "european", "american"):
        raise ArgumentError(f"exercise={exercise!r} is unknown; expected 'european' or 'american', or None.")


def spot_of(rows: pd.DataFrame, name: str) -> float:
    """Return the median price of the underlying; nan if it is unknown or not the price of an asset."""
    if "spot" not in rows or name in ON_FUTURES:
        return np.nan
    stated = rows["spot"].dropna().to_numpy(float)
    return float(np.median(stated)) if len(stated) else np.nan


def option_types(values: pd.Series) -> pd.Series:
    """Convert kinds such as C or Put to call and put; other text stays, and the filters refuse it."""
    plain = values.str.strip().str.lower()
    return plain.map(KINDS).fillna(plain)


def quote_times(values: pd.Series) -> pd.Series:
    """Convert the ISO times of quotes to UTC; without a zone they are UTC, and other texts become NaT."""
    return pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601").dt.as_unit("us")


def rows_where(frame: pd.DataFrame, chosen: pd.Series | np.ndarray) -> pd.DataFrame:
    """Return the rows where `chosen` (bool, shape (rows,)) is true, with an index that counts from 0."""
    return cast(pd.DataFrame, frame[chosen]).reset_index(drop=True)
