"""The caller's choice of an underlying or a date among those of a file, and dates as midnights in UTC."""

from collections.abc import Sequence
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from typing import TypeVar, cast

import pandas as pd

from ...errors import ArgumentError, DataError

SHOWN = 10  # largest number of values that a message lists
Choice = TypeVar("Choice", str, datetime)


def choose(path: Path, name: str, choice: Choice | None, available: Sequence[Choice]) -> Choice:
    """Return the value that the caller wants, or the only one in the file.

    Args:
        path: The file, for messages.
        name: The argument by which the caller chooses, for messages.
        choice: The caller's choice; None takes the only value.
        available: The values in the file.

    Raises:
        ArgumentError: There are several values and `choice` is None.
        DataError: The value is not in the file, or the file has no value.
    """
    if not available:
        raise DataError(f"{path}: no row has a {name}; fill the column, or remove it.")
    if choice is None and len(available) > 1:
        raise ArgumentError(
            f"{path}: the file has {_listed(available)}; choose one, for example "
            f"{name}={_shown(available[0])!r}."
        )
    if choice is None:
        return available[0]
    if choice not in available:
        raise DataError(
            f"{path}: there are no rows for {name}={_shown(choice)!r}; the file has {_listed(available)}."
        )
    return choice


def choose_time(path: Path, moment: datetime | None, times: pd.Series) -> datetime:
    """Return the time that the caller wants, the only one of the day that the caller wants, or the only one.

    Args:
        path: The file, for messages.
        moment: The caller's time, UTC; midnight means the day unless it is a time of the file. None
            takes the only time.
        times: The times in the file, UTC.

    Raises:
        ArgumentError: There are several such times.
        DataError: There is none.
    """
    available = [time.to_pydatetime() for time in sorted(times.unique())]
    if moment is None or moment in available:
        return choose(path, "date", moment, available)
    same = [time for time in available if time.date() == moment.date()]
    if same and moment == midnight(moment):
        return choose(path, "date", None, same)
    if len(same) == 1 and same[0] == midnight(same[0]):  # the snapshot is of the whole day
        return same[0]
    return choose(path, "date", moment, available)


def snapshots_in(frame: pd.DataFrame) -> tuple[tuple[str, datetime | None], ...]:
    """Return each underlying with each of its times, in time order; the time is None where it is unknown.

    Args:
        frame: Rows with the columns `underlying` and `snapshot` (UTC or NaT).
    """
    pairs = pd.DataFrame({"time": frame["snapshot"], "name": frame["underlying"]})
    pairs = pairs.drop_duplicates().sort_values(["time", "name"])
    times = [None if time is pd.NaT else time.to_pydatetime() for time in pairs["time"]]
    return tuple(zip(pairs["name"], times, strict=True))


def as_moment(value: str | Date | None) -> datetime | None:
    """Return a date or time as a time in UTC, in any form that pandas reads; None if the value is None.

    Raises:
        ArgumentError: The value is not a date.
    """
    if value is None:
        return None
    try:
        when = pd.Timestamp(value)
    except ValueError:
        when = pd.NaT
    if not isinstance(when, pd.Timestamp):
        raise ArgumentError(
            f"date={value!r} is not a date or time; expected one such as '2021-03-12' or '2021-03-12T16:00' "
            "(UTC)."
        )
    return _in_utc(when).to_pydatetime()


def as_date(value: str | Date | None) -> datetime | None:
    """Return midnight UTC of a date in any form that pandas reads; None if the value is None.

    Raises:
        ArgumentError: The value is not a date.
    """
    moment = as_moment(value)
    return None if moment is None else midnight(moment)


def timestamp_of(when: str | Date) -> pd.Timestamp:
    """Convert a date or time to pandas; the type of `pd.Timestamp(when)` would allow a missing time."""
    return cast(pd.Timestamp, pd.Timestamp(when))


def midnight(when: str | Date) -> datetime:
    """Return midnight UTC of a date or time; a time without a time zone is in UTC."""
    return _in_utc(timestamp_of(when)).normalize().to_pydatetime()


def _in_utc(time: pd.Timestamp) -> pd.Timestamp:
    return cast(pd.Timestamp, time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC"))


def _shown(value: str | datetime) -> str:
    if not isinstance(value, datetime):
        return str(value)
    return f"{value:%Y-%m-%d}" if value == midnight(value) else f"{value:%Y-%m-%dT%H:%M:%S}"


def _listed(values: Sequence[str | datetime]) -> str:
    if len(values) > SHOWN:
        return f"{_shown(values[0])} to {_shown(values[-1])}, {len(values)} in all"
    return ", ".join(map(_shown, values)) or "none"
