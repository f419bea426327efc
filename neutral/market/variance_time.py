"""Measures the time to the expiry of quotes on a variance clock."""

import dataclasses

import numpy as np
import pandas as pd

from ..errors import ArgumentError, DataError
from .clock import VarianceClock, is_whole_days
from .clock_times import instants
from .quotes import UNKNOWN_DATE, Quotes, column, refusals

NO_VARIANCE = "the clock has no variance before the expiry"
SAME_VARIANCE = "the clock has no variance between an earlier expiry and this one"
DAY = np.timedelta64(1, "D")
MINUTE = np.timedelta64(1, "m")
LEAST = 1e-9  # years, between two expiries: 30 milliseconds


def in_clock(quotes: Quotes, clock: VarianceClock | None) -> Quotes:
    """Add the time to expiry on a variance clock to the quotes of a loader, as the column `variance_time`.

    Surfaces and fits then use it in place of `maturity`, which stays in calendar time for rates and forwards.
    Quote and expiry that are known by date alone count as at the end of their day. An option is refused if
    its expiry has no variance time, or the same as an earlier expiry, because its price then states no
    volatility of its own.

    Args:
        quotes: The result of a loader.
        clock: The clock; None, or calendar time, returns the quotes unchanged.

    Raises:
        ArgumentError: The clock is no `VarianceClock`, or does not cover an expiry.
        DataError: The quotes have no date.
    """
    if clock is None:
        return quotes
    if not isinstance(clock, VarianceClock):
        raise ArgumentError(f"clock={clock!r} is not accepted; expected a neutral.VarianceClock.")
    if clock.is_calendar:
        return quotes
    if quotes.snapshot_ts == UNKNOWN_DATE:
        raise DataError(f"{quotes.path}: a variance clock needs the date of the quotes; pass date=.")
    frame = quotes.frame
    tau = _variance_times(quotes, clock)
    refused = refusals(frame)
    live = (refused == "").to_numpy() & (frame["maturity"].to_numpy() > 0)
    reasons = refused.mask(live & (tau < LEAST), NO_VARIANCE).mask(live & _repeats(frame, tau), SAME_VARIANCE)
    return dataclasses.replace(
        quotes, frame=frame.assign(variance_time=tau, refused=reasons.astype(object)), clock=clock
    )


def _variance_times(quotes: Quotes, clock: VarianceClock) -> np.ndarray:
    """Return the variance time to each row's expiry, shape (rows,); nan where an expiry is missing."""
    expiry = instants("expiry_datetime", column(quotes.frame, "expiry_datetime"))
    start = instants("snapshot_ts", quotes.snapshot_ts)
    if not _dates_alone(start, expiry):
        return clock.years(start, expiry)
    day = expiry.astype("datetime64[D]")
    first = start.astype("datetime64[D]")
    whole = clock.years_of_days(first, day)
    part = (expiry - day) / DAY  # of the next day, where the expiry follows from a maturity in years
    return whole + part * (clock.years_of_days(first, day + DAY) - whole)


def _dates_alone(start: np.ndarray, expiry: np.ndarray) -> bool:
    """Whether only dates are known, and times are midnights or follow from maturities in years."""
    known = expiry[~np.isnat(expiry)]
    of_day = known - known.astype("datetime64[D]")
    # an exchange's times of expiry are whole minutes, such as 08:00, also for quotes at midnight
    timed = bool(known.size) and not (of_day % MINUTE).any() and bool(of_day.all())
    return is_whole_days(start) and not timed


def _repeats(frame: pd.DataFrame, tau: np.ndarray) -> np.ndarray:
    """Mark the rows of expiries at the variance time of an earlier expiry, bool, shape (rows,)."""
    expiry = instants("expiry_datetime", column(frame, "expiry_datetime"))
    expiries, first, place = np.unique(expiry, return_index=True, return_inverse=True)
    times = tau[first]  # in order of the expiries
    repeats = np.append(False, np.diff(times) < LEAST) & (times >= LEAST) & ~np.isnat(expiries)
    return repeats[place]
