"""Years between dates by a day count, and maturities as years: the functions that users call."""

from datetime import date as Date
from datetime import timedelta
from typing import cast

import numpy as np

from ..errors import ArgumentError
from ..typing import Values
from .calendars import Calendar, business_days
from .day_counts import BUSINESS_DAYS_A_YEAR, DAYS_A_YEAR, DayCount, day_count_named
from .instants import Ends, Instants, as_instants, ends_of, has_time, is_missing, written_days

_NUMBERS = "biufc"  # kinds of numpy dtypes


def year_fraction(
    start: Instants,
    end: Ends,
    day_count: str = "ACT/365F",
    *,
    calendar: Calendar | None = None,
) -> np.ndarray | float:
    """Years from one date to another by a day count (ISDA 2006, section 4.16). Arguments broadcast.

    A time of the day counts where the end has one (other than midnight): with "ACT/365F" an option that
    expires today at 16:00 has 2 hours left at 14:00. Where the end is a date alone, whole days count, from
    the day of the start in its own time zone.

    Args:
        start: Dates or times: text such as "2026-01-14", objects of datetime, numpy or pandas, or a column of
            pandas, polars or Arrow. Times without a zone are in UTC.
        end: Dates or times; spans of time (timedelta); or tenors such as "3m", "1y6m", "ON" or "IMM1", which
            count from the start without holidays.
        day_count: "ACT/365F", "ACT/360", "ACT/365.25", "ACT/ACT ISDA", "30/360" (bond basis), "30E/360"
            (Eurobond basis) or "BUS/252". The last three count dates; their times of the day do not matter.
        calendar: Business days of "BUS/252": the name of an exchange, such as "BVMF", whose sessions
            exchange_calendars lists (`pip install 'neutral[calendars]'`), or a list of holidays.

    Returns:
        Years, negative where the end is before the start, nan where a date is missing: a number, or an array
        of the broadcast shape.

    Raises:
        ArgumentError: A value is no date, the day count is unknown, or "BUS/252" has no calendar.
        NeutralError: The calendar of an exchange is wanted and exchange_calendars is not installed.
    """
    rule = day_count_named(day_count)
    if rule.years is None and calendar is None:
        raise ArgumentError(
            f"day_count={day_count!r} needs calendar=: the name of an exchange such as 'BVMF', or a list of "
            "holidays."
        )
    return _years("start", start, "end", end, rule=rule, calendar=calendar)


def years_to(maturity: Ends, date: Instants | None = None, name: str = "maturity") -> Values:
    """Return maturities as years, act/365; numbers stay as they are.

    Args:
        maturity: Years; or dates, times or tenors, which need the quote date; or spans of time (timedelta).
        date: The quote date.
        name: Name of the argument, for error messages.

    Raises:
        ArgumentError: A value is none of these, or the quote date is missing.
    """
    raw = np.asarray(maturity)
    kind = raw.dtype.kind
    if kind in _NUMBERS or (kind == "O" and _all_numbers(raw)):
        return cast(Values, maturity)
    if kind == "O" and all(isinstance(x, timedelta) or is_missing(x) for x in raw.flat):
        spans = [np.timedelta64("NaT") if is_missing(x) else np.timedelta64(x) for x in raw.flat]
        raw = np.array(spans, "timedelta64[us]").reshape(raw.shape)
    if raw.dtype.kind == "m":
        return raw / np.timedelta64(1, "D") / DAYS_A_YEAR
    if date is None:
        raise ArgumentError(
            f"{name} has dates or tenors, such as {str(raw.flat[0])!r}, and the quote date is missing; pass "
            "date=, such as date='2026-01-14', or years, as from neutral.year_fraction(start, end)."
        )
    return _years("date", date, name, maturity, rule=day_count_named("ACT/365F"), calendar=None)


def _all_numbers(raw: np.ndarray) -> bool:
    """Whether no entry is a text, a date or a span of time; what is left are numbers and missing values."""
    return not any(isinstance(x, str | Date | timedelta | np.datetime64) for x in raw.flat)


def _years(
    start_name: str, start: Instants, end_name: str, end: Ends, *, rule: DayCount, calendar: Calendar | None
) -> np.ndarray | float:
    """Return the years between times, with whole days where the end has no time of the day."""
    first = as_instants(start_name, start)
    last = ends_of(end_name, end, first)
    try:
        first, day, last = np.broadcast_arrays(first, written_days(start, first), last)
    except ValueError:
        raise ArgumentError(f"Shapes do not broadcast: start {first.shape}, end {last.shape}.") from None
    whole = np.ones(first.shape, bool) if rule.whole_days else ~has_time(last)
    first = np.where(whole, day, first)
    if rule.years is None:
        assert calendar is not None
        days = business_days(first.astype("datetime64[D]"), last.astype("datetime64[D]"), calendar)
        years = days / BUSINESS_DAYS_A_YEAR
    else:
        years = rule.years(first, last)
    years = np.where(np.isnat(first) | np.isnat(last), np.nan, years)
    return years if years.ndim else float(years)
