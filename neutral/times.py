"""Formats the times and durations in results, and defines the days per year of each day count."""

from collections.abc import Mapping
from datetime import datetime

TIME = "%Y-%m-%dT%H:%M:%SZ"
"""Format of UTC times in results; the texts sort in order of time."""

SECONDS_A_DAY = 86_400.0
DAYS_A_YEAR = 365.0
"""Days per year of maturities, rates and discount factors, act/365."""
DAYS_A_JULIAN_YEAR = 365.25
"""Days per year of the maturities that Deribit states."""
DAYS_A_MONEY_MARKET_YEAR = 360.0
"""Days per year over which money-market and swap rates accrue, act/360."""
DAY_COUNTS: Mapping[str, float] = {"365": DAYS_A_YEAR, "365.25": DAYS_A_JULIAN_YEAR}
"""Days per year, by the name of the day count in which a loader can state maturities."""


def time_text(time: datetime) -> str:
    """Format a UTC time as `TIME` says.

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
