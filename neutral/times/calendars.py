"""Calendars of exchanges, from the package exchange_calendars: which days have a session."""

import warnings
from collections.abc import Sequence
from datetime import date as Date
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from ..errors import ArgumentError, NeutralError
from .instants import as_instants, written_days

Calendar: TypeAlias = str | Sequence[Date | str]
"""The name of an exchange such as "XNYS", or a list of the holidays among the days from Monday to Friday."""


def business_days(first: np.ndarray, last: np.ndarray, calendar: Calendar) -> np.ndarray:
    """Count the business days from the first day on, before the last one.

    Args:
        first: First days, datetime64[D].
        last: Last days; they broadcast. NaT gives 0.
        calendar: As for `Calendar`.

    Returns:
        Numbers of days, in the broadcast shape; negative where the last day is before the first.

    Raises:
        ArgumentError: The exchange is unknown, its calendar does not reach that far, or a holiday is no date.
        NeutralError: exchange_calendars is not installed.
    """
    known = ~(np.isnat(first) | np.isnat(last))
    if not known.any():
        return np.zeros(known.shape)
    today = np.datetime64("1970-01-01")
    begin = np.where(known, first, today).astype("datetime64[D]")
    end = np.where(known, last, today).astype("datetime64[D]")
    if not isinstance(calendar, str):
        given = np.array(calendar, object)
        holidays = written_days(given, as_instants("calendar", given))
        earlier = np.minimum(begin, end)
        return np.sign((end - begin).astype(int)) * np.busday_count(
            earlier, np.maximum(begin, end), holidays=holidays
        )
    low = min(begin[known].min(), end[known].min()).item()
    high = max(begin[known].max(), end[known].max()).item()
    sessions = _sessions(calendar, low.year, high.year)
    return np.searchsorted(sessions, end) - np.searchsorted(sessions, begin)


@cache
def _sessions(name: str, first_year: int, last_year: int) -> np.ndarray:
    """Return the days with a session from the beginning of one year to the end of another."""
    calendar = exchange_calendar(name, Date(first_year, 1, 1), Date(last_year, 12, 31))
    return calendar.sessions.to_numpy().astype("datetime64[D]")


def exchange_calendar(
    name: str,
    first: Date,
    last: Date,
    argument: str = "calendar",
    otherwise: str = "pass a list of holidays",
) -> Any:
    """Return the calendar of an exchange, an object of exchange_calendars.

    Args:
        name: Name of the exchange, such as "XNYS".
        first: First day.
        last: Last day.
        argument: Name of the argument that states the exchange, for error messages.
        otherwise: What the caller may do without the package, for the error message.

    Raises:
        ArgumentError: The exchange is unknown, or its calendar does not reach that far.
        NeutralError: exchange_calendars is not installed.
    """
    try:
        import exchange_calendars
        from exchange_calendars.errors import InvalidCalendarName
    except ImportError:
        raise NeutralError(
            "calendars of exchanges need exchange_calendars: pip install 'neutral[calendars]'. Or "
            f"{otherwise}."
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses what newer versions of pandas deprecate
            return exchange_calendars.get_calendar(name, start=str(first), end=str(last))
    except InvalidCalendarName as error:
        raise ArgumentError(
            f"{argument}={name!r} is unknown; expected a name such as 'XNYS', of those that "
            "exchange_calendars.get_calendar_names() lists."
        ) from error
    except ValueError as error:
        raise ArgumentError(f"{argument}={name!r}: {error}") from error
