"""Figures of a diagnosis: residuals, parameters with their errors, and the effect of each quote."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float

from ..diagnostics import Diagnosis, Sensitivities
from ..diagnostics.identifiability import TOGETHER
from ..diagnostics.linearisation import parameter_sizes
from ..diagnostics.residuals import MONEYNESS
from ..errors import ArgumentError
from .frame import days, heat_map, label_all, light_grid, panels, text_figure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

Unit = Literal["vol", "price", "spreads"]

_EDGES = (*(-x for x in reversed(MONEYNESS)), *MONEYNESS)
_FARTHEST = 150.0  # largest percentage of a parameter's size that the axis of intervals shows
_DETERMINED = "C0"
_UNDETERMINED = "C3"
_DECADES = 6.0  # number of decades below the largest singular value to which bars are drawn
_MOST = 0.9  # share of cells within the colour scale, so that one extreme cell does not pale all others


class UnitScale(NamedTuple):
    """How residuals in a unit are written.

    Attributes:
        factor: Number of units in a residual of 1.
        form: Format of a number, such as ".0f".
        words: Name of the unit.
    """

    factor: float
    form: str
    words: str


_UNITS = {
    "vol": UnitScale(factor=1e4, form=".0f", words="basis points of volatility"),
    "price": UnitScale(factor=1e4, form=".1f", words="basis points of the forward"),
    "spreads": UnitScale(factor=1.0, form=".2f", words="bid-ask spreads"),
}


def residual_map(
    diagnosis: Diagnosis, unit: Unit = "vol", *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the mean of model less market over the fitted quotes, by moneyness and expiry.

    Cells in which the model is above the market are red.

    Args:
        diagnosis: The diagnosis of one fit.
        unit: "vol", basis points of implied volatility; "price", basis points of the forward; "spreads",
            bid-ask spreads.
        title: Title of the figure.
        ax: matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure; without residuals it states the reason instead.

    Raises:
        ArgumentError: the unit is not one of these.
        NeutralError: matplotlib is not installed.
    """
    if unit not in _UNITS:
        raise ArgumentError(f"unit must be one of {', '.join(get_args(Unit))}, got {unit!r}.")
    scale = _UNITS[unit]
    residuals = diagnosis.residuals
    used = np.asarray(diagnosis.fit.lane.used)
    values = np.where(used, scale.factor * getattr(residuals, unit), np.nan)
    finite = np.isfinite(values)
    if not finite.any():
        why = residuals.reason or f"no fitted quote has a residual in {scale.words}."
        return text_figure(f"No residuals: {why}", title, ax)
    expiries = np.unique(residuals.t[finite])
    cells = _cell_means(values, residuals.k, residuals.t, expiries)
    figure, (axes,) = panels(1, 1, (6.4, max(1.7, 0.9 + 0.28 * expiries.size)), ax=ax)
    image = heat_map(axes, cells, _largest(cells, _MOST), scale.form)
    axes.set_xticks(np.arange(len(_EDGES)) + 0.5, [f"{x:g}" for x in _EDGES])
    axes.set_yticks(np.arange(expiries.size), [days(t) for t in expiries])
    axes.set(xlabel="log-forward moneyness  log(K / F)", ylabel="maturity, days", title=title or "")
    figure.colorbar(image, ax=axes, label=f"model less market,\n{scale.words}", extend="both")
    return figure


def intervals(
    diagnosis: Diagnosis, level: float = 0.9, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw confidence intervals of the parameters in percent of their sizes, with their values at the side.

    The size of a parameter is its absolute value, but at least a tenth of its typical value; the size of a
    correlation is 1.

    Args:
        diagnosis: The diagnosis of one fit.
        level: Probability that an interval covers the parameter, in (0, 1).
        title: Title of the figure.
        ax: matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure; without intervals it states the reason instead.

    Raises:
        ArgumentError: level is not between 0 and 1.
        NeutralError: matplotlib is not installed.
    """
    uncertainty = diagnosis.uncertainty
    if uncertainty.reason:
        return text_figure(f"No intervals: {uncertainty.reason}", title, ax)
    ends = uncertainty.intervals(level)
    values = uncertainty.values
    offsets = 100.0 * (ends - values[:, None]) / parameter_sizes(diagnosis.fit)[:, None]
    rows = np.arange(values.size)
    figure, (axes,) = panels(1, 1, (6.4, 0.6 + 0.34 * values.size), ax=ax)
    axes.barh(rows, np.ptp(offsets, axis=1), left=offsets[:, 0], height=0.5, color=_DETERMINED, alpha=0.35)
    axes.plot(np.zeros(values.size), rows, "|", color=_DETERMINED, ms=11, mew=2)
    reach = min(1.08 * _largest(offsets), _FARTHEST)
    axes.set_xlim(-reach, reach)
    axes.set_yticks(rows, uncertainty.names)
    axes.invert_yaxis()
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(rows, [_with_interval(*line) for line in zip(values, *ends.T, strict=True)])
    beside.tick_params(length=0)
    beside.spines["right"].set_visible(False)
    axes.set(xlabel=f"{level:.0%} interval less value, percent of the parameter's size", title=title or "")
    excluded = [name for name in diagnosis.fit.result.names if name not in uncertainty.names]
    if excluded:
        note = f"fixed or on a bound: {', '.join(excluded)}"
        if ax is None:
            figure.supxlabel(note, fontsize="small")
        else:
            axes.set_xlabel(f"{axes.get_xlabel()}\n{note}")
    light_grid(axes)
    return figure


def correlations(diagnosis: Diagnosis, *, title: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw the correlations of the estimates, with a frame around those above 0.9 in absolute value.

    Args:
        diagnosis: The diagnosis of one fit.
        title: Title of the figure.
        ax: matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure; without correlations it states the reason instead.

    Raises:
        NeutralError: matplotlib is not installed.
    """
    matrix = diagnosis.identifiability
    if matrix.reason or not np.any(np.isfinite(matrix.correlation)):
        why = (
            matrix.reason
            or "a direction of parameters has no effect on any price, so there is no covariance."
        )
        return text_figure(f"No correlations: {why}", title, ax)
    n = len(matrix.names)
    side = 1.1 + 0.42 * n if n < 12 else 7.6
    figure, (axes,) = panels(1, 1, (side + 1.0, side), ax=ax)
    image = heat_map(axes, matrix.correlation, 1.0, ".2f", 8.5 if n < 12 else 5.5)
    for i, j in zip(*np.nonzero(np.abs(matrix.correlation) > TOGETHER), strict=True):
        if i != j:
            axes.add_patch(_frame(int(j), int(i)))
    axes.set_xticks(range(n), matrix.names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), matrix.names)
    axes.set_title(title or "")
    figure.colorbar(image, ax=axes, label="correlation of the estimates", shrink=0.8)
    return figure


def directions(
    diagnosis: Diagnosis, *, title: str | None = None, ax: Axes | Iterable[Axes] | None = None
) -> Figure:
    """Draw the singular values of the scaled Jacobian, and the undetermined directions of parameters.

    Where the quotes determine all directions, the least determined one is drawn.

    Args:
        diagnosis: The diagnosis of one fit.
        title: Title of the figure.
        ax: matplotlib axes to draw on, one for each panel; a new figure where None.

    Returns:
        A matplotlib figure; without a Jacobian it states the reason instead.

    Raises:
        NeutralError: matplotlib is not installed.
    """
    identifiability = diagnosis.identifiability
    if identifiability.reason:
        return text_figure(f"No directions: {identifiability.reason}", title, ax)
    n = len(identifiability.names)
    undetermined = identifiability.sloppy
    rows = np.flatnonzero(undetermined) if undetermined.any() else np.array([n - 1])
    rows = rows[::-1][:3]  # those of the smallest singular values
    figure, (left, *others) = panels(1 + rows.size, 4, (2.9, 0.7 + 0.3 * n), ax=ax)
    floor = identifiability.singular_values[0] * 10.0**-_DECADES
    colours = [_UNDETERMINED if flag else _DETERMINED for flag in undetermined]
    left.barh(range(n), np.maximum(identifiability.singular_values, floor), color=colours, alpha=0.75)
    least = max(identifiability.singular_values[-1], floor)
    left.set(xscale="log", xlim=(least / 3.0, None), xlabel="singular value", ylabel="direction")
    # on less than two decades every minor tick would have a label, and labels would overlap
    left.xaxis.set_minor_formatter("")
    left.set_yticks(range(n), [f"{i + 1}" for i in range(n)])
    left.set_title(f"{identifiability.effective_rank} of {n} determined", fontsize="medium")
    for axes, i in zip(others, rows, strict=True):
        axes.barh(range(n), identifiability.directions[i], color=colours[i], alpha=0.75)
        axes.set(xlim=(-1.05, 1.05), xlabel="component")
        axes.set_yticks(range(n), identifiability.names)
        axes.axvline(0.0, color="0.4", lw=0.8)
        axes.set_title(
            f"direction {i + 1}: {'undetermined' if undetermined[i] else 'least determined'}",
            fontsize="medium",
        )
    for axes in (left, *others):
        axes.invert_yaxis()
        light_grid(axes)
    label_all(figure, [left, *others], title=title, own=ax is None)
    return figure


def vega_ladder(ladder: Sensitivities, *, title: str | None = None, ax: Axes | None = None) -> Figure:
    """Draw the change of one number per percentage point of each quoted volatility, by expiry and strike.

    Call and put of a strike are added, and the sum of each expiry is written at the end of its row.

    Args:
        ladder: The result of `neutral.sensitivities` for a function with one value.
        title: Title of the figure.
        ax: matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure; without sensitivities it states the reason instead.

    Raises:
        ArgumentError: the ladder is that of several values.
        NeutralError: matplotlib is not installed.
    """
    if np.ndim(ladder.vols) != 3:
        shape = np.shape(ladder.value)
        raise ArgumentError(
            f"vega_ladder needs the ladder of one number, got one whose value has shape {shape}."
        )
    if ladder.reason:
        return text_figure(f"No ladder: {ladder.reason}", title, ax)
    surface = ladder.surface
    quoted = np.any(np.asarray(surface.mask), axis=0)
    moves = np.sum(ladder.vols, axis=0) / 100.0
    rows = np.flatnonzero(quoted.any(axis=1))
    figure, (axes,) = panels(1, 1, (8.4, 0.9 + 0.32 * rows.size), ax=ax)
    most = _largest(np.where(quoted, moves, np.nan))
    k = np.asarray(surface.k)
    strips = [
        _draw_strip(axes, i, k[row, quoted[row]], moves[row, quoted[row]], most=most)
        for i, row in enumerate(rows)
    ]
    total = [f"{moves[row, quoted[row]].sum():+.2g}" for row in rows]
    axes.set_yticks(range(rows.size), [days(float(surface.t[row])) for row in rows])
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(range(rows.size), total)
    beside.tick_params(length=0)
    axes.invert_yaxis()
    axes.set(xlabel="log-forward moneyness  log(K / F)", ylabel="maturity, days")
    axes.set_title(title or f"change of the value, {float(ladder.value):.4g}, per percentage point")
    axes.axvline(0.0, color="0.4", lw=0.6)
    bar = figure.colorbar(strips[-1], ax=axes, label="per strike; sums\nper expiry beside the map", pad=0.01)
    bar.ax.ticklabel_format(axis="y", scilimits=(-2, 3))
    return figure


def _largest(values: np.ndarray, share: float = 1.0) -> float:
    """Compute a quantile of the absolute finite values, by default the largest; 1 if that is 0 or missing."""
    sizes = np.abs(values[np.isfinite(values)])
    return float(np.quantile(sizes, share)) or 1.0 if sizes.size else 1.0


def _with_interval(value: float, low: float, high: float) -> str:
    """Write a value with its interval as text."""
    return f"{value:.4g}  [{low:.3g}, {high:.3g}]" if np.isfinite(low + high) else f"{value:.4g}  no interval"


def _cell_edges(k: np.ndarray) -> np.ndarray:
    """Compute n + 1 cell edges, halfway between n sorted points."""
    between = [0.5 * (a + b) for a, b in pairwise(k)]
    if not between:
        return np.array([k[0] - 0.01, k[0] + 0.01])
    return np.array([2 * k[0] - between[0], *between, 2 * k[-1] - between[-1]])


def _draw_strip(axes: Axes, i: int, k: np.ndarray, moves: np.ndarray, *, most: float) -> QuadMesh:
    """Draw the moves of one expiry as coloured cells in row i."""
    order = np.argsort(k)
    edges = _cell_edges(k[order])
    return axes.pcolormesh(
        edges, [i - 0.42, i + 0.42], moves[order][None], cmap="RdBu_r", vmin=-most, vmax=most
    )


def _cell_means(
    values: np.ndarray, k: np.ndarray, t: np.ndarray, expiries: np.ndarray
) -> Float[np.ndarray, "T cells"]:
    """Average the finite values by expiry and interval of moneyness; nan where a cell has none."""
    finite = np.isfinite(values)
    column = np.digitize(k, _EDGES)
    row = np.searchsorted(expiries, t)
    cells = np.full((expiries.size, len(_EDGES) + 1), np.nan)
    for i, j in np.ndindex(cells.shape):
        cell = finite & (row == i) & (column == j)
        if cell.any():
            cells[i, j] = np.mean(values[cell])
    return cells


def _frame(column: int, row: int) -> Rectangle:
    """Make a black frame around a cell of a map."""
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, edgecolor="black", lw=1.8)
