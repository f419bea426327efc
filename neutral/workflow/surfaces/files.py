"""Writes the files of `neutral surface`: tables of surfaces, parameters and certificates, and JSON files."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import durable
from ...storage import save
from ...surfaces import ESSVI, SANOS, SSVI, ESSVIMixture
from ...times import minute_text
from ..csv_files import write_csv
from ..inputs.markets import Market, noted
from .fit import MarketSurface

STORED = (ESSVI, ESSVIMixture, SANOS, SSVI)
AT_EXPIRY = ("butterfly", "butterfly_k")
BETWEEN_EXPIRIES = ("calendar", "calendar_k", "between", "between_t", "proven")
FORMATS: dict[str, Callable[[Any], str]] = {  # by column of the summary
    "status": str,
    "n_expiries": "{:.0f}".format,
    "n_quotes": "{:.0f}".format,
    "inside": "{:.1%}".format,
    "vol_rmse": "{:.2%}".format,
    "free": str,
    "message": str,
}


def write_surfaces(results: Sequence[MarketSurface], folder: Path) -> list[Path]:
    """Write `surfaces.csv`, `parameters.csv`, `certificates.csv`, and a JSON file of each surface.

    Args:
        results: As `fit_markets` yields them.
        folder: The folder of the files, which is created if it is missing.

    Returns:
        The paths of the files.

    Raises:
        WriteError: A file cannot be written.
    """
    with durable.writing(folder):
        (folder / "surfaces").mkdir(parents=True, exist_ok=True)
    frames = {
        "surfaces": rows(results),
        "parameters": parameters(results),
        "certificates": certificates(results),
    }
    paths = []
    for name, frame in frames.items():
        path = folder / f"{name}.csv"
        write_csv(path, frame)
        paths.append(path)
    stored = [result for result in results if isinstance(result.surface, STORED)]
    for result, name in zip(stored, _file_names(stored), strict=True):
        path = folder / "surfaces" / f"{name}.json"
        with durable.writing(path):
            save(result.surface, path)
        paths.append(path)
    return paths


def _file_names(results: Sequence[MarketSurface]) -> list[str]:
    """Return a name for each surface: underlying and time, and a number from the second one of these on.

    Names that differ in capital letters alone count as equal, because some file systems do not tell them
    apart.
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
    formatters: Any = FORMATS
    table = frame.to_string(index=False, na_rep="-", formatters=formatters, max_colwidth=60)
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

    A row holds the margin at the expiry and the margins of the interval that ends there.
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
    smiles = []
    for label, component in _components(result):
        has_smile = np.asarray(component.known)
        columns = {
            "maturity": component.expiries,
            "theta": component.theta,
            "psi": component.psi,
            "rho": component.rho,
        }
        values = [np.asarray(column)[has_smile] for column in columns.values()]
        smiles += [label | dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
    return smiles


def _margins(result: MarketSurface) -> list[dict[str, Any]]:
    """Return the margins of each component at each expiry, and between it and the previous expiry."""
    margins = []
    for label, component in _components(result):
        certificate = component.certificate
        for i, t in enumerate(np.asarray(certificate.expiries)):
            if not np.isfinite(t):
                break
            row = {"maturity": t}
            row |= {name: np.asarray(getattr(certificate, name))[i] for name in AT_EXPIRY}
            if i:
                row |= {name: np.asarray(getattr(certificate, name))[i - 1] for name in BETWEEN_EXPIRIES}
            margins.append(label | row)
    return margins
