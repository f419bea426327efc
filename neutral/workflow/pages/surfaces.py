"""Writes the page of `neutral surface`: a row of measurements of every surface, and figures of some."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ... import durable
from ...shipped import CODE_VERSION
from ..surfaces.files import findings, title
from ..surfaces.fit import MarketSurface
from . import html

HEADER = [
    "surface",
    "status",
    "expiries",
    "quotes",
    "left out",
    "inside bid-ask",
    "vol RMSE",
    "components",
    "free of arbitrage",
    "margin",
]
TEXTS = (0, 1, 8)  # positions of the columns of text
NOTHING: html.Cell = (np.nan, "")  # a cell without a value


def write_page(results: Sequence[MarketSurface], folder: Path, pictures: int = 4) -> Path:
    """Write `report.html` into a folder.

    Args:
        results: Markets with their surfaces, or with the reason why they have none.
        folder: An existing folder.
        pictures: The number of surfaces to draw, from the first one.

    Returns:
        The path of the page.

    Raises:
        NeutralError: Matplotlib is not installed, or the page cannot be written.
    """
    found = findings(results)
    drawable = [result for result in results if result.surface is not None]
    free = sum(result.row["free"] for result in drawable)
    body = [
        "<h1>Volatility surfaces</h1>",
        f"<p class='note'>{len(drawable)} surfaces of {len(results)} sets of quotes, {free} of them "
        f"certified free of static arbitrage; neutral {escape(CODE_VERSION)}</p>",
        "<p class='note'>Inside bid-ask is the share of quotes, with calls and puts counted separately, that "
        "the surface prices within half the spread of the mid price. Vol RMSE is the root mean square error "
        "of volatility over out-of-the-money quotes. Margin is the smallest relative margin of the "
        "no-arbitrage conditions; it is 0 if a condition binds.</p>",
        html.table(HEADER, [_line(result) for result in results], TEXTS),
        _reasons(results),
        html.items([f"{title}: {text}" for title, text in found]) if found else "",
    ]
    for result in drawable[:pictures]:
        body += _pictures(result)
    path = folder / "report.html"
    durable.write_text(path, html.page("Volatility surfaces", body))
    return path


def _line(result: MarketSurface) -> list[html.Cell]:
    """Return the row of one market."""
    row = result.row
    rejected: html.Cell = (row["n_rejected"], ",d")
    if result.surface is None:
        blank = [NOTHING, NOTHING]
        return [title(result), row["status"], *blank, rejected, *blank, NOTHING, "-", NOTHING]
    return [
        title(result),
        row["status"],
        (row["n_expiries"], "d"),
        (row["n_quotes"], ",d"),
        rejected,
        (row["inside"], ".1%"),
        (row["vol_rmse"], ".2%"),
        (row["components"], "d"),
        "yes" if row["free"] else "NO",
        (row["margin"], ".1e"),
    ]


def _reasons(results: Sequence[MarketSurface]) -> str:
    """Return a table of the markets that were refused or did not converge, with the reasons."""
    failed = [result for result in results if result.surface is None or not result.row["converged"]]
    if not failed:
        return ""
    names = ("file", "status", "message")
    rows: list[list[html.Cell]] = [
        [title(result), *(result.row[name] for name in names)] for result in failed
    ]
    return "<h2>Refused and failed</h2>" + html.table(["surface", *names], rows, range(4))


def _pictures(result: MarketSurface) -> list[str]:
    from ...plot import surfaces as plot_surface  # loads matplotlib

    surface: Any = result.surface
    assert result.quotes is not None  # every surface was fitted to quotes
    name = title(result)
    certificate = escape(str(surface.certificate)).replace("\n", "<br>")
    figures = {
        "smiles over bid and ask": plot_surface.smiles(result.quotes, surface),
        "implied volatility": plot_surface.vol_map(surface),
        "total variance": plot_surface.total_variance(surface),
        "densities": plot_surface.densities(surface),
    }
    body = [f"<h2>{escape(name)}</h2>", f"<p class='note'>{certificate}</p>"]
    wide, *others = (html.image(figure, f"{name}: {content}") for content, figure in figures.items())
    return [*body, wide, html.row(others)]
