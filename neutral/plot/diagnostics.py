"""Figures of a diagnosis: where a fit misses, what its parameters are worth, what each quote does to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..diagnostics import Diagnosis, Sensitivities
from ..diagnostics.identifiability import TOGETHER
from ..diagnostics.linearisation import parameter_sizes
from ..diagnostics.residuals import MONEYNESS
from ..errors import ArgumentError
from .frame import NINETY, days, draw_band, heat_map, panels, said, tidy_dates

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Unit = Literal["vol", "price", "spreads"]

_UNITS = {
    "vol": (1e4, ".0f", "basis points of volatility"),
    "price": (1e4, ".1f", "basis points of the forward"),
    "spreads": (1.0, ".2f", "bid-ask spreads"),
}
_EDGES = (*(-x for x in reversed(MONEYNESS)), *MONEYNESS)
_FARTHEST = 150.0  # percent of its size, to which an interval is drawn
_SEEN, _UNSEEN = "C0", "C3"
_DECADES = 6.0  # below the largest singular value, to which bars are drawn
_MOST = 0.9  # share of the cells within the scale of colours: one far off does not pale the others


def residual_map(diagnosis: Diagnosis, unit: Unit = "vol", *, title: str | None = None) -> Figure:
    """Mean of model less market of the fitted quotes, by moneyness and expiry: red where the model is above.

    Args:
        diagnosis: Of one fit.
        unit: "vol", basis points of implied volatility; "price", basis points of the forward; "spreads".
        title: Title of the figure.

    Returns:
        A matplotlib figure, also where there are no residuals: it says why.

    Raises:
        ArgumentError: unit is of another kind.
        NeutralError: matplotlib is not installed.
    """
    if unit not in _UNITS:
        raise ArgumentError(f"unit must be one of {', '.join(get_args(Unit))}, got {unit!r}.")
    scale, form, words = _UNITS[unit]
    found, fit = diagnosis.residuals, diagnosis.fit
    values = np.where(np.asarray(fit.lane.used), scale * getattr(found, unit), np.nan)
    known = np.isfinite(values)
    if not known.any():
        return said(f"No residuals: {found.reason or f'no fitted quote has one in {words}.'}", title)
    expiries = np.unique(found.t[known])
    column, row = np.digitize(found.k, _EDGES), np.searchsorted(expiries, found.t)
    cells = np.full((expiries.size, len(_EDGES) + 1), np.nan)
    for i, j in np.ndindex(cells.shape):
        here = known & (row == i) & (column == j)
        if here.any():
            cells[i, j] = np.mean(values[here])
    figure, (axes,) = panels(1, 1, (6.4, max(1.7, 0.9 + 0.28 * expiries.size)))
    image = heat_map(axes, cells, _largest(cells, _MOST), form)
    axes.set_xticks(np.arange(len(_EDGES)) + 0.5, [f"{x:g}" for x in _EDGES])
    axes.set_yticks(np.arange(expiries.size), [days(t) for t in expiries])
    axes.set(xlabel="log-forward moneyness  log(K / F)", ylabel="maturity, days", title=title or "")
    figure.colorbar(image, ax=axes, label=f"model less market,\n{words}", extend="both")
    return figure


def intervals(diagnosis: Diagnosis, level: float = 0.9, *, title: str | None = None) -> Figure:
    """Confidence intervals of the parameters in percent of their sizes, with the values written beside.

    A size is the parameter's absolute value, at least a tenth of the typical one; 1 for a correlation.

    Args:
        diagnosis: Of one fit.
        level: Of the intervals.
        title: Title of the figure.

    Raises:
        ArgumentError: level is not between 0 and 1.
    """
    found = diagnosis.uncertainty
    if found.reason:
        return said(f"No intervals: {found.reason}", title)
    ends, values = found.intervals(level), found.values
    offsets = 100.0 * (ends - values[:, None]) / parameter_sizes(diagnosis.fit)[:, None]
    rows = np.arange(values.size)
    figure, (axes,) = panels(1, 1, (6.4, 0.6 + 0.34 * values.size))
    axes.barh(rows, np.ptp(offsets, axis=1), left=offsets[:, 0], height=0.5, color=_SEEN, alpha=0.35)
    axes.plot(np.zeros(values.size), rows, "|", color=_SEEN, ms=11, mew=2)
    reach = min(1.08 * _largest(offsets), _FARTHEST)
    axes.set_xlim(-reach, reach)
    axes.set_yticks(rows, found.names)
    axes.invert_yaxis()
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(rows, [_written(*line) for line in zip(values, *ends.T, strict=True)])
    beside.tick_params(length=0)
    beside.spines["right"].set_visible(False)
    axes.set(xlabel=f"{level:.0%} interval less value, percent of the parameter's size", title=title or "")
    held = [name for name in diagnosis.fit.result.names if name not in found.names]
    if held:
        figure.supxlabel(f"fixed or on a bound: {', '.join(held)}", fontsize="small")
    _light(axes)
    return figure


def correlations(diagnosis: Diagnosis, *, title: str | None = None) -> Figure:
    """Correlations of the estimates; a frame around those above 0.9 in size.

    Args:
        diagnosis: Of one fit.
        title: Title of the figure.
    """
    found = diagnosis.identifiability
    if found.reason or not np.any(np.isfinite(found.correlation)):
        why = found.reason or "a direction has no effect on any price, so that there is no covariance."
        return said(f"No correlations: {why}", title)
    n = len(found.names)
    side = 1.1 + 0.42 * n if n < 12 else 7.6
    figure, (axes,) = panels(1, 1, (side + 1.0, side))
    image = heat_map(axes, found.correlation, 1.0, ".2f", 8.5 if n < 12 else 5.5)
    for i, j in zip(*np.nonzero(np.abs(found.correlation) > TOGETHER), strict=True):
        if i != j:
            axes.add_patch(_frame(j, i))
    axes.set_xticks(range(n), found.names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), found.names)
    axes.set_title(title or "")
    figure.colorbar(image, ax=axes, label="correlation of the estimates", shrink=0.8)
    return figure


def directions(diagnosis: Diagnosis, *, title: str | None = None) -> Figure:
    """Singular values of the scaled Jacobian, and the components of the directions that are not seen.

    Where all are seen, those of the one that is seen least.

    Args:
        diagnosis: Of one fit.
        title: Title of the figure.
    """
    found = diagnosis.identifiability
    if found.reason:
        return said(f"No directions: {found.reason}", title)
    n, lost = len(found.names), found.sloppy
    shown = np.flatnonzero(lost) if lost.any() else np.array([n - 1])
    shown = shown[::-1][:3]  # the worst ones
    figure, (left, *others) = panels(1 + shown.size, 4, (2.9, 0.7 + 0.3 * n))
    floor = found.singular_values[0] * 10.0**-_DECADES
    colours = [_UNSEEN if unseen else _SEEN for unseen in lost]
    left.barh(range(n), np.maximum(found.singular_values, floor), color=colours, alpha=0.75)
    least = max(found.singular_values[-1], floor)
    left.set(xscale="log", xlim=(least / 3.0, None), xlabel="singular value", ylabel="direction")
    left.xaxis.set_minor_formatter(
        ""
    )  # of less than two decades all ticks would have numbers, on one another
    left.set_yticks(range(n), [f"{i + 1}" for i in range(n)])
    left.set_title(f"{found.effective_rank} of {n} seen", fontsize="medium")
    for axes, i in zip(others, shown, strict=True):
        axes.barh(range(n), found.directions[i], color=colours[i], alpha=0.75)
        axes.set(xlim=(-1.05, 1.05), xlabel="component")
        axes.set_yticks(range(n), found.names)
        axes.axvline(0.0, color="0.4", lw=0.8)
        axes.set_title(f"direction {i + 1}: {'not seen' if lost[i] else 'seen least'}", fontsize="medium")
    for axes in (left, *others):
        axes.invert_yaxis()
        _light(axes)
    figure.suptitle(title or "")
    return figure


def vega_ladder(ladder: Sensitivities, *, title: str | None = None) -> Figure:
    """Change of one number per percentage point of each quoted volatility, over expiry and strike.

    Call and put of a strike are added, the sum of each expiry is written at its end.

    Args:
        ladder: Of `neutral.sensitivities`, of a function with one value.
        title: Title of the figure.

    Raises:
        ArgumentError: the ladder is of several values.
    """
    if np.ndim(ladder.vols) != 3:
        shape = np.shape(ladder.value)
        raise ArgumentError(f"a ladder is drawn of one number; this one is of shape {shape}.")
    if ladder.reason:
        return said(f"No ladder: {ladder.reason}", title)
    surface = ladder.surface
    known = np.any(np.asarray(surface.mask), axis=0)
    moves, k = np.sum(ladder.vols, axis=0) / 100.0, np.asarray(surface.k)
    rows = np.flatnonzero(known.any(axis=1))
    figure, (axes,) = panels(1, 1, (8.4, 0.9 + 0.32 * rows.size))
    most = _largest(np.where(known, moves, np.nan))
    image: Any = None
    for i, row in enumerate(rows):
        order = np.argsort(k[row, known[row]])
        strikes, values = (x[row, known[row]][order] for x in (k, moves))
        image = axes.pcolormesh(
            _cells(strikes), [i - 0.42, i + 0.42], values[None], cmap="RdBu_r", vmin=-most, vmax=most
        )
    total = [f"{moves[row, known[row]].sum():+.2g}" for row in rows]
    axes.set_yticks(range(rows.size), [days(float(surface.t[row])) for row in rows])
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(range(rows.size), total)
    beside.tick_params(length=0)
    axes.invert_yaxis()
    axes.set(xlabel="log-forward moneyness  log(K / F)", ylabel="maturity, days")
    axes.set_title(title or f"change of the value, {float(ladder.value):.4g}, per percentage point")
    axes.axvline(0.0, color="0.4", lw=0.6)
    bar = figure.colorbar(image, ax=axes, label="per strike; beside the map, per expiry", pad=0.01)
    bar.ax.ticklabel_format(axis="y", scilimits=(-2, 3))
    return figure


def history(records: Sequence[Mapping[str, Any]], *, title: str | None = None) -> Figure:
    """Parameters from fit to fit with 90 % intervals, a panel each; crosses: fits that did not converge.

    Args:
        records: Fits of one market and model in order of time, each with "parameters" and "standard_errors"
            by name, "timestamp" in ISO form, "converged". Where a time is not known all are numbered.
        title: Title of the figure.
    """
    fits = [record for record in records if record.get("parameters")]
    names = list(dict.fromkeys(name for fit in fits for name in fit["parameters"]))
    if not fits:
        return said("No history: no fit has parameters.", title)
    stamps = [fit.get("timestamp") for fit in fits]
    dated = all(stamps)
    x = np.array([datetime.fromisoformat(str(s)) for s in stamps] if dated else range(1, len(fits) + 1))
    good = np.array([bool(fit.get("converged")) for fit in fits])
    figure, drawn = panels(len(names), 3, (3.5, 1.9))
    for axes, name in zip(drawn, names, strict=True):
        values, errors = (_numbers(fits, kind, name) for kind in ("parameters", "standard_errors"))
        axes.plot(x[good], values[good], color="C0", lw=1.0, marker=".", ms=6)
        axes.plot(x[~good], values[~good], "x", color=_UNSEEN, ms=5)
        draw_band(axes, x[good], values[good], errors[good], "C0")
        axes.errorbar(x[good], values[good], NINETY * errors[good], fmt="none", ecolor="C0", elinewidth=0.8)
        axes.set_ylim(*_around(values, NINETY * errors))
        axes.set_title(name, fontsize="medium")
        axes.tick_params(labelsize="x-small")
        if len(fits) == 1:
            axes.set_xticks(x, [str(stamps[0])[:16].replace("T", " ") if dated else "1"])
        elif dated:
            tidy_dates(axes)
        else:
            axes.locator_params(axis="x", integer=True)
        _light(axes)
    figure.suptitle(title or "")
    return figure


def _numbers(fits: Sequence[Mapping[str, Any]], kind: str, name: str) -> np.ndarray:
    """One number of each fit, nan where it is not known."""
    return np.array([(fit.get(kind) or {}).get(name) for fit in fits], float)


def _around(values: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    """Limits around a path and its median interval: one that is hardly known does not hide the others."""
    known = half[np.isfinite(half)]
    margin = float(np.median(known)) if known.size else 0.0
    low, high = float(np.nanmin(values)) - margin, float(np.nanmax(values)) + margin
    room = 0.08 * (high - low) or 0.1 * abs(low) or 0.1
    return low - room, high + room


def _largest(values: np.ndarray, share: float = 1.0) -> float:
    """Largest size of the finite ones, or of a share of them; 1 where it is 0 or there is none."""
    known = np.abs(values[np.isfinite(values)])
    return float(np.quantile(known, share)) or 1.0 if known.size else 1.0


def _written(value: float, low: float, high: float) -> str:
    return f"{value:.4g}  [{low:.3g}, {high:.3g}]" if np.isfinite(low + high) else f"{value:.4g}  not known"


def _cells(k: np.ndarray) -> np.ndarray:
    """Edges of cells halfway between sorted places, (n + 1,)."""
    between = [0.5 * (a + b) for a, b in pairwise(k)]
    if not between:
        return np.array([k[0] - 0.01, k[0] + 0.01])
    return np.array([2 * k[0] - between[0], *between, 2 * k[-1] - between[-1]])


def _frame(column: int, row: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor="black", lw=1.8)


def _light(axes: Axes) -> None:
    axes.grid(alpha=0.25, lw=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
