"""Writes the page of `neutral surface`: how well the surfaces fit, and charts of some of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...shipped import CODE_VERSION
from ...times import DAYS_A_YEAR
from ..surfaces.files import findings, title
from ..surfaces.fit import MarketSurface
from . import blocks, render
from .blocks import number

HEADER = [
    "surface",
    "status",
    "expiries",
    "quotes",
    "left out",
    "inside",
    "vol RMSE, bp",
    "components",
    "arbitrage-free",
    "margin",
]
TEXTS = (0, 1, 8)  # positions of the columns of text


def write_page(results: Sequence[MarketSurface], folder: Path, pictures: int = 4) -> Path:
    """Write `report.html` into a folder.

    Args:
        results: Markets with their surfaces, or with the reason why they have none.
        folder: An existing folder.
        pictures: The number of surfaces to draw, from the first one.

    Returns:
        The path of the page.

    Raises:
        NeutralError: Jinja2 is not installed, or the page cannot be written.
    """
    render.check_installed()
    page = render.within_limit(lambda drawn: content(results, drawn), pictures)
    return render.write_page(folder / "report.html", page)


def content(results: Sequence[MarketSurface], pictures: int) -> blocks.Page:
    """Return the content of the page; the arguments are those of `write_page`."""
    from . import surface_charts as draw  # loads JAX

    drawable = [result for result in results if result.surface is not None]
    shown = drawable[: max(pictures, draw.FEW if len(drawable) <= draw.FEW else 0)]
    rows = [draw.expiry_rows(result) for result in shown]
    sections = [blocks.Section("All surfaces", _all(results), "surfaces")]
    failed = _reasons(results)
    if failed:
        sections.append(blocks.Section("Refused and failed", failed, "failed"))
    for i, (result, frame) in enumerate(zip(drawable[:pictures], rows, strict=False)):
        sections.append(blocks.Section(title(result), _market(result, frame), _anchor(i)))
    dated = [result for result in drawable if not pd.isna(result.market.timestamp)]
    first: list[blocks.Block] = []
    if drawable and len(drawable) <= draw.FEW:
        first = [draw.quality_by_expiry(shown, rows)]
    elif dated:
        first = [draw.quality_by_time(dated)]
    return blocks.Page(
        title="Volatility surfaces",
        note=f"surfaces of {len(drawable)} of {len(results)} sets of quotes; neutral {CODE_VERSION}",
        answer=_answer(results, drawable),
        sections=sections,
        first=first,
    )


def _anchor(i: int) -> str:
    return f"surface-{i + 1}"


def _answer(results: Sequence[MarketSurface], drawable: Sequence[MarketSurface]) -> list[blocks.Block]:
    """State how good the surfaces are, and what failed."""
    if not drawable:
        return [
            blocks.Text("No surface was fitted: all sets of quotes were refused.", "lead"),
            _outcome(results),
        ]
    counts = np.array([result.row["n_quotes"] for result in drawable], float)
    shares, errors = (
        np.array([result.row[name] for result in drawable], float) for name in ("inside", "vol_rmse")
    )
    known = np.isfinite(shares)
    share = float(np.sum(shares[known] * counts[known]) / np.sum(counts[known])) if known.any() else np.nan
    several = len(drawable) > 1
    who = f"The {len(drawable)} surfaces price" if several else f"The surface of {title(drawable[0])} prices"
    inside = (
        f"{who} {share:.0%} of the quotes inside the bid-ask spread"
        if known.any()
        else (f"{who} quotes that have no bid-ask spread")
    )
    error = float(np.nanmedian(errors)) if np.isfinite(errors).any() else np.nan
    size = f"{blocks.basis_points(error)} (root mean square)"
    bp = f"; the {'median ' if several else ''}error of volatility is {size}" if np.isfinite(error) else ""
    return [blocks.Text(f"{inside}{bp}.", "lead"), _outcome(results)]


def _outcome(results: Sequence[MarketSurface]) -> blocks.Text:
    """State how many surfaces are free of arbitrage, and how many sets of quotes gave none."""
    drawable = [result for result in results if result.surface is not None]
    free = sum(bool(result.row["free"]) for result in drawable)
    refused = len(results) - len(drawable)
    stopped = sum(not result.row["converged"] for result in drawable)
    parts = []
    if drawable:
        whole = (
            "" if len(drawable) == 1 else "all " if free == len(drawable) else f"{free} of {len(drawable)} "
        )
        parts.append(
            f"{whole}certified free of static arbitrage"
            if free
            else "none certified free of static arbitrage"
        )
    parts += [f"{stopped} did not converge"] if stopped else []
    parts += [f"{refused} of {len(results)} sets of quotes refused"] if refused else []
    text = ", ".join(parts)
    good = free == len(drawable) and not refused and not stopped
    return blocks.Text(
        f"{text[0].upper()}{text[1:]}." if text else "No quotes.", "good" if good else "reason"
    )


def _all(results: Sequence[MarketSurface]) -> list[blocks.Block]:
    found = findings(results)
    listed: list[blocks.Block] = [blocks.Items([f"{name}: {text}" for name, text in found])] if found else []
    return [
        blocks.Text(
            "Inside: the share of quotes, with calls and puts counted separately, that the surface prices "
            "within half the spread of the mid price. Vol RMSE: the root mean square error of volatility "
            "over out-of-the-money quotes, in basis points. Margin: the smallest relative margin of the "
            "no-arbitrage conditions; it is 0 if a condition binds.",
            "note",
        ),
        blocks.table(HEADER, [_line(result) for result in results], TEXTS, "All surfaces"),
        *listed,
    ]


def _line(result: MarketSurface) -> list[blocks.Cell | str]:
    """Return the row of one market."""
    row = result.row
    values = row if result.surface is not None else {}
    numbers = [
        number(scale * values.get(name, np.nan), form)
        for name, scale, form in (
            ("n_expiries", 1.0, ".0f"),
            ("n_quotes", 1.0, ",.0f"),
            ("inside", 1.0, ".1%"),
            ("vol_rmse", 1e4, ",.1f"),
            ("components", 1.0, ".0f"),
            ("margin", 1.0, ".1g"),
        )
    ]
    expiries, quotes, inside, error, components, margin = numbers
    free = "-" if result.surface is None else "yes" if row["free"] else "NO"
    fit = [title(result), row["status"], expiries, quotes, number(row["n_rejected"], ",d"), inside, error]
    return [*fit, components, free, margin]


def _reasons(results: Sequence[MarketSurface]) -> list[blocks.Block]:
    """Return a table of the markets that were refused or did not converge, with the reasons."""
    failed = [result for result in results if result.surface is None or not result.row["converged"]]
    if not failed:
        return []
    names = ("file", "status", "message")
    rows = [[title(result), *(str(result.row[name]) for name in names)] for result in failed]
    return [blocks.table(["surface", *names], rows, range(4), "Refused and failed", stacked=True)]


def _market(result: MarketSurface, rows: pd.DataFrame) -> list[blocks.Block]:
    """Return tiles, the verdict, charts and a table of the expiries of one surface."""
    from . import surface_charts as draw

    surface: Any = result.surface
    row = result.row
    errors = rows["rmse"].to_numpy(float)
    worst = rows.iloc[int(np.nanargmax(errors))] if np.isfinite(errors).any() else None
    tiles = [
        ("inside bid-ask", f"{row['inside']:.1%}"),
        ("vol RMSE", blocks.basis_points(row["vol_rmse"])),
        ("quotes", f"{row['n_quotes']:,d}"),
        ("expiries", f"{row['n_expiries']:d}"),
        ("left out", f"{row['n_rejected']:,d}"),
    ]
    if worst is not None:
        tiles.append(
            (
                "worst expiry",
                f"{worst['date'] or draw.days(worst['t']) + ' days'}: {blocks.basis_points(worst['rmse'])}",
            )
        )
    verdict = (
        "No static arbitrage: neither between strikes nor between expiries, at any strike."
        if row["free"]
        else "There is static arbitrage; the certificate below names the condition that is violated most."
    )
    certificate = [line for line in str(surface.certificate).splitlines() if line.strip()]
    return [
        blocks.Tiles(tiles),
        blocks.Text(verdict, "" if row["free"] else "reason"),
        draw.smiles(result, rows),
        draw.solid(result, rows),
        draw.term_structure(result, rows),
        blocks.Group(draw.lines(result, rows)),
        blocks.Heading("Expiries"),
        _expiries(rows, title(result)),
        blocks.Fold("The certificate in full", [blocks.Items(certificate)]),
    ]


def _expiries(rows: pd.DataFrame, name: str) -> blocks.Table:
    """Make the table of the expiries of one surface."""
    header = ["expiry", "days", "forward", "quotes", "inside", "vol RMSE, bp", "ATM vol", "skew", "convexity"]
    lines = [
        [
            blocks.Cell(str(row["date"]) or "-", kind="time"),
            number(DAYS_A_YEAR * row["t"], ",.1f"),
            number(row["forward"], ",.6g"),
            number(row["quotes"], ",.0f"),
            number(row["inside"], ".0%"),
            number(1e4 * row["rmse"], ",.0f"),
            number(row["atm"], ".2%"),
            number(row["skew"], ".3f"),
            number(row["convexity"], ".3f"),
        ]
        for row in rows.to_dict("records")
    ]
    return blocks.table(header, lines, (0,), f"{name}: expiries")
