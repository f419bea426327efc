"""Files of every accepted kind as prepared tables: one per underlying and time, or why there is none."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from ...shipped import configuration
from ..config import Document, load_config
from .archive import opened

UNKNOWN = "-"  # the asset of a file that cannot be read


@dataclass(frozen=True, eq=False)
class Market:
    """The quotes of one underlying at one time in one file, prepared; or why they cannot be used."""

    file: str
    asset: str
    timestamp: pd.Timestamp  # UTC; NaT where it is not known
    frame: pd.DataFrame | None = None  # as `prepare` keeps it
    rejected: pd.DataFrame | None = None  # with their reasons
    spot: float = np.nan
    sha256: str = ""
    reason: str = ""

    @property
    def n_rejected(self) -> int:
        """Rows that are refused."""
        return 0 if self.rejected is None else len(self.rejected)


def read_markets(
    files: Iterable[Path],
    config: Document | None = None,
    assets: Sequence[str] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Iterator[Market]:
    """The markets in files, in their order; nothing is raised for a file or a time that cannot be used.

    Args:
        files: As `market_files` lists them.
        config: Its day count, rates and filters; where None, what is shipped for the kind of each file.
        assets: Only these underlyings; all where None.
        data: Keys of its `[data]` to replace, such as rates.
    """
    for path in files:
        try:
            source = opened(path)
        except NeutralError as error:
            yield Market(path.name, UNKNOWN, pd.NaT, reason=without_folder(error, path))  # pyright: ignore
            continue
        settings = config or load_config(None if source.kind == "deribit" else configuration("markets"))
        settings = settings.replaced(data=dict(data or {}))
        for asset, date in source.snapshots:
            if assets is None or asset in assets:
                yield read_market(source, asset, date, settings)


def read_market(
    source: Source, asset: str, date: datetime | None, config: Document, split: Split | None = None
) -> Market:
    """One market of a file.

    Args:
        source: The file.
        asset: Underlying.
        date: As the source names it.
        config: Day count, rates and filters.
        split: Which quotes train.
    """
    try:
        quotes = source.quotes(asset, date, **_options(source, config))
        kept, rejected = prepare(quotes, config.filters.build(), split)
    except NeutralError as error:
        return Market(source.path.name, asset, _known(date), reason=without_folder(error, source.path))
    at = _known(quotes.snapshot_ts)
    return Market(source.path.name, asset, at, kept, rejected, _spot(quotes, kept), quotes.sha256)


def _options(source: Source, config: Document) -> dict[str, Any]:
    """What the loader of a kind of file is told."""
    data = config.data
    if source.kind == "deribit":
        return {"day_count": data.day_count}
    return {"spot": data.spot} if source.kind == "fx" else {"rates": data.interest}


def _known(date: datetime | None) -> Any:
    return pd.NaT if date in (None, UNKNOWN_DATE) else pd.Timestamp(date)


def _spot(quotes: Quotes, kept: pd.DataFrame) -> float:
    """The spot price: of the file, the median of its index, or the forward of the first expiry."""
    if np.isfinite(quotes.spot):
        return float(quotes.spot)
    if "index_price" in quotes.frame:
        return float(np.nanmedian(quotes.frame["index_price"].to_numpy(float)))
    return float(kept["forward"].iloc[0])


def without_folder(error: NeutralError, path: Path) -> str:
    """The message with the file's name alone, so that a row does not tell where the file lay."""
    return str(error).replace(str(path.resolve()), path.name).replace(str(path), path.name)
