"""Checks the arguments of a variance clock about weekends, holidays, sessions and events."""

import dataclasses
from collections.abc import Mapping
from datetime import date as Date
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ArgumentError
from .clock_days import Days, DayTable
from .clock_times import (
    WEEKDAYS,
    day_numbers,
    read_clock_time,
    read_day,
    read_event,
    read_items,
    read_list,
    read_weight,
)


@dataclasses.dataclass(frozen=True)
class ClockRules:
    """The fields of a `VarianceClock` that set how variance accrues, checked and converted."""

    weekend: float
    weekend_days: frozenset[str]
    holiday: float
    holidays: frozenset[Date]
    hours: tuple[float, float] | None  # opening and close, seconds from midnight
    night: float
    early_closes: Mapping[Date, float]  # seconds from midnight
    weights: Mapping[Date, float]
    dated_events: Mapping[Date, float]
    timed_events: Mapping[pd.Timestamp, float]  # UTC without zone, in order of time

    @property
    def is_even(self) -> bool:
        """Whether all days have the same weight, and nothing adds to it."""
        weights = [self.weekend, *self.weights.values(), *(self.holiday for _ in self.holidays)]
        events = [*self.dated_events.values(), *self.timed_events.values()]
        return self.hours is None and all(w == 1.0 for w in weights) and not any(events)

    @property
    def mean_weight(self) -> float:
        """Days of variance per day, over the years that have holidays, without events and `weights`."""
        plain = dataclasses.replace(self, weights={}, dated_events={})
        first = Date(min((day.year for day in self.holidays), default=2001), 1, 1)
        last = Date(max((day.year for day in self.holidays), default=2001) + 1, 1, 1)
        # without holidays one week represents all years
        days = day_numbers("holidays", [first, last]) if self.holidays else np.array([0, len(WEEKDAYS)])
        variance = plain.table().before(days)
        return float(np.diff(variance)[0] / np.diff(days)[0])

    def table(self) -> DayTable:
        """Make the table of the variance of days."""
        dates = sorted({*self.holidays, *self.early_closes, *self.weights, *self.dated_events})
        rows = np.array([self._day(date) for date in dates], float).reshape(-1, 3)
        opening, closing = self.hours or (0.0, 0.0)
        return DayTable(
            opening=opening,
            closing=closing,
            week=Days(*np.array([self._weekday(name) for name in WEEKDAYS]).T),
            special=day_numbers("dates", dates),
            variance=Days(*rows.T),
        )

    def _weekday(self, name: str) -> tuple[float, float, float]:
        """Return the variance of a day of the week in the session and outside it, and the close."""
        opening, closing = self.hours or (0.0, 0.0)
        if name in self.weekend_days or self.hours is None:
            return 0.0, self.weekend if name in self.weekend_days else 1.0, opening
        return 1.0 - self.night, self.night, closing

    def _day(self, date: Date) -> tuple[float, float, float]:
        """Return the variance of a date in the session and outside it, and the close."""
        name = WEEKDAYS[date.weekday()]
        opening, closing = self.hours or (0.0, 0.0)
        session, rest, close = self._weekday(name)
        if date in self.holidays and name not in self.weekend_days:
            session, rest, close = 0.0, self.holiday, opening
        elif date in self.early_closes and session:
            close = self.early_closes[date]
            session *= (close - opening) / (closing - opening)
        if date in self.weights:
            share = session / (session + rest) if session else 0.0
            session, rest = self.weights[date] * share, self.weights[date] * (1.0 - share)
        event = self.dated_events.get(date, 0.0)
        return (session + event, rest, close) if close > opening else (session, rest + event, close)


def read_rules(fields: Mapping[str, Any]) -> ClockRules:
    """Check the fields of a `VarianceClock` that set how variance accrues.

    Raises:
        ArgumentError: A field is out of its range; the message names it and what is accepted.
    """
    events = [(read_event(at), read_weight("events", w)) for at, w in _items(fields, "events")]
    hours = _hours(fields)
    return ClockRules(
        weekend=read_weight("weekend", fields["weekend"]),
        weekend_days=_weekend_days(fields["weekend_days"]),
        holiday=read_weight("holiday", fields["holiday"]),
        holidays=frozenset(read_day("holidays", day) for day in read_list("holidays", fields["holidays"])),
        hours=hours,
        night=read_weight("night", fields["night"], high=1.0),
        early_closes=_early_closes(fields, hours),
        weights={read_day("weights", d): read_weight("weights", w) for d, w in _items(fields, "weights")},
        dated_events={at: size for at, size in events if not isinstance(at, pd.Timestamp)},
        timed_events=dict(sorted((at, size) for at, size in events if isinstance(at, pd.Timestamp))),
    )


def _items(fields: Mapping[str, Any], name: str) -> list[tuple[Any, Any]]:
    return list(read_items(name, fields[name]).items())


def _weekend_days(value: object) -> frozenset[str]:
    names = frozenset(str(day).strip().lower()[:3] for day in read_list("weekend_days", value))
    if not names < set(WEEKDAYS):
        raise ArgumentError(
            f"weekend_days={value!r} is not accepted; expected up to six of {', '.join(WEEKDAYS)}."
        )
    return names


def _hours(fields: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return opening and close in seconds from midnight, and refuse what needs them if there are none."""
    if fields["session"] is None:
        if fields["night"] or fields["early_closes"]:
            raise ArgumentError(
                "night and early_closes belong to a session; pass session=(opening, close), such as "
                '("09:30", "16:00").'
            )
        return None
    times = read_list("session", fields["session"])
    seconds = [read_clock_time("session", time) for time in times]
    if len(seconds) != 2 or not seconds[0] < seconds[1]:
        raise ArgumentError(
            f"session={fields['session']!r} is not accepted; expected an opening and a later close on "
            "the same date of the clock's time zone."
        )
    return seconds[0], seconds[1]


def _early_closes(fields: Mapping[str, Any], hours: tuple[float, float] | None) -> dict[Date, float]:
    """Return the early closes in seconds from midnight."""
    closes = {}
    for day, time in _items(fields, "early_closes"):
        seconds = read_clock_time("early_closes", time)
        if hours is None or not hours[0] < seconds <= hours[1]:
            raise ArgumentError(
                f"early_closes: {day} closes at {time}; expected a time within the session "
                f"{fields['session']!r}."
            )
        closes[read_day("early_closes", day)] = seconds
    return closes
