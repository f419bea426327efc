"""Opens a market data file of any kind: registers the loaders, and chooses one by the header of the file.

A loader is a module that defines one `SourceKind`. It is registered by one line in `LOADERS`.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping
from datetime import date as Date
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from ...errors import ArgumentError, DataError
from ...quotes.column_names import squeezed
from ..clock import VarianceClock
from ..quotes import Quotes
from ..variance_time import in_clock
from .choices import SHOWN
from .column_map import EXAMPLE, ColumnMap, Columns
from .file_content import FileContent, MarketData, read_content
from .nearest_kind import lacking_column
from .table import header_of_table, read_table

LOADERS = (
    "neutral.market.loaders.deribit:DERIBIT",
    "neutral.market.loaders.deribit_summaries:DERIBIT_SUMMARIES",
    "neutral.market.loaders.tardis:TARDIS",
    "neutral.market.loaders.bybit:BYBIT_TICKERS",
    "neutral.market.loaders.okx:OKX_TICKERS",
    "neutral.market.loaders.binance:BINANCE_SUMMARIES",
    "neutral.market.loaders.fx_vols:FX_VOLS",
    "neutral.market.loaders.published_surfaces:SURFACE",
    "neutral.market.loaders.equity_chains:EQUITY_CHAIN",
)
"""Every kind of file, as `module:name`; the first kind whose columns fit a header reads the file."""


@runtime_checkable
class Content(Protocol):
    """The parsed content of a file, with every asset and date."""

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each asset with each of its dates (UTC), in time order; the date is None if the file has none."""
        ...


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """The options of a loader that has none."""


@dataclasses.dataclass(frozen=True)
class SourceKind:
    """A kind of file: how it is recognised, and the functions that read it."""

    name: str
    description: str
    """The kind and its columns in words, for the error message about a file that fits no kind."""
    columns: Mapping[str, tuple[str, ...]]
    """The columns that a header must have, by the names of a column map, each with its accepted names."""
    read: Callable[[FileContent], Content]
    """Parses the content of a file; it is called once per file."""
    quotes: Callable[..., Quotes]
    """Is called as `quotes(content, asset, date, options)` with the result of `read`, and returns the quotes
    of one asset on one date; None means the only one."""
    options: type = NoOptions
    """A dataclass of the loader's further arguments, which checks them; all have defaults."""
    file_name: re.Pattern[str] | None = None
    """A file whose whole name matches this pattern is of this kind, whatever its header."""
    recognises: Callable[[set[str]], bool] | None = None
    """Says of a header whether it fits, where names alone cannot; `columns` then is for messages."""

    def fits(self, header: set[str], mapped: Collection[str] = ()) -> bool:
        """Whether the columns of a file are those of this kind.

        Args:
            header: Their names, as `squeezed` gives them.
            mapped: The names to which the caller's map gives columns.
        """
        if self.recognises is not None:
            return self.recognises(header)
        return all(
            role in mapped or header & set(map(squeezed, names)) for role, names in self.columns.items()
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A file of market data that has been read and parsed."""

    path: Path
    kind: str
    """The kind of file, the name of a `SourceKind`: "deribit", "equity chain", "surface", "fx", ..."""
    snapshots: tuple[tuple[str, datetime | None], ...]
    """Each asset with each of its dates (UTC), in time order; the date is None if the file has none."""
    _reader: SourceKind
    _content: Content

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that `quotes` accepts."""
        return tuple(field.name for field in dataclasses.fields(self._reader.options))

    def quotes(
        self,
        asset: str | None = None,
        date: str | Date | None = None,
        clock: VarianceClock | None = None,
        **options: object,
    ) -> Quotes:
        """Return the quotes of one asset on one date.

        Args:
            asset: Underlying, currency or pair; None takes the only one.
            date: Quote date; None takes the only one. A file without dates has this date.
            clock: Clock of the column `variance_time`, by which surfaces and fits measure time; None for
                calendar time.
            options: Further arguments of the loader, which is `load_deribit`, `load_equity_chain`,
                `load_surface` or `load_fx_vols`.

        Raises:
            ArgumentError: The loader has no such option, or refuses an argument.
            DataError: The file has no such quotes, or they cannot be used.
        """
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            raise ArgumentError(
                f"{self.path}: a file of kind {self.kind!r} has no option {', '.join(unknown)}; its options "
                f"are: {', '.join(self.options) or 'none'}."
            )
        return in_clock(
            self._reader.quotes(self._content, asset, date, self._reader.options(**options)), clock
        )


def open_source(
    path: MarketData, columns: Columns | ColumnMap | None = None, symbol: str | None = None
) -> Source:
    """Read a file of market data of any kind.

    Args:
        path: CSV or JSON file, plain or gzip, UTF-8; Parquet file; or a table of any library: a Deribit
            snapshot, an option chain, a published surface, foreign-exchange volatilities, or quotes of crypto
            options. The file name or else the header (the fields of JSON records) decides. The content of a
            file that has been read already is accepted as well.
        columns: A map from the names of this package to the file's, for columns with other names; see
            `Columns`. None maps none.
        symbol: The underlying of a file or table that states none; None takes the name of the file.

    Raises:
        DataError: The header fits no kind of file, or the file cannot be read, is damaged, is empty, or lacks
            a required column.
    """
    content = read_content(path, columns, symbol)
    kind = _kind_of(content)
    listing = kind.read(content)
    return Source(
        path=content.path, kind=kind.name, snapshots=listing.snapshots, _reader=kind, _content=listing
    )


@cache
def source_kind(location: str) -> SourceKind:
    """Return the kind of file at a location `module:name`; its module is imported at the first call."""
    module, _, name = location.partition(":")
    kind: SourceKind = getattr(import_module(module), name)
    return kind


def _kind_of(content: FileContent) -> SourceKind:
    """Return the kind of a file, which its name or else its header decides."""
    kinds = [source_kind(location) for location in LOADERS]
    for kind in kinds:
        if kind.file_name and kind.file_name.fullmatch(content.path.name):
            return kind
    header = header_of_table(content)
    for kind in kinds:
        if kind.fits(set(map(squeezed, header)), content.columns.mapped):
            return kind
    lacking = lacking_column(read_table(content), {kind.description: kind.columns for kind in kinds})
    raise DataError(
        f"{content.path}: the header ({', '.join(header[:SHOWN])}) fits no kind of file. "
        f"{lacking or f'Rename the columns, or map them, such as {EXAMPLE}.'} The accepted kinds are: "
        f"{', '.join(kind.description for kind in kinds)}."
    )
