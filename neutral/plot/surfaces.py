"""Figures of volatility surfaces: smiles with quotes, a map of volatility, total variance, densities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..calibration.result import CalibrationResult
from ..errors import ArgumentError
from ..models import AbstractFourierModel
from ..options.inversion import implied_stdev
from ..quotes.given_surfaces import OneSurface, quote_surface
from ..quotes.surface import QuoteSurface
from ..surfaces import VolSurface
from ..times import DAYS_A_YEAR
from .frame import K_LABEL, VOL_LABEL, clean, days, draw_quotes, label_all, model_vols, panels, widened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_COLOURS = "viridis"  # readable with colour blindness, and in grey
_LIGHTEST = 0.92  # largest share of the colour scale for lines: lighter yellow is invisible on white
_ACROSS = 3.0  # standard deviations drawn on either side of the forward
_POINTS = 241  # number of points of a line


def smiles(
    quotes: OneSurface,
    surface: VolSurface | AbstractFourierModel | CalibrationResult,
    *,
    title: str | None = None,
    ax: Axes | Iterable[Axes] | None = None,
) -> Figure:
    """Draw smiles of a surface or a model over the market's quotes, one panel per expiry.

    A quote with bid and ask is a bar where both have a volatility; a quote without them is a dot at the
    volatility of its price.

    Args:
        quotes: A single surface or table of quotes; of call and put of a strike, the one out of the money is
            drawn.
        surface: Surface, model or fit to draw; it need not be fitted to these quotes.
        title: Title of the figure.
        ax: matplotlib axes to draw on, one for each expiry; a new figure where None.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: the quotes are a stack of surfaces, are none, or are of another type.
        NeutralError: matplotlib is not installed.
    """
    drawn = surface.model if isinstance(surface, CalibrationResult) else surface
    if not isinstance(quotes, QuoteSurface):
        quotes = quote_surface(quotes, "smiles")
    if np.ndim(quotes.t) != 1:
        raise ArgumentError("smiles draws the quotes of one surface, got a stack; select one by its index.")
    k, t, bid, ask, mid = quoted_vols(quotes)
    expiries = np.unique(t)
    grid = np.stack([widened(k[t == expiry]) for expiry in expiries])
    if isinstance(drawn, VolSurface):
        name = "surface"
        vols = np.asarray(drawn.implied_vol(grid, expiries[:, None]))
    else:
        name = type(drawn).__name__
        vols = model_vols(drawn, grid, expiries[:, None])
    figure, axes_list = _grid(expiries.size, ax)
    for axes, expiry, x, y in zip(axes_list, expiries, grid, vols, strict=True):
        of_expiry = t == expiry
        draw_quotes(axes, k[of_expiry], bid[of_expiry], ask[of_expiry], mid[of_expiry])
        axes.plot(x, 100 * y, lw=1.4, label=name)
        axes.set_title(f"{days(expiry)} days", fontsize="small", pad=3)
    axes_list[0].legend(frameon=False, fontsize="x-small")
    label_all(figure, axes_list, x=K_LABEL, y=VOL_LABEL, title=title, own=ax is None)
    return figure


def vol_map(
    surface: VolSurface, *, t: ArrayLike | None = None, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw implied volatility over moneyness and maturity, as colours and contour lines.

    Moneyness is in standard deviations at the money, so that every maturity shows a similar range of traded
    strikes.

    Args:
        surface: Surface to draw.
        t: Shortest and longest maturity in years; those of the surface's expiries if None.
        title: Title of the figure.
        ax: matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: t is not positive, or the surface has no expiries and t is None.
        NeutralError: matplotlib is not installed.
    """
    ends = _expiries(surface, t)
    times = np.geomspace(ends.min(), ends.max(), 97) if ends.size > 1 else ends * np.geomspace(0.5, 2, 97)
    across = np.linspace(-_ACROSS, _ACROSS, 121)
    stdev = np.sqrt(np.asarray(surface.total_variance(0.0, times)))
    vols = 100 * np.asarray(surface.implied_vol(across[None] * stdev[:, None], times[:, None]))
    figure, axes = _single(
        "moneyness  log(K / F) in standard deviations at the money", "maturity, days", title, ax
    )
    mesh = axes.pcolormesh(
        across, DAYS_A_YEAR * times, vols, cmap=_COLOURS, shading="gouraud", rasterized=True
    )
    lines = axes.contour(across, DAYS_A_YEAR * times, vols, 9, colors="white", linewidths=0.7, alpha=0.8)
    axes.clabel(lines, fmt="%.3g", fontsize="x-small")
    axes.set_yscale("log")
    axes.grid(False)
    _plain_days(axes.yaxis)
    figure.colorbar(mesh, ax=axes, label="implied volatility, %")
    return figure


def total_variance(
    surface: VolSurface, *, t: ArrayLike | None = None, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the total variance of every expiry over moneyness; lines that cross show calendar arbitrage.

    Args:
        surface: Surface to draw.
        t: Maturities in years; the surface's expiries if None.
        title: Title of the figure.
        ax: matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: t is not positive, or the surface has no expiries and t is None.
        NeutralError: matplotlib is not installed.
    """
    expiries = _expiries(surface, t)
    reach = _ACROSS * np.sqrt(np.max(np.asarray(surface.total_variance(0.0, expiries))))
    k = np.linspace(-reach, reach, _POINTS)
    figure, axes = _single(K_LABEL, "total variance  vol² t", title, ax)
    w = np.asarray(surface.total_variance(k[None], expiries[:, None]))
    _lines(figure, axes, np.broadcast_to(k, w.shape), w, expiries)
    axes.set_yscale("log")
    return figure


def densities(
    surface: VolSurface, *, t: ArrayLike | None = None, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the risk-neutral density of log(F_T / F) of every expiry, in units of its standard deviation.

    Args:
        surface: Surface to draw.
        t: Maturities in years; the surface's expiries if None.
        title: Title of the figure.
        ax: matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: t is not positive, or the surface has no expiries and t is None.
        NeutralError: matplotlib is not installed.
    """
    expiries = _expiries(surface, t)
    stdev = np.sqrt(np.asarray(surface.total_variance(0.0, expiries)))[:, None]
    across = np.linspace(-1.5 * _ACROSS, 1.2 * _ACROSS, 2 * _POINTS)[None] * np.ones_like(stdev)
    density = np.asarray(surface.density(across * stdev, expiries[:, None])) * stdev
    label = "log(F_T / F) in standard deviations at the money"
    figure, axes = _single(label, "risk-neutral density", title, ax)
    _lines(figure, axes, across, density, expiries)
    axes.axhline(0.0, color="0.4", lw=0.8)
    return figure


def drawn_quotes(quotes: QuoteSurface) -> np.ndarray:
    """Return which of the listed quotes are drawn, (n,): one per strike, out of the money or the only one."""
    listed = quotes.quotes()
    out = listed.is_call == (listed.k >= 0.0)
    _, strike = np.unique(np.stack([listed.t, listed.k]), axis=1, return_inverse=True)
    return out | ~np.isin(strike, strike[out])


def quoted_vols(quotes: QuoteSurface) -> tuple[np.ndarray, ...]:
    """Return k, t, bid, ask and mid volatilities of the drawn quotes; nan where there is none.

    Only quotes without bid and ask have a mid, because the middle of a wide spread is uncertain.
    """
    listed = quotes.quotes()
    if not listed.k.size:
        raise ArgumentError("smiles needs at least one quote, got none.")
    drawn = drawn_quotes(quotes)
    k, t, is_call = (x[drawn] for x in (listed.k, listed.t, listed.is_call))
    mid = np.where(np.isfinite(listed.spread), np.nan, listed.price)
    prices = [x[drawn] for x in (listed.bid, listed.ask, mid)]
    vols = [np.asarray(implied_stdev(x, k, is_call)) / np.sqrt(t) for x in prices]
    return k, t, *(np.where(np.isfinite(x) & (x > 0.0), x, np.nan) for x in vols)


def _expiries(surface: VolSurface, t: ArrayLike | None) -> np.ndarray:
    """Return the maturities t or, if None, the expiries of the surface that have a smile, ascending."""
    if t is None:
        listed = getattr(surface, "expiries", None)
        if listed is None:
            raise ArgumentError(f"{type(surface).__name__} has no expiries; pass maturities in years as t.")
        known = np.asarray(getattr(surface, "known", True))
        t = np.asarray(listed)[np.broadcast_to(known, np.shape(listed))]
    expiries = np.unique(np.asarray(t, float))
    if not expiries.size or not np.all(np.isfinite(expiries) & (expiries > 0.0)):
        raise ArgumentError(f"t must be one or more finite maturities > 0, in years, got {t}.")
    return expiries


def _lines(figure: Figure, axes: Axes, x: np.ndarray, y: np.ndarray, expiries: np.ndarray) -> None:
    """Draw one line per expiry with a colour bar, which is readable even for fifty expiries."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, LogNorm

    days = DAYS_A_YEAR * expiries
    norm = LogNorm(days.min() / 1.01, days.max() * 1.01)
    colours = colormaps[_COLOURS](_LIGHTEST * np.asarray(norm(days)))
    for one_x, one_y, colour in zip(x, y, colours, strict=True):
        axes.plot(one_x, one_y, color=colour, lw=1.3)
    shades = ListedColormap(colormaps[_COLOURS](np.linspace(0.0, _LIGHTEST, 256)))
    bar = ScalarMappable(norm, shades)
    _plain_days(figure.colorbar(bar, ax=axes, label="maturity, days").ax.yaxis)


def _plain_days(axis: Axis) -> None:
    """Label a logarithmic axis with 1, 3, 10, 30 ... instead of powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(10.0, (1.0, 3.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _single(x: str, y: str, title: str | None, ax: Axes | None) -> tuple[Figure, Axes]:
    """Make a figure with one panel and its axis labels."""
    figure, (axes,) = panels(1, 1, (6.7, 4.0), ax=ax)
    axes.set(xlabel=x, ylabel=y, title=title or "")
    clean(axes)
    return figure, axes


def _grid(n: int, ax: Axes | Iterable[Axes] | None) -> tuple[Figure, list[Axes]]:
    """Make a figure with n panels of separate scales, because smiles of days and of years differ."""
    figure, axes_list = panels(n, 3 if n <= 9 else 4 if n <= 16 else 6, (2.7, 2.0), ax=ax)
    for axes in axes_list:
        clean(axes)
        axes.tick_params(labelsize="x-small")
        axes.locator_params(nbins=5)
    return figure, axes_list
