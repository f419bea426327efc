"""Describes the charts of the page about volatility surfaces."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...plot.frame import days, widened
from ...plot.surfaces import quoted_vols
from ...surfaces import VolSurface
from ...times import DAYS_A_YEAR
from ..surfaces.files import title
from ..surfaces.fit import MarketSurface
from . import charts
from .smiles import Expiry, Smile, chosen, expiries_of, smile_chart

SHOWN_LINES = 9  # expiries of densities and total variances; more lines cannot be distinguished
ACROSS = 2.5  # standard deviations on either side of the forward
SHORT_STEP = 0.1  # standard deviations of the differences for skew and convexity
TENTH = 0.1  # log-moneyness by which skew and convexity are stated
ROUNDING = 1e-9  # relative; total variances that differ by less are equal
FEW = 8  # surfaces up to this number have a line each in the first picture


def expiry_rows(result: MarketSurface) -> pd.DataFrame:
    """Return a row for each expiry of a surface: quotes, errors, and the smile at the money.

    Columns: `t`, `date`, `forward`, `quotes`, `inside`, `rmse`, `atm`, `skew`, `convexity`; the errors are of
    out-of-the-money quotes, skew and convexity are derivatives of volatility by log-moneyness.
    """
    surface: Any = result.surface
    quotes: Any = result.quotes
    t = np.asarray(quotes.t, float)
    k = np.asarray(quotes.k, float)
    mask = np.asarray(quotes.mask) & np.stack([k >= 0.0, k < 0.0])
    call = np.asarray(surface.price(quotes.k, quotes.t[:, None]))
    prices = np.stack([call, call + np.expm1(k)])
    with np.errstate(invalid="ignore"):
        inside = (prices >= np.asarray(quotes.bid)) & (prices <= np.asarray(quotes.ask))
    quoted = mask & np.isfinite(np.asarray(quotes.ask))
    squared = (np.asarray(result.vols) - np.asarray(quotes.vol)) ** 2
    listed = np.flatnonzero(mask.any(axis=(0, 2)))
    frame = pd.DataFrame(
        [
            {
                "t": t[i],
                "quotes": int(mask[:, i].sum()),
                "inside": inside[:, i][quoted[:, i]].mean() if quoted[:, i].any() else np.nan,
                "rmse": np.sqrt(np.mean(squared[:, i][mask[:, i]])),
            }
            for i in listed
        ]
    ).sort_values("t", ignore_index=True)
    expiries = expiries_of(result.market.frame, frame["t"].to_numpy(float))
    atm, skew, convexity = at_the_money(surface, frame["t"].to_numpy(float))
    return frame.assign(
        date=[one.date for one in expiries],
        forward=[one.forward for one in expiries],
        atm=atm,
        skew=skew,
        convexity=convexity,
    )


def at_the_money(surface: VolSurface, t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return volatility, skew and convexity at the money: the value at k = 0 and its derivatives by k, (T,).

    The derivatives are central differences over a tenth of a standard deviation.
    """
    atm = np.asarray(surface.implied_vol(np.zeros_like(t), t))
    step = SHORT_STEP * atm * np.sqrt(t)
    below, above = (np.asarray(surface.implied_vol(sign * step, t)) for sign in (-1.0, 1.0))
    return atm, (above - below) / (2 * step), (above - 2 * atm + below) / step**2


def quality_by_expiry(results: Sequence[MarketSurface], rows: Sequence[pd.DataFrame]) -> charts.Chart:
    """Make the first picture: share inside the spread and error by expiry, a line for each surface."""
    whole = [float(result.row["inside"]) for result in results]
    by_name = ", ".join(f"{title(result)} {share:.0%}" for result, share in zip(results, whole, strict=True))
    shares, errors = [], []
    for i, (result, row) in enumerate(zip(results, rows, strict=True)):
        x = DAYS_A_YEAR * row["t"].to_numpy(float)
        notes = [
            f"{date or days(t) + ' days'}, {n} quotes"
            for date, t, n in zip(row["date"], row["t"], row["quotes"], strict=True)
        ]
        shared = {"x": x, "style": "path", "colour": i, "notes": notes}
        shares.append(charts.Series(title(result), charts.percent(row["inside"]), **shared))
        errors.append(charts.Series(title(result), 1e4 * row["rmse"].to_numpy(float), **shared))
    lowest = min([float(np.nanmin(one.y)) for one in shares if np.isfinite(one.y).any()], default=100.0)
    largest = max([float(np.nanmax(one.y)) for one in errors if np.isfinite(one.y).any()], default=1.0)
    panels = [
        charts.Panel(shares, "inside the spread, %", range=(min(70.0, lowest - 5.0), 102.0)),
        charts.Panel(errors, "error of volatility, bp", range=(0.0, 1.1 * largest)),
    ]
    return charts.Chart(
        title="How well the quotes are matched, by expiry",
        caption="First panel: the share of out-of-the-money quotes that the surface prices between bid and "
        "ask. Second: the root mean square error of their volatilities in basis points. Point at a dot for "
        "the date and the number of quotes.",
        alt=f"Share of all quotes inside the spread: {by_name}.",
        x=charts.Axis("days to expiry, log scale", "log"),
        y=charts.Axis("value"),
        views=[charts.View(panels)],
        height=230,
        columns=2,
    )


def quality_by_time(results: Sequence[MarketSurface]) -> charts.Chart:
    """Make the first picture for many surfaces of known times: the share of quotes inside the spread."""
    by_name: dict[str, list[MarketSurface]] = {}
    for result in results:
        by_name.setdefault(result.market.underlying, []).append(result)
    series = []
    for i, (name, own) in enumerate(by_name.items()):
        dated = sorted(own, key=lambda result: result.market.timestamp)
        series.append(
            charts.Series(
                name,
                charts.percent([result.row["inside"] for result in dated]),
                x=[f"{result.market.timestamp:%Y-%m-%d %H:%M}" for result in dated],
                style="path",
                colour=i,
                notes=[f"{1e4 * result.row['vol_rmse']:,.0f} bp of volatility" for result in dated],
            )
        )
    shares = charts.percent([result.row["inside"] for result in results])
    known = shares[np.isfinite(shares)]
    range_text = (
        f"{known.min():.0f} % to {known.max():.0f} % of quotes inside" if known.size else "no spreads"
    )
    return charts.Chart(
        title="Share of quotes inside the bid-ask spread, over time",
        caption="The share of all quotes of each surface that it prices within half the spread of the mid "
        "price.",
        alt=f"{len(results)} surfaces: {range_text}.",
        x=charts.Axis("", "time"),
        y=charts.Axis("inside the spread, %", unit=" %"),
        views=[charts.View([charts.Panel(series)])],
        height=260,
    )


def smiles(result: MarketSurface, rows: pd.DataFrame) -> charts.Chart:
    """Make the chart of the smiles of a surface over bid and ask."""
    surface: Any = result.surface
    quotes: Any = result.quotes
    k, t, bid, ask, mid = quoted_vols(quotes)
    found = []
    for row in rows.to_dict("records"):
        expiry = Expiry(row["t"], row["date"], row["forward"])
        own = np.flatnonzero(t == expiry.t)
        own = own[np.argsort(k[own])]
        grid = widened(k[own])[::2]
        curve = np.asarray(surface.implied_vol(grid, np.full(grid.shape, expiry.t)))
        found.append(
            Smile(
                t=expiry.t,
                forward=expiry.forward,
                label=expiry.label,
                k=k[own],
                bid=bid[own],
                ask=ask[own],
                mid=mid[own],
                curves={"surface": (grid, curve)},
            )
        )
    name = title(result)
    return smile_chart(
        chosen(found),
        subject=name,
        title="Smiles",
        caption="Implied volatilities of one quote per strike, the one out of the money where there is one: "
        "bars reach from bid to ask, dots are mid prices without bid or ask, and the line is the surface.",
        alt=f"Smiles of {len(found)} expiries of {name}; {result.row['inside']:.0%} of the quotes are "
        "inside the spread.",
    )


def solid(result: MarketSurface, rows: pd.DataFrame) -> charts.Chart:
    """Make the surface in three dimensions."""
    surface: Any = result.surface
    expiries = rows["t"].to_numpy(float)
    ends = (expiries[0], expiries[-1]) if len(expiries) > 1 else (0.7 * expiries[0], 1.4 * expiries[0])
    years = np.geomspace(*ends, 30)
    moneyness = np.linspace(-ACROSS, ACROSS, 41)
    atm = np.asarray(surface.implied_vol(np.zeros_like(years), years))
    k = moneyness[None] * (atm * np.sqrt(years))[:, None]
    vols = np.asarray(surface.implied_vol(k, np.broadcast_to(years[:, None], k.shape)))
    forwards = np.exp(np.interp(years, expiries, np.log(rows["forward"].to_numpy(float))))
    labels = [date or f"{days(t)} days" for date, t in zip(rows["date"], expiries, strict=True)]
    grid = charts.Grid(
        label=title(result),
        moneyness=moneyness,
        years=years,
        vols=charts.percent(vols),
        at_the_money=charts.percent(atm),
        forwards=forwards,
        ticks=list(zip(expiries.tolist(), labels, strict=True)),
    )
    return volume([grid], title(result))


def volume(grids: Sequence[charts.Grid], subject: str, chooser: str = "Surface") -> charts.Chart:
    """Make a chart in three dimensions of some surfaces."""
    first = grids[0]
    low, high = float(np.nanmin(first.vols)), float(np.nanmax(first.vols))
    return charts.Chart(
        subject=subject,
        title="Surface",
        caption="Implied volatility over moneyness and maturity, up to 2.5 standard deviations from the "
        "forward. Drag to turn; the buttons + and − zoom.",
        alt=f"Volatilities from {low:.1f} % to {high:.1f} %; {first.at_the_money[0]:.1f} % at the money at "
        f"the shortest and {first.at_the_money[-1]:.1f} % at the longest maturity.",
        x=charts.Axis("moneyness", "moneyness"),
        y=charts.Axis("maturity"),
        grids=grids,
        height=440,
        chooser=chooser,
    )


def term_structure(result: MarketSurface, rows: pd.DataFrame) -> charts.Chart:
    """Make the term structures of volatility, skew and convexity at the money."""
    dates = [str(date) for date in rows["date"]]
    columns = (
        ("volatility at the money, %", charts.percent(rows["atm"])),
        ("skew, vol points per 0.1 of moneyness", TENTH * charts.percent(rows["skew"])),
        ("convexity, vol points per 0.1 squared", TENTH**2 * charts.percent(rows["convexity"])),
    )
    panels = [
        charts.Panel([charts.Series(name, values, style="path", colour=i, notes=dates)], name)
        for i, (name, values) in enumerate(columns)
    ]
    view = charts.View(panels, x=DAYS_A_YEAR * rows["t"].to_numpy(float), dates=dates if all(dates) else ())
    atm = charts.percent(rows["atm"])
    return charts.Chart(
        subject=title(result),
        title="Term structures",
        caption="The smile at the money by expiry: its level, its slope and its curvature. Skew is the "
        "derivative of "
        "volatility by log-moneyness, convexity the second derivative, both scaled to a move of 0.1.",
        alt=f"Volatility at the money from {atm[0]:.1f} % at the first to {atm[-1]:.1f} % at the last of "
        f"{len(rows)} expiries.",
        x=charts.Axis("expiry", "days"),
        y=charts.Axis("value"),
        views=[view],
        height=210,
    )


def lines(result: MarketSurface, rows: pd.DataFrame) -> list[charts.Chart]:
    """Make the charts of densities and total variances of some expiries."""
    shown = rows.iloc[charts.evenly(len(rows), SHOWN_LINES)]
    few = "" if len(shown) == len(rows) else f" {len(shown)} of {len(rows)} expiries are drawn."
    t = shown["t"].to_numpy(float)[:, None]
    surface: Any = result.surface
    stdev = np.sqrt(np.asarray(surface.total_variance(np.zeros_like(t), t)))
    labels = [date or f"{days(float(one))} days" for date, one in zip(shown["date"], t[:, 0], strict=True)]
    return [
        _densities(result, t, stdev, labels=labels, few=few),
        _total_variances(result, t, stdev, labels=labels, few=few),
    ]


def _densities(
    result: MarketSurface, t: np.ndarray, stdev: np.ndarray, *, labels: Sequence[str], few: str
) -> charts.Chart:
    """Make the chart of densities at maturities of shape (T, 1), whose deviations have this shape too."""
    surface: Any = result.surface
    across = np.linspace(-4.0, 3.5, 121)[None] * np.ones_like(stdev)
    density = np.asarray(surface.density(across * stdev, t * np.ones_like(across))) * stdev
    return charts.Chart(
        subject=title(result),
        title="Risk-neutral densities",
        caption=f"Density of log(F_T / F) in its standard deviation; below 0 there would be arbitrage.{few}",
        alt=f"Densities of {len(t)} expiries; the smallest value is {float(np.nanmin(density)):.2g}.",
        x=charts.Axis("log(F_T / F) in standard deviations at the money"),
        y=charts.Axis("density"),
        views=[_bundle(labels, across, density)],
        height=280,
    )


def _total_variances(
    result: MarketSurface, t: np.ndarray, stdev: np.ndarray, *, labels: Sequence[str], few: str
) -> charts.Chart:
    """Make the chart of total variances; the arguments are those of `_densities`."""
    surface: Any = result.surface
    k = np.linspace(-3.0, 3.0, 61)[None] * float(stdev.max()) * np.ones_like(stdev)
    w = np.asarray(surface.total_variance(k, t * np.ones_like(k)))
    falls = int(np.sum(np.any(w[1:] < (1.0 - ROUNDING) * w[:-1], axis=1)))
    return charts.Chart(
        subject=title(result),
        title="Total variance",
        caption=f"Total variance vol² t over moneyness; lines that cross would show calendar arbitrage.{few}",
        alt=f"Total variances of {len(t)} expiries; {falls or 'none'} of them falls below the one before.",
        x=charts.Axis("log-forward moneyness log(K / F)"),
        y=charts.Axis("total variance", "log"),
        views=[_bundle(labels, k, w)],
        height=280,
    )


def _bundle(labels: Sequence[str], x: np.ndarray, y: np.ndarray) -> charts.View:
    """Return a view with a line for each expiry, in colours from short to long maturities."""
    series = [
        charts.Series(label, one_y, x=one_x, colour=(i + 0.5) / len(labels))
        for i, (label, one_x, one_y) in enumerate(zip(labels, x, y, strict=True))
    ]
    return charts.View([charts.Panel(series)])
