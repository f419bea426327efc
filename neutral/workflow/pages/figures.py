"""Draws figures of the results of a run from the rows of its tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...plot.frame import draw_band, heat_map, panels, tidy_dates
from ...plot.smile import smile
from ...pricing import implied_vol
from ...times import DAYS_A_YEAR
from ..recipes import RECIPES, model_of, number_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = 6  # largest number of expiries drawn
K_EDGES = (-np.inf, -0.4, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4, np.inf)
DAY_EDGES = (0.0, 3.0, 7.0, 14.0, 30.0, 60.0, 120.0, 240.0, np.inf)
MOST = 1.0  # error at the ends of the colour scale, in spreads
FEWEST = 5  # number of quotes below which a cell is empty


def smiles(quotes: pd.DataFrame, fits: pd.DataFrame, title: str) -> "Figure":
    """Draw the smiles of one snapshot and currency: bid-ask volatilities as bars, fitted models as curves.

    Args:
        quotes: Rows of `quotes.parquet` of the snapshot and currency.
        fits: Rows of `fits.parquet` of the snapshot and currency.
        title: Title of the figure.
    """
    expiries = np.unique(quotes["maturity"])
    shown = expiries[np.unique(np.linspace(0, len(expiries) - 1, PANELS).round().astype(int))]
    is_call = (quotes["option_type"] == "call").to_numpy()
    out_of_the_money = is_call == (quotes["log_moneyness"] >= 0).to_numpy()
    rows = quotes.loc[quotes["maturity"].isin(list(shown)) & out_of_the_money]
    bid, ask = (_vols(rows, side) for side in ("bid_price", "ask_price"))
    models = {
        row["model"]: model_of(row["model"], row)
        for row in fits.to_dict("records")
        if row["status"] != "error"
    }
    days = [f"{DAYS_A_YEAR * t:.3g} days" for t in np.unique(rows["maturity"])]
    return smile(
        models,
        k=np.asarray(rows["log_moneyness"]),
        t=np.asarray(rows["maturity"]),
        bid_vol=bid,
        ask_vol=ask,
        labels=days,
        title=title,
    )


def residuals(quotes: pd.DataFrame, models: Sequence[str], title: str) -> "Figure":
    """Draw the median of (model - mid) / spread by log-moneyness and maturity, in one panel for each model.

    Args:
        quotes: Rows of `quotes.parquet`.
        models: Names of the models.
        title: Title of the figure.
    """
    days = pd.cut(DAYS_A_YEAR * quotes["maturity"], DAY_EDGES)
    moneyness = pd.cut(quotes["log_moneyness"], K_EDGES)
    figure, drawn = panels(len(models), 2, (5.2, 3.4))
    image: Any = None
    for axes, model in zip(drawn, models, strict=True):
        error = (quotes[RECIPES[model].price_column] - quotes["mid_price_clean"]) / quotes["spread"]
        cells = error.groupby([days, moneyness], observed=False)
        values = cells.median().where(cells.count() >= FEWEST).unstack()
        image = heat_map(axes, values.to_numpy(float), MOST, ".2f", 6.5)
        axes.set_xticks(
            np.arange(len(K_EDGES) - 2) + 0.5, [f"{k:g}" for k in K_EDGES[1:-1]], fontsize="x-small"
        )
        axes.set_yticks(
            np.arange(len(DAY_EDGES) - 2) + 0.5, [f"{d:g}" for d in DAY_EDGES[1:-1]], fontsize="x-small"
        )
        axes.set_title(model, fontsize="medium")
    figure.supxlabel("log-forward moneyness", fontsize="medium")
    figure.supylabel("days to expiry", fontsize="medium")
    figure.colorbar(image, ax=drawn, shrink=0.8, label="(model - mid) / spread, median")
    figure.suptitle(title)
    return figure


def paths(fits: pd.DataFrame, models: Sequence[str], title: str) -> "Figure":
    """Draw each parameter over time with 90 % intervals; crosses mark fits that did not converge.

    Args:
        fits: Rows of `fits.parquet` of one underlying.
        models: Names of the models.
        title: Title of the figure.
    """
    names = [name for name in number_columns(models) if np.any(fits[name].notna())]
    figure, drawn = panels(len(names), 3, (4.3, 2.3))
    times = pd.to_datetime(fits["snapshot_ts"])
    converged = fits["converged"].astype(bool)
    for axes, name in zip(drawn, names, strict=True):
        _draw_paths(axes, fits.assign(time=times, converged=converged), models, name)
        axes.set_title(name, fontsize="medium")
        axes.grid(alpha=0.25, lw=0.5)
        axes.spines[["top", "right"]].set_visible(False)
        tidy_dates(axes)
        axes.tick_params(labelsize="x-small")
    by_label = dict(
        pair for axes in drawn for pair in zip(*reversed(axes.get_legend_handles_labels()), strict=True)
    )
    figure.legend(by_label.values(), by_label.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(title)
    return figure


def _draw_paths(axes: "Axes", fits: pd.DataFrame, models: Sequence[str], name: str) -> None:
    """Draw one parameter of every model that has it, over the column `time`."""
    rows = {model: fits.loc[(fits["model"] == model) & fits[name].notna()] for model in models}
    rows = {model: frame for model, frame in rows.items() if len(frame)}
    for model, frame in rows.items():
        colour = RECIPES[model].colour
        converged = frame.loc[frame["converged"]]
        failed = frame.loc[~frame["converged"]]
        axes.plot(converged["time"], converged[name], lw=1.0, marker=".", ms=3, color=colour, label=model)
        axes.plot(failed["time"], failed[name], "x", ms=5, color=colour)
    limits = axes.get_ylim()  # a wide band of a poorly determined parameter would hide the paths
    for model, frame in rows.items():
        converged = frame.loc[frame["converged"]]
        if len(converged):
            values = np.asarray(converged[name], float)
            errors = np.asarray(converged[f"{name}_se"], float)
            draw_band(axes, converged["time"], values, errors, RECIPES[model].colour)
    axes.set_ylim(limits)


def _vols(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Return the implied volatilities of a column of prices; nan where a price has none."""
    prices, strikes, forwards, maturities, discounts = (
        rows[name].to_numpy(float) for name in (column, "strike", "forward", "maturity", "discount")
    )
    terms = {"kind": (rows["option_type"] == "call").to_numpy(bool), "settlement": rows["settlement"].iloc[0]}
    return np.asarray(implied_vol(prices, forwards, strikes, maturities, discount=discounts, **terms))
