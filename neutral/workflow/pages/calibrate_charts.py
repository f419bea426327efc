"""Describes the charts of the page about calibrations, from the rows of the tables of results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...times import DAYS_A_YEAR
from ..calibrate.summary import Split, by_model, summarise
from ..outcome import REFUSED
from ..recipes import RECIPES, number_columns
from . import blocks, charts
from .jumps import fits_of, jumps
from .paths import Named, path
from .smiles import Smile, chosen, expiries_of, smile_chart
from .volatility import out_of_the_money, volatilities

K_EDGES = (-np.inf, -0.4, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4, np.inf)
DAY_EDGES = (0.0, 3.0, 7.0, 14.0, 30.0, 60.0, 120.0, 240.0, np.inf)
MOST = 1.0  # error of the full colour, in spreads
FEWEST = 5  # number of quotes below which a cell is empty


def share_inside(fits: pd.DataFrame, split: Split) -> charts.Chart:
    """Make the first picture: the share of quotes inside the spread, by model, for each snapshot and for all.

    Args:
        fits: The table in `fits.parquet`.
        split: "test" or "train": the quotes that are counted.
    """
    lines = summarise(fits).lines
    several = len({line.underlying for line in lines}) > 1
    names = [f"{line.underlying} {line.model}" if several else line.model for line in lines]
    whole = 100.0 * np.array([line.inside_of(split) for line in lines])
    dots = [
        charts.percent(rows.loc[rows["converged"].astype(bool), f"inside_{split}"])
        for _, _, rows in by_model(fits)
    ]
    series = [
        charts.Series(
            "each snapshot",
            [name for name, share in zip(names, dots, strict=True) for _ in share],
            x=np.concatenate(dots),
            style="dots",
            colour=charts.QUIET,
        ),
        charts.Series(
            "all snapshots", names, x=whole, style="whiskers", notes=[f"{x:.1f} % inside" for x in whole]
        ),
    ]
    known = [f"{name} {x:.1f} %" for name, x in zip(names, whole, strict=True) if np.isfinite(x)]
    quotes = "held-out" if split == "test" else "fitted"
    return charts.Chart(
        title=f"Share of {quotes} quotes inside the bid-ask spread",
        caption=f"The share of {quotes} quotes whose model price is at most half the spread from the mid "
        "price: a large dot for all converged fits together, a grey dot for each snapshot. Further to the "
        "right is better.",
        alt=f"Share of {quotes} quotes inside the spread: {', '.join(known)}.",
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


def parameters_over_time(
    fits: pd.DataFrame, models: Sequence[str], underlying: str
) -> tuple[charts.Chart | None, list[Named]]:
    """Make the chart of parameters over time with 90 % intervals, and list their jumps.

    Args:
        fits: Rows of `fits.parquet` of one underlying that were not refused.
        models: Names of the models.
        underlying: Its name.

    Returns:
        The chart, None if no fit has parameters, and the jumps with the names of model and parameter.
    """
    panels = []
    found: list[Named] = []
    for name in number_columns(models):
        series: list[charts.Series] = []
        for i, model in enumerate(models):
            rows: Any = fits.loc[(fits["model"] == model) & fits[name].notna()].sort_values("snapshot_ts")
            if rows.empty or name not in RECIPES[model].columns.values():
                continue
            times = [time.replace("T", " ").removesuffix("Z") for time in rows["snapshot_ts"]]
            estimates = fits_of(rows, name)
            own = jumps(estimates)
            found += [((model, name), jump) for jump in own]
            series += path(model, times, estimates, own, colour=i)
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


def usable(fits: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of snapshots that were not refused."""
    rows: Any = fits[fits["status"] != REFUSED]
    return rows
