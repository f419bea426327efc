"""Reads dates as vendors write them; a form is declared or follows from the values, and is never guessed."""

import re
from collections.abc import Sequence
from typing import NamedTuple, cast

import pandas as pd

from ...errors import ArgumentError

TIME = r"(?:[T ]\s*(?P<time>\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?)\s*(?P<half>[AaPp][Mm])?)?"
NOON = pd.Timedelta(hours=12)


class DateForm(NamedTuple):
    """A form of dates: a regular expression, and the format as pandas writes it."""

    pattern: str
    pandas: str


ISO = "YYYY-MM-DD"
FORMS = {
    ISO: DateForm(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d.*)?", "ISO8601"),
    "YYYYMMDD": DateForm(r"\d{8}", "%Y%m%d"),
    "YYYY/MM/DD": DateForm(r"(?P<date>\d{4}/\d{1,2}/\d{1,2})" + TIME, "%Y/%m/%d"),
    "MM/DD/YYYY": DateForm(r"(?P<date>\d{1,2}/\d{1,2}/\d{4})" + TIME, "%m/%d/%Y"),
    "DD/MM/YYYY": DateForm(r"(?P<date>\d{1,2}/\d{1,2}/\d{4})" + TIME, "%d/%m/%Y"),
    "MM-DD-YYYY": DateForm(r"(?P<date>\d{1,2}-\d{1,2}-\d{4})" + TIME, "%m-%d-%Y"),
    "DD-MM-YYYY": DateForm(r"(?P<date>\d{1,2}-\d{1,2}-\d{4})" + TIME, "%d-%m-%Y"),
    "DD.MM.YYYY": DateForm(r"(?P<date>\d{1,2}\.\d{1,2}\.\d{4})" + TIME, "%d.%m.%Y"),
    "DD-Mon-YYYY": DateForm(r"(?P<date>\d{1,2}-[A-Za-z]{3}-\d{4})" + TIME, "%d-%b-%Y"),
    "DD-Mon-YY": DateForm(r"(?P<date>\d{1,2}-[A-Za-z]{3}-\d{2})" + TIME, "%d-%b-%y"),
    "DDMonYYYY": DateForm(r"\d{1,2}[A-Za-z]{3}\d{4}", "%d%b%Y"),
    "Mon DD, YYYY": DateForm(r"(?P<date>[A-Za-z]{3} \d{1,2}, \d{4})" + TIME, "%b %d, %Y"),
    "Mon DD YYYY": DateForm(r"(?P<date>[A-Za-z]{3} \d{1,2} \d{4})" + TIME, "%b %d %Y"),
    "seconds since 1970": DateForm(r"\d{10}", "s"),
    "milliseconds since 1970": DateForm(r"\d{13}", "ms"),
    "microseconds since 1970": DateForm(r"\d{16}", "us"),
    "nanoseconds since 1970": DateForm(r"[0-8]\d{18}", "ns"),  # larger ones are no integer of 64 bits
}
"""Every accepted form; only those with slashes or dashes between two-digit numbers can be confused."""
ZONED_MIDNIGHT = r".*[T ]00:00(?::00(?:\.0+)?)?[+-](?!00:?(?:00)?$)\d\d:?(?:\d\d)?"
"""Midnight in a zone other than UTC: a moment, or the day alone as pandas writes it."""
EPOCHS = ("s", "ms", "us", "ns")


def check_form(form: object) -> str | None:
    """Return a declared form.

    Raises:
        ArgumentError: The form is unknown.
    """
    if form is None or (isinstance(form, str) and form in FORMS):
        return form
    raise ArgumentError(f"date_format={form!r} is unknown; expected one of {', '.join(map(repr, FORMS))}.")


def distinct_texts(values: pd.Series) -> pd.Series:
    """Return the distinct texts of a column, without blanks around them."""
    text = pd.Series(values.unique(), dtype="str").str.strip()
    return text.str.removesuffix(".0")  # pandas reads a column of whole numbers and blanks as floats


def fitting_forms(text: pd.Series) -> list[str]:
    """Return the forms that every text has; blanks and missing texts do not count."""
    filled = cast(pd.Series, text[text.notna() & (text != "")])
    if filled.empty:
        return []
    # in pure Python it ends at the first text of another form
    patterns = {name: re.compile(form.pattern, re.ASCII) for name, form in FORMS.items()}
    matching = [name for name, pattern in patterns.items() if all(map(pattern.fullmatch, filled))]
    return [name for name in matching if bool(parse_dates(filled, name).notna().all())]


def parse_dates(text: pd.Series, form: str) -> pd.Series:
    """Parse texts of one form as UTC times; NaT where a text has another form or is no date."""
    pattern, style = FORMS[form]
    accepted = text.where(text.str.fullmatch(pattern))
    if style in EPOCHS:
        times = pd.to_datetime(accepted.astype("Int64"), unit=style, utc=True)
    elif "(?P<time>" not in pattern:
        times = pd.to_datetime(accepted, utc=True, errors="coerce", format=style)
    else:
        parts = accepted.str.extract(f"^{pattern}$")
        days = pd.to_datetime(parts["date"], utc=True, errors="coerce", format=style)
        times = days + _time_of_day(parts["time"], parts["half"])
    return times.dt.as_unit("us")


def _time_of_day(clock: pd.Series, half: pd.Series) -> pd.Series:
    """Convert times such as 9:30, 16:00:00 and 4:00 PM to time spans; a missing time is midnight."""
    seconds = clock.where(clock.str.count(":") == 2, clock + ":00")
    spans = pd.to_timedelta(seconds.fillna("0:00:00"))
    is_twelve = (spans >= NOON) & half.notna()
    hour = spans.mask(is_twelve, spans - NOON)
    return hour.mask(half.str.lower() == "pm", hour + NOON)


def choose_form(fitting: Sequence[str], declared: str | None, others: Sequence[str]) -> str | None:
    """Choose the form of a column: the only one that fits, or else the declared one or that of other columns.

    Args:
        fitting: The forms that fit every value of the column.
        declared: The form that the caller or the vendor declares.
        others: The forms of other columns of dates in the file that only one form fits.

    Returns:
        The form; None if none fits or several do and neither declaration nor columns decide.
    """
    if len(fitting) == 1:
        return fitting[0]
    if declared in fitting:
        return declared
    shared = {form for form in others if form in fitting}
    return shared.pop() if len(shared) == 1 else None


def form_of_first(text: pd.Series) -> str:
    """Return a form that the first filled text has, for the message about texts that differ from it."""
    first = next((str(value) for value in text.dropna() if value), "")
    return next((name for name, form in FORMS.items() if re.fullmatch(form.pattern, first)), ISO)
