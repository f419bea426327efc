"""Day counts: the rules by which the time between two dates is a number of years, by their names.

The rules are those of the 2006 ISDA Definitions, section 4.16; BUS/252 is the convention of Brazil.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError

SECONDS_A_DAY = 86_400.0
DAYS_A_YEAR = 365.0
"""Days per year of maturities, rates and discount factors, act/365."""
DAYS_A_JULIAN_YEAR = 365.25
"""Days per year of the maturities that Deribit states."""
DAYS_A_MONEY_MARKET_YEAR = 360.0
"""Days per year over which money-market and swap rates accrue, act/360."""
DAY_COUNTS: Mapping[str, float] = {"365": DAYS_A_YEAR, "365.25": DAYS_A_JULIAN_YEAR}
"""Days per year, by the name of the day count in which a loader can state maturities."""

BUSINESS_DAYS = "BUS/252"
BUSINESS_DAYS_A_YEAR = 252.0
_DAY = np.timedelta64(1, "D")


class DayCount(NamedTuple):
    """A day count.

    Attributes:
        name: Its name, such as "ACT/365F".
        years: Computes years from two arrays of instants, datetime64[us]; None for BUS/252, which needs a
            calendar.
        whole_days: Whether times of the day do not count.
    """

    name: str
    years: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
    whole_days: bool = False


def _actual(days: float) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a rule: elapsed days over a fixed number of days a year."""
    return lambda first, last: (last - first) / _DAY / days


def _actual_actual(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Count the days in leap years over 366 and the others over 365, 4.16(b)."""
    whole = (last.astype("datetime64[Y]") - first.astype("datetime64[Y]")) / np.timedelta64(1, "Y")
    return whole + _share_of_year(last) - _share_of_year(first)


def _share_of_year(time: np.ndarray) -> np.ndarray:
    """Return the elapsed share of the calendar year of each instant."""
    year = time.astype("datetime64[Y]")
    start = year.astype("datetime64[us]")
    return (time - start) / ((year + np.timedelta64(1, "Y")).astype("datetime64[us]") - start)


def _thirty(european: bool) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a rule with twelve months of 30 days: 4.16(f), or the Eurobond basis 4.16(g)."""

    def years(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        months = last.astype("datetime64[M]") - first.astype("datetime64[M]")
        start = np.minimum(_day_of_month(first), 30)
        end = _day_of_month(last)
        is_cut = (end == 31) & (european | (start == 30))
        days = 30.0 * (months / np.timedelta64(1, "M")) + np.where(is_cut, 30, end) - start
        return np.asarray(days / 360.0)

    return years


def _day_of_month(time: np.ndarray) -> np.ndarray:
    day = time.astype("datetime64[D]")
    return np.asarray((day - time.astype("datetime64[M]").astype("datetime64[D]")) / _DAY + 1.0)


_RULES = (
    DayCount("ACT/365F", _actual(DAYS_A_YEAR)),
    DayCount("ACT/360", _actual(DAYS_A_MONEY_MARKET_YEAR)),
    DayCount("ACT/365.25", _actual(DAYS_A_JULIAN_YEAR)),
    DayCount("ACT/ACT ISDA", _actual_actual),
    DayCount("30/360", _thirty(european=False), whole_days=True),
    DayCount("30E/360", _thirty(european=True), whole_days=True),
    DayCount(BUSINESS_DAYS, None, whole_days=True),
)
NAMES = tuple(rule.name for rule in _RULES)
"""The names of all day counts."""
_OTHER_NAMES = {
    "ACT/365": "ACT/365F",
    "ACT/365FIXED": "ACT/365F",
    "ACTUAL/365": "ACT/365F",
    "365": "ACT/365F",
    "ACTUAL/360": "ACT/360",
    "360": "ACT/360",
    "ACTUAL/365.25": "ACT/365.25",
    "365.25": "ACT/365.25",
    "ACT/ACT": "ACT/ACT ISDA",
    "ACTUAL/ACTUAL": "ACT/ACT ISDA",
    "ACTUAL/ACTUALISDA": "ACT/ACT ISDA",
    "BONDBASIS": "30/360",
    "EUROBONDBASIS": "30E/360",
    "BUSINESS/252": BUSINESS_DAYS,
}
_BY_NAME = {rule.name.replace(" ", ""): rule for rule in _RULES}


def day_count_named(name: str) -> DayCount:
    """Return a day count; case and blanks of its name do not matter.

    Raises:
        ArgumentError: There is no such day count; the message lists the names.
    """
    plain = "".join(str(name).split()).upper()
    rule = _BY_NAME.get(_OTHER_NAMES.get(plain, plain).replace(" ", ""))
    if rule is None:
        raise ArgumentError(f"day_count={name!r} is unknown; expected one of {', '.join(NAMES)}.")
    return rule
