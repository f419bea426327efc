"""Reads Deribit option snapshots: CSV files, plain or gzip, with one row per listed option."""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ArgumentError, DataError
from .quotes import Quotes, Snapshot

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
GZIP_MAGIC = b"\x1f\x8b"
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


def read_snapshot(path: str | Path) -> Snapshot:
    """Read a snapshot file once, for `quotes_of` on each of its currencies.

    Raises:
        DataError: As `load_deribit`.
    """
    path = Path(path)
    data = _content(path)
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


def _content(path: Path) -> bytes:
    """The uncompressed bytes of a file, which are UTF-8 text."""
    try:
        data = path.read_bytes()
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise DataError(f"{path}: is empty")
    nul = data.find(b"\0")
    if nul >= 0:
        raise DataError(f"{path}: line {_line(data, nul)}: zero bytes; this is not a CSV file")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: line {_line(data, error.start)}: not UTF-8 text") from error
    return data


def _check_header(path: Path, data: bytes) -> None:
    """Every required column is there, and none twice."""
    header = data.split(b"\n", 1)[0].decode("utf-8-sig").strip("\r")
    names = [name.strip('"') for name in header.split(",")]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise DataError(f"{path}: required column{plural} missing: {', '.join(missing)}")
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}: column twice: {', '.join(twice)}")


def _parse(path: Path, data: bytes) -> Any:
    """The rows as a table with all `COLUMNS`: numbers are float64, all else text."""
    try:
        frame: Any = pd.read_csv(io.BytesIO(data), low_memory=False)  # in one piece: one type per column
    except ValueError as error:  # with pandas' ParserError
        raise DataError(f"{path}: not a readable CSV file: {str(error).strip()}") from error
    if not isinstance(frame.index, pd.RangeIndex):  # how pandas takes one field too many in every row
        raise DataError(f"{path}: line 2: more fields than the header has columns")
    for name in COLUMNS:
        if name not in frame:  # an optional one: the header has been checked
            frame[name] = np.nan
        values = frame[name]
        typed = _text(values) if name in DATES + TEXTS else _numbers(values)
        if typed is not values:
            frame[name] = typed
    return frame


def _text(values: Any) -> Any:
    """A column as text; itself if it is."""
    return values if isinstance(values.dtype, pd.StringDtype) else values.astype("str")


def _numbers(values: Any) -> Any:
    """A column as float64, itself if it is; what is no number becomes nan."""
    if values.dtype == np.float64:
        return values
    if pd.api.types.is_bool_dtype(values):
        return pd.Series(np.nan, index=values.index)
    found: Any = pd.to_numeric(values, errors="coerce")
    return found.astype("float64")


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


def _line(data: bytes, position: int) -> int:
    """The line, counted from 1, of a byte."""
    return data.count(b"\n", 0, position) + 1
