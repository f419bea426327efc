"""Finds old quotes: by their own times, or because they repeat from snapshot to snapshot or over strikes."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import DataError
from ..times import SECONDS_A_DAY, time_text
from .clock import is_whole_days
from .clock_times import instants
from .filters import Filters, sorted_rows
from .quotes import Quotes, column, refusals

MIN_MOVE = 0.002  # relative; quotes far from the money may rightly stay while the underlying moves less
NO_TIME = "the time of the quote is missing"


def stale_reasons(quotes: Quotes, filters: Filters) -> np.ndarray:
    """Return the reason for each row that the rules on age and on equal strikes refuse, or "".

    Raises:
        DataError: `max_quote_age` is set, and the quotes have no times of their own.
    """
    reasons = np.full(len(quotes), "", dtype=object)
    if filters.max_equal_strikes is not None:
        reasons = _equal_strikes(quotes.frame, filters.max_equal_strikes)
    if filters.max_quote_age is not None:
        old = _old_quotes(quotes, filters.max_quote_age)
        reasons = np.where(old == "", reasons, old)
    return reasons


def _old_quotes(quotes: Quotes, max_age: float) -> np.ndarray:
    """Return the reason for each quote older than `max_age` seconds, with its age, or ""."""
    times = _quote_times(quotes)
    taken = instants("snapshot_ts", quotes.snapshot_ts)
    # a date alone does not determine the time of the snapshot, which then is that of its last quote
    now = np.nanmax(times) if is_whole_days(taken) else taken
    age = (now - times) / np.timedelta64(1, "s")
    reasons = np.full(len(age), "", dtype=object)
    reasons[np.isnan(age)] = NO_TIME
    limit = _duration(max_age)
    for row in np.flatnonzero(age > max_age):
        reasons[row] = f"the quote is {_duration(age[row])} old, above {limit}"
    return reasons


def _quote_times(quotes: Quotes) -> np.ndarray:
    """Return the time of each quote, UTC, shape (rows,): of the column `quote_time`, or else `timestamp`."""
    stated = "quote_time" in quotes.frame
    times = instants("quote_time", column(quotes.frame, "quote_time" if stated else "timestamp"))
    known = times[~np.isnat(times)]
    if not known.size or (not stated and (known == known[0]).all()):
        raise DataError(
            f"{quotes.path}: the quotes have no times of their own, so max_quote_age cannot be tested. Leave "
            "it out, or give a file with the time of the last update of each quote in a column last_update."
        )
    return times


def _duration(seconds: float) -> str:
    """Format an age: seconds, minutes, hours or days with two significant digits."""
    units = (("d", SECONDS_A_DAY), ("h", 3600.0), ("min", 60.0))
    name, unit = next(((name, unit) for name, unit in units if seconds >= unit), ("s", 1.0))
    return f"{float(f'{seconds / unit:.2g}'):g} {name}"


def _equal_strikes(frame: pd.DataFrame, most: int) -> np.ndarray:
    """Return the reason for each row in a run of more than `most` neighbouring strikes with equal quotes."""
    bid = frame["bid_price"].to_numpy()
    order = sorted_rows(frame, np.flatnonzero(bid > 0))
    expiry = instants("expiry_datetime", column(frame, "expiry_datetime"))
    keys = (expiry, frame["option_type"].to_numpy(object), bid, frame["ask_price"].to_numpy())
    same = np.logical_and.reduce([key[order[1:]] == key[order[:-1]] for key in keys])
    run = np.cumsum(np.append(True, ~same))[: len(order)]
    lengths = np.bincount(run)[run] if len(run) else run
    reasons = np.full(len(frame), "", dtype=object)
    for row, length in zip(order[lengths > most], lengths[lengths > most], strict=True):
        reasons[row] = f"stale: bid and ask are the same at {length} neighbouring strikes"
    return reasons


def refuse_stale(quotes: Quotes, earlier: Sequence[Quotes], min_move: float = MIN_MOVE) -> Quotes:
    """Refuse the quotes that did not change over several snapshots while the underlying moved.

    A quote is stale if its option has the same bid and ask, above zero, in every one of the earlier
    snapshots, and the price of the underlying differs between the first of these and now by `min_move` or
    more. Such a row gets a reason in the column `refused`, unless it has one.

    Args:
        quotes: The quotes to check.
        earlier: The snapshots of the same underlying just before, in order of time. The more there are, the
            longer a quote must have stayed; without any nothing is refused.
        min_move: Least relative move of the underlying.

    Raises:
        DataError: A snapshot is of another underlying, is not later than the one before, or states no price
            of the underlying.
    """
    if not earlier:
        return quotes
    _check_order([*earlier, quotes])
    now, before = (_underlying_price(snapshot) for snapshot in (quotes, earlier[0]))
    if abs(now / before - 1.0) < min_move:
        return quotes
    same = np.logical_and.reduce([_unchanged(quotes.frame, snapshot.frame) for snapshot in earlier])
    frame = quotes.frame
    refused = refusals(frame)
    reason = f"stale: bid and ask unchanged since {time_text(earlier[0].snapshot_ts)}"
    marked = refused.mask((refused == "").to_numpy() & same, reason).astype(object)
    return dataclasses.replace(quotes, frame=frame.assign(refused=marked))


def _check_order(snapshots: Sequence[Quotes]) -> None:
    """Refuse snapshots of several underlyings, and those that do not ascend in time."""
    last = snapshots[-1]
    names = sorted({snapshot.currency for snapshot in snapshots})
    if len(names) > 1:
        raise DataError(f"{last.path}: stale quotes need one underlying, got {', '.join(names)}.")
    times = [snapshot.snapshot_ts for snapshot in snapshots]
    if sorted(set(times)) != times:
        raise DataError(
            f"{last.path}: stale quotes need snapshots in order of time, got "
            f"{', '.join(map(time_text, times))}."
        )


def _underlying_price(quotes: Quotes) -> float:
    """Return the price of the underlying: the spot, or the median of the index or futures prices."""
    if np.isfinite(quotes.spot):
        return float(quotes.spot)
    for name in ("index_price", "futures_price"):
        if name in quotes.frame and column(quotes.frame, name).notna().any():
            return float(column(quotes.frame, name).median())
    raise DataError(
        f"{quotes.path}: the file states no price of the underlying, so stale quotes cannot be distinguished "
        "from a market that did not move; leave max_unchanged out."
    )


def _unchanged(frame: pd.DataFrame, before: pd.DataFrame) -> np.ndarray:
    """Whether bid and ask of each option, above zero, are those of an earlier table, bool, shape (rows,)."""
    names = ["expiry_datetime", "strike", "option_type"]
    prices = ["bid_price", "ask_price"]
    known = pd.DataFrame(before[[*names, *prices]]).drop_duplicates(names)
    old = frame[names].merge(known, on=names, how="left")[prices].to_numpy(float)
    new = frame[prices].to_numpy(float)
    return (old == new).all(axis=1) & (new[:, 0] > 0)
