"""Reads the dates, times and weights of a variance clock, and converts times to days of a time zone."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date as Date
from datetime import datetime, time
from numbers import Real
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from ..errors import ArgumentError

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Day = Date | str
"""A date, or its text such as "2024-03-29"."""
Instant = Date | datetime | str
"""A date or a time, or its text; a time without a zone is in UTC."""
Instants = Instant | np.datetime64 | Sequence[Instant] | np.ndarray | pd.Series | pd.DatetimeIndex
"""One date or time, or an array of them."""


def read_day(name: str, value: object) -> Date:
    """Read a date; `name` states in messages where it was given.

    Raises:
        ArgumentError: The value is not a date without a time.
    """
    try:
        if isinstance(value, str):
            return Date.fromisoformat(value)
        if isinstance(value, datetime) and value.time() != time(0):
            raise ValueError("a time")
        if isinstance(value, Date) and value == value:  # the missing time of pandas is not equal to itself
            return Date(value.year, value.month, value.day)
        raise ValueError("another type")
    except ValueError as error:
        raise ArgumentError(f"{name}: {value!r} is not a date; expected one such as '2024-03-29'.") from error


def read_items(name: str, value: object) -> Mapping[Any, Any]:
    """Return a mapping.

    Raises:
        ArgumentError: The value is none.
    """
    if not isinstance(value, Mapping):
        raise ArgumentError(f"{name}={value!r} is not accepted; expected a mapping from dates to values.")
    return value


def read_list(name: str, value: object) -> list[Any]:
    """Return the items of a list, a tuple or a set.

    Raises:
        ArgumentError: The value is none of these.
    """
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ArgumentError(f"{name}={value!r} is not accepted; expected a list.")
    return list(value)


def read_event(value: object) -> Date | pd.Timestamp:
    """Read the date or the time of an event.

    Raises:
        ArgumentError: The value is neither.
    """
    if isinstance(value, str) and len(value) > len("2024-03-29"):
        value = _timestamp("events", value)
    if isinstance(value, datetime) and value == value:  # NaT is not equal to itself
        return _utc(value)
    return read_day("events", value)


def read_clock_time(name: str, value: object) -> float:
    """Read a time of day such as "09:30" as seconds from midnight; "24:00" is the end of the day.

    Raises:
        ArgumentError: The value is not a time of day.
    """
    if value == "24:00":
        return 86_400.0
    try:
        at = value if isinstance(value, time) else time.fromisoformat(str(value))
        if at.tzinfo is not None:
            raise ValueError("a zone")
    except ValueError as error:
        raise ArgumentError(
            f"{name}: {value!r} is not a time of day; expected one such as '09:30', without a zone."
        ) from error
    return 3600.0 * at.hour + 60.0 * at.minute + at.second


def read_weight(name: str, value: object, high: float = math.inf, above: bool = False) -> float:
    """Read a number of days of variance, >= 0, or > 0 if `above`.

    Raises:
        ArgumentError: The value is not a finite number in the range.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    weight = float(cast(float, value)) if number else math.nan
    if not math.isfinite(weight) or weight < 0 or weight > high or (above and weight == 0):
        bounds = "above 0" if above else f"from 0 to {high:g}" if high < math.inf else "of at least 0"
        raise ArgumentError(f"{name}={value!r} is not accepted; expected a finite number {bounds}.")
    return weight


def checked_zone(name: object) -> str:
    """Return the name of a time zone.

    Raises:
        ArgumentError: There is no such zone.
    """
    try:
        return ZoneInfo(str(name)).key
    except (LookupError, ValueError, OSError) as error:
        raise ArgumentError(
            f"timezone={name!r} is unknown; expected a name such as 'America/New_York' or 'UTC'."
        ) from error


def broadcast_shape(**arrays: np.ndarray) -> tuple[int, ...]:
    """Return the shape to which arrays, given by name, broadcast.

    Raises:
        ArgumentError: The message names the arrays and their shapes.
    """
    try:
        return np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ArgumentError(f"the shapes do not broadcast: {shapes}.") from error


def instants(name: str, values: Instants) -> np.ndarray:
    """Convert times to UTC, datetime64[us], in the shape of `values`; missing ones are NaT.

    Raises:
        ArgumentError: A value is no time; the message names it.
    """
    if isinstance(values, str | Date):
        return np.array(_utc(_timestamp(name, values)).to_datetime64(), "datetime64[us]")
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    table = isinstance(values, pd.Series | pd.DatetimeIndex)
    array = values if table else np.asarray(values, dtype=object)
    numbers = [] if table else [x for x in array.ravel() if isinstance(x, Real) and x == x]
    if numbers:
        raise ArgumentError(f"{name}: {numbers[0]!r} is a number; expected dates or times, or ISO texts.")
    try:
        index = pd.DatetimeIndex(pd.to_datetime(array if table else array.ravel(), utc=True))
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(f"{name}: {error}; expected dates or times, or their ISO texts.") from error
    return index.tz_localize(None).as_unit("us").to_numpy().reshape(array.shape)


def day_numbers(name: str, values: Instants) -> np.ndarray:
    """Convert dates to days since 1970, int64, in the shape of `values`; missing ones are the least integer.

    Of times with a zone the date in that zone is taken.

    Raises:
        ArgumentError: A value is no date; the message names it.
    """
    if isinstance(values, str):
        values = _timestamp(name, values)
    if isinstance(values, datetime):
        values = values.replace(tzinfo=None)
    elif isinstance(values, pd.Series | pd.DatetimeIndex):
        index = pd.DatetimeIndex(values)
        values = index.tz_localize(None).to_numpy()
    return instants(name, values).astype("datetime64[D]").astype(np.int64)


def local_times(times: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the local day of UTC times, since 1970, and the seconds on the wall clock since its midnight."""
    if zone != "UTC":
        far = _cycles(times)
        index = pd.DatetimeIndex((times - far).ravel(), tz="UTC").tz_convert(zone).tz_localize(None)
        times = index.to_numpy().reshape(times.shape) + far
    days = times.astype("datetime64[D]")
    return np.asarray(days.astype(np.int64)), np.asarray((times - days) / np.timedelta64(1, "s"))


def local_midnights(numbers: np.ndarray, zone: str) -> np.ndarray:
    """Return the UTC times at which local days begin; where a zone skips midnight, the first moment after."""
    days = numbers.astype("datetime64[D]").astype("datetime64[us]")
    if zone == "UTC":
        return days
    far = _cycles(days)
    index = pd.DatetimeIndex((days - far).ravel())
    first = np.ones(len(index), bool)  # the first of two midnights, in summer time
    local = index.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None).to_numpy().reshape(days.shape) + far


def _cycles(times: np.ndarray) -> np.ndarray:
    """Return how many days times are away from the same moment in 1900 to 2299, which pandas can convert.

    The calendar repeats after 400 years, or 146,097 days, with its days of the week.
    """
    cycle = np.timedelta64(146_097, "D")
    return np.asarray((times.astype("datetime64[D]") - np.datetime64("1900-01-01")) // cycle * cycle)


def day_bounds(numbers: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the UTC times at which local days begin and end."""
    if not numbers.size or np.ptp(numbers) > numbers.size:
        return local_midnights(numbers, zone), local_midnights(numbers + 1, zone)
    # many expiries share few days, and conversions of time zones are slow
    first = numbers.min()
    midnights = local_midnights(np.arange(first, numbers.max() + 2), zone)
    return midnights[numbers - first], midnights[numbers - first + 1]


def _timestamp(name: str, value: object) -> pd.Timestamp:
    try:
        return cast(pd.Timestamp, pd.Timestamp(cast(str, value)))
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(
            f"{name}: {value!r} is not a time; expected one such as '2024-05-22T20:20:00Z'."
        ) from error


def _utc(value: datetime) -> pd.Timestamp:
    """Return a time in UTC without its zone; one without a zone is in UTC already."""
    when = cast(pd.Timestamp, pd.Timestamp(value))
    return when if when.tzinfo is None else cast(pd.Timestamp, when.tz_convert("UTC").tz_localize(None))
