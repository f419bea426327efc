"""Figures, returned as matplotlib `Figure`: a notebook shows one, `figure.savefig(path)` keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .errors import ArgumentError
from .inversion import implied_stdev
from .plot_frame import clean, draw_quotes, pyplot, widened
from .plot_surface import densities as densities
from .plot_surface import smiles as smiles
from .plot_surface import total_variance as total_variance
from .plot_surface import vol_map as vol_map
from .pricing import Lewis, price_info

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DRAWN = 0.01  # relative error of a price from which no line is drawn


def smile(
    model: Any = None,
    *,
    k: ArrayLike,
    t: ArrayLike,
    bid_vol: ArrayLike | None = None,
    ask_vol: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Implied-volatility smiles, one panel per expiry: the market's bid-ask bars and the models' curves.

    Args:
        model: A model, a mapping from label to model to compare several, or None to draw the market alone.
        k: Log-forward moneyness log(strike / forward) of each quote, shape (n,); the curves span its range.
        t: Maturity of each quote in years, > 0, shape (n,) or one number.
        bid_vol: Implied volatility of each bid, decimal, shape (n,); no bar is drawn where it is nan.
        ask_vol: The same for the ask; given with `bid_vol` or not at all.
        labels: Panel titles in order of increasing maturity; the maturity in days by default.
        title: Title of the figure.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: shapes do not fit together, or there is nothing to draw.
        NeutralError: matplotlib is not installed.
    """
    models = model if isinstance(model, Mapping) else {} if model is None else {type(model).__name__: model}
    if not models and bid_vol is None:
        raise ArgumentError("nothing to draw: pass a model, or bid_vol and ask_vol, or both.")
    moneyness, maturity, bid, ask = _quotes(k, t, bid_vol, ask_vol)
    expiries, panel = np.unique(maturity, return_inverse=True)
    if labels is None:
        labels = [f"{365 * expiry:.3g} days" for expiry in expiries]
    if len(labels) != len(expiries):
        raise ArgumentError(
            f"labels has {len(labels)} entries for {len(expiries)} expiries; pass one for each."
        )

    grid = np.stack([widened(moneyness[panel == i]) for i in range(len(expiries))])
    curves = {name: _model_vols(one, grid, expiries[:, None]) for name, one in models.items()}
    figure, panels = _panels(len(expiries))
    for i, axes in enumerate(panels):
        if bid_vol is not None:
            draw_quotes(axes, moneyness[panel == i], bid[panel == i], ask[panel == i])
        for name, vols in curves.items():
            axes.plot(grid[i], 100 * vols[i], lw=1.6, label=name)
        axes.set_title(labels[i], fontsize="medium")
    panels[0].legend(frameon=False)
    figure.supxlabel("log-forward moneyness  log(K / F)", fontsize="medium")
    figure.supylabel("implied volatility, %", fontsize="medium")
    figure.suptitle(title or "")
    return figure


def _quotes(
    k: ArrayLike, t: ArrayLike, bid_vol: ArrayLike | None, ask_vol: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The arguments of `smile` as arrays of one shape (n,), nan where there is no market, or a refusal."""
    k = np.atleast_1d(np.asarray(k, float))
    if k.ndim != 1 or not k.size or not np.all(np.isfinite(k)):
        raise ArgumentError(f"k must be finite numbers of shape (n,), n >= 1; got {k} of shape {k.shape}.")
    if (bid_vol is None) != (ask_vol is None):
        raise ArgumentError("bid_vol and ask_vol go together: pass both or none.")
    arrays: list[np.ndarray] = []
    for name, value in (("t", t), ("bid_vol", bid_vol), ("ask_vol", ask_vol)):
        array = np.asarray(np.nan if value is None else value, float)
        if array.shape not in ((), k.shape):
            raise ArgumentError(
                f"{name} has shape {array.shape}; accepted are {k.shape}, as k, or one number."
            )
        arrays.append(np.broadcast_to(array, k.shape))
    maturity, bid, ask = arrays
    if not np.all(np.isfinite(maturity) & (maturity > 0)):
        raise ArgumentError(f"t must be finite and > 0, in years; got {maturity}.")
    if np.any(bid > ask):
        raise ArgumentError(f"bid_vol is above ask_vol at {np.sum(bid > ask)} of {k.size} quotes.")
    return k, maturity, bid, ask


def _model_vols(model: Any, k: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Implied volatilities of a model, from the out-of-the-money option at each point.

    A line on paper is content with the engine that shares its nodes among strikes; where that says that it is
    not accurate nothing is drawn.
    """
    is_call = k >= 0
    info = price_info(model, 1.0, np.exp(k), t, kind=is_call, engine=Lewis(256))
    known = np.where(np.asarray(info.error_estimate) < _DRAWN * np.asarray(info.price), info.price, np.nan)
    return np.asarray(implied_stdev(known, k, is_call)) / np.sqrt(t)


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    """A figure with n equal panels that share the volatility axis."""
    columns = min(n, 2 if n in (2, 4) else 3)
    rows = -(-n // columns)
    size = (7.0, 4.6) if n == 1 else (1.0 + 4.3 * columns, 0.8 + 3.1 * rows)
    plt = pyplot()
    figure = plt.figure(figsize=size, layout="constrained")
    plt.close(figure)  # a notebook shows the returned figure once, and nothing keeps it alive
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat:
        clean(axes)
    for axes in grid.flat[n:]:
        axes.set_visible(False)
    return figure, list(grid.flat[:n])
