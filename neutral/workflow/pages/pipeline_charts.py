"""Describes the charts and maps about one market on the page of `neutral pipeline`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...diagnostics import Diagnosis
from ...diagnostics.identifiability import TOGETHER
from ...diagnostics.linearisation import parameter_sizes
from ...diagnostics.residuals import MONEYNESS
from ...options.inversion import implied_stdev
from ...plot.frame import days
from ...plot.surfaces import drawn_quotes, quoted_vols
from ...times import DAYS_A_YEAR
from ..pipeline.stages import MarketRun
from . import blocks, charts
from .jumps import Fit, jumps
from .paths import folded_jumps, path
from .smiles import Smile, chosen, expiries_of, smile_chart

EDGES = (*(-x for x in reversed(MONEYNESS)), *MONEYNESS)
LEVEL = 0.9  # probability of the intervals


def drawn(run: MarketRun, history: Sequence[Mapping[str, Any]], subject: str) -> list[blocks.Block]:
    """Return the charts of one market with a diagnosis, or the reasons why they cannot be drawn."""
    diagnosis = run.diagnosis
    assert diagnosis is not None
    undetermined = diagnosis.identifiability.reason
    return [
        _or_reason("smiles", "", lambda: [smiles(run, diagnosis, subject)]),
        _or_reason(
            "map of errors", diagnosis.residuals.reason, lambda: [residual_map(run, diagnosis, subject)]
        ),
        _or_reason(
            "intervals of the parameters",
            diagnosis.uncertainty.reason,
            lambda: [intervals(diagnosis, subject)],
        ),
        _or_reason("correlations of the estimates", undetermined, lambda: [correlations(diagnosis, subject)]),
        _or_reason("directions of the parameters", undetermined, lambda: directions(diagnosis, subject)),
        blocks.Stack(parameters_over_time(history, subject)),
    ]


def _or_reason(content: str, reason: str, make: Callable[[], list[blocks.Block]]) -> blocks.Block:
    """Return what a function makes, or a sentence with the reason why it cannot be drawn."""
    if reason:
        return blocks.Text(f"Not drawn, {content}: {reason}", "note")
    made = make()
    return made[0] if len(made) == 1 else blocks.Stack(made)


def smiles(run: MarketRun, diagnosis: Diagnosis, subject: str) -> charts.Chart:
    """Make the chart of the smiles of the model over the quotes that were fitted."""
    surface: Any = diagnosis.fit.surface
    k, t, bid, ask, mid = quoted_vols(surface)
    drawn = drawn_quotes(surface)
    fitted = np.asarray(diagnosis.fit.result.prices)
    units = surface.to_rows(np.ones_like(fitted))  # of each row; nan where a row is not on the grid
    prices = (surface.to_rows(fitted) / units)[np.isfinite(units)][drawn]
    vols = np.asarray(implied_stdev(prices, k, surface.quotes().is_call[drawn])) / np.sqrt(t)
    name = str(run.record.get("model") or "model")
    found = []
    for expiry in expiries_of(run.market.frame, np.unique(t)):
        own = np.flatnonzero(t == expiry.t)
        own = own[np.argsort(k[own])]
        found.append(
            Smile(
                t=expiry.t,
                forward=expiry.forward,
                label=expiry.label,
                k=k[own],
                bid=bid[own],
                ask=ask[own],
                mid=mid[own],
                curves={name: (k[own], vols[own])},
            )
        )
    return smile_chart(
        chosen(found),
        subject=subject,
        title="Smiles",
        caption="Implied volatilities of one quote per strike, the one out of the money where there is one: "
        "bars reach from bid to ask, dots are mid prices without bid or ask, and the line joins the prices "
        "that the model gives to these quotes.",
        alt=f"Smiles of {len(found)} expiries of {subject} with the curve of {name}.",
    )


def residual_map(run: MarketRun, diagnosis: Diagnosis, subject: str) -> blocks.HeatMap:
    """Make the map of errors of volatility of the fitted quotes by moneyness and expiry, in basis points."""
    residuals = diagnosis.residuals
    used = np.asarray(diagnosis.fit.lane.used)
    values = np.where(used, 1e4 * residuals.vol, np.nan)
    finite = np.isfinite(values)
    expiries = expiries_of(run.market.frame, np.unique(residuals.t[finite]))
    column = np.digitize(residuals.k, EDGES)
    cells = np.full((len(expiries), len(EDGES) + 1), np.nan)
    for i, j in np.ndindex(cells.shape):
        cell = finite & (residuals.t == expiries[i].t) & (column == j)
        cells[i, j] = np.mean(values[cell]) if cell.any() else np.nan
    sizes = np.abs(cells[np.isfinite(cells)])
    most = float(np.quantile(sizes, 0.9)) or 1.0 if sizes.size else 1.0
    return blocks.HeatMap(
        subject=subject,
        title="Where the model misses the market",
        caption="Mean error of volatility of the fitted quotes in basis points, by expiry (rows) and "
        "log-forward moneyness (columns). Red: the model is above the market; blue: below.",
        alt=f"Errors of {int(finite.sum())} quotes; nine in ten cells are within {most:.0f} bp.",
        corner="expiry",
        rows=[expiry.date or f"{days(expiry.t)} days" for expiry in expiries],
        columns=[*(f"≤{edge:g}" for edge in EDGES), f">{EDGES[-1]:g}"],
        values=cells,
        form=".0f",
        most=most,
    )


def intervals(diagnosis: Diagnosis, subject: str) -> charts.Chart:
    """Make the chart of 90 % intervals of the parameters, in percent of their sizes."""
    uncertainty = diagnosis.uncertainty
    ends = uncertainty.intervals(LEVEL)
    values = uncertainty.values
    offsets = 100.0 * (ends - values[:, None]) / parameter_sizes(diagnosis.fit)[:, None]
    labels = [
        f"{value:.4g}, from {low:.3g} to {high:.3g}"
        if np.isfinite(low + high)
        else f"{value:.4g}, no interval"
        for value, (low, high) in zip(values, ends, strict=True)
    ]
    excluded = [name for name in diagnosis.fit.result.names if name not in uncertainty.names]
    without = f" Fixed or on a bound: {', '.join(excluded)}." if excluded else ""
    series = charts.Series(
        "interval",
        list(uncertainty.names),
        x=np.zeros(values.size),
        style="whiskers",
        low=offsets[:, 0],
        high=offsets[:, 1],
        notes=labels,
    )
    return charts.Chart(
        subject=subject,
        title="How well the quotes determine each parameter",
        caption="The 90 % interval of each parameter that follows from the noise of the quotes, less its "
        f"value, in percent of the parameter's size. Shorter is better.{without}",
        alt="; ".join(f"{name} {text}" for name, text in zip(uncertainty.names, labels, strict=True)),
        x=charts.Axis("interval less value, % of the parameter's size", unit=" %"),
        y=charts.Axis("", "names"),
        views=[charts.View([charts.Panel([series])])],
        height=max(120, 36 * values.size),
        lines={"x": 0.0},
    )


def correlations(diagnosis: Diagnosis, subject: str) -> blocks.Block:
    """Make the map of correlations of the estimates, with frames around those above 0.9 in absolute value."""
    matrix = diagnosis.identifiability
    values = np.asarray(matrix.correlation, float)
    if not np.isfinite(values).any():
        why = "a direction of parameters has no effect on any price, so there is no covariance."
        return blocks.Text(f"Not drawn, correlations of the estimates: {why}", "note")
    framed = (np.abs(values) > TOGETHER) & ~np.eye(len(values), dtype=bool)
    pairs = [
        f"{matrix.names[i]} and {matrix.names[j]}" for i, j in zip(*np.nonzero(np.triu(framed)), strict=True)
    ]
    return blocks.HeatMap(
        subject=subject,
        title="Correlations of the estimates",
        caption="A frame marks two parameters that the quotes hardly distinguish (correlation above 0.9 in "
        "size).",
        alt=f"Hardly distinguished: {', '.join(pairs)}."
        if pairs
        else "No two parameters have a correlation above 0.9 in size.",
        corner="",
        rows=matrix.names,
        columns=matrix.names,
        values=values,
        form=".2f",
        most=1.0,
        framed=framed,
    )


def directions(diagnosis: Diagnosis, subject: str) -> list[blocks.Block]:
    """Make the table of singular values with their directions."""
    rows = [
        [
            str(i + 1),
            blocks.number(row["singular_value"], ".3g"),
            "no" if row["sloppy"] else "yes",
            str(row["direction"]),
        ]
        for i, row in enumerate(diagnosis.identifiability.rows())
    ]
    header = ["direction", "singular value", "determined", "change of parameters along it, in their sizes"]
    note = "A small singular value belongs to a combination of parameters that the quotes hardly determine."
    return [
        blocks.Heading("Directions of the parameters"),
        blocks.Text(note, "note"),
        blocks.table(header, rows, (2, 3), f"{subject}: directions", stacked=True),
    ]


def parameters_over_time(history: Sequence[Mapping[str, Any]], subject: str) -> list[blocks.Block]:
    """Make the chart of parameters from fit to fit with 90 % intervals, and the table of its jumps."""
    fits = [record for record in history if record.get("parameters")]
    names = list(dict.fromkeys(name for fit in fits for name in fit["parameters"]))
    if len(fits) < 2:
        return []
    dated = all(fit.get("timestamp") for fit in fits)
    x = [str(fit["timestamp"])[:16].replace("T", " ") if dated else str(i + 1) for i, fit in enumerate(fits)]
    panels, found = [], []
    for name in names:
        estimates = [_fit(record, name) for record in fits]
        own = jumps(estimates)
        found += [((name,), jump) for jump in own]
        panels.append(charts.Panel(path("parameter", x, estimates, own), name))
    chart = charts.Chart(
        subject=subject,
        title="Parameters from fit to fit",
        caption="Parameters up to this fit with 90 % intervals; crosses are fits that did not converge, "
        "and rings are jumps with their reasons.",
        alt=f"Paths of {len(names)} parameters over {len(fits)} fits; {len(found)} jumps.",
        x=charts.Axis("", "time" if dated else "names"),
        y=charts.Axis("value"),
        views=[charts.View(panels)],
        height=150,
    )
    return [chart, *([folded_jumps(("parameter",), found, subject)] if found else [])]


def _fit(record: Mapping[str, Any], name: str) -> Fit:
    def known(value: Any) -> float:
        return np.nan if value is None else float(value)

    bounds = tuple(record.get("at_bound") or ())
    return Fit(
        time=str(record.get("timestamp") or ""),
        value=known(record["parameters"].get(name)),
        error=known((record.get("standard_errors") or {}).get(name)),
        at_bound=name in bounds,
        bounds=bounds,
        quotes=known(record.get("n_options")),
        converged=bool(record.get("converged")),
    )


def errors_by_expiry(runs: Sequence[MarketRun], names: Sequence[str]) -> charts.Chart | None:
    """Make the first picture: the error of volatility by expiry for each market; None without fits."""
    series = []
    for i, (run, name) in enumerate(zip(runs, names, strict=True)):
        t = np.array(run.record.get("maturities") or [], float)
        errors = [np.nan if x is None else 1e4 * x for x in run.record.get("iv_rmse_per_maturity") or []]
        if len(t) and len(t) == len(errors) and np.isfinite(errors).any():
            x = DAYS_A_YEAR * t
            series.append(charts.Series(name, errors, x=x, style="path", colour=i))
    if not series:
        return None
    ranges = ", ".join(f"{one.name} {np.nanmin(one.y):.0f} to {np.nanmax(one.y):.0f} bp" for one in series)
    largest = max(float(np.nanmax(np.asarray(one.y))) for one in series)
    return charts.Chart(
        title="Error of volatility, by expiry",
        caption="Root mean square error of implied volatility over the fitted quotes of each expiry, in "
        "basis points. Lower is better.",
        alt=f"Errors by expiry: {ranges}.",
        x=charts.Axis("days to expiry, log scale", "log"),
        y=charts.Axis("error of volatility, bp", unit=" bp"),
        views=[charts.View([charts.Panel(series, range=(0.0, 1.1 * largest))])],
        height=240,
    )
