"""Reads tenors of foreign-exchange options, such as ON, 2W, 1Y6M, IMM1 or a date, as dates of expiry."""

import re
from typing import Any, cast

import numpy as np
import pandas as pd

from ...errors import ArgumentError
from ..quotes import column
from .dates import FORMS, ISO, parse_dates

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
IMM_MONTHS = (3, 6, 9, 12)
LAST_YEAR = 9999  # later dates cannot be written
ACCEPTED = (
    "ON, TN, SN, a number and d, w, m or y such as 3m or 1y6m, IMM1 for the next third Wednesday of March, "
    "June, September or December, or a date of the form YYYY-MM-DD or YYYYMMDD"
)


def expiry_of(tenor: str, start: pd.Timestamp, dated: bool = True) -> pd.Timestamp:
    """Return midnight UTC of the day on which a tenor ends.

    A tenor of days, weeks, months and years is added to the quote date, without holidays and settlement lags.
    ON, TN and SN end one, two and three days after it, weekends left out.

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
    expiry = _counted(plain, start, dated)
    if expiry is None:
        expiry = _on_calendar(tenor.strip(), plain, start, dated)
    if expiry <= start:
        raise ArgumentError(
            f"tenor {tenor!r} ends on {expiry:%Y-%m-%d}, which is not after the quote date {start:%Y-%m-%d}."
        )
    return expiry


def expiries(rows: pd.DataFrame, start: pd.Timestamp, dated: bool) -> tuple[pd.Series, np.ndarray]:
    """Return the days on which tenors end, and why they cannot be used.

    Args:
        rows: The quotes of each tenor, with the tenor as text in the column `ends`, or a day in its place.
        start: The quote date, UTC.
        dated: Whether the quote date is known.

    Returns:
        The day of each row, NaT where there is none, and the reason or "", shape (rows,) each.
    """
    expiries: list[pd.Timestamp | None] = []
    faults = []
    for text in rows["ends"]:
        try:
            expiries.append(expiry_of(str(text).removesuffix(".0"), start, dated))
            faults.append("")
        except ArgumentError as error:
            expiries.append(None)
            faults.append(str(error))
    expiry = pd.Series(expiries, dtype="datetime64[us, UTC]", index=rows.index)
    return expiry, np.where(np.array(faults, object) == "", _repeats(rows, expiry), faults)


def _repeats(rows: pd.DataFrame, expiry: pd.Series) -> np.ndarray:
    """Return why a tenor that ends on the day of another is refused, or "", shape (rows,).

    Of equal rows the first is kept; of others none is, because nothing says which is right.
    """
    quotes = rows.drop(columns=["line", "tenor", "ends"]).assign(expiry=expiry)
    again = (quotes.duplicated() & expiry.notna()).to_numpy()
    kept = expiry.where(~again)
    other = (kept.duplicated(keep=False) & kept.notna()).to_numpy()
    reasons = np.full(len(rows), "", object)
    for i in np.flatnonzero(again | other):
        tenors = ", ".join(sorted(column(rows, "tenor")[expiry == expiry[i]]))
        reasons[i] = f"the tenors {tenors} end on the same day, {expiry[i]:%Y-%m-%d}; keep one of them"
    return reasons


def _counted(plain: str, start: pd.Timestamp, dated: bool) -> pd.Timestamp | None:
    """Return the end of a tenor that counts days, weeks, months or years; None for one that does not."""
    if plain in BUSINESS_DAYS:
        days = BUSINESS_DAYS[plain]
        if dated:
            today = np.datetime64(start.date())
            days = int((np.busday_offset(today, days, roll="backward") - today).astype(int))
        return _later(start, pd.DateOffset(days=days))
    if not _TENOR.fullmatch(plain):
        return None
    span: dict[str, Any] = {}
    for count, name in _PART.findall(plain):
        unit = _UNIT_OF.get(name)
        if unit is None or unit in span:
            return None
        span[unit] = int(count)
    return _later(start, pd.DateOffset(**span))


def _on_calendar(tenor: str, plain: str, start: pd.Timestamp, dated: bool) -> pd.Timestamp:
    """Return the day of a date or of an IMM date."""
    imm = _IMM.fullmatch(plain)
    form = next((name for name in (ISO, "YYYYMMDD") if re.fullmatch(FORMS[name].pattern, tenor)), None)
    if imm is None and form is None:
        raise ArgumentError(f"tenor {tenor!r} is unknown; expected {ACCEPTED}.")
    if not dated:
        raise ArgumentError(
            f"tenor {tenor!r} needs the quote date, which the file does not state; pass date=, or add a "
            "column date."
        )
    if imm is not None:
        return _imm_date(start, int(imm[1]))
    day = cast(pd.Timestamp, parse_dates(pd.Series([tenor], dtype="str"), str(form)).iloc[0])
    if day is pd.NaT:
        raise ArgumentError(f"tenor {tenor!r} is no day of the calendar; expected {ACCEPTED}.")
    return day.normalize().as_unit("us")


def _imm_date(start: pd.Timestamp, number: int) -> pd.Timestamp:
    """Return the third Wednesday of the `number`-th month of March, June, September, December from a date."""
    first = cast(pd.Timestamp, start.normalize().replace(day=1))
    for months in range(3 * number + 4):
        month = _later(first, pd.DateOffset(months=months))
        day = _later(month, pd.DateOffset(days=(2 - month.weekday()) % 7 + 14))
        number -= month.month in IMM_MONTHS and day > start
        if number == 0:
            return day
    raise AssertionError("every quarter has an IMM date")


def _later(start: pd.Timestamp, span: pd.DateOffset) -> pd.Timestamp:
    """Return a date plus a span of days, months or years.

    Raises:
        ArgumentError: The result is after the year 9999.
    """
    try:
        later = cast(pd.Timestamp, start + span)
    except (ValueError, OverflowError):
        later = None
    if later is None or later.year > LAST_YEAR:
        raise ArgumentError(
            f"the tenor from {start:%Y-%m-%d} on ends beyond the year {LAST_YEAR}; correct the tenor or the "
            "date."
        )
    return later
