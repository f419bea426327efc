"""Opens a market data file of any kind: registers the loaders, and chooses one by the header of the file.

A loader is a module that defines one `SourceKind`. It is registered by one line in `LOADERS`.
"""

import dataclasses
import re
from collections.abc import Callable
from datetime import date as Date
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from ...errors import ArgumentError, DataError
from ..quotes import Quotes
from .csv_table import header_names
from .file_content import FileContent, read_content
from .option_table import SHOWN

LOADERS = (
    "neutral.market.loaders.deribit:DERIBIT",
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
    columns: tuple[tuple[str, ...], ...]
    """Groups of column names in lower case; a header fits if it has at least one name of every group."""
    read: Callable[[FileContent], Content]
    """Parses the content of a file; it is called once per file."""
    quotes: Callable[..., Quotes]
    """Is called as `quotes(content, asset, date, options)` with the result of `read`, and returns the quotes
    of one asset on one date; None stands for the only one."""
    options: type = NoOptions
    """A dataclass of the loader's further arguments, which checks them; all have defaults."""
    file_name: re.Pattern[str] | None = None
    """A file whose whole name matches this pattern is of this kind, whatever its header."""
    recognises: Callable[[set[str]], bool] | None = None
    """Says of a header whether it fits, where groups of names cannot; it takes the place of `columns`."""

    def fits(self, header: set[str]) -> bool:
        """Whether the column names of a file are those of this kind."""
        if self.recognises is not None:
            return self.recognises(header)
        return all(header & set(group) for group in self.columns)


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A file of market data that has been read and parsed."""

    path: Path
    kind: str
    """The kind of file: "deribit", "equity chain", "surface" or "fx"."""
    snapshots: tuple[tuple[str, datetime | None], ...]
    """Each asset with each of its dates (UTC), in time order; the date is None if the file has none."""
    _reader: SourceKind
    _content: Content

    def quotes(self, asset: str | None = None, date: str | Date | None = None, **options: object) -> Quotes:
        """Return the quotes of one asset on one date.

        Args:
            asset: Underlying, currency or pair; None takes the only one.
            date: Quote date; None takes the only one. A file without dates has this date.
            options: Further arguments of the loader, which is `load_deribit`, `load_equity_chain`,
                `load_surface` or `load_fx_vols`.

        Raises:
            ArgumentError: The loader has no such option, or refuses an argument.
            DataError: The file has no such quotes, or they cannot be used.
        """
        accepted = [field.name for field in dataclasses.fields(self._reader.options)]
        unknown = sorted(set(options) - set(accepted))
        if unknown:
            raise ArgumentError(
                f"{self.path}: a file of kind {self.kind!r} has no option {', '.join(unknown)}; its options "
                f"are: {', '.join(accepted) or 'none'}."
            )
        return self._reader.quotes(self._content, asset, date, self._reader.options(**options))


def open_source(path: str | Path | FileContent) -> Source:
    """Read a file of market data of any kind.

    Args:
        path: CSV file, plain or gzip, UTF-8: a Deribit snapshot, an option chain, a published surface, or
            foreign-exchange volatilities. The file name or else the header decides. The content of a file
            that has been read already is accepted as well.

    Raises:
        DataError: The header fits no kind of file, or the file cannot be read, is damaged, is empty, or lacks
            a required column.
    """
    content = read_content(path)
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
    _, header = header_names(content.text)
    for kind in kinds:
        if kind.fits(set(header)):
            return kind
    raise DataError(
        f"{content.path}: the header ({', '.join(header[:SHOWN])}) fits no kind of file. The accepted kinds "
        f"are: {', '.join(kind.description for kind in kinds)}. Rename the columns to those of one kind."
    )
