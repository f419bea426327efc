"""Reads the days and hours of an exchange for a variance clock, from the package exchange_calendars."""

from datetime import date as Date
from datetime import time
from functools import cache
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..times.calendars import exchange_calendar
from .clock_times import WEEKDAYS

OTHERWISE = "make the clock from holidays and a session of your own"


@cache
def exchange_fields(name: str, first: Date, last: Date) -> dict[str, Any]:
    """Return the fields of the `VarianceClock` of an exchange.

    Args:
        name: Name of the exchange, such as "XNYS".
        first: First date for which holidays are looked up.
        last: Last such date.

    Raises:
        ArgumentError: The exchange is unknown, its calendar does not reach that far, or it opens on the day
            before.
        NeutralError: exchange_calendars is not installed.
    """
    calendar = exchange_calendar(name, first, last, argument="exchange", otherwise=OTHERWISE)
    opening = calendar.open_times[-1][1]
    closing = calendar.close_times[-1][1]
    if calendar.open_offset or not opening < closing:
        raise ArgumentError(
            f"exchange={name!r} opens on the day before its session; make the clock with holidays, weekend "
            "and weights of your own."
        )
    trades = [flag == "1" for flag in calendar.weekmask]
    days = np.arange(np.datetime64(first), np.datetime64(last) + np.timedelta64(1, "D"))
    ordinary = days[np.is_busday(days, weekmask=trades)]
    open_days = calendar.sessions.to_numpy().astype("datetime64[D]")
    return {
        "weekend": 0.0,
        "weekend_days": tuple(day for day, open_then in zip(WEEKDAYS, trades, strict=True) if not open_then),
        "holidays": tuple(np.setdiff1d(ordinary, open_days).tolist()),
        "session": (f"{opening:%H:%M}", f"{closing:%H:%M}"),
        "early_closes": _early_closes(calendar, closing),
        "timezone": calendar.tz.key,
        "covers": (first, last),
    }


def _early_closes(calendar: Any, closing: time) -> dict[Date, str]:
    """Return the days that close earlier than the usual close of today, with the time of their close."""
    local = calendar.closes.dt.tz_convert(calendar.tz)
    pairs = zip(local.index.date, local.dt.time, strict=True)
    return {day: f"{at:%H:%M}" for day, at in pairs if at < closing}
