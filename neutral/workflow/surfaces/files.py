"""Writes the files of `neutral surface`: tables of surfaces, parameters and certificates, and JSON files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import durable
from ...storage import load, save
from ...surfaces import ESSVI, SANOS, SSVI, ESSVIMixture, VolSurface
from ...times import minute_text
from ..inputs.markets import Market, noted
from ..table_files import write_tables
from .earlier import EarlierRows
from .fit import MarketSurface, measured

STORED = (ESSVI, ESSVIMixture, SANOS, SSVI)
TITLES = {  # of the columns of the summary
    "status": "status",
    "n_expiries": "expiries",
    "n_quotes": "quotes",
    "inside": "within half a spread [% of quotes]",
    "vol_rmse": "RMSE [% vol]",
    "free": "free of arbitrage",
    "message": "message",
}
FORMATS: dict[str, Callable[[Any], str]] = {  # by column of the summary
    "status": str,
    "n_expiries": "{:.0f}".format,
    "n_quotes": "{:.0f}".format,
    "inside": lambda share: f"{100.0 * share:.1f}",
    "vol_rmse": lambda error: f"{100.0 * error:.2f}",
    "free": str,
    "message": str,
}


class EarlierSurfaces(EarlierRows):
    """The surfaces that an earlier run with the same settings has stored in a folder."""

    def __init__(self, folder: Path, labels: Mapping[str, str] | None):
        """Read the table of surfaces in a folder; see `EarlierRows`."""
        super().__init__(folder / "surfaces.parquet", labels)
        self._folder = folder

    def known(self, result: MarketSurface) -> MarketSurface:
        """Add the stored surface to a result, for the argument `known` of `fit_markets`."""
        row = self.row(result.market)
        if row is None or result.quotes is None or not isinstance(row.get("surface_file"), str):
            return result
        path = self._folder / row["surface_file"]
        if not path.is_file() or durable.sha256(path) != row["surface_sha256"]:
            return result
        surface: VolSurface = load(path)
        vols, measurements = measured(result.quotes, surface)
        ended = {name: row[name] for name in ("status", "converged", "message", "loss")}
        return replace(result, surface=surface, vols=vols, row=result.row | measurements | ended)


def write_surfaces(results: Sequence[MarketSurface], folder: Path) -> list[Path]:
    """Write the tables of surfaces, of parameters and of certificates, and a JSON file of each surface.

    The tables are `surfaces`, `parameters` and `certificates`, in Parquet and CSV.

    Args:
        results: As `fit_markets` yields them.
        folder: The folder of the files, which is created if it is missing.

    Returns:
        The paths of the tables in Parquet, then of the JSON files.

    Raises:
        WriteError: A file cannot be written.
    """
    with durable.writing(folder):
        (folder / "surfaces").mkdir(parents=True, exist_ok=True)
    stored = [result for result in results if isinstance(result.surface, STORED)]
    files = [folder / "surfaces" / f"{name}.json" for name in _file_names(stored)]
    for result, path in zip(stored, files, strict=True):
        with durable.writing(path):
            save(result.surface, path)
    named = {id(result): path for result, path in zip(stored, files, strict=True)}
    paths = [named.get(id(result)) for result in results]
    summary_rows = rows(results)
    summary_rows["surface_file"] = [path and str(path.relative_to(folder)) for path in paths]
    summary_rows["surface_sha256"] = [path and durable.sha256(path) for path in paths]
    tables = {
        "surfaces": summary_rows,
        "parameters": parameters(results),
        "certificates": certificates(results),
    }
    return [*write_tables(folder, tables), *files]


def _file_names(results: Sequence[MarketSurface]) -> list[str]:
    """Return a name for each surface: underlying and time, and a number from the second one of these on.

    Names that differ in capital letters alone count as equal, because some file systems do not distinguish
    them.
    """
    counts: Counter[str] = Counter()
    names = []
    for result in results:
        market = result.market
        when = _time_or_file(market).replace(" ", "_").replace(":", "")
        name = f"{durable.file_name(market.underlying)}_{durable.file_name(when)}"
        counts[name.casefold()] += 1
        count = counts[name.casefold()]
        names.append(name if count == 1 else f"{name}-{count}")
    return names


def summary(results: Sequence[MarketSurface]) -> str:
    """Return a table for a terminal, with a line for each market, and findings about what was read."""
    frame = rows(results).reindex(columns=list(FORMATS))
    frame.insert(0, "", [title(result) for result in results])
    formatters: Any = {TITLES[name]: form for name, form in FORMATS.items()}
    table = frame.rename(columns=TITLES).to_string(
        index=False, na_rep="-", formatters=formatters, max_colwidth=60
    )
    return "\n".join([table, *noted(findings(results))])


def findings(results: Sequence[MarketSurface]) -> list[tuple[str, str]]:
    """Return the findings about all markets, each after the market's title."""
    return [(title(result), text) for result in results for text in result.market.findings]


def title(result: MarketSurface) -> str:
    """Return the underlying and the time, or the name of the file if the time is unknown."""
    return result.market.title


def _time_or_file(market: Market) -> str:
    """Return the time to the minute, or the file name up to the first dot if the time is unknown."""
    return minute_text(market.timestamp) or market.file.split(".")[0]


def rows(results: Sequence[MarketSurface]) -> pd.DataFrame:
    """Return one row per market, with the measurements of its surface or the reason why it has none."""
    return pd.DataFrame([result.row for result in results])


def parameters(results: Sequence[MarketSurface]) -> pd.DataFrame:
    """Return the parameters, with one row per component and expiry."""
    return pd.DataFrame([row for result in results for row in _smiles(result)])


def certificates(results: Sequence[MarketSurface]) -> pd.DataFrame:
    """Return the no-arbitrage margins, negative for arbitrage, with one row per component and expiry.

    A row has the margin at the expiry and the margins of the interval that ends there.
    """
    return pd.DataFrame([row for result in results for row in _margins(result)])


def _components(result: MarketSurface) -> list[tuple[dict[str, Any], ESSVI]]:
    """Return labels and surface of each component whose weight is positive."""
    surface = result.surface
    label = {
        "snapshot_ts": result.market.timestamp,
        "currency": result.market.underlying,
        "component": 0,
    }
    if isinstance(surface, ESSVI):
        return [(label | {"weight": 1.0, "multiplier": 1.0}, surface)]
    if not isinstance(surface, ESSVIMixture):
        return []
    pairs = zip(np.asarray(surface.weights), np.asarray(surface.multipliers), strict=True)
    return [
        (label | {"component": j, "weight": weight, "multiplier": multiplier}, surface.components[j])
        for j, (weight, multiplier) in enumerate(pairs)
        if weight > 0.0
    ]


def _smiles(result: MarketSurface) -> list[dict[str, Any]]:
    """Return the parameters of each component at each of its expiries."""
    return [
        label | row
        for label, component in _components(result)
        for row in component.to_frame().drop(columns="atm_vol").to_dict("records")
    ]


def _margins(result: MarketSurface) -> list[dict[str, Any]]:
    """Return the margins of each component at each expiry, and between it and the previous expiry."""
    return [
        label | row
        for label, component in _components(result)
        for row in component.certificate.to_frame().to_dict("records")
    ]
