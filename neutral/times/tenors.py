"""Reads tenors, such as ON, 2W, 1Y6M, IMM1 or a date, as the days on which they end."""

import calendar
import re
from datetime import UTC, datetime, timedelta

import numpy as np

from ..errors import ArgumentError

BUSINESS_DAYS = {  # expiries in business days after the quote date; spot is two days after it
    "on": 1,
    "overnight": 1,
    "tn": 2,
    "tomnext": 2,
    "sn": 3,
    "spotnext": 3,
}
UNITS = {
    "days": ("d", "day", "days"),
    "weeks": ("w", "wk", "wks", "week", "weeks"),
    "months": ("m", "mo", "mon", "mth", "mths", "month", "months"),
    "years": ("y", "yr", "yrs", "year", "years"),
}
_UNIT_OF = {name: unit for unit, names in UNITS.items() for name in names}
_PART = re.compile(r"([1-9]\d{0,2})([a-z]+)")
_TENOR = re.compile(rf"(?:{_PART.pattern})+")
_IMM = re.compile(r"imm([1-9]\d?)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?|\d{8}", re.ASCII)
IMM_MONTHS = (3, 6, 9, 12)
WEDNESDAY = 2  # weekday of datetime
LAST_YEAR = 9999  # later dates cannot be written
ACCEPTED = (
    "ON, TN, SN, a number and d, w, m or y such as 3m or 1y6m, IMM1 for the next third Wednesday of March, "
    "June, September or December, or a date of the form YYYY-MM-DD or YYYYMMDD"
)


def end_of_tenor(tenor: str, start: datetime, dated: bool = True) -> datetime:
    """Return the time at which a tenor ends.

    A tenor of days, weeks, months and years is added to the start, without holidays and settlement lags. ON,
    TN and SN end one, two and three days after it, weekends left out. IMM dates and dates are midnights.

    Args:
        tenor: The tenor; case, blanks and `/` do not matter.
        start: The quote date, UTC.
        dated: Whether the quote date is known. Otherwise ON, TN and SN count all days, and dates and IMM
            dates are refused.

    Raises:
        ArgumentError: The tenor has no accepted form, or ends on the quote date, before it, or after the year
            9999.
    """
    plain = re.sub(r"[\s/_]+|(?<=\w)-(?=\w)", "", tenor.strip().lower())
    end = _counted(plain, start, dated)
    if end is None:
        end = _on_calendar(tenor.strip(), plain, start, dated)
    if end <= start:
        raise ArgumentError(
            f"tenor {tenor!r} ends on {end:%Y-%m-%d}, which is not after the quote date {start:%Y-%m-%d}."
        )
    return end


def _counted(plain: str, start: datetime, dated: bool) -> datetime | None:
    """Return the end of a tenor that counts days, weeks, months or years; None for one that does not."""
    if plain in BUSINESS_DAYS:
        days = BUSINESS_DAYS[plain]
        if dated:
            today = np.datetime64(start.date())
            days = int((np.busday_offset(today, days, roll="backward") - today).astype(int))
        return _later(start, days=days)
    if not _TENOR.fullmatch(plain):
        return None
    span: dict[str, int] = {}
    for count, name in _PART.findall(plain):
        unit = _UNIT_OF.get(name)
        if unit is None or unit in span:
            return None
        span[unit] = int(count)
    months = 12 * span.get("years", 0) + span.get("months", 0)
    return _later(start, months=months, days=7 * span.get("weeks", 0) + span.get("days", 0))


def _on_calendar(tenor: str, plain: str, start: datetime, dated: bool) -> datetime:
    """Return midnight of a date or of an IMM date."""
    imm = _IMM.fullmatch(plain)
    if imm is None and _DATE.fullmatch(tenor) is None:
        raise ArgumentError(f"tenor {tenor!r} is unknown; expected {ACCEPTED}.")
    if not dated:
        raise ArgumentError(
            f"tenor {tenor!r} needs the quote date, which the file does not state; pass date=, or add a "
            "column date."
        )
    if imm is not None:
        return _imm_date(start, int(imm[1]))
    try:
        time = datetime.fromisoformat(tenor)
    except ValueError:
        message = f"tenor {tenor!r} is no day of the calendar; expected {ACCEPTED}."
        raise ArgumentError(message) from None
    utc = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return _midnight(utc).replace(tzinfo=start.tzinfo)


def _imm_date(start: datetime, number: int) -> datetime:
    """Return the third Wednesday of the `number`-th month of March, June, September, December from a date."""
    first = _midnight(start).replace(day=1)
    for months in range(3 * number + 4):
        month = _later(first, months=months)
        day = _later(month, days=(WEDNESDAY - month.weekday()) % 7 + 14)
        number -= month.month in IMM_MONTHS and day > start
        if number == 0:
            return day
    raise AssertionError("every quarter has an IMM date")


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def _later(start: datetime, months: int = 0, days: int = 0) -> datetime:
    """Return a date plus months and days; a day that a month does not have becomes its last.

    Raises:
        ArgumentError: The result is after the year 9999.
    """
    year = start.year + (start.month - 1 + months) // 12
    month = (start.month - 1 + months) % 12 + 1
    try:
        last = calendar.monthrange(year, month)[1]
        return start.replace(year=year, month=month, day=min(start.day, last)) + timedelta(days=days)
    except (ValueError, OverflowError):
        raise ArgumentError(
            f"the tenor from {start:%Y-%m-%d} on ends beyond the year {LAST_YEAR}; correct the tenor or the "
            "date."
        ) from None
