"""Chooses among the roots of the options on one underlying, such as SPX and SPXW."""

from pathlib import Path

import pandas as pd

from ...errors import ArgumentError
from ..quotes import column
from .choices import choose
from .option_table import rows_where
from .symbols import plain_symbol, settlement_time_of

CONTRACT = ["expiry", "strike", "option_type"]


def choose_root(path: Path, rows: pd.DataFrame, root: str | None) -> pd.DataFrame:
    """Return the rows of one root, or all rows if no expiry mixes roots.

    Args:
        path: The file, for messages.
        rows: The rows of one underlying at one time.
        root: The caller's choice; None takes all roots.

    Raises:
        ArgumentError: Two roots quote the same expiry day and settle at different times, or list the same
            contract, and the caller chooses none.
        DataError: There is no row of the root.
    """
    series = _series(rows)
    standard = sorted(set(series[~column(rows, "non_standard")]) - {""})
    if root is not None:
        chosen = choose(path, "root", plain_symbol(root), standard)
        return rows_where(rows, series == chosen)
    if len(standard) < 2:
        return rows
    mixed = _mixed_expiry(rows, series)
    if mixed is not None:
        raise ArgumentError(
            f"{path}: the expiry {mixed:%Y-%m-%d} has options of the roots {', '.join(standard)}, which are "
            f"different series; choose one, for example root={standard[-1]!r} (--root {standard[-1]})."
        )
    return rows


def _series(rows: pd.DataFrame) -> pd.Series:
    """Return the root of each row, or AM or PM if only that distinguishes the series; "" if nothing does."""
    if "root" in rows and bool(column(rows, "root").notna().any()):
        return column(rows, "root").fillna("")
    if "settlement_time" in rows:
        return column(rows, "settlement_time").fillna("").str.upper()
    return pd.Series("", index=rows.index)


def _mixed_expiry(rows: pd.DataFrame, series: pd.Series) -> pd.Timestamp | None:
    """Return the first expiry day on which two roots settle at different times or list one contract."""
    named = rows.assign(series=series, settles=series.map(settlement_time_of))
    if "settlement_time" in rows:
        named["settles"] = column(rows, "settlement_time").fillna(named["settles"])
    named["expiry"] = column(named, "expiry").dt.normalize()
    live = rows_where(named, ~column(named, "non_standard").to_numpy(bool) & (named["series"] != ""))
    settles = column(live, "settles").groupby(column(live, "expiry")).nunique()
    one_root = live.drop_duplicates([*CONTRACT, "series"])
    listed_twice = column(one_root, "expiry")[one_root.duplicated(CONTRACT).to_numpy()]
    mixed = [*settles.index[settles.to_numpy() > 1], *listed_twice]
    return min(mixed) if mixed else None
