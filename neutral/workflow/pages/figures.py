"""Figures about the results of a run, from the rows of its tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ...plot.frame import draw_band, heat_map, panels, tidy_dates
from ...plot.smile import smile
from ...pricing import implied_vol
from ..recipes import RECIPES, model_of, number_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = 6
K_EDGES = (-np.inf, -0.4, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.4, np.inf)
DAY_EDGES = (0.0, 3.0, 7.0, 14.0, 30.0, 60.0, 120.0, 240.0, np.inf)
MOST = 1.0  # spreads at the ends of the colour scale
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
    figure, drawn = panels(len(models), 2, (5.2, 3.4))
    image: Any = None
    for axes, model in zip(drawn, models, strict=True):
        error = (quotes[RECIPES[model].price_column] - quotes["mid_price_clean"]) / quotes["spread"]
        cells = error.groupby([days, moneyness], observed=False).agg(["median", "count"])
        values = cells["median"].where(cells["count"] >= FEWEST).unstack()
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


def paths(fits: Any, models: Sequence[str], title: str) -> "Figure":
    """Every parameter over time with 90 % intervals, a panel each; crosses: fits that did not converge."""
    names = [name for name in number_columns(models) if fits[name].notna().any()]
    figure, drawn = panels(len(names), 3, (4.3, 2.3))
    times = pd.to_datetime(fits["snapshot_ts"])
    converged = fits["converged"].astype(bool)
    for axes, name in zip(drawn, names, strict=True):
        for model in models:
            here = (fits["model"] == model) & fits[name].notna()
            if not here.any():
                continue
            good, bad = here & converged, here & ~converged
            axes.plot(
                times[good],
                fits.loc[good, name],
                lw=1.0,
                marker=".",
                ms=3,
                color=RECIPES[model].colour,
                label=model,
            )
            axes.plot(times[bad], fits.loc[bad, name], "x", ms=5, color=RECIPES[model].colour)
        limits = axes.get_ylim()  # of the paths: a parameter that is hardly known would hide them
        for model in models:
            good = (fits["model"] == model) & fits[name].notna() & converged
            if good.any():
                values, errors = (fits.loc[good, column].to_numpy(float) for column in (name, f"{name}_se"))
                draw_band(axes, times[good], values, errors, RECIPES[model].colour)
        axes.set_ylim(limits)
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


def _vols(rows: Any, column: str) -> np.ndarray:
    """Implied volatilities of prices; nan where a price has none."""
    prices, strikes, forwards, maturities, discounts = (
        rows[name].to_numpy(float) for name in (column, "strike", "forward", "maturity", "discount")
    )
    terms = {"kind": (rows["option_type"] == "call").to_numpy(bool), "settlement": rows["settlement"].iloc[0]}
    return np.asarray(implied_vol(prices, forwards, strikes, maturities, discount=discounts, **terms))
