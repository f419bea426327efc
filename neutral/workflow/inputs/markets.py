"""Reads markets: the quotes of one underlying at one time, prepared for a fit, or why they cannot be used."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...errors import NeutralError
from ...market import Split, prepare
from ...market.loaders.sources import Source
from ...market.quotes import UNKNOWN_DATE, Quotes
from ..config import Document
from .archive import OpenedFile, open_file, without_folder

UNKNOWN = "-"  # the underlying of a file that cannot be read
NO_TIME: Any = pd.NaT  # the missing time of pandas, which is a datetime as well

ConfigOf = Callable[[str], Document]
"""Returns the configuration for a kind of file."""


@dataclass(frozen=True, eq=False)
class Market:
    """The quotes of one underlying at one time in one file, prepared; or why they cannot be used."""

    file: str  # name of the file
    underlying: str
    timestamp: datetime  # UTC; `NO_TIME` if it is unknown
    frame: pd.DataFrame | None = None  # the quotes that `prepare` keeps
    rejected: pd.DataFrame | None = None  # the other quotes, with their reasons
    spot: float = np.nan  # price of the underlying
    sha256: str = ""  # of the uncompressed bytes of the file; "" if the quotes cannot be used
    file_sha256: str = ""  # of the bytes of the file as on the disk
    reason: str = ""  # why the quotes cannot be used; "" if they can

    @property
    def n_rejected(self) -> int:
        """The number of rows that are refused."""
        return 0 if self.rejected is None else len(self.rejected)

    @property
    def data_sha256(self) -> str:
        """The digest that identifies the data in a row of results."""
        return self.sha256 or self.file_sha256


def read_markets(
    files: Iterable[Path], config_of: ConfigOf, underlyings: Sequence[str] | None = None
) -> Iterator[Market]:
    """Read the markets in files, in order; a file or a time that cannot be used raises no error.

    Args:
        files: As `market_files` lists them.
        config_of: Returns the configuration, with day count, rates and filters, for a kind of file, as
            `shipped_config` does.
        underlyings: The underlyings to read; None reads all.

    Returns:
        A market for each underlying and time, and one for each file that cannot be read.
    """
    for path in files:
        opened = open_file(path)
        if opened.source is None:
            yield _refused(path, UNKNOWN, opened)
            continue
        config = config_of(opened.source.kind)
        for underlying, date in opened.source.snapshots:
            if underlyings is None or underlying in underlyings:
                yield read_market(opened.source, underlying, date, config)


def read_snapshot_markets(
    path: Path, date: datetime | None, config: Document, splits: Mapping[str, Split]
) -> tuple[str, dict[str, Market]]:
    """Read some underlyings of one snapshot.

    Args:
        path: The file.
        date: The date to read, `UNKNOWN_DATE` for a file without dates; None for a file of a single time.
        config: Day count, rates and filters.
        splits: The split of the quotes into train and test, by underlying.

    Returns:
        The SHA-256 of the file's bytes as they were read, and the markets by underlying.
    """
    opened = open_file(path)
    if opened.source is None:
        return opened.sha256, {name: _refused(path, name, opened) for name in splits}
    dates = dict(opened.source.snapshots) if date is None else dict.fromkeys(splits, _date(date))
    markets = {
        name: read_market(
            opened.source, name, dates.get(name), config, split=split, file_sha256=opened.sha256
        )
        for name, split in splits.items()
    }
    return opened.sha256, markets


def read_market(
    source: Source,
    underlying: str,
    date: datetime | None,
    config: Document,
    split: Split | None = None,
    file_sha256: str = "",
) -> Market:
    """Read one market of a file.

    Args:
        source: The file.
        underlying: The underlying.
        date: The date of the market in `source.snapshots`.
        config: Day count, rates and filters.
        split: The split into train and test; None trains on all quotes.
        file_sha256: The SHA-256 of the bytes of the file.
    """
    name = source.path.name
    try:
        quotes = source.quotes(underlying, date, **_options(source, config))
        kept, rejected = prepare(quotes, config.filters.build(), split)
    except NeutralError as error:
        reason = without_folder(error, source.path)
        return Market(name, underlying, _timestamp(date), file_sha256=file_sha256, reason=reason)
    return Market(
        file=name,
        underlying=underlying,
        timestamp=_timestamp(quotes.snapshot_ts),
        frame=kept,
        rejected=rejected,
        spot=_spot(quotes, kept),
        sha256=quotes.sha256,
        file_sha256=file_sha256,
    )


def _refused(path: Path, underlying: str, opened: OpenedFile) -> Market:
    """Make the market of a file that cannot be read."""
    return Market(path.name, underlying, NO_TIME, file_sha256=opened.sha256, reason=opened.reason)


def _options(source: Source, config: Document) -> dict[str, Any]:
    """Return the arguments of the loader for a kind of file."""
    data = config.data
    if source.kind == "deribit":
        return {"day_count": data.day_count}
    if source.kind == "fx":  # a number would be the rate of one of two currencies
        swaps = data.rates if isinstance(data.rates, str) else None
        return {"spot": data.spot, "rates": swaps, **config.fx.build()}
    return {"rates": data.interest}


def _date(date: datetime) -> datetime | None:
    """Return a date as the source lists it."""
    return None if date == UNKNOWN_DATE else date


def _timestamp(date: datetime | None) -> datetime:
    time: Any = NO_TIME if date is None or date == UNKNOWN_DATE else pd.Timestamp(date)
    return time


def _spot(quotes: Quotes, kept: pd.DataFrame) -> float:
    """Return the file's spot price, or the median of its index, or the forward of the first expiry."""
    if np.isfinite(quotes.spot):
        return float(quotes.spot)
    if "index_price" in quotes.frame:
        return float(np.nanmedian(quotes.frame["index_price"].to_numpy(float)))
    return float(kept["forward"].iloc[0])
