"""Describes the charts of the page about calibrations, from the rows of the tables of results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...plot.frame import NINETY
from ...times import DAYS_A_YEAR
from ..calibrate.summary import by_model, summarise
from ..outcome import REFUSED
from ..recipes import RECIPES, number_columns
from . import blocks, charts
from .jumps import Jump, fits_of, jumps
from .smiles import Smile, chosen, expiries_of, smile_chart
from .volatility import out_of_the_money, volatilities

K_EDGES = (-np.inf, -0.4, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4, np.inf)
DAY_EDGES = (0.0, 3.0, 7.0, 14.0, 30.0, 60.0, 120.0, 240.0, np.inf)
MOST = 1.0  # error of the full colour, in spreads
FEWEST = 5  # number of quotes below which a cell is empty
SHOWN_FITS = 400  # points of a path; more of them are thinned evenly, which no screen can show


def share_inside(fits: pd.DataFrame, split: str) -> charts.Chart:
    """Make the first picture: the share of quotes inside the spread, by model, for each snapshot and for all.

    Args:
        fits: The table in `fits.parquet`.
        split: "test" or "train": the quotes that are counted.
    """
    lines = summarise(fits).lines
    several = len({line.underlying for line in lines}) > 1
    pooled = {(line.underlying, line.model): (line.inside if split == "test" else np.nan) for line in lines}
    names, dots, series = [], {}, []
    for underlying, model, rows in by_model(fits):
        name = f"{underlying} {model}" if several else model
        share = charts.percent(rows.loc[rows["converged"].astype(bool), f"inside_{split}"])
        names.append(name)
        dots[name] = share
        if split == "train":
            pooled[underlying, model] = float(np.nanmean(share)) / 100 if np.isfinite(share).any() else np.nan
    whole = 100 * np.array(list(pooled.values()))
    series = [
        charts.Series(
            "each snapshot",
            [name for name, share in dots.items() for _ in share],
            x=np.concatenate(list(dots.values())) if dots else [],
            style="dots",
            colour=charts.QUIET,
        ),
        charts.Series(
            "all snapshots", names, x=whole, style="whiskers", notes=[f"{x:.1f} % inside" for x in whole]
        ),
    ]
    shares = ", ".join(f"{name} {x:.1f} %" for name, x in zip(names, whole, strict=True))
    quotes = "held-out" if split == "test" else "fitted"
    return charts.Chart(
        title=f"Share of {quotes} quotes inside the bid-ask spread",
        caption=f"The share of {quotes} quotes whose model price is at most half the spread from the mid "
        "price: a large dot for all converged fits together, a grey dot for each snapshot. Further to the "
        "right is better.",
        alt=f"Share of {quotes} quotes inside the spread: {shares}.",
        x=charts.Axis("share of quotes inside the spread, %", unit=" %"),
        y=charts.Axis("", "names"),
        views=[charts.View([charts.Panel(series)])],
        height=max(90, 34 * len(names)),
    )


def smiles(quotes: pd.DataFrame, fits: pd.DataFrame, times: Sequence[str], underlying: str) -> charts.Chart:
    """Make the chart of the smiles of some snapshots of one underlying.

    Args:
        quotes: Rows of `quotes.parquet` of the underlying.
        fits: Rows of `fits.parquet` of the underlying that were not refused.
        times: The snapshots to draw, the first one first.
        underlying: Its name.
    """
    rows = quotes.loc[quotes["snapshot_ts"].isin(list(times)) & out_of_the_money(quotes)]
    models = [model for model in fits["model"].unique() if RECIPES[model].price_column in rows]
    prices = {model: RECIPES[model].price_column for model in models}
    vols = volatilities(rows, ["bid_price", "ask_price", "mid_price_clean", *prices.values()])
    rows = rows.assign(**{f"vol_{name}": vol for name, vol in vols.items()})
    found: list[Smile] = []
    for time in times:
        snapshot = rows.loc[rows["snapshot_ts"] == time]
        found += chosen(_snapshot(snapshot, prices, time))
    return smile_chart(
        found,
        subject=underlying,
        title="Smiles",
        caption="Implied volatilities of out-of-the-money quotes: bars reach from bid to ask, and lines "
        "join the "
        "prices that each model gives to these quotes. A model is good where its line runs through the bars.",
        alt=f"Smiles of {len(times)} snapshots of {underlying} with the curves of {', '.join(models)}.",
    )


def _snapshot(rows: pd.DataFrame, prices: Mapping[str, str], time: str) -> list[Smile]:
    """Return the smiles of one snapshot."""
    found = []
    for expiry in expiries_of(rows, np.unique(rows["maturity"])):
        part = rows.loc[rows["maturity"] == expiry.t].sort_values("log_moneyness")
        k = part["log_moneyness"].to_numpy(float)
        bid, ask, mid = (
            part[f"vol_{name}"].to_numpy(float) for name in ("bid_price", "ask_price", "mid_price_clean")
        )
        curves = {model: (k, part[f"vol_{column}"].to_numpy(float)) for model, column in prices.items()}
        found.append(
            Smile(
                t=expiry.t,
                forward=expiry.forward,
                label=expiry.label,
                k=k,
                bid=bid,
                ask=ask,
                mid=mid,
                curves={model: curve for model, curve in curves.items() if np.isfinite(curve[1]).any()},
                group=time,
            )
        )
    return found


def error_maps(quotes: pd.DataFrame, models: Sequence[str], underlying: str) -> list[blocks.Block]:
    """Make a map of the median of (model - mid) / spread by moneyness and maturity for each model."""
    days = pd.cut(DAYS_A_YEAR * quotes["maturity"], DAY_EDGES)
    moneyness = pd.cut(quotes["log_moneyness"], K_EDGES)
    maps: list[blocks.Block] = []
    for model in models:
        error = (quotes[RECIPES[model].price_column] - quotes["mid_price_clean"]) / quotes["spread"]
        cells = error.groupby([days, moneyness], observed=False)
        values = cells.median().where(cells.count() >= FEWEST).unstack().to_numpy(float)
        within = (
            float(np.mean(np.abs(values[np.isfinite(values)]) <= 0.5)) if np.isfinite(values).any() else 0.0
        )
        maps.append(
            blocks.HeatMap(
                subject=underlying,
                title=f"Where {model} misses the market",
                caption="",
                alt=f"The median error is inside the spread in {within:.0%} of the cells.",
                corner="days",
                rows=_intervals(DAY_EDGES),
                columns=_intervals(K_EDGES),
                values=values,
                form=".1f",
                most=MOST,
            )
        )
    note = blocks.Text(
        "The maps show where the models miss the market: the median of (model - mid) / spread over all "
        "quotes of a cell, by days to expiry (rows) and log-forward moneyness (columns). Red: the model is "
        "too dear; blue: too cheap; up to 0.5 in size is inside the spread.",
        "note",
    )
    return [note, blocks.Group(maps)]


def _intervals(edges: Sequence[float]) -> list[str]:
    """Name the intervals between edges by their upper end, the last one by its lower end."""
    inner = [f"≤{high:g}" for high in edges[1:-1]]
    return [*inner, f">{edges[-2]:g}"]


def paths(
    fits: pd.DataFrame, models: Sequence[str], underlying: str
) -> tuple[charts.Chart | None, list[tuple[str, str, Jump]]]:
    """Make the chart of parameters over time with 90 % intervals, and list their jumps.

    Args:
        fits: Rows of `fits.parquet` of one underlying that were not refused.
        models: Names of the models.
        underlying: Its name.

    Returns:
        The chart, None if no fit has parameters, and for each jump the model, the parameter and the jump.
    """
    panels = []
    found: list[tuple[str, str, Jump]] = []
    for name in number_columns(models):
        series: list[charts.Series] = []
        for i, model in enumerate(models):
            rows: Any = fits.loc[(fits["model"] == model) & fits[name].notna()].sort_values("snapshot_ts")
            if rows.empty or name not in RECIPES[model].columns.values():
                continue
            own = jumps(fits_of(rows, name))
            found += [(model, name, jump) for jump in own]
            series += _path(rows, name, model, i, own)
        if series:
            panels.append(charts.Panel(series, name))
    if not panels:
        return None, []
    chart = charts.Chart(
        subject=underlying,
        title="Parameters over time",
        caption="Estimates with 90 % intervals; crosses are fits that did not converge, and rings are "
        "jumps, whose reasons are in the table below and appear when you point at them. The vertical axes "
        "follow the estimates: wide intervals are cut.",
        alt=f"Paths of {len(panels)} parameters over {fits['snapshot_ts'].nunique()} snapshots, "
        f"{len(found)} jumps.",
        x=charts.Axis("", "time"),
        y=charts.Axis("value"),
        views=[charts.View(panels)],
        height=150,
    )
    return chart, found


def _path(rows: pd.DataFrame, name: str, model: str, colour: int, own: Sequence[Jump]) -> list[charts.Series]:
    """Return the path of one parameter of one model, and rings at its jumps."""
    times = [time.replace("T", " ").removesuffix("Z") for time in rows["snapshot_ts"]]
    values = rows[name].to_numpy(float)
    half = NINETY * (
        rows[f"{name}_se"].to_numpy(float) if f"{name}_se" in rows else np.full(len(rows), np.nan)
    )
    places = thinned(len(rows), {jump.position for jump in own})
    crossed = ~rows["converged"].to_numpy(bool)
    path = charts.Series(
        model,
        values[places],
        x=[times[i] for i in places],
        style="path",
        colour=colour,
        low=(values - half)[places],
        high=(values + half)[places],
        crossed=crossed[places].tolist(),
    )
    if not own:
        return [path]
    rings = charts.Series(
        "jump",
        [jump.after.value for jump in own],
        x=[times[jump.position] for jump in own],
        style="marks",
        colour=colour,
        notes=[
            f"{model} jumps from {jump.before.value:.4g} to {jump.after.value:.4g}: {jump.reason}"
            for jump in own
        ],
    )
    return [path, rings]


def thinned(n: int, kept: set[int] | None = None) -> np.ndarray:
    """Return about `SHOWN_FITS` of n positions, evenly spaced from first to last, and those `kept`."""
    even = np.linspace(0, n - 1, min(n, SHOWN_FITS)).round().astype(int)
    return np.unique([*even, *(kept or ())]).astype(int)


def jump_table(found: Sequence[tuple[str, str, Jump]], underlying: str) -> blocks.Table:
    """Make the table of jumps with their reasons."""
    header = ["snapshot", "model", "parameter", "from", "to", "why"]
    rows = [
        [
            jump.after.time,
            model,
            name,
            blocks.number(jump.before.value, ".4g"),
            blocks.number(jump.after.value, ".4g"),
            jump.reason,
        ]
        for model, name, jump in found
    ]
    return blocks.table(header, rows, (0, 1, 2, 5), f"{underlying}: jumps of parameters", stacked=True)


def usable(fits: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of snapshots that were not refused."""
    rows: Any = fits[fits["status"] != REFUSED]
    return rows
