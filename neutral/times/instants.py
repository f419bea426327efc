"""Reads dates and times of any library as instants: numpy's datetime64[us], in UTC."""

import reprlib
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import TypeAlias, cast

import numpy as np

from ..errors import ArgumentError
from ..typing import Values
from .tenors import end_of_tenor

INSTANT = "datetime64[us]"
EXPECTED = (
    "a date or time, such as '2026-03-27', datetime.date(2026, 3, 27) or a Timestamp, or a column of them"
)
Instants: TypeAlias = Values | Date | np.datetime64
"""A date or a time: text such as "2026-03-27" or "2026-03-27T08:00Z", an object of datetime, numpy or pandas;
or an array or column of them. A time without a zone is in UTC; a date is midnight. A time counts whole days
from its day in its own zone."""
Ends: TypeAlias = Instants | timedelta | np.timedelta64
"""Ends of periods: dates or times; spans of time; or texts such as "3m". Maturities may be numbers too."""


def as_instants(name: str, values: Instants) -> np.ndarray:
    """Convert dates and times to instants.

    Args:
        name: Name of the argument, for the error message.
        values: Dates or times of any shape; missing ones become NaT.

    Raises:
        ArgumentError: A value is no date and no time; the message names the argument and the value.
    """
    raw = np.asarray(values)
    if raw.dtype.kind == "M":
        return raw.astype(INSTANT)
    if raw.dtype.kind in "biuf" and not np.isnan(raw.astype(float)).all():
        raise ArgumentError(f"{name} must be {EXPECTED}; got the number {raw.flat[0]}.")
    instants = [_instant(name, value) for value in raw.ravel().tolist()]
    return np.array(instants, INSTANT).reshape(raw.shape)


def written_days(values: Instants, instants: np.ndarray) -> np.ndarray:
    """Return the days of dates and times, datetime64[D]: those of the calendar in the zone of each time.

    Args:
        values: Dates or times of any shape.
        instants: What `as_instants` returned for them.
    """
    raw = np.asarray(values)
    if raw.dtype.kind not in "OUT":
        return instants.astype("datetime64[D]")
    offsets = [_zone_offset(value) for value in raw.ravel().tolist()]
    local = instants + np.array(offsets, "timedelta64[us]").reshape(raw.shape)
    return np.asarray(local, "datetime64[D]")


def ends_of(name: str, values: Ends, start: np.ndarray) -> np.ndarray:
    """Convert expiries to instants: dates and times, spans of time, and tenors, which count from the start.

    Midnight in the zone of an expiry is its date alone, as midnight without a zone is.

    Args:
        name: Name of the argument, for the error message.
        values: Dates, times, spans (timedelta) or texts such as "3m"; they broadcast with the start.
        start: Quote dates, datetime64[us].

    Raises:
        ArgumentError: A value is none of these, or shapes do not broadcast.
    """
    raw = np.asarray(values)
    if raw.dtype.kind == "m":
        return start + raw.astype("timedelta64[us]")
    if raw.dtype.kind not in "OUT":
        return as_instants(name, cast(Instants, values))
    try:
        pairs = np.broadcast(raw, start)
    except ValueError:
        raise ArgumentError(
            f"Shapes do not broadcast: {name} {raw.shape} and the quote date {start.shape}."
        ) from None
    ends = [_end(name, value, quoted) for value, quoted in pairs]
    return np.array(ends, INSTANT).reshape(pairs.shape)


def has_time(times: np.ndarray) -> np.ndarray:
    """Whether each instant has a time of the day other than midnight."""
    return np.asarray(times != times.astype("datetime64[D]"))


def is_missing(value: object) -> bool:
    """Whether a value is None, nan, or the missing value or time of pandas."""
    return value is None or type(value).__name__ in ("NaTType", "NAType") or bool(value != value)


def _instant(name: str, value: object) -> np.datetime64:
    if is_missing(value):
        return np.datetime64("NaT", "us")
    when = _parsed(value)
    if isinstance(when, datetime):
        utc = when if when.tzinfo is None else when.astimezone(UTC)
        return np.datetime64(utc.replace(tzinfo=None), "us")
    if isinstance(when, Date | np.datetime64):
        return np.datetime64(when).astype(INSTANT)
    raise ArgumentError(f"{name} must be {EXPECTED}; got {reprlib.repr(value)}.")


def _parsed(value: object) -> object:
    """Return the date or time that a text states, None for another text; other values as they are."""
    try:
        return datetime.fromisoformat(value.strip()) if isinstance(value, str) else value
    except ValueError:
        return None


def _zone_offset(value: object) -> np.timedelta64:
    """Return the time of the zone of a value less that of UTC; 0 where it has no zone."""
    when = None if is_missing(value) else _parsed(value)
    offset = when.utcoffset() if isinstance(when, datetime) else None
    return np.timedelta64(offset or timedelta(0), "us")


def _dated(name: str, value: object) -> np.datetime64:
    """Return the instant of a date or time; midnight in its zone is the date alone."""
    instant = _instant(name, value)
    day = instant + _zone_offset(value)
    return day if day == day.astype("datetime64[D]") else instant


def _end(name: str, value: object, start: np.datetime64) -> np.datetime64:
    """Return the instant of one expiry."""
    if isinstance(value, timedelta) and not is_missing(value):
        return start + np.timedelta64(value, "us")
    if not isinstance(value, str):
        return _dated(name, value)
    try:
        return _dated(name, value)
    except ArgumentError:
        quoted = start.astype(INSTANT).item()
    if not isinstance(quoted, datetime):
        return np.datetime64("NaT", "us")
    try:
        return np.datetime64(end_of_tenor(value, quoted), "us")
    except ArgumentError as error:
        raise ArgumentError(f"{name}: {error}") from None
