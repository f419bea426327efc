"""Reads markets: the quotes of one underlying at one time, prepared for a fit, or why they cannot be used."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...errors import DataError, NeutralError
from ...market import Split, VarianceClock, prepare, refuse_stale
from ...market.loaders.column_map import NO_COLUMNS, ColumnMap
from ...market.loaders.sources import Source
from ...market.quotes import UNKNOWN_DATE, Quotes
from ...market.reading import ReadingCheck, check_reading
from ...times import minute_text
from ..config import Document
from .archive import OpenedFile, open_file, without_folder

UNKNOWN = "-"  # the underlying of a file that cannot be read
SHOWN_FINDINGS = 10
NO_TIME: Any = pd.NaT  # the missing time of pandas, which is a datetime as well


class Place(NamedTuple):
    """Where the quotes of an underlying at an earlier time are."""

    path: Path
    date: datetime | None  # as `Source.snapshots` lists it


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
    clock: VarianceClock | None = None  # by which maturities of surfaces are measured; None: calendar time
    sha256: str = ""  # of the uncompressed bytes of the file; "" if the quotes cannot be used
    file_sha256: str = ""  # of the bytes of the file as on the disk
    reason: str = ""  # why the quotes cannot be used; "" if they can
    readable: bool = True  # whether the file could be read, so that a reason is about this market alone
    check: ReadingCheck | None = None  # numbers that show whether the quotes were read as they were meant
    unused: tuple[str, ...] = ()  # options of `[data]` that have no effect on this kind of file

    @property
    def n_rejected(self) -> int:
        """The number of rows that are refused."""
        return 0 if self.rejected is None else len(self.rejected)

    @property
    def title(self) -> str:
        """The underlying and the time to the minute, or the name of the file if the time is unknown."""
        return f"{self.underlying} {minute_text(self.timestamp) or self.file.split('.')[0]}"

    @property
    def refusal(self) -> str:
        """Why the quotes cannot be used, with the title unless the reason is about the whole file."""
        return f"{self.title}: {self.reason}" if self.readable else self.reason

    @property
    def findings(self) -> tuple[str, ...]:
        """What is not as in an ordinary market, see `check_reading`, and options without effect."""
        return (() if self.check is None else self.check.findings) + self.unused

    @property
    def data_sha256(self) -> str:
        """The digest that identifies the data in a row of results."""
        return self.sha256 or self.file_sha256


def read_markets(
    files: Iterable[Path],
    config_of: ConfigOf,
    underlyings: Sequence[str] | None = None,
    columns: ColumnMap = NO_COLUMNS,
    symbol: str | None = None,
) -> Iterator[Market]:
    """Read the markets in files, in order; a file or a time that cannot be used raises no error.

    Args:
        files: As `market_files` lists them.
        config_of: Returns the configuration, with day count, rates and filters, for a kind of file, as
            `shipped_config` does.
        underlyings: The underlyings to read; None reads all.
        columns: The map of the columns of the files.
        symbol: The underlying of files that state none.

    Returns:
        A market for each underlying and time, and one for each file that cannot be read.

    Raises:
        DataError: No file has any of the underlyings.
    """
    history: dict[str, deque[Place]] = {}
    present: set[str] = set()
    for path in files:
        opened = open_file(path, columns, symbol)
        if opened.source is None:
            yield _refused(path, UNKNOWN, opened)
            continue
        config = config_of(opened.source.kind)
        for underlying, date in opened.source.snapshots:
            present.add(underlying)
            if underlyings is None or underlying in underlyings:
                earlier = history.setdefault(underlying, deque(maxlen=config.data.max_unchanged or 0))
                yield read_market(opened.source, underlying, date, config, earlier=earlier)
                earlier.append(Place(path, date))
    if underlyings is not None and present and not present & set(underlyings):
        raise DataError(
            f"no file has the underlying {' or '.join(underlyings)}; they have {', '.join(sorted(present))}."
        )


def read_snapshot_markets(
    path: Path,
    date: datetime | None,
    config: Document,
    splits: Mapping[str, Split],
    earlier: Sequence[Place] = (),
) -> tuple[str, dict[str, Market]]:
    """Read some underlyings of one snapshot.

    Args:
        path: The file.
        date: The date to read, `UNKNOWN_DATE` for a file without dates; None for a file of a single time.
        config: Day count, rates and filters.
        splits: The split of the quotes into train and test, by underlying.
        earlier: The snapshots before, in order of time, if unchanged quotes are refused.

    Returns:
        The SHA-256 of the file's bytes as they were read, and the markets by underlying.
    """
    opened = open_file(path, config.column_map, config.data.symbol)
    if opened.source is None:
        return opened.sha256, {name: _refused(path, name, opened) for name in splits}
    dates = dict(opened.source.snapshots) if date is None else dict.fromkeys(splits, _date(date))
    markets = {
        name: read_market(
            opened.source,
            name,
            dates.get(name),
            config,
            split=split,
            file_sha256=opened.sha256,
            earlier=earlier,
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
    earlier: Sequence[Place] = (),
) -> Market:
    """Read one market of a file.

    Args:
        source: The file.
        underlying: The underlying.
        date: The date of the market in `source.snapshots`.
        config: Day count, rates and filters.
        split: The split into train and test; None trains on all quotes.
        file_sha256: The SHA-256 of the bytes of the file.
        earlier: The snapshots before, in order of time, if unchanged quotes are refused.
    """
    name = source.path.name
    options, unused = _options(source, config)
    try:
        quotes = source.quotes(underlying, date or config.data.date, clock=config.clock.build(), **options)
        if config.data.max_unchanged is not None and len(earlier) == config.data.max_unchanged:
            quotes = refuse_stale(quotes, _earlier_quotes(earlier, underlying, config))
        dividends = config.data.schedule
        kept, rejected = prepare(quotes, config.filters.build(), split, dividends=dividends)
    except NeutralError as error:
        reason = without_folder(error, source.path)
        return Market(
            name, underlying, _timestamp(date), file_sha256=file_sha256, reason=reason, unused=unused
        )
    return Market(
        file=name,
        underlying=underlying,
        timestamp=_timestamp(quotes.snapshot_ts),
        frame=kept,
        rejected=rejected,
        spot=_spot(quotes, kept),
        clock=quotes.clock,
        sha256=quotes.sha256,
        file_sha256=file_sha256,
        check=check_reading(kept, rejected),
        unused=unused,
    )


def check_columns(market: Market) -> dict[str, Any]:
    """Return the numbers of the check of a market, and its findings, as columns of a table."""
    numbers = {} if market.check is None else market.check.numbers
    return numbers | {"findings": "; ".join(market.findings)}


def noted(findings: Sequence[tuple[str, str]]) -> list[str]:
    """Return findings for a terminal: how many there are, and each different one with its first market.

    Args:
        findings: The title of a market and a finding about it, for each finding.
    """
    if not findings:
        return []
    count = Counter(text for _, text in findings)
    first = {text: title for title, text in reversed(findings)}
    lines = [
        f"  {first[text]}{f' and {n - 1} more' if n > 1 else ''}: {text}"
        for text, n in count.most_common(SHOWN_FINDINGS)
    ]
    return [f"{len(findings)} findings about what was read:", *lines]


def _refused(path: Path, underlying: str, opened: OpenedFile) -> Market:
    """Make the market of a file that cannot be read."""
    return Market(
        path.name, underlying, NO_TIME, file_sha256=opened.sha256, reason=opened.reason, readable=False
    )


def _options(source: Source, config: Document) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the arguments of the loader that `[data]` states, and why the other ones have no effect."""
    given = config.data.given | (config.fx.build() if source.kind == "fx" else {})
    if source.kind == "fx" and not isinstance(given.get("rates", ""), str):
        # currencies have two rates, which only a file can state
        unused = [name for name in given if name == "rates" or name not in source.options]
    else:
        unused = [name for name in given if name not in source.options]
    used = {name: value for name, value in given.items() if name not in unused}
    if "rates" in used and source.kind != "fx":
        used["rates"] = config.data.interest
    return used, tuple(
        f"{name} = {given[name]} is not used: files of kind {source.kind!r} "
        + ("take a file of rates" if name in source.options else "have no such option")
        for name in unused
    )


def _earlier_quotes(earlier: Sequence[Place], underlying: str, config: Document) -> list[Quotes]:
    """Read the quotes of an underlying in earlier snapshots; none if one of them does not have it."""
    snapshots = []
    for path, date in earlier:
        source = open_file(path).source  # the last files read stay in memory
        when = {} if source is None else dict(source.snapshots)
        if source is None or underlying not in when:
            return []
        day = when[underlying] if date is None else _date(date)
        options, _ = _options(source, config)
        snapshots.append(source.quotes(underlying, day, **options))
    return snapshots


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
    if "index_price" in quotes.frame and bool(quotes.frame["index_price"].notna().any()):
        return float(np.nanmedian(quotes.frame["index_price"].to_numpy(float)))
    return float(kept["forward"].iloc[0])
