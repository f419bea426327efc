"""Divides the rows of a file into snapshots: several times in one file are several snapshots.

A snapshot quotes each option once, and its rows may differ by the seconds that it takes to collect them. So
the next snapshot begins where an option comes again, or after a pause. A stream of single updates (Tardis)
has no such snapshots: there the state at the end of each hour, and of the stream, is one.
"""

import numpy as np
import pandas as pd

PAUSE = np.timedelta64(10, "m")  # longer gaps divide snapshots even if no option comes again
MAX_AGE = pd.Timedelta(minutes=5)  # of a quote in a stream, at the end of its hour
STREAM_PARTS = 3  # so many incomplete snapshots in an hour make a stream
COMPLETE = 0.5  # least share of an hour's options in a complete snapshot
REPLACED = "a later quote of the option replaces it"
AGED = "the quote is more than 5 minutes old at the time of the snapshot"


def snapshot_times(times: pd.Series, options: pd.Series) -> tuple[pd.Series, np.ndarray]:
    """Find the snapshot to which each row belongs.

    Args:
        times: The time of each row, UTC, without missing values, shape (rows,).
        options: The name of each row's option, shape (rows,).

    Returns:
        The time of each row's snapshot, which is that of its last row, and why the row takes no part in it,
        or ""; shape (rows,) each.
    """
    plain = times.dt.tz_localize(None).to_numpy()  # NumPy has no time zones
    rows = pd.DataFrame({"time": plain, "option": pd.factorize(options)[0]})
    rows = rows.sort_values("time", kind="stable")
    rows["part"] = _parts(rows)
    rows["hour"] = rows.groupby("part")["time"].transform("first").dt.floor("h")
    rows["streamed"] = rows["hour"].isin(_streams(rows))
    group = [rows["streamed"], rows["hour"].where(rows["streamed"]), rows["part"].mask(rows["streamed"])]
    rows["group"] = rows.groupby(group, dropna=False, sort=False).ngroup()
    rows["snapshot"] = rows.groupby("group")["time"].transform("last")
    replaced = rows["streamed"] & rows.duplicated(["group", "option"], keep="last")
    aged = rows["streamed"] & (rows["snapshot"] - rows["time"] > MAX_AGE)
    rows["reason"] = np.where(replaced, REPLACED, np.where(aged, AGED, ""))
    rows = rows.sort_index()
    snapshot = pd.Series(rows["snapshot"].to_numpy(), times.index).dt.tz_localize("UTC")
    return snapshot.astype(times.dtype), rows["reason"].to_numpy(object)


def _parts(rows: pd.DataFrame) -> np.ndarray:
    """Number the parts between pauses and repetitions, shape (rows,); rows of one time are never divided."""
    time = rows["time"].to_numpy()
    option = rows["option"].to_numpy()
    starts = np.flatnonzero(np.append(True, time[1:] > time[:-1]))  # of each distinct time
    ends = np.append(starts[1:], len(time))
    begins = np.zeros(len(time), np.int64)
    found: set[int] = set()
    for start, end in zip(starts, ends, strict=True):
        options = option[start:end].tolist()
        paused = start > 0 and time[start] - time[start - 1] > PAUSE
        if paused or not found.isdisjoint(options):
            begins[start] = 1
            found = set()
        found.update(options)
    return begins.cumsum()


def _streams(rows: pd.DataFrame) -> list[pd.Timestamp]:
    """Return the hours whose parts are pieces of a stream."""
    hours = rows.groupby("hour")
    parts = hours["part"].nunique().to_numpy()
    complete = COMPLETE * hours["option"].nunique().to_numpy()
    is_stream = (parts >= STREAM_PARTS) & (hours.size().to_numpy() < complete * parts)
    return list(hours.size().index[is_stream])
