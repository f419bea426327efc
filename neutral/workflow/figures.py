"""Figures about the results of a run, from the rows of its tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..errors import NeutralError
from ..plot import smile
from ..pricing import implied_vol
from .fit import model_of
from .rows import ERRORS, PARAMETERS, PRICE_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"black": "C0", "heston": "C1", "svcj": "C2", "svcj++": "C3"}
PANELS = 6
K_EDGES = (-np.inf, -0.4, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4, np.inf)
DAY_EDGES = (0.0, 3.0, 7.0, 14.0, 30.0, 60.0, 120.0, 240.0, np.inf)
MOST = 1.0  # spreads at the ends of the colour scale
NINETY = 1.6449  # standard deviations to either side of a 90 % interval
FEWEST = 5  # quotes below which a cell stays empty


def smiles(quotes: Any, fits: Any, title: str) -> "Figure":
    """The smiles of one snapshot and currency: bid-ask bars in implied volatility against the fitted models.

    Args:
        quotes: Its rows of `quotes.parquet`.
        fits: Its rows of `fits.parquet`.
        title: Title of the figure.
    """
    expiries = np.unique(quotes["maturity"])
    shown = expiries[np.unique(np.linspace(0, len(expiries) - 1, PANELS).round().astype(int))]
    is_call = (quotes["option_type"] == "call").to_numpy()
    out_of_the_money = is_call == (quotes["log_moneyness"] >= 0).to_numpy()
    rows = quotes[quotes["maturity"].isin(shown) & out_of_the_money]
    bid, ask = (_vols(rows, side) for side in ("bid_price", "ask_price"))
    models = {
        row["model"]: model_of(row["model"], row)
        for row in fits.to_dict("records")
        if row["status"] != "error"
    }
    days = [f"{365 * t:.3g} days" for t in np.unique(rows["maturity"])]
    return smile(
        models,
        k=rows["log_moneyness"].to_numpy(),
        t=rows["maturity"].to_numpy(),
        bid_vol=bid,
        ask_vol=ask,
        labels=days,
        title=title,
    )


def residuals(quotes: Any, models: Sequence[str], title: str) -> "Figure":
    """Median of (model - mid) / spread in cells of log-moneyness and maturity, a panel per model."""
    days = pd.cut(365 * quotes["maturity"], DAY_EDGES)
    moneyness = pd.cut(quotes["log_moneyness"], K_EDGES)
    figure, panels = _grid(len(models), 2, (5.2, 3.4))
    image: Any = None
    for axes, model in zip(panels, models, strict=True):
        error = (quotes[PRICE_COLUMNS[model]] - quotes["mid_price_clean"]) / quotes["spread"]
        cells = error.groupby([days, moneyness], observed=False).agg(["median", "count"])
        values = cells["median"].where(cells["count"] >= FEWEST).unstack()
        image = axes.imshow(values.to_numpy(float), cmap="RdBu_r", vmin=-MOST, vmax=MOST, aspect="auto")
        _write_cells(axes, values.to_numpy(float))
        axes.set_xticks(
            np.arange(len(K_EDGES) - 2) + 0.5, [f"{k:g}" for k in K_EDGES[1:-1]], fontsize="x-small"
        )
        axes.set_yticks(
            np.arange(len(DAY_EDGES) - 2) + 0.5, [f"{d:g}" for d in DAY_EDGES[1:-1]], fontsize="x-small"
        )
        axes.set_title(model, fontsize="medium")
    figure.supxlabel("log-forward moneyness", fontsize="medium")
    figure.supylabel("days to expiry", fontsize="medium")
    figure.colorbar(image, ax=panels, shrink=0.8, label="(model - mid) / spread, median")
    figure.suptitle(title)
    return figure


def paths(fits: Any, models: Sequence[str], title: str) -> "Figure":
    """Every parameter over time with 90 % intervals, a panel each; crosses: fits that did not converge."""
    names = [name for name in PARAMETERS if fits[name].notna().any()]
    figure, panels = _grid(len(names), 3, (4.3, 2.3))
    times = pd.to_datetime(fits["snapshot_ts"])
    converged = fits["converged"].astype(bool)
    for axes, name in zip(panels, names, strict=True):
        for model in models:
            here = (fits["model"] == model) & fits[name].notna()
            if not here.any():
                continue
            good, bad = here & converged, here & ~converged
            axes.plot(
                times[good], fits.loc[good, name], lw=1.0, marker=".", ms=3, color=COLOURS[model], label=model
            )
            axes.plot(times[bad], fits.loc[bad, name], "x", ms=5, color=COLOURS[model])
        limits = axes.get_ylim()  # of the paths: a parameter that is hardly known would hide them
        for model in models:
            good = (fits["model"] == model) & fits[name].notna() & converged
            if good.any():
                _band(axes, times[good], fits.loc[good, name], fits.loc[good, ERRORS[name]], COLOURS[model])
        axes.set_ylim(limits)
        axes.set_title(name, fontsize="medium")
        axes.grid(alpha=0.25, lw=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    _tidy_dates(figure)
    by_label = dict(
        pair for axes in panels for pair in zip(*reversed(axes.get_legend_handles_labels()), strict=True)
    )
    figure.legend(by_label.values(), by_label.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title)
    return figure


def _band(axes: "Axes", times: Any, values: Any, errors: Any, colour: str) -> None:
    """A 90 % interval around a path."""
    middle, half = values.to_numpy(float), NINETY * errors.to_numpy(float)
    axes.fill_between(times, middle - half, middle + half, color=colour, alpha=0.18, lw=0)


def _vols(rows: Any, column: str) -> np.ndarray:
    """Implied volatilities of prices; nan where a price has none."""
    prices, strikes, forwards, maturities, discounts = (
        rows[name].to_numpy(float) for name in (column, "strike", "forward", "maturity", "discount")
    )
    terms = {"kind": (rows["option_type"] == "call").to_numpy(bool), "settlement": rows["settlement"].iloc[0]}
    return np.asarray(implied_vol(prices, forwards, strikes, maturities, discount=discounts, **terms))


def _write_cells(axes: "Axes", values: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.6 * MOST else "0.2"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=colour)


def _grid(count: int, columns: int, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    """A figure with so many panels."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise NeutralError("the page needs matplotlib: pip install 'neutral[plot]'") from None
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * size[0] + 0.8, rows * size[1] + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[count:]:
        axes.set_visible(False)
    return figure, list(panels.flat[:count])


def _tidy_dates(figure: "Figure") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    for axes in figure.axes:
        locator = AutoDateLocator(minticks=2, maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.tick_params(labelsize="x-small")
