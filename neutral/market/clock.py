"""The variance clock: turns intervals of wall-clock time into years of variance."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import date as Date
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np

from ..errors import ArgumentError
from ..times import DAYS_A_YEAR, SECONDS_A_DAY
from .clock_days import DayTable
from .clock_rules import ClockRules, read_rules
from .clock_times import (
    Day,
    Instant,
    Instants,
    broadcast_shape,
    checked_zone,
    day_bounds,
    day_numbers,
    instants,
    local_midnights,
    local_times,
    read_day,
    read_list,
    read_weight,
)

LONGEST_MAP = 200.0  # years


class TimeMap(NamedTuple):
    """Calendar time and variance time from one start on, both in years, shape (knots,); linear between."""

    t: np.ndarray
    variance_time: np.ndarray


@dataclasses.dataclass(frozen=True)
class VarianceClock:
    """A clock by which variance accrues evenly: it stops, or is slow, while prices move little.

    An ordinary weekday is one day of variance. Other days have the weights below, and events add variance.
    Without a session the variance of a day accrues evenly over its hours. With a session the share `night` of
    it accrues evenly over the hours outside the session, and the rest evenly while the exchange is open.

    The default is calendar time. Variance time serves volatilities alone: interest and carry always accrue in
    calendar time, because money earns interest on Sundays.

    Dates are `datetime.date` or texts such as "2024-03-29", and belong to the time zone of the clock.

    Raises:
        ArgumentError: A field is out of its range; the message names it and what is accepted.
    """

    weekend: float = 1.0
    """Days of variance of a day of the weekend, >= 0."""
    holidays: Iterable[Day] = ()
    """Dates on which the exchange is closed; those on a weekend count as weekend."""
    holiday: float = 0.0
    """Days of variance of a holiday, >= 0."""
    session: Sequence[str] | None = None
    """Opening and close of the exchange, such as ("09:30", "16:00"), in `timezone`; None: no session."""
    night: float = 0.0
    """Share of an ordinary day's variance outside the session, 0 to 1; only with a session."""
    early_closes: Mapping[Day, str] = dataclasses.field(default_factory=dict)
    """Days with an earlier close, such as {"2024-11-29": "13:00"}. The variance of the session falls with its
    hours, unless `weights` states that of the day."""
    weights: Mapping[Day, float] = dataclasses.field(default_factory=dict)
    """Days of variance of certain dates, in place of those above; >= 0."""
    events: Mapping[Instant, float] = dataclasses.field(default_factory=dict)
    """Days of variance that events add, >= 0. On a date they accrue as the rest of the day's variance, in the
    session if there is one; at a time, such as "2024-05-22T20:20:00Z", they accrue at once."""
    weekend_days: Sequence[str] = ("sat", "sun")
    """Names of the days of the weekend."""
    timezone: str = "UTC"
    """Time zone of dates and of the session, such as "America/New_York"."""
    days_a_year: float | None = None
    """Days of variance per year, > 0. None takes the average of 365 days without events and `weights`, over
    the years that have holidays: volatilities then are about as large as in calendar time."""
    covers: tuple[Day, Day] | None = None
    """First and last date for which holidays are known; intervals beyond are refused. None: all dates."""

    def __post_init__(self) -> None:
        checked_zone(self.timezone)
        if self.days_a_year is not None:
            read_weight("days_a_year", self.days_a_year, above=True)
        # these are read once, which checks the other fields
        _ = self._rules, self._covered

    @cached_property
    def _rules(self) -> ClockRules:
        fields = dataclasses.fields(self)
        return read_rules({field.name: getattr(self, field.name) for field in fields})

    @classmethod
    def from_exchange(
        cls, name: str, first: Day = "2000-01-01", last: Day = "2035-12-31", **options: Any
    ) -> Self:
        """Make the clock of an exchange from the package exchange_calendars, which it needs.

        It stops on weekends, on holidays and at night, unless `options` state otherwise. Breaks at noon
        count as open.

        Args:
            name: Name of the exchange, such as "XNYS" for New York; exchange_calendars lists all.
            first: First date for which holidays are looked up.
            last: Last such date.
            options: Fields of the clock, in place of those of the exchange.

        Raises:
            ArgumentError: The exchange is unknown, or its calendar does not reach that far.
            NeutralError: exchange_calendars is not installed.
        """
        from .exchange import exchange_fields  # imports an optional package

        fields = exchange_fields(name, read_day("first", first), read_day("last", last))
        return cls(**(fields | options))

    @property
    def is_calendar(self) -> bool:
        """Whether the clock is calendar time: all days have the same weight, and `days_a_year` is None."""
        return self._rules.is_even and self.days_a_year is None

    @cached_property
    def year(self) -> float:
        """Days of variance per year: `days_a_year`, or the average in its place."""
        return self.days_a_year or DAYS_A_YEAR * self._rules.mean_weight

    def years(self, start: Instants, end: Instants) -> np.ndarray:
        """Compute the variance time from start to end.

        Args:
            start: One time or an array of times; a time without a zone is in UTC.
            end: One time or an array, which broadcasts with `start`.

        Returns:
            Years of variance, in the broadcast shape; negative where end is before start, nan where a time is
            missing. An event at a time counts if it is later than start and not later than end.

        Raises:
            ArgumentError: A value is no time, or is outside of `covers`.
        """
        first, last = instants("start", start), instants("end", end)
        shape = broadcast_shape(start=first, end=last)
        # of arrays without axes numpy makes scalars
        later, earlier = (self._accrued(np.atleast_1d(times)) for times in (last, first))
        # part by part, so that an interval of seconds is as exact as one of years
        whole, since_midnight = (after - before for after, before in zip(later, earlier, strict=True))
        return ((whole + since_midnight) / self.year).reshape(shape)

    def years_of_days(self, start: Instants, end: Instants) -> np.ndarray:
        """Compute the variance time of the whole days after start up to and including end.

        It suits quotes and expiries that are known by date alone: both count as at the end of their day. An
        event at a time after the close of the session counts for the next day.

        Args:
            start: One date or an array; of times the dates are taken, in their own time zone.
            end: One date or an array, which broadcasts with `start`.

        Returns:
            Years of variance in the broadcast shape; nan where a date is missing.

        Raises:
            ArgumentError: A value is no date, or is outside of `covers`.
        """
        first, last = (day_numbers(name, days) for name, days in (("start", start), ("end", end)))
        shape = broadcast_shape(start=first, end=last)
        later, earlier = (self._accrued_days(np.atleast_1d(days)) for days in (last, first))
        return ((later - earlier) / self.year).reshape(shape)

    def time_map(self, start: Instant, years: float = 10.0) -> TimeMap:
        """Tabulate variance time against calendar time (years of 365 days) from a start on.

        Args:
            start: A time; a date, or a time at midnight UTC, means whole days as in `years_of_days`.
            years: Length of the table, > 0 and at most 200.

        Returns:
            Knots at every midnight, opening and close, and before and after each event at a time; with whole
            days at every day.

        Raises:
            ArgumentError: An argument is out of its range.
        """
        read_weight("years", years, high=LONGEST_MAP, above=True)
        when = instants("start", start).reshape(1)
        days = np.arange(int(np.ceil(years * DAYS_A_YEAR)) + 1)
        if is_whole_days(when):
            first = when.astype("datetime64[D]")
            return _never_back(
                days / DAYS_A_YEAR, self.years_of_days(first, first + days.astype("timedelta64[D]"))
            )
        knots = self._knots(when, days)
        return _never_back(_seconds(knots - when) / (SECONDS_A_DAY * DAYS_A_YEAR), self.years(when, knots))

    def _knots(self, when: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Return the times at which the speed of the clock may change, from `when` on, ascending."""
        first, _ = local_times(when, self.timezone)
        numbers = first + days
        midnights = local_midnights(numbers, self.timezone)
        knots = [when, midnights, self._event_times, self._event_times - np.timedelta64(1, "us")]
        if self.session is not None:
            seconds = [np.full(len(numbers), self._table.opening), self._table.of(numbers).close]
            # offsets from midnight in wall-clock time; sessions do not contain changes of the offset from UTC
            knots += [midnights + (1e6 * s).astype("timedelta64[us]") for s in seconds]
        times = np.unique(np.concatenate(knots))
        return times[(times >= when) & (times <= midnights[-1])]

    # Days of variance from a fixed day on: those of the days before, and what has accrued since midnight.

    @cached_property
    def _table(self) -> DayTable:
        return self._rules.table()

    def _accrued_days(self, numbers: np.ndarray) -> np.ndarray:
        """Return the days of variance from a fixed day to the end of days; nan where a day is missing."""
        missing = numbers == np.iinfo(np.int64).min
        numbers = np.where(missing, 0, numbers)
        self._check_covered(numbers[~missing])
        events = self._event_sizes[np.searchsorted(self._event_days, numbers, side="right")]
        return np.where(missing, np.nan, self._table.before(np.asarray(numbers + 1)) + events)

    def _accrued(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the days of variance from a fixed day to midnight, and from there on; nan for no time."""
        missing = np.isnat(times)
        times = np.where(missing, np.datetime64(0, "us"), times)
        numbers, wall = local_times(times, self.timezone)
        self._check_covered(numbers[~missing])
        events = self._event_sizes[np.searchsorted(self._event_times, times, side="right")]
        since_midnight = self._since_midnight(times, numbers, wall) + events
        return np.where(missing, np.nan, self._table.before(numbers)), since_midnight

    def _since_midnight(self, times: np.ndarray, numbers: np.ndarray, wall: np.ndarray) -> np.ndarray:
        """Return the days of variance from local midnight to times.

        Args:
            times: UTC.
            numbers: Their local days since 1970.
            wall: Seconds of wall-clock time since midnight; `elapsed` differs from it when clocks change.
        """
        midnight, next_midnight = day_bounds(numbers, self.timezone)
        length = _seconds(next_midnight - midnight)
        elapsed = _seconds(times - midnight)
        day = self._table.of(numbers)
        hours = day.close - self._table.opening
        is_open = np.clip(wall - self._table.opening, 0.0, hours)
        in_session = day.session * is_open / np.where(hours > 0, hours, 1.0)
        outside = np.where(length > hours, length - hours, 1.0)
        return in_session + day.rest * (elapsed - is_open) / outside

    @cached_property
    def _event_times(self) -> np.ndarray:
        return instants("events", list(self._rules.timed_events))

    @cached_property
    def _event_sizes(self) -> np.ndarray:
        """Summed days of variance of events at times before each of them, and of all."""
        return np.append(0.0, np.cumsum(list(self._rules.timed_events.values())))

    @cached_property
    def _event_days(self) -> np.ndarray:
        """The day of each event at a time; after the close of a session it is the next day."""
        numbers, seconds = local_times(self._event_times, self.timezone)
        day = self._table.of(numbers)
        return numbers + ((day.session > 0) & (seconds > day.close))

    @cached_property
    def _covered(self) -> tuple[Date, Date] | None:
        if self.covers is None:
            return None
        days = [read_day("covers", day) for day in read_list("covers", self.covers)]
        if len(days) != 2 or days[0] > days[1]:
            raise ArgumentError(f"covers={self.covers!r} is not accepted; expected a first and a last date.")
        return days[0], days[1]

    def _check_covered(self, numbers: np.ndarray) -> None:
        """Refuse days for which no holidays are known."""
        if self._covered is None or not numbers.size:
            return
        first, last = day_numbers("covers", list(self._covered))
        outside = numbers[(numbers < first) | (numbers > last)]
        if outside.size:
            raise ArgumentError(
                f"the clock knows no holidays for {np.datetime64(int(outside[0]), 'D')}, only those from "
                f"{self._covered[0]} to {self._covered[1]}; make it with a longer calendar, for example "
                "VarianceClock.from_exchange(name, first=..., last=...)."
            )


def _never_back(t: np.ndarray, variance_time: np.ndarray) -> TimeMap:
    """Make a map in which rounding, of 1e-14 years, never moves the clock back."""
    return TimeMap(t, np.maximum.accumulate(variance_time))


def _seconds(span: np.ndarray) -> np.ndarray:
    return span / np.timedelta64(1, "s")


def is_whole_days(when: np.ndarray) -> bool:
    """Whether a time means a whole day: it is midnight UTC, as in files that state dates alone."""
    return bool(when.astype("datetime64[D]") == when)
