"""Writes the page of `neutral cube`: what the cube contains, its smiles over time, and what was refused."""

from pathlib import Path
from typing import Any

import numpy as np

from ...ml import VolCube, summarise_cube
from ...shipped import CODE_VERSION
from ..surfaces.cube import CubeBuild
from . import blocks, charts, render

SHOWN_SURFACES = 24  # dates of the chart in three dimensions
SHOWN_DATES = 600  # dates of a path; more are thinned evenly
SHOWN_ROWS = 200  # refused markets that are listed
MATURITIES = 3  # maturities of the paths
PATHS = {  # title of a panel: the factor from the unit of the derivative to that of the title
    "volatility at the money, %": 100.0,
    "skew, vol points per 0.1 of moneyness": 10.0,
    "convexity, vol points per 0.1 squared": 1.0,
}


def write_page(built: CubeBuild, path: Path) -> Path:
    """Write the page of a cube beside its file, with the ending `.html`.

    Args:
        built: The cube, and the rows of all markets.
        path: The file of the cube.

    Returns:
        The path of the page.

    Raises:
        NeutralError: Jinja2 is not installed, or the page cannot be written.
    """
    render.check_installed()
    page = render.within_limit(lambda drawn: content(built, drawn), SHOWN_SURFACES)
    return render.write_page(path.with_name(f"{path.name.removesuffix('.npz')}.html"), page)


def content(built: CubeBuild, surfaces: int) -> blocks.Page:
    """Return the content of the page.

    Args:
        built: As for `write_page`.
        surfaces: The number of surfaces among which the chart in three dimensions lets readers choose.
    """
    cube = built.cube
    dates, maturities, strikes = (len(cube), *cube.values.shape[2:])
    grid = f"{dates} surfaces of {maturities} maturities and {strikes} strikes; neutral {CODE_VERSION}"
    sections = []
    if len(cube):
        sections.append(blocks.Section("Surfaces", [_volume(cube, surfaces)], "surfaces"))
        sections.append(blocks.Section("Static arbitrage on the grid", _tests(cube), "arbitrage"))
    refused = _refused(built)
    if refused:
        sections.append(blocks.Section("Refused", refused, "refused"))
    return blocks.Page(
        title="Cube of volatilities",
        note=grid,
        answer=_answer(built),
        sections=sections,
        first=[_paths(cube)] if len(cube) else [],
    )


def _answer(built: CubeBuild) -> list[blocks.Block]:
    """State what the cube contains, and what failed."""
    cube = built.cube
    rows: Any = built.rows
    inside = rows["position"].notna()
    free = int(rows.loc[inside, "free"].astype(bool).sum()) if "free" in rows else 0
    if not len(cube):
        return [blocks.Text(f"The cube is empty: all {len(rows)} sets of quotes were refused.", "lead")]
    names = ", ".join(dict.fromkeys(map(str, cube.assets)))
    known = cube.dates[~np.isnat(cube.dates)]
    span = (
        f" from {known.min().astype('datetime64[D]')} to {known.max().astype('datetime64[D]')}"
        if known.size
        else ""
    )
    volatilities = cube.channel("iv")
    filled = float(np.mean(np.isfinite(volatilities)))
    lead = f"{len(cube)} surfaces of {names}{span}; {filled:.1%} of the grid has a volatility."
    good = free == len(cube) == len(rows)
    certified = f"{free} of {len(cube)} surfaces are certified free of static arbitrage"
    left = (
        f"; {len(rows) - len(cube)} of {len(rows)} sets of quotes were refused"
        if len(rows) > len(cube)
        else ""
    )
    return [blocks.Text(lead, "lead"), blocks.Text(f"{certified}{left}.", "good" if good else "reason")]


def at_the_money(cube: VolCube) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return volatility, skew and convexity at the forward, (N, T); nan where it is outside of the grid.

    The derivatives by log-moneyness are those of the parabola through the three points next to the forward.
    """
    k = cube.log_moneyness
    vol = cube.channel("iv")
    shape = (*vol.shape[:2], 3)
    found = np.full(shape, np.nan)
    for place in np.ndindex(*vol.shape[:2]):
        x, y = k[place], vol[place]
        if len(x) < 3 or not x[0] <= 0.0 <= x[-1]:
            continue
        first = int(np.clip(np.argmin(np.abs(x)) - 1, 0, len(x) - 3))
        three = slice(first, first + 3)
        if np.isfinite(y[three]).all():
            curvature, slope, level = np.polyfit(x[three], y[three], 2)
            found[place] = level, slope, 2.0 * curvature
    return found[..., 0], found[..., 1], found[..., 2]


def _paths(cube: VolCube) -> charts.Chart:
    """Make the paths of volatility, skew and convexity at the money, with a view for each maturity."""
    days = np.asarray(cube.grid.days)
    shown = charts.evenly(len(days), MATURITIES)
    values = at_the_money(cube)
    views = []
    for j in shown:
        panels = [
            charts.Panel(_by_asset(cube, scale * value[:, j]), title)
            for (title, scale), value in zip(PATHS.items(), values, strict=True)
        ]
        views.append(charts.View(panels, label=f"{days[j]:g} days"))
    atm = 100.0 * values[0][:, shown[0]]
    finite = atm[np.isfinite(atm)]
    range_text = f"from {finite.min():.1f} % to {finite.max():.1f} %" if finite.size else "not known"
    return charts.Chart(
        title="The smile at the money over time",
        caption="Level, slope and curvature of volatility at the forward, by date and for one maturity of "
        "the grid. Skew is the derivative of volatility by log-moneyness, convexity the second derivative, "
        "both scaled to a move of 0.1.",
        alt=f"Volatility at the money for {days[shown[0]]:g} days: {range_text} over {len(cube)} surfaces.",
        x=charts.Axis("", "time"),
        y=charts.Axis("value"),
        views=views,
        height=200,
        chooser="Maturity",
    )


def _by_asset(cube: VolCube, values: np.ndarray) -> list[charts.Series]:
    """Return a path of values, (N,), for each asset over its known dates."""
    series = []
    for i, name in enumerate(dict.fromkeys(map(str, cube.assets))):
        own = np.flatnonzero((cube.assets == name) & ~np.isnat(cube.dates))
        own = own[charts.evenly(len(own), SHOWN_DATES)]
        times = [str(one).replace("T", " ") for one in cube.dates[own]]
        series.append(charts.Series(name, values[own], x=times, style="path", colour=i))
    return series


def _volume(cube: VolCube, surfaces: int) -> charts.Chart:
    """Make the chart in three dimensions, with a choice of dates."""
    picks = charts.evenly(len(cube), surfaces)
    years = cube.grid.maturities
    ticks = [(float(t), f"{day:g} d") for t, day in zip(years, cube.grid.days, strict=True)]
    grids = [
        charts.Grid(
            label=f"{cube.assets[i]} {str(cube.dates[i]).replace('T', ' ').removesuffix(':00')}",
            moneyness=np.asarray(cube.grid.moneyness),
            years=years,
            vols=100.0 * cube.channel("iv")[i],
            at_the_money=np.full(len(years), np.nan),
            forwards=np.full(len(years), np.nan),
            ticks=ticks,
            fixed="strike / spot",
        )
        for i in picks
    ]
    drawn = np.concatenate([grid.vols.ravel() for grid in grids])
    few = "" if len(picks) == len(cube) else f" {len(picks)} of {len(cube)} dates can be chosen."
    return charts.Chart(
        title="Surfaces of the cube",
        caption=f"Implied volatility over strike / spot and maturity. Drag to turn.{few}",
        alt=f"Volatilities from {np.nanmin(drawn):.1f} % to {np.nanmax(drawn):.1f} %.",
        x=charts.Axis("strike / spot"),
        y=charts.Axis("maturity"),
        grids=grids,
        height=440,
        chooser="Date",
    )


def _tests(cube: VolCube) -> list[blocks.Block]:
    """Make the table of both static tests on the grid."""
    summary = summarise_cube(cube)
    rows = []
    for test in (summary.forward_moneyness, summary.fixed_strike):
        bad = int(np.sum(test.violating))
        total = sum(int(np.sum(count)) for count in test.counts.values())
        numbers = [blocks.number(x, ",d") for x in (len(cube) - summary.incomplete, bad, total)]
        rows.append([test.name, *numbers, test.first or "-"])
    header = ["test", "surfaces", "with violations", "violations", "the first one"]
    note = (
        "Calls of two maturities must be compared at equal forward moneyness. The test at fixed strikes is "
        "the common one; it "
        "reports arbitrage where there is none as soon as forwards fall, and misses some where they rise."
    )
    return [blocks.Text(note, "note"), blocks.table(header, rows, (0, 4), "Static tests", stacked=True)]


def _refused(built: CubeBuild) -> list[blocks.Block]:
    """Make the tables of the markets that are not in the cube, with their reasons."""
    rows: Any = built.rows
    refused = rows[rows["position"].isna()]
    if refused.empty:
        return []
    header = ["underlying", "time", "file", "status", "message"]
    names = ("currency", "snapshot_ts", "file", "status", "message")
    lines = [
        [str(row.get(name, "-")) for name in names] for row in refused.head(SHOWN_ROWS).to_dict("records")
    ]
    hidden = len(refused) - len(lines)
    more = [blocks.Text(f"The CSV file beside the cube lists {hidden} more.", "note")] if hidden else []
    return [blocks.table(header, lines, range(5), "Refused", stacked=True), *more]
