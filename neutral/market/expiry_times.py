"""The times at which options expire on their dates: at the opening, at the close, or at a fixed hour."""

import dataclasses
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import cast
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from dateutil.easter import easter

from ..errors import ArgumentError
from .clock_times import checked_zone, read_clock_time

NEW_YORK = "America/New_York"
# Indices whose standard series expires at the opening of the third Friday; their other series, which have
# roots of their own (SPXW, NDXP, RUTW), expire at the close.
STANDARD_AT_OPENING = frozenset("SPX NDX RUT DJX".split())
OPENING_ROOTS = frozenset("VIX VIXW".split())
FRIDAY = 4  # weekday of datetime
FIRST_OPTIONS = 1973  # the first year with listed options
FIRST_JUNETEENTH = 2022  # the first year in which the exchanges close on 19 June
CRYPTO = "08:00 UTC"


@dataclasses.dataclass(frozen=True)
class SettlementTime:
    """A time of day at which options expire, in a time zone."""

    seconds: float  # from midnight, on the wall clock
    zone: str
    early: float | None = None  # the same on days on which New York closes early

    def on(self, date: Date) -> datetime:
        """Return the UTC time of expiry on a date."""
        seconds = self.early if self.early is not None and closes_early(date) else self.seconds
        midnight = datetime(date.year, date.month, date.day, tzinfo=ZoneInfo(self.zone))
        # added on the wall clock, so that the offset is that of the time itself
        return (midnight + timedelta(seconds=seconds)).astimezone(UTC)


OPENING = SettlementTime(read_clock_time("opening", "09:30"), NEW_YORK)
CLOSE = SettlementTime(read_clock_time("close", "16:00"), NEW_YORK, early=read_clock_time("close", "13:00"))
ELSEWHERE = {
    "DAX": SettlementTime(read_clock_time("auction", "13:00"), "Europe/Berlin"),
    "SX5E": SettlementTime(read_clock_time("average", "12:00"), "Europe/Berlin"),
    "NIFTY": SettlementTime(read_clock_time("close", "15:30"), "Asia/Kolkata"),
    "BANKNIFTY": SettlementTime(read_clock_time("close", "15:30"), "Asia/Kolkata"),
}
NAMED = {"am": OPENING, "pm": CLOSE}


def check_settlement_time(text: str | None) -> None:
    """Refuse a text that states no time of settlement.

    Raises:
        ArgumentError: As `read_settlement_time`.
    """
    if text is not None:
        read_settlement_time(text)


def read_settlement_time(text: object) -> SettlementTime:
    """Read "am" or "pm", the opening or the close in New York, or a time of day and a time zone.

    Raises:
        ArgumentError: The text is neither.
    """
    if isinstance(text, str) and text.strip().lower() in NAMED:
        return NAMED[text.strip().lower()]
    try:
        clock, zone = str(text).split()
        return SettlementTime(read_clock_time("settlement_time", clock), checked_zone(zone))
    except ValueError as error:  # ArgumentError is a ValueError
        raise ArgumentError(
            f"settlement_time={text!r} is not accepted; expected 'am', 'pm', or a time of day and a time "
            f"zone such as {CRYPTO!r} or '15:30 Asia/Kolkata'."
        ) from error


def expiry_times(
    dates: pd.Series, roots: pd.Series | str, settlement_time: pd.Series | str | None = None
) -> pd.Series:
    """Return the times at which options expire on their dates.

    Without `settlement_time` the root decides:

    - SPX, NDX, RUT and DJX expire at the opening in New York (09:30) on their standard date, the third Friday
      of a month or the Thursday before if that is a holiday, and at the close on other dates, as their weekly
      series do. So they do if the column of roots names only the underlying.
    - VIX expires at the opening.
    - DAX expires at 13:00 and SX5E at 12:00 in Frankfurt, NIFTY and BANKNIFTY at 15:30 in Mumbai.
    - All others, such as SPXW, XSP and options on stocks and funds, expire at the close in New York: 16:00,
      or 13:00 on the days before or after a holiday on which it closes early.

    Options that expire on a Saturday, as those of the United States did until February 2015, stop on the
    trading day before.

    Args:
        dates: Dates of expiry, UTC midnight or without zone, shape (rows,).
        roots: The root of each option, or one root for all, such as "SPXW".
        settlement_time: "am", "pm", or a time of day and a zone such as "08:00 UTC", of each option or of
            all; the root decides where it is None or missing.

    Returns:
        UTC times, datetime64[us, UTC], NaT where a date is missing; the index is that of `dates`.

    Raises:
        ArgumentError: `settlement_time` is none, or `dates` is no series of dates.
    """
    if not isinstance(dates, pd.Series):
        raise ArgumentError(f"dates must be a pandas Series of dates, got {type(dates).__name__}.")
    given = pd.DatetimeIndex(dates)
    days = pd.DatetimeIndex(given.tz_localize(None)).normalize()
    # each distinct option date is converted once: chains have thousands of rows on a few dates
    each = [np.asarray(x, object) for x in (roots, settlement_time)]
    for name, values in zip(("roots", "settlement_time"), each, strict=True):
        if values.ndim and values.shape != days.shape:
            raise ArgumentError(f"{name} must be one text or as many as dates, got {values.shape}.")
    columns = [np.broadcast_to(x, len(days)) for x in each]
    codes, distinct = pd.MultiIndex.from_arrays([days, *columns]).factorize()
    times = [pd.NaT if option[0] is pd.NaT else _expiry_time(*option) for option in distinct]
    result = pd.DatetimeIndex(pd.to_datetime(times, utc=True)).as_unit("us")
    return pd.Series(result.take(codes) if len(times) else result, index=dates.index)


def _expiry_time(date: pd.Timestamp, root: object, settlement_time: object) -> datetime:
    """Return the UTC time of expiry of one root on one date."""
    name = str(root).strip().lstrip("^$.").upper()
    # nan is not equal to itself
    is_given = settlement_time is not None and settlement_time == settlement_time
    rule = read_settlement_time(settlement_time) if is_given else _rule(name, date)
    last = trading_day(date) if rule.zone == NEW_YORK else date
    try:
        return rule.on(last)
    except OverflowError:  # the first or the last days of the calendar, which no option has
        return cast(datetime, pd.NaT)


def _rule(root: str, date: Date) -> SettlementTime:
    """Return the time of settlement of a root on a date."""
    if root in OPENING_ROOTS or (root in STANDARD_AT_OPENING and is_standard(date)):
        return OPENING
    return ELSEWHERE.get(root, CLOSE)


def is_standard(date: Date) -> bool:
    """Whether a date is the standard one of its month: the third Friday, or the Thursday before a holiday.

    A Saturday after the third Friday counts too.
    """
    third = third_friday(date.year, date.month)
    return _day(date) in (third, third + timedelta(days=1), trading_day(third))


def third_friday(year: int, month: int) -> Date:
    """Return the third Friday of a month."""
    first = Date(year, month, 1)
    return Date(year, month, 15 + (FRIDAY - first.weekday()) % 7)


def trading_day(date: Date) -> Date:
    """Return the date, or for a weekend or a holiday on a Friday the trading day before, in New York."""
    day = _day(date)
    while day.weekday() > FRIDAY or _closed_friday(day):
        day -= timedelta(days=1)
    return day


def _closed_friday(day: Date) -> bool:
    """Whether a day is Good Friday or the Friday of Juneteenth, the holidays on which third Fridays fall.

    Juneteenth on a Saturday is observed on the Friday before.
    """
    if day.weekday() != FRIDAY or day.year < FIRST_OPTIONS:
        return False
    juneteenth = day.year >= FIRST_JUNETEENTH and day.month == 6 and day.day in (18, 19)
    return juneteenth or day == easter(day.year) - timedelta(days=2)


def closes_early(date: Date) -> bool:
    """Whether New York closes at 13:00: 3 July, the day after Thanksgiving, and 24 December.

    3 July and 24 December count from Monday to Thursday; on a Friday they are holidays themselves.
    """
    thanksgiving = 22 + (3 - Date(date.year, 11, 1).weekday()) % 7  # the fourth Thursday
    if (date.month, date.day) == (11, thanksgiving + 1):
        return True
    return (date.month, date.day) in ((7, 3), (12, 24)) and date.weekday() < FRIDAY


def utc_time(quoted: datetime, timezone: str | None) -> datetime:
    """Return the UTC time of quotes whose time of day is that of a time zone; a date alone stays.

    Args:
        quoted: The time in the file, read as if it were UTC.
        timezone: The zone of the file's times, such as "America/New_York"; None if they are UTC.
    """
    when = cast(pd.Timestamp, pd.Timestamp(quoted))
    if timezone is None or when == when.normalize():
        return quoted
    return quoted.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def lifetimes(
    dates: pd.Series,
    quoted: datetime,
    roots: pd.Series | str,
    settlement_time: pd.Series | str | None = None,
) -> tuple[pd.Series, np.ndarray]:
    """Return when options expire, and the days until then.

    Args:
        dates: Dates of expiry, UTC midnight, shape (rows,).
        quoted: Time of the quotes, UTC. At midnight it means a date alone; dates of expiry then stay,
            and the days are whole.
        roots: As for `expiry_times`.
        settlement_time: As for `expiry_times`.

    Returns:
        Expiries (UTC) and days, shape (rows,); days are negative after the expiry, and nan without a date.
    """
    when = cast(pd.Timestamp, pd.Timestamp(quoted))
    timed = when != when.normalize()
    expiries = expiry_times(dates, roots, settlement_time) if timed else dates
    ends = expiries if timed else dates.dt.normalize()
    return expiries, ((ends - when) / pd.Timedelta(days=1)).to_numpy(float)


def _day(date: Date) -> Date:
    return Date(date.year, date.month, date.day)
