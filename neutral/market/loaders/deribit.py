"""Reads Deribit option snapshots: CSV files, plain or gzip, with one row per listed option."""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import ArgumentError, DataError
from ..quotes import Quotes, Snapshot
from .csv_table import FileContent, header_of, numbers, parse, read_content, texts

DATES = ("timestamp", "expiry_datetime")
TEXTS = (
    "instrument_name",
    "underlying_name",
    "option_type",
    "futures_instrument_name",
    "currency",
)
COLUMNS = (
    "timestamp",
    "instrument_name",
    "underlying",
    "underlying_name",
    "option_type",
    "strike",
    "expiry_datetime",
    "time_to_maturity",
    "bid_price",
    "ask_price",
    "mark_price",
    "mid_price",
    "futures_price",
    "futures_instrument_name",
    "implied_volatility",
    "delta",
    "vega",
    "open_interest",
    "volume",
    "bid_ask_spread",
    "currency",
    "index_price",
    "volume_usd",
)
REQUIRED = (
    "currency",
    "option_type",
    "strike",
    "expiry_datetime",
    "time_to_maturity",
    "bid_price",
    "ask_price",
    "futures_price",
    "vega",
    "open_interest",
)
YEAR_DAYS = {"365": 365.0, "365.25": 365.25}
DAY_COUNTS = ("file", *YEAR_DAYS)
NAME = re.compile(r"deribit_options_snapshot_(\d{8}T\d{6})Z\.csv(?:\.gz)?")


def load_deribit(path: str | Path, currency: str | None = None, day_count: str = "file") -> Quotes:
    """Read the quotes of one currency from a Deribit option snapshot.

    Columns that calibration does not need may be absent: they come back empty. What is not a number is nan,
    what is not a date is NaT; such rows stay, and `prepare` rejects them with the reason.

    Args:
        path: CSV file, plain or gzip (told by its first bytes), UTF-8, one row per instrument.
        currency: "BTC", "ETH", ...; None takes the only one in the file.
        day_count: Maturity in years: "file" keeps `time_to_maturity` (years of 365.25 days), "365" and
            "365.25" divide the days from `timestamp` to `expiry_datetime`.

    Returns:
        Every row of that currency, prices in coin.

    Raises:
        DataError: The file cannot be read, is damaged or empty, lacks a required column, or has no row of
            that currency; names the file, and the line or column.
        ArgumentError: Unknown day count, or several currencies and none was asked for.
    """
    return quotes_of(read_snapshot(path), currency, day_count)


def quotes_of(snapshot: Snapshot, currency: str | None = None, day_count: str = "file") -> Quotes:
    """The quotes of one currency of a snapshot that has been read; arguments as in `load_deribit`."""
    if day_count not in DAY_COUNTS:
        raise ArgumentError(f"day_count={day_count!r}: expected one of {', '.join(map(repr, DAY_COUNTS))}")
    if currency is None:
        currency, *others = snapshot.currencies
        if others:
            raise ArgumentError(
                f"{snapshot.path}: holds {', '.join(snapshot.currencies)}; "
                f"say which, for example currency={currency!r}"
            )
    frame: Any = snapshot.frame[snapshot.frame["currency"] == currency].reset_index(drop=True)
    if frame.empty:
        raise DataError(
            f"{snapshot.path}: no rows for {currency}; the file has {', '.join(snapshot.currencies)}"
        )
    frame["maturity"] = _maturity(frame, snapshot.snapshot_ts, day_count)
    return Quotes(frame, currency, snapshot.snapshot_ts, snapshot.path, day_count, snapshot.sha256)


def read_snapshot(file: str | Path | FileContent) -> Snapshot:
    """Read a snapshot file once, for `quotes_of` on each of its currencies.

    Raises:
        DataError: As `load_deribit`.
    """
    content = read_content(file)
    path = content.path
    data = content.text
    _check_header(path, data)
    frame = _parse(path, data)
    if frame.empty:
        raise DataError(f"{path}: has a header and no rows")
    for name in DATES:
        frame[name] = _dates(frame[name])
    unnamed = frame["currency"].isna().to_numpy()
    if unnamed.any():
        raise DataError(f"{path}: line {int(unnamed.argmax()) + 2}: no currency; is the file cut off?")
    try:
        taken = snapshot_time(path)
    except DataError:
        taken = _earliest(path, frame["timestamp"])
    return Snapshot(frame, path, taken, hashlib.sha256(data).hexdigest())


def snapshot_time(path: str | Path) -> datetime:
    """The UTC time in the name `deribit_options_snapshot_YYYYMMDDTHHMMSSZ.csv` or `.csv.gz`.

    Raises:
        DataError: The name does not say.
    """
    found = NAME.fullmatch(Path(path).name)
    try:
        if found:
            return datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # digits that are no date
        pass
    raise DataError(
        f"{path}: the name tells no time; expected deribit_options_snapshot_YYYYMMDDTHHMMSSZ.csv or .csv.gz"
    )


def list_snapshots(source: str | Path | Iterable[str | Path]) -> list[Path]:
    """Snapshot files in order of the time in their names.

    Args:
        source: A folder, of which every `.csv` and `.csv.gz` file is taken, or the files themselves.
            Names beginning with `._`, the companions macOS writes, are passed over.

    Raises:
        DataError: No such folder, no snapshot, a name that tells no time, or two files of one time.
    """
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        files = [path for path in folder.iterdir() if path.name.endswith((".csv", ".csv.gz"))]
    else:
        files = [Path(path) for path in source]
    times = sorted((snapshot_time(path), path) for path in files if not path.name.startswith("._"))
    if not times:
        raise DataError(f"{source}: no snapshot in it")
    for (one, first), (other, second) in zip(times, times[1:], strict=False):
        if one == other:
            raise DataError(f"{first} and {second}: two snapshots of the same time")
    return [path for _, path in times]


def _check_header(path: Path, data: bytes) -> None:
    """Every required column is there, and none twice."""
    names = [name.strip('"') for name in header_of(data).split(",")]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise DataError(f"{path}: required column{plural} missing: {', '.join(missing)}")
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: column twice: {', '.join(twice)}")


def _parse(path: Path, data: bytes) -> Any:
    """The rows as a table with all `COLUMNS`: numbers are float64, all else text."""
    frame = parse(path, data)
    for name in COLUMNS:
        if name not in frame:  # an optional one: the header has been checked
            frame[name] = np.nan
        values = frame[name]
        typed = texts(values) if name in DATES + TEXTS else numbers(values)
        if typed is not values:
            frame[name] = typed
    return frame


def _dates(text: Any) -> Any:
    """ISO dates to UTC; a file repeats a handful of dates, so each is parsed once."""
    codes, values = pd.factorize(text)
    times: Any = pd.to_datetime(pd.Series(values, dtype="str"), utc=True, errors="coerce", format="ISO8601")
    return times.dt.as_unit("us").reindex(codes).set_axis(text.index)  # code -1, missing, becomes NaT


def _earliest(path: Path, timestamps: Any) -> datetime:
    """The first timestamp of the rows, for a file whose name tells no time."""
    first = timestamps.min()
    if first is pd.NaT:
        raise DataError(f"{path}: neither the name nor the column timestamp says when it was taken")
    return first.to_pydatetime()


def _maturity(frame: Any, snapshot_ts: datetime, day_count: str) -> pd.Series:
    """Years to expiry by the day count, shape (rows,); nan where a date is missing."""
    if day_count == "file":
        return frame["time_to_maturity"]
    taken = frame["timestamp"].fillna(pd.Timestamp(snapshot_ts))
    return (frame["expiry_datetime"] - taken).dt.total_seconds() / (86400 * YEAR_DAYS[day_count])
