"""How results write times and durations, and how many days a year has under each day count."""

from datetime import datetime

TIME = "%Y-%m-%dT%H:%M:%SZ"
"""Format of UTC times in results. As texts such times sort in order of time."""

ACT_365 = 365.0
"""Days of a year under the day count act/365."""

ACT_365_25 = 365.25
"""Days of a year under the day count act/365.25, in which Deribit states maturities."""


def time_text(time: datetime) -> str:
    """Write a UTC time in the format `TIME`.

    Args:
        time: A UTC time, or the missing time of pandas (NaT).

    Returns:
        The text, or "" for a missing time.
    """
    return time.strftime(TIME) if time == time else ""  # NaT is not equal to itself


def minute_text(time: datetime) -> str:
    """Write a UTC time to the minute, for people; "" for a missing time."""
    return f"{time:%Y-%m-%d %H:%M}" if time == time else ""


def seconds_text(seconds: float) -> str:
    """Write a duration in seconds with two digits, such as "0.31 s"."""
    return f"{seconds:.2g} s"
