"""Fitted surfaces as files: parameters, certificates and evidence as tables, each surface as JSON."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ... import durable
from ...storage import save
from ...surfaces import ESSVI, ESSVIMixture
from ..inputs.archive import TIME
from .fit import Fitted

STORED = (ESSVI, ESSVIMixture)
PLACE = ("butterfly", "butterfly_k")
PAIR = ("calendar", "calendar_k", "between", "between_t", "proven")


def write_surfaces(fitted: Sequence[Fitted], folder: Path) -> list[Path]:
    """Write `surfaces.csv`, `parameters.csv`, `certificates.csv` and a JSON file of each surface.

    Returns:
        The files.

    Raises:
        WriteError: a file cannot be written.
    """
    with durable.writing(folder):
        (folder / "surfaces").mkdir(parents=True, exist_ok=True)
    tables = {
        "surfaces": rows(fitted),
        "parameters": parameters(fitted),
        "certificates": certificates(fitted),
    }
    paths = []
    for name, table in tables.items():
        path = folder / f"{name}.csv"
        durable.write_text(path, table.to_csv(index=False, date_format=TIME))
        paths.append(path)
    for one in fitted:
        if isinstance(one.surface, STORED):
            path = folder / "surfaces" / f"{title(one).replace(' ', '_').replace(':', '')}.json"
            with durable.writing(path):
                save(one.surface, path)
            paths.append(path)
    return paths


def summary(fitted: Sequence[Fitted]) -> str:
    """A table for a terminal: a line per market."""
    shown = rows(fitted).reindex(columns=list(SHOWN))
    shown.insert(0, "", [title(one) for one in fitted])
    formatters: Any = SHOWN
    return shown.to_string(index=False, na_rep="-", formatters=formatters, max_colwidth=60)


def title(fitted: Fitted) -> str:
    """Underlying and time; the file's name where the time is not known."""
    at = fitted.market.timestamp
    when = fitted.market.file.split(".")[0] if pd.isna(at) else at.strftime("%Y-%m-%d %H:%M")
    return f"{fitted.market.asset} {when}"


def rows(fitted: Sequence[Fitted]) -> pd.DataFrame:
    """One row per market: of its surface, or why it has none."""
    return pd.DataFrame([one.row for one in fitted])


def parameters(fitted: Sequence[Fitted]) -> pd.DataFrame:
    """One row per smile: of each component at each expiry."""
    return pd.DataFrame([row for one in fitted for row in _smiles(one)])


def certificates(fitted: Sequence[Fitted]) -> pd.DataFrame:
    """One row per smile: its margin, and those of the interval that ends there; negative is an arbitrage."""
    return pd.DataFrame([row for one in fitted for row in _margins(one)])


def _components(fitted: Fitted) -> list[tuple[dict[str, Any], ESSVI]]:
    """Labels and surface of each component that has a weight."""
    surface, market = fitted.surface, fitted.market
    label = {"snapshot_ts": market.timestamp, "currency": market.asset, "component": 0}
    if isinstance(surface, ESSVI):
        return [(label | {"weight": 1.0, "multiplier": 1.0}, surface)]
    if not isinstance(surface, ESSVIMixture):
        return []
    pairs = zip(np.asarray(surface.weights), np.asarray(surface.multipliers), strict=True)
    return [
        (label | {"component": j, "weight": weight, "multiplier": m}, surface.components[j])
        for j, (weight, m) in enumerate(pairs)
        if weight > 0.0
    ]


def _smiles(fitted: Fitted) -> list[dict[str, Any]]:
    found = []
    for label, part in _components(fitted):
        known = np.asarray(part.known)
        columns = {
            "maturity": part.expiries,
            "theta": part.theta,
            "psi": part.psi,
            "rho": part.rho,
        }
        kept = {name: np.asarray(values)[known] for name, values in columns.items()}
        found += [label | dict(zip(kept, row, strict=True)) for row in zip(*kept.values(), strict=True)]
    return found


def _margins(fitted: Fitted) -> list[dict[str, Any]]:
    found = []
    for label, part in _components(fitted):
        certificate = part.certificate
        for i, t in enumerate(np.asarray(certificate.expiries)):
            if not np.isfinite(t):
                break
            row = {"maturity": t} | {name: np.asarray(getattr(certificate, name))[i] for name in PLACE}
            if i:
                row |= {name: np.asarray(getattr(certificate, name))[i - 1] for name in PAIR}
            found.append(label | row)
    return found


SHOWN: dict[str, Any] = {
    "status": str,
    "n_expiries": "{:.0f}".format,
    "n_quotes": "{:.0f}".format,
    "inside": "{:.1%}".format,
    "vol_rmse": "{:.2%}".format,
    "free": str,
    "message": str,
}
TABLES = {"surfaces": rows, "parameters": parameters, "certificates": certificates}
