"""Finds contracts that a file lists several times: at several times of day, or for an unknown reason."""

import re
from collections.abc import Sequence
from typing import cast

import pandas as pd

from ...errors import DataError
from ...quotes.column_names import MEANINGLESS, squeezed
from ..quotes import LONGEST_COLLECTION, column
from .column_map import how_to_ignore, how_to_map
from .csv_table import numbers, texts
from .dates import distinct_texts, fitting_forms, parse_dates
from .table import Names, Table

OTHER_TIMES = re.compile(
    "last|trade|expir|exp_|matur|list|divid|earn|settle|local|receiv|updat", re.IGNORECASE
)
"""Parts of names of times that are not those of the quotes."""
CONTRACT = ("snapshot", "underlying", "root", "settlement_time", "expiry", "maturity", "days", "strike")
"""Columns that, with the kind, distinguish contracts of one snapshot."""
QUOTED = ("bid", "ask", "price", "bid_vol", "ask_vol", "vol", "vol_percent")
A_DAY = {"h": 24, "ms": 86_400_000}
ROWS_OF_A_TIME = 8  # least number of rows at each time, on average, where times are those of snapshots


def time_of_day(table: Table, values: pd.Series, name: str) -> pd.Series:
    """Convert a column of times of day to time spans.

    Args:
        table: The parsed file.
        values: Texts such as 10:00 or 10:00:00, whole dates with times, hours, or milliseconds if the name
            of the column states it.
        name: The file's name of the column.

    Raises:
        DataError: The values are none of these.
    """
    as_numbers = numbers(values)
    if as_numbers.notna().any():
        unit = "ms" if squeezed(name).startswith("ms") else "h"
        if not as_numbers.dropna().between(0, A_DAY[unit]).all():
            raise DataError(
                f"{table.path}: the column {name!r} has numbers that are not between 0 and {A_DAY[unit]}, so "
                f"they are no times of day in {unit}; write times of day such as 10:30, or map the column "
                f"that has them: {how_to_map('time', '...')}."
            )
        return pd.to_timedelta(as_numbers, unit=unit)
    text = texts(values).str.strip()
    clock = text.str.fullmatch(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?")
    if clock.fillna(False).all():
        return pd.to_timedelta(text.where(text.str.count(":") == 2, text + ":00"))
    times = table.dates(values, name)
    return times - times.dt.normalize()


def mark_snapshots(table: Table, frame: pd.DataFrame, names: Names) -> pd.DataFrame:
    """Add the column `snapshot`: the time that all rows of a day share, or else the day.

    The time of each row counts if a day has a few times with many rows each, hours apart, or if contracts
    repeat during the day with other quotes.

    Args:
        table: The parsed file.
        frame: Its typed columns, with parsed dates.
        names: The accepted names of each column.

    Raises:
        DataError: A column of times of day cannot be read, and contracts repeat.
    """
    if "date" not in frame:
        return frame
    times = column(frame, "date")
    days = times.dt.normalize()
    # one time of day for all rows is that of the snapshot; many times are those of single quotes
    is_common = times.groupby(days).transform("nunique") == 1
    marked = frame.assign(snapshot=times.where(is_common, days))
    if are_snapshots(times, days):
        marked = marked.assign(snapshot=times)
    conflicts = _conflicts(marked).sum()
    by_time = marked.assign(snapshot=times)
    if _conflicts(by_time).sum() < conflicts:
        marked = by_time
    if "time" not in frame:
        return marked
    try:
        name = table.name_of("time", names) or "time"
        timed = days + time_of_day(table, column(table.frame, name), name).set_axis(frame.index)
    except DataError:
        if conflicts:
            raise
        return marked
    by_time = marked.assign(snapshot=timed, date=timed)
    better = _conflicts(by_time).sum() < _conflicts(marked).sum()
    return by_time if better or are_snapshots(timed, days) else marked


def are_snapshots(times: pd.Series, days: pd.Series) -> bool:
    """Whether some day has several times hours apart, and all times have many rows each."""
    return _spread(times, days) > LONGEST_COLLECTION and len(times) >= ROWS_OF_A_TIME * times.nunique()


def _spread(times: pd.Series, groups: pd.Series) -> pd.Timedelta:
    """Return the longest span of the times of a group; zero where there is none."""
    by_group = times.groupby(groups.to_numpy())
    spans = cast(pd.Series, by_group.max()) - cast(pd.Series, by_group.min())
    return cast(pd.Timedelta, max(spans.dropna().tolist(), default=pd.Timedelta(0)))


def refuse_times(table: Table, unused: Sequence[str], expiry: pd.Series) -> None:
    """Refuse a file with a column of an unknown name whose values are several times hours apart.

    A column of dates that follow from the expiry means something else.

    Args:
        table: The parsed file.
        unused: Its columns that no accepted name matches.
        expiry: The expiry of each row.

    Raises:
        DataError: There is such a column.
    """
    for name in unused:
        values = texts(column(table.frame, name)).str.strip()
        few = values.nunique() * ROWS_OF_A_TIME <= len(values) == len(expiry)
        forms = fitting_forms(distinct_texts(values)) if few and not OTHER_TIMES.search(name) else []
        if not forms:
            continue
        times = parse_dates(values.str.removesuffix(".0"), forms[0])
        if _spread(times, expiry) > LONGEST_COLLECTION:
            raise DataError(
                f"{table.path}: the column {name!r} has several times, from {times.min()} to {times.max()}, "
                "so the file may contain several snapshots. State what it means: "
                f"{how_to_map('date', name)}; or that it means nothing: {how_to_ignore(name)}."
            )


def refuse_conflicts(table: Table, frame: pd.DataFrame, names: Names) -> None:
    """Refuse a file that lists contracts several times with different quotes.

    Args:
        table: The parsed file.
        frame: Its typed columns, with the column `snapshot`.
        names: The accepted names of each column.

    Raises:
        DataError: A contract is listed twice; the message names the lines, and the columns that
            distinguish them.
    """
    conflicts = _conflicts(frame)
    if not conflicts.any():
        return
    keys = _keys(frame)
    first = frame.loc[conflicts.idxmax()]
    same = _same(frame, keys, first)
    lines = [str(line + 2) for line in frame.index[same][:2]]
    contract = ", ".join(f"{key} {_text(first[key])}" for key in keys if key != "snapshot")
    apart = _separating(table, frame, keys, table.unused(names))
    advice = (
        f"The column {' or '.join(map(repr, apart))} differs between them: state what it means, such as "
        f"{how_to_map('time', apart[0])}, or root, underlying or date in place of time."
        if apart
        else "Add a column that distinguishes them, such as time, root or underlying, or remove one of them."
    )
    raise DataError(
        f"{table.path}: {int(conflicts.sum())} rows list a contract that another row lists with other "
        f"quotes, such as the rows {' and '.join(lines)} ({contract}), so several snapshots or series would "
        f"be mixed. {advice} The file has the columns {table.listed}."
    )


def exact_repeats(frame: pd.DataFrame) -> pd.Series:
    """Mark rows that repeat the contract and the quotes of an earlier row, bool."""
    keys = _keys(frame)
    return frame.duplicated([*keys, *_quoted(frame)])


def _keys(frame: pd.DataFrame) -> list[str]:
    return [key for key in (*CONTRACT, "option_type") if key in frame]


def _quoted(frame: pd.DataFrame) -> list[str]:
    return [key for key in QUOTED if key in frame]


def _conflicts(frame: pd.DataFrame) -> pd.Series:
    """Mark rows whose contract another row lists with other quotes, bool.

    Rows without a contract, or of another type than call and put, do not count: the filters refuse them.
    """
    keys = _keys(frame)
    known = column(frame, "strike").notna()
    if "option_type" in frame:
        known &= column(frame, "option_type").isin(["call", "put"])
    if "non_standard" in frame:
        known &= ~column(frame, "non_standard")
    distinct = frame.drop_duplicates([*keys, *_quoted(frame)])
    distinct = distinct.loc[known.loc[distinct.index]]
    twice = distinct.duplicated(keys, keep=False)
    return twice.reindex(frame.index, fill_value=False).astype(bool)


def _same(frame: pd.DataFrame, keys: Sequence[str], row: pd.Series) -> pd.Series:
    """Mark the rows with the contract of a row."""
    same = pd.Series(True, index=frame.index)
    for key in keys:
        values = column(frame, key)
        same &= values.isna() if bool(pd.isna(row[key])) else values == row[key]
    return same


def _separating(table: Table, frame: pd.DataFrame, keys: Sequence[str], unused: Sequence[str]) -> list[str]:
    """Return the unused columns that differ between all rows of one contract, and repeat along the file."""
    separating = []
    for name in unused:
        values = column(table.frame, name)
        few = len(values) == len(frame) and int(values.nunique()) <= len(frame) // 2
        if squeezed(name) in MEANINGLESS or not few or pd.api.types.is_float_dtype(values.dtype):
            continue
        named = frame.assign(_apart=values.to_numpy()).drop_duplicates([*keys, *_quoted(frame)])
        if len(named) == len(named.drop_duplicates([*keys, "_apart"])):
            separating.append(name)
    return separating


def _text(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else f"{value}"
