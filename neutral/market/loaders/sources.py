"""One entrance for every file of market data: the registry of loaders, and the choice among them by header.

A loader is a module with one `SourceKind`. It is registered by one line in `LOADERS`.
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
from .csv_table import FileContent, header_names, read_content
from .option_table import SHOWN

LOADERS = (
    "neutral.market.loaders.deribit:DERIBIT",
    "neutral.market.loaders.fx_vols:FX_VOLS",
    "neutral.market.loaders.published_surfaces:SURFACE",
    "neutral.market.loaders.equity_chains:EQUITY_CHAIN",
)
"""The home `module:name` of every kind of file; the first kind whose header fits a file reads it."""


@runtime_checkable
class Content(Protocol):
    """A file as its loader reads it once, with every asset and date."""

    @property
    def snapshots(self) -> tuple[tuple[str, datetime | None], ...]:
        """Each asset with each of its dates (UTC), in time order; a date is None where the file has none."""
        ...


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """The options of a loader that takes none."""


@dataclasses.dataclass(frozen=True)
class SourceKind:
    """A kind of file: how it is recognised, and the functions that read it."""

    name: str
    description: str
    """The kind with its columns in words, for the error of a file that no kind fits."""
    columns: tuple[tuple[str, ...], ...]
    """Column names in lower case; a header fits if it has at least one name of every group."""
    read: Callable[[FileContent], Content]
    """Reads a file once."""
    quotes: Callable[..., Quotes]
    """Called as `quotes(content, asset, date, options)`: the quotes of one asset on one date of what `read`
    returned; None stands for the only one."""
    options: type = NoOptions
    """A dataclass of the loader's further arguments, all with defaults; it checks them."""
    file_name: re.Pattern[str] | None = None
    """A file whose whole name matches is of this kind, whatever its header."""

    def fits(self, header: set[str]) -> bool:
        """Whether the column names of a file are those of this kind."""
        return all(header & set(group) for group in self.columns)


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A file of market data, read once."""

    path: Path
    kind: str
    """The kind of file: "deribit", "equity chain", "surface" or "fx"."""
    snapshots: tuple[tuple[str, datetime | None], ...]
    """Each asset with each of its dates (UTC), in time order; the date is None where the file has none."""
    _reader: SourceKind
    _content: Content

    def quotes(self, asset: str | None = None, date: str | Date | None = None, **options: object) -> Quotes:
        """The quotes of one asset on one date.

        Args:
            asset: Underlying, currency or pair; None takes the only one.
            date: None takes the only one. For a file without dates it is the quote date.
            options: Further arguments of the loader: `load_deribit`, `load_equity_chain`, `load_surface` or
                `load_fx_vols`.

        Raises:
            ArgumentError: The loader has no such option, or refuses an argument.
            DataError: The file has no such quotes, or they cannot be used.
        """
        accepted = [field.name for field in dataclasses.fields(self._reader.options)]
        unknown = sorted(set(options) - set(accepted))
        if unknown:
            raise ArgumentError(
                f"{self.path}: {', '.join(unknown)}: a file of kind {self.kind!r} has no such option; "
                f"it takes {', '.join(accepted) or 'none'}."
            )
        return self._reader.quotes(self._content, asset, date, self._reader.options(**options))


def open_source(path: str | Path | FileContent) -> Source:
    """Read a file of market data of any kind.

    Args:
        path: CSV file, plain or gzip, UTF-8: a Deribit snapshot, an option chain, a published surface, or
            foreign-exchange volatilities. The header decides. The content of a file that has been read
            already is accepted as well.

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
def source_kind(home: str) -> SourceKind:
    """The kind of file at a home `module:name`; its module is imported at the first call."""
    module, _, name = home.partition(":")
    kind: SourceKind = getattr(import_module(module), name)
    return kind


def _kind_of(content: FileContent) -> SourceKind:
    """The kind of a file, by its name or else by its header."""
    kinds = [source_kind(home) for home in LOADERS]
    for kind in kinds:
        if kind.file_name and kind.file_name.fullmatch(content.path.name):
            return kind
    _, header = header_names(content.text)
    for kind in kinds:
        if kind.fits(set(header)):
            return kind
    raise DataError(
        f"{content.path}: not known by its header ({', '.join(header[:SHOWN])}). The accepted kinds of files "
        f"are: {', '.join(kind.description for kind in kinds)}. Name the columns as one of them does."
    )
