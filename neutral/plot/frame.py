"""Functions shared by all figures: import of matplotlib on demand, panels, quote bars, heat maps, bands."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError, NeutralError
from ..models import AbstractFourierModel
from ..options.inversion import implied_stdev
from ..pricing import Lewis, price_info
from ..times import DAYS_A_YEAR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

K_LABEL = "log-forward moneyness  log(K / F)"
VOL_LABEL = "implied volatility, %"
CURVE_POINTS = 121
NINETY = 1.6449  # half width of a 90 % interval in standard deviations
_DRAWN = 0.01  # largest relative error of a price that is drawn
_DARK = 0.6  # share of the colour scale above which numbers are written in white


def widened(k: np.ndarray) -> np.ndarray:
    """Make a grid over the range of k, extended by 4 % (at least 0.005) on either side."""
    margin = max(0.04 * np.ptp(k), 0.005)
    return np.linspace(np.min(k) - margin, np.max(k) + margin, CURVE_POINTS)


def draw_quotes(
    axes: Axes, k: np.ndarray, bid: np.ndarray, ask: np.ndarray, mid: np.ndarray | None = None
) -> None:
    """Draw bars from bid to ask volatility, and dots where only a mid volatility is known, in percent."""
    middle = 50 * (bid + ask)
    half = 50 * (ask - bid)
    if mid is None or np.any(np.isfinite(middle)):
        axes.errorbar(
            k, middle, half, fmt="none", ecolor="0.45", elinewidth=1.1, capsize=1.8, label="market bid-ask"
        )
    alone = np.zeros(k.shape, bool) if mid is None else np.isfinite(mid) & ~np.isfinite(middle)
    if mid is not None and alone.any():
        axes.plot(k[alone], 100 * mid[alone], "o", ms=3.2, color="0.35", label="market mid")


def clean(axes: Axes) -> None:
    """Give the axes a light grid and a line at the money, and remove the top and right borders."""
    axes.axvline(0.0, color="0.85", lw=0.8, zorder=0)
    axes.grid(alpha=0.25, lw=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def light_grid(axes: Axes) -> None:
    """Give the axes a light grid behind the data, and remove the top and right borders."""
    axes.grid(alpha=0.25, lw=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def days(t: float) -> str:
    """Write a maturity in years as a number of days, without the unit."""
    count = DAYS_A_YEAR * t
    return f"{count:.3g}" if count < 999.5 else f"{count:.0f}"


def panels(
    n: int,
    columns: int,
    size: tuple[float, float],
    *,
    sharey: bool = False,
    ax: Axes | Iterable[Axes] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Make a figure with n panels, or take those of the caller.

    Args:
        n: Number of panels.
        columns: Largest number of panels in a row.
        size: Width and height of a panel in inches.
        sharey: Whether all panels have one vertical scale.
        ax: Axes to draw on, one for each panel, in any shape; a new figure where None.

    Returns:
        The figure and its n panels.

    Raises:
        ArgumentError: the number of axes is not n.
        NeutralError: matplotlib is not installed.
    """
    columns = min(columns, n)
    rows = -(-n // columns)
    if ax is not None:
        given = list(np.ravel(np.asarray(ax, object)))
        if len(given) != n:
            raise ArgumentError(
                f"ax must have one axes per panel, {n}, got {len(given)}; make them with "
                f"matplotlib.pyplot.subplots({rows}, {columns}), of {n} panels, or leave ax out."
            )
        return given[0].figure, given
    plt = pyplot()
    figure = plt.figure(figsize=(0.9 + columns * size[0], 0.8 + rows * size[1]), layout="constrained")
    plt.close(figure)  # closed so that a notebook shows the returned figure only once, and memory is freed
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    for axes in grid.flat[n:]:
        axes.set_visible(False)
    return figure, list(grid.flat[:n])


def label_all(
    figure: Figure, axes: list[Axes], *, x: str = "", y: str = "", title: str | None, own: bool
) -> None:
    """Label panels whose axes are of one kind: the figure, or each panel where the caller owns the figure."""
    if own:
        for write, text in ((figure.supxlabel, x), (figure.supylabel, y)):
            if text:
                write(text, fontsize="medium")
        figure.suptitle(title or "")
        return
    for one in axes if x or y else ():
        one.set(xlabel=x, ylabel=y)
    if title:
        panel = axes[0].get_title()
        axes[0].set_title(f"{title}\n{panel}" if panel else title, fontsize="medium")


def text_figure(text: str, title: str | None, ax: Axes | Iterable[Axes] | None = None) -> Figure:
    """Make a figure with a text, or write it on the caller's axes; it states why there is nothing to draw."""
    first = None if ax is None else next(iter(np.ravel(np.asarray(ax, object))))
    figure, (axes,) = panels(1, 1, (5.6, 1.4), ax=first)
    axes.axis("off")
    axes.set_title(title or "")
    axes.text(0.5, 0.5, text, ha="center", va="center", wrap=True, color="0.35", transform=axes.transAxes)
    return figure


def heat_map(axes: Axes, values: np.ndarray, most: float, form: str, fontsize: float = 8.0) -> AxesImage:
    """Draw a heat map of signed numbers, white at 0, with the numbers in their cells; nan cells are empty.

    Args:
        axes: Axes to draw on.
        values: The numbers, rows by columns.
        most: Absolute value at both ends of the colour scale.
        form: Format of the numbers, such as ".2f".
        fontsize: Size of the numbers in points.

    Returns:
        The image, for a colour bar.
    """
    image = axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > _DARK * most else "0.2"
            number = f"{value:z{form}}"
            axes.text(column, row, number, ha="center", va="center", fontsize=fontsize, color=colour)
    return image


def draw_band(axes: Axes, x: np.ndarray, values: np.ndarray, errors: np.ndarray, colour: str) -> None:
    """Draw a band of 90 % intervals, computed from standard errors, around a path."""
    half = NINETY * errors
    axes.fill_between(x, values - half, values + half, color=colour, alpha=0.18, lw=0)


def tidy_dates(axes: Axes) -> None:
    """Label the x axis with a few short dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=2, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def model_vols(model: AbstractFourierModel, k: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Compute implied volatilities of a model from the out-of-the-money option at each point.

    The `Lewis` engine is accurate enough for a line in a figure. Where it reports a price error of 1 % or
    more, the volatility is nan, and nothing is drawn.

    Args:
        model: The model.
        k: Log-forward moneyness; broadcast against t.
        t: Maturities in years, > 0.

    Returns:
        Annualised volatilities, in the broadcast shape.
    """
    is_call = k >= 0
    info = price_info(model, 1.0, np.exp(k), t, kind=is_call, engine=Lewis(256))
    accurate = np.asarray(info.error_estimate) < _DRAWN * np.asarray(info.price)
    prices = np.where(accurate, info.price, np.nan)
    return np.asarray(implied_stdev(prices, k, is_call)) / np.sqrt(t)


def pyplot() -> ModuleType:
    """Import the module matplotlib.pyplot when the first figure needs it.

    Returns:
        The module.

    Raises:
        NeutralError: matplotlib is not installed.
    """
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise NeutralError("plots need matplotlib: pip install 'neutral[plot]'") from None
    return pyplot
