"""Formats the times and durations in results."""

from datetime import datetime

TIME = "%Y-%m-%dT%H:%M:%SZ"
"""Format of UTC times in results; the texts sort in order of time."""


def time_text(time: datetime) -> str:
    """Format a UTC time as in `TIME`.

    Args:
        time: A UTC time, or the missing time of pandas (NaT).

    Returns:
        The text, or "" for a missing time.
    """
    return time.strftime(TIME) if time == time else ""  # NaT is not equal to itself


def minute_text(time: datetime) -> str:
    """Format a UTC time to the minute, for people to read; the text of a missing time is ""."""
    return f"{time:%Y-%m-%d %H:%M}" if time == time else ""


def seconds_text(seconds: float) -> str:
    """Format a duration in seconds with two significant digits, such as "0.31 s"."""
    return f"{seconds:.2g} s"
