"""The variance of single days on a variance clock, and its sum over many days in closed form."""

import dataclasses
from functools import cached_property
from typing import NamedTuple

import numpy as np

MONDAY = 3  # added to days since 1 January 1970, a Thursday, so that weeks begin on Monday
WEEK = 7


class Days(NamedTuple):
    """The variance of days, in days of variance: arrays of one shape."""

    session: np.ndarray  # variance while the exchange is open
    rest: np.ndarray  # variance of the other hours
    close: np.ndarray  # seconds of wall-clock time from midnight to the close; the opening without a session


@dataclasses.dataclass(frozen=True, eq=False)
class DayTable:
    """The variance of an ordinary week, and that of every day that differs from its day of the week."""

    opening: float  # seconds from midnight; 0 without a session
    closing: float
    week: Days  # Monday to Sunday, shape (7,)
    special: np.ndarray  # days since 1970, ascending, shape (special,)
    variance: Days  # of these days, shape (special,)

    @cached_property
    def _excess(self) -> np.ndarray:
        """Days of variance of the special days before each of them, and of all, beyond those of the week."""
        usual = (self.week.session + self.week.rest)[(self.special + MONDAY) % WEEK]
        return np.append(0.0, np.cumsum(self.variance.session + self.variance.rest - usual))

    def of(self, numbers: np.ndarray) -> Days:
        """Return the variance of days, by their numbers since 1970."""
        usual = Days(*(part[(numbers + MONDAY) % WEEK] for part in self.week))
        if not len(self.special):
            return usual
        place = np.minimum(np.searchsorted(self.special, numbers), len(self.special) - 1)
        differs = self.special[place] == numbers
        parts = zip(self.variance, usual, strict=True)
        return Days(*(np.where(differs, new[place], old) for new, old in parts))

    def before(self, numbers: np.ndarray) -> np.ndarray:
        """Return the days of variance from a fixed day to the beginning of days: whole weeks times their sum.

        Args:
            numbers: Days since 1970.
        """
        total = self.week.session + self.week.rest
        weeks, weekday = np.divmod(numbers + MONDAY, WEEK)
        whole = weeks * total.sum() + np.append(0.0, np.cumsum(total))[weekday]
        return whole + self._excess[np.searchsorted(self.special, numbers)]
