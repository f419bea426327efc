"""The page of `neutral surface`: evidence of every surface, and pictures of some."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from ... import durable
from ...shipped import CODE_VERSION
from ..surfaces.fit import Fitted
from ..surfaces.tables import title
from . import html

HEADER = ["surface", "status", "expiries", "quotes", "left out", "inside bid-ask", "vol RMSE"]
HEADER += ["components", "free of arbitrage", "margin"]
TEXTS = (0, 1, 8)


def write_page(fitted: Sequence[Fitted], folder: Path, pictures: int = 4) -> Path:
    """Write `index.html` into a folder.

    Args:
        fitted: Surfaces and what could not be used.
        folder: It exists.
        pictures: Surfaces to draw, the first ones.

    Returns:
        The path of the page.

    Raises:
        NeutralError: matplotlib is not installed, or the page cannot be written.
    """
    done = [one for one in fitted if one.surface is not None]
    free = sum(one.row["free"] for one in done)
    body = [
        "<h1>Volatility surfaces</h1>",
        f"<p class='note'>{len(done)} surfaces of {len(fitted)} sets of quotes, {free} of them certified "
        f"free of static arbitrage; neutral {escape(CODE_VERSION)}</p>",
        "<p class='note'>Inside bid-ask: share of quotes, calls and puts apart, that the surface prices "
        "within half the spread of the mid price. Vol RMSE: of out-of-the-money quotes. Margin: of the "
        "no-arbitrage condition that holds most narrowly, relative; 0 where one binds.</p>",
        html.table(HEADER, [_line(one) for one in fitted], TEXTS),
        _reasons(fitted),
    ]
    for one in done[:pictures]:
        body += _pictures(one)
    path = folder / "index.html"
    durable.write_text(path, html.page("Volatility surfaces", body))
    return path


def _line(one: Fitted) -> list[html.Cell]:
    row = one.row
    if one.surface is None:
        blank: list[html.Cell] = [(np.nan, "")] * 5
        rejected = [(row["n_rejected"], ",d")]
        return [title(one), row["status"], *blank[:2], *rejected, *blank[:3], "-", blank[0]]
    return [
        title(one), row["status"], (row["n_expiries"], "d"), (row["n_quotes"], ",d"),
        (row["n_rejected"], ",d"), (row["inside"], ".1%"), (row["vol_rmse"], ".2%"), (row["components"], "d"),
        "yes" if row["free"] else "NO", (row["margin"], ".1e"),
    ]  # fmt: skip


def _reasons(fitted: Sequence[Fitted]) -> str:
    """What was refused or did not converge, and why."""
    bad = [one for one in fitted if one.surface is None or not one.row["converged"]]
    if not bad:
        return ""
    names = ("file", "status", "message")
    rows: list[list[html.Cell]] = [[title(one), *(one.row[name] for name in names)] for one in bad]
    return "<h2>Refused and failed</h2>" + html.table(["surface", *names], rows, range(4))


def _pictures(one: Fitted) -> list[str]:
    from ...plot import surfaces as plot_surface  # loads matplotlib

    assert one.quotes is not None  # where there is a surface
    name = title(one)
    certificate = escape(str(one.surface.certificate)).replace("\n", "<br>")
    figures = {
        "smiles over bid and ask": plot_surface.smiles(one.quotes, one.surface),
        "implied volatility": plot_surface.vol_map(one.surface),
        "total variance": plot_surface.total_variance(one.surface),
        "densities": plot_surface.densities(one.surface),
    }
    body = [f"<h2>{escape(name)}</h2>", f"<p class='note'>{certificate}</p>"]
    wide, *others = (html.image(figure, f"{name}: {what}") for what, figure in figures.items())
    return [*body, wide, html.row(others)]
