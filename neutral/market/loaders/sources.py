"""One entrance for every file of market data: its header tells what it is."""

import dataclasses
import inspect
from collections.abc import Callable
from datetime import date as Date
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ...errors import ArgumentError, DataError
from ..quotes import Quotes, Snapshot
from .csv_table import FileContent, header_names, read_content
from .deribit import NAME, quotes_of, read_snapshot
from .equity_chains import NAMES as CHAIN_NAMES
from .equity_chains import chain_quotes, read_chain
from .fx_vols import fx_quotes, read_fx_vols
from .option_table import SHOWN, as_date, choose
from .published_surfaces import NAMES as SURFACE_NAMES
from .published_surfaces import read_surface, surface_quotes

Kind = Literal["deribit", "equity chain", "surface", "fx"]
ACCEPTED = (
    "Deribit snapshots (a column expiry_datetime), volatilities by delta (tenor and atm), surfaces (strike, "
    "and T, expiry_years or days), option chains (strike, expiry, and bid or [C_BID])"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A file of market data, read once."""

    path: Path
    kind: Kind
    snapshots: tuple[tuple[str, datetime | None], ...]
    """Each asset with each of its dates (UTC), in time order; the date is None where the file has none."""
    _content: Any
    _quotes: Callable[..., Quotes]

    def quotes(self, asset: str | None = None, date: str | Date | None = None, **options: Any) -> Quotes:
        """The quotes of one asset on one date.

        Args:
            asset: Underlying, currency or pair; None takes the only one.
            date: None takes the only one. Of a file without dates it is the quote date.
            options: Further arguments of the loader: `load_deribit`, `load_equity_chain`, `load_surface` or
                `load_fx_vols`.

        Raises:
            ArgumentError: An option that the loader does not have, or as the loader.
            DataError: As the loader.
        """
        _, _, _, *accepted = inspect.signature(self._quotes).parameters
        unknown = sorted(set(options) - set(accepted))
        if unknown:
            raise ArgumentError(
                f"{self.path}: {', '.join(unknown)}: no option of a file of kind {self.kind!r}; "
                f"it takes {', '.join(accepted)}"
            )
        return self._quotes(self._content, asset, date, **options)


def open_source(path: str | Path | FileContent) -> Source:
    """Read a file of market data of any kind.

    Args:
        path: CSV file, plain or gzip, UTF-8: a Deribit snapshot, an option chain, a published surface, or
            foreign-exchange volatilities. The header decides. Or its content, where it has been read already.

    Raises:
        DataError: The header is of none of them, or the file cannot be read, is damaged or empty, or lacks a
            required column.
    """
    content = read_content(path)
    path = content.path
    kind = _kind(content)
    if kind == "deribit":
        snapshot = read_snapshot(content)
        assets = tuple((currency, snapshot.snapshot_ts) for currency in snapshot.currencies)
        return Source(path, kind, assets, snapshot, _deribit_quotes)
    read, quotes = {
        "equity chain": (read_chain, chain_quotes),
        "surface": (read_surface, surface_quotes),
        "fx": (read_fx_vols, fx_quotes),
    }[kind]
    listing = read(content)
    return Source(path, kind, listing.snapshots, listing, quotes)


def _kind(content: FileContent) -> Kind:
    path = content.path
    if NAME.fullmatch(path.name):
        return "deribit"
    _, header = header_names(content.text)
    names = set(header)
    if "expiry_datetime" in names:
        return "deribit"
    if {"tenor", "atm"} <= names:
        return "fx"
    if "strike" in names and names & {*SURFACE_NAMES["maturity"], *SURFACE_NAMES["days"]}:
        return "surface"
    if "strike" in names and names & set(CHAIN_NAMES["expiry"]) and names & {"bid", "c_bid"}:
        return "equity chain"
    raise DataError(f"{path}: not known by its header ({', '.join(header[:SHOWN])}); accepted are {ACCEPTED}")


def _deribit_quotes(
    snapshot: Snapshot, asset: str | None = None, date: str | Date | None = None, day_count: str = "file"
) -> Quotes:
    """A snapshot has one time; another day is refused."""
    taken = as_date(snapshot.snapshot_ts)
    choose(snapshot.path, "date", as_date(date), [taken])
    return quotes_of(snapshot, asset, day_count)
