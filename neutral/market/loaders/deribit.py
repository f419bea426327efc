"""Reads Deribit option snapshots: CSV files, plain or gzip, with one row per listed option."""

import dataclasses
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from datetime import date as Date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import DataError
from ...times import DAY_COUNTS, SECONDS_A_DAY
from ..clock import VarianceClock
from ..quotes import LONGEST_COLLECTION, Quotes, column
from ..variance_time import in_clock
from .choices import as_date, choose, midnight
from .column_map import Columns
from .crypto_names import deribit_underlyings, settlement_of
from .crypto_table import FORWARD_AGREEMENT, check_coin_prices
from .csv_table import numbers, texts
from .file_content import MarketData, read_content
from .option_table import check_day_count, rows_where
from .quote_times import FIRST, LAST
from .repeats import refuse_times
from .sources import SourceKind
from .table import Table, read_table

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
NAMES = {name: (name,) for name in COLUMNS}
FILE = "file"  # the day count that keeps the maturities that the file states
ENDINGS = (".csv", ".csv.gz", ".parquet")
NAME = re.compile(r"deribit_options_snapshot_(\d{8}T\d{6})Z\.(?:csv|csv\.gz|parquet)")
NAME_PATTERN = "deribit_options_snapshot_YYYYMMDDTHHMMSSZ.csv, .csv.gz or .parquet"


@dataclasses.dataclass(frozen=True, eq=False)
class Snapshot:
    """A parsed file with all its currencies, before a day count is chosen."""

    frame: pd.DataFrame  # one row per listed option, in the order of the file
    underlyings: pd.Series  # of each row: BTC if they settle in coin, SOL_USDC if in USDC
    path: Path
    snapshot_ts: datetime  # UTC
    sha256: str  # of the uncompressed bytes

    @property
    def currencies(self) -> tuple[str, ...]:
        """The underlyings in the file in alphabetical order."""
        return tuple(sorted(self.underlyings.unique()))

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each currency with the time of the file."""
        return tuple((currency, self.snapshot_ts) for currency in self.currencies)


@dataclasses.dataclass(frozen=True)
class DeribitOptions:
    """The arguments of `load_deribit` that set how a snapshot is read.

    Raises:
        ArgumentError: The day count is unknown.
    """

    day_count: str = FILE

    def __post_init__(self) -> None:
        check_day_count(self.day_count, accepted=(FILE, *DAY_COUNTS))


def load_deribit(
    path: MarketData,
    currency: str | None = None,
    day_count: str = FILE,
    columns: Columns | None = None,
    clock: VarianceClock | None = None,
) -> Quotes:
    """Read the quotes of one underlying from a Deribit option snapshot.

    Options settle in coin, as BTC-30JAN26-90000-C, or in cash, as SOL_USDC-30JAN26-150-C (linear options).
    The names of the instruments determine it; BTC and BTC_USDC are two underlyings. A file without names
    is read if its currencies are BTC and ETH, which are then taken to settle in coin, or such as SOL_USDC.

    Columns that calibration does not need may be absent; they are empty in the result. A cell that is not a
    number becomes nan and one that is not a date becomes NaT; such rows stay, and `prepare` rejects them with
    the reason.

    Args:
        path: CSV or Parquet file, or a table of any library, with one row per instrument. A CSV file may be
            gzip (recognised by its first bytes), and is UTF-8.
        currency: The underlying: "BTC", "ETH", "SOL_USDC", ...; None takes the only one in the file.
        day_count: How maturities in years are computed. "file" keeps `time_to_maturity` (years of 365.25
            days); "365" and "365.25" divide the days from `timestamp` to `expiry_datetime` by this number.
        columns: A map from the names of this package to the file's, for columns with other names; see
            `Columns`. None maps none.
        clock: Clock of the column `variance_time`, by which surfaces and fits measure time; None for calendar
            time.

    Returns:
        Every row of the underlying, with prices in coin, or in USDC with a discount factor of 1, because the
        exchange does not discount.

    Raises:
        DataError: The file cannot be read, is damaged or empty, lacks a required column, does not state how a
            row settles, or has no row of the underlying. The message names the file, and the line or column.
        ArgumentError: The day count is unknown, or the file has several currencies and `currency` is None.
    """
    return in_clock(quotes_of(read_snapshot(read_content(path, columns)), currency, day_count), clock)


def quotes_of(snapshot: Snapshot, currency: str | None = None, day_count: str = FILE) -> Quotes:
    """Return the quotes of one currency of a parsed snapshot; the arguments are those of `load_deribit`."""
    return deribit_quotes(snapshot, currency, None, DeribitOptions(day_count))


def deribit_quotes(
    snapshot: Snapshot, currency: str | None, date: str | Date | None, options: DeribitOptions
) -> Quotes:
    """Return the quotes of one currency of a snapshot.

    Args:
        snapshot: The parsed file.
        currency: None takes the only one.
        date: None, or the day of the snapshot.
        options: How the snapshot is read.

    Raises:
        DataError: The snapshot has no row of the currency, or is of another day.
        ArgumentError: The snapshot has several currencies and `currency` is None, or `date` is not a date.
    """
    choose(snapshot.path, "date", as_date(date), [midnight(snapshot.snapshot_ts)])
    currency = choose(snapshot.path, "currency", currency, snapshot.currencies)
    rows = rows_where(snapshot.frame, snapshot.underlyings == currency)
    rows["maturity"] = _maturity(rows, snapshot.snapshot_ts, options.day_count)
    settlement = settlement_of(currency)
    if settlement == "cash":
        rows["discount"] = 1.0
    check_coin_prices(snapshot.path, rows, settlement)
    return Quotes(
        frame=rows,
        currency=currency,
        snapshot_ts=snapshot.snapshot_ts,
        path=snapshot.path,
        day_count=options.day_count,
        sha256=snapshot.sha256,
        settlement=settlement,
        forward_agreement=FORWARD_AGREEMENT,
    )


def read_snapshot(data: MarketData) -> Snapshot:
    """Read a snapshot file once, for `quotes_of` on each of its currencies.

    Raises:
        DataError: As for `load_deribit`.
    """
    table = read_table(data)
    path = table.path
    frame = _typed(table)
    for name in DATES:
        frame[name] = _dates(column(frame, name))
    unnamed = frame["currency"].isna().to_numpy()
    if unnamed.any():
        raise DataError(
            f"{path}: line {int(unnamed.argmax()) + 2}: the currency is missing. The file may have been cut "
            "off; copy it again, or remove the line."
        )
    try:
        snapshot_ts = snapshot_time(path)
    except DataError:
        snapshot_ts = _earliest(path, column(frame, "timestamp"))
    _refuse_mixed(path, column(frame, "timestamp"))
    refuse_times(
        table, [name for name in table.frame if name not in COLUMNS], column(frame, "expiry_datetime")
    )
    return Snapshot(
        frame=frame,
        underlyings=deribit_underlyings(path, frame),
        path=path,
        snapshot_ts=snapshot_ts,
        sha256=table.sha256,
    )


def snapshot_time(path: str | Path) -> datetime:
    """Read the UTC time in the name `deribit_options_snapshot_YYYYMMDDTHHMMSSZ.csv`, `.csv.gz` or `.parquet`.

    Raises:
        DataError: The name has no such time.
    """
    match = NAME.fullmatch(Path(path).name)
    try:
        if match:
            return datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:  # the digits are not a date
        pass
    raise DataError(f"{path}: the file name states no time; rename the file to {NAME_PATTERN}.")


def list_snapshots(source: str | Path | Iterable[str | Path]) -> list[Path]:
    """List snapshot files in order of the time in their names.

    Args:
        source: A folder, of which every file with an ending of `ENDINGS` is taken, or the files themselves.
            Names that begin with `._`, companion files of macOS, are skipped.

    Raises:
        DataError: The folder does not exist, there is no snapshot, a name has no time, or two files have the
            same time.
    """
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder.")
        files = [path for path in folder.iterdir() if path.name.endswith(ENDINGS)]
    else:
        files = [Path(path) for path in source]
    times = sorted((snapshot_time(path), path) for path in files if not path.name.startswith("._"))
    if not times:
        raise DataError(f"{source}: there is no snapshot in it; expected files named {NAME_PATTERN}.")
    for (earlier, first), (later, second) in pairwise(times):
        if earlier == later:
            raise DataError(f"{first} and {second} are two snapshots of the same time; remove one of them.")
    return [path for _, path in times]


def _typed(table: Table) -> pd.DataFrame:
    """Return the rows with all `COLUMNS`, each as text or float64."""
    table.require(NAMES, REQUIRED)
    frame = table.frame
    for name in COLUMNS:
        if name not in frame:  # the required columns have been checked, so this is an optional one
            frame[name] = np.nan
        values = column(frame, name)
        typed = texts(values) if name in DATES + TEXTS else numbers(values)
        if typed is not values:
            frame[name] = typed
    return frame


def _dates(values: pd.Series) -> pd.Series:
    """Parse ISO dates as UTC times, NaT where there is none of this era; each distinct text once."""
    codes, distinct = pd.factorize(values)
    text = pd.Series(distinct, dtype="str")
    times = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    times = times.dt.as_unit("us").where(times.between(FIRST, LAST))
    return times.reindex(codes).set_axis(values.index)  # code -1, missing, becomes NaT


def _refuse_mixed(path: Path, times: pd.Series) -> None:
    """Refuse a file whose rows are of times that lie far apart."""
    if times.max() - times.min() > LONGEST_COLLECTION:
        raise DataError(
            f"{path}: the rows are of several times, from {times.min()} to {times.max()}, so the file has "
            f"several snapshots. Divide it into a file for each time, named {NAME_PATTERN}."
        )


def _earliest(path: Path, timestamps: pd.Series) -> datetime:
    """Return the first timestamp of the rows, for a file whose name has no time."""
    first = timestamps.min()
    if first is pd.NaT:
        raise DataError(
            f"{path}: neither the name nor the column timestamp states when the snapshot was taken. Fill the "
            f"column, or rename the file to {NAME_PATTERN}."
        )
    return first.to_pydatetime()


def _maturity(frame: pd.DataFrame, snapshot_ts: datetime, day_count: str) -> pd.Series:
    """Return the years to expiry by the day count, shape (rows,); nan where a date is missing."""
    if day_count == FILE:
        return column(frame, "time_to_maturity")
    quoted_at = column(frame, "timestamp").fillna(pd.Timestamp(snapshot_ts))
    seconds = (column(frame, "expiry_datetime") - quoted_at).dt.total_seconds()
    return seconds / (SECONDS_A_DAY * DAY_COUNTS[day_count])


DERIBIT = SourceKind(
    name="deribit",
    description="Deribit snapshots (instrument_name and expiry_datetime)",
    columns={name: (name,) for name in ("instrument_name", "expiry_datetime")},
    file_name=NAME,
    read=read_snapshot,
    quotes=deribit_quotes,
    options=DeribitOptions,
)
