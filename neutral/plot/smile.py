"""A figure of market bid-ask volatilities and the smiles of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError
from ..models import AbstractFourierModel
from .frame import K_LABEL, VOL_LABEL, clean, days, draw_quotes, label_all, model_vols, panels, widened

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def smile(
    model: AbstractFourierModel | Mapping[str, AbstractFourierModel] | None = None,
    *,
    k: ArrayLike,
    t: ArrayLike,
    bid_vol: ArrayLike | None = None,
    ask_vol: ArrayLike | None = None,
    vol: ArrayLike | None = None,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | Iterable[Axes] | None = None,
) -> Figure:
    """Draw implied-volatility smiles, one panel per expiry, with bars or dots of quotes and curves of models.

    Args:
        model: A model, a mapping from labels to models to compare several, or None to draw only the market.
        k: Log-forward moneyness log(strike / forward) of each quote, shape (n,); the curves span its range.
        t: Maturity of each quote in years, > 0, shape (n,) or one number.
        bid_vol: Implied volatility of each bid as a decimal, shape (n,) or one number; no bar is drawn where
            it is nan.
        ask_vol: Implied volatility of each ask; needed with `bid_vol` and only with it.
        vol: Implied volatility of each mid price, shape (n,) or one number; a dot is drawn where there is no
            bar.
        labels: Panel titles in order of increasing maturity; the maturity in days by default.
        title: Title of the figure.
        ax: matplotlib axes to draw on, one for each panel; a new figure where None.

    Returns:
        A matplotlib figure.

    Raises:
        ArgumentError: shapes do not fit together, or there is nothing to draw.
        NeutralError: matplotlib is not installed.
    """
    models = _by_label(model)
    if not models and bid_vol is None and vol is None:
        raise ArgumentError("There is nothing to draw: pass a model, bid_vol and ask_vol, or vol.")
    moneyness, maturity, bid, ask, mid = _quotes(k, t, bid_vol, ask_vol, vol)
    expiries, panel = np.unique(maturity, return_inverse=True)
    titles = [f"{days(expiry)} days" for expiry in expiries] if labels is None else labels
    if len(titles) != len(expiries):
        raise ArgumentError(
            f"labels has {len(titles)} entries for {len(expiries)} expiries; pass one for each."
        )

    grid = np.stack([widened(moneyness[panel == i]) for i in range(len(expiries))])
    curves = {name: model_vols(one, grid, expiries[:, None]) for name, one in models.items()}
    n = len(expiries)
    size = (6.1, 3.8) if n == 1 else (4.3, 3.1)
    figure, axes_list = panels(n, 2 if n in (2, 4) else 3, size, sharey=True, ax=ax)
    for i, axes in enumerate(axes_list):
        clean(axes)
        here = panel == i
        if bid_vol is not None or vol is not None:
            draw_quotes(axes, moneyness[here], bid[here], ask[here], None if vol is None else mid[here])
        for name, vols in curves.items():
            axes.plot(grid[i], 100 * vols[i], lw=1.6, label=name)
        axes.set_title(titles[i], fontsize="medium")
    axes_list[0].legend(frameon=False)
    label_all(figure, axes_list, x=K_LABEL, y=VOL_LABEL, title=title, own=ax is None)
    return figure


def _by_label(
    model: AbstractFourierModel | Mapping[str, AbstractFourierModel] | None,
) -> Mapping[str, AbstractFourierModel]:
    """Return the models by label; a single model has the name of its class as label."""
    if model is None:
        return {}
    return model if isinstance(model, Mapping) else {type(model).__name__: model}


def _quotes(
    k: ArrayLike,
    t: ArrayLike,
    bid_vol: ArrayLike | None,
    ask_vol: ArrayLike | None,
    vol: ArrayLike | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check k, t and volatilities and convert them to shape (n,); bid, ask and mid are nan if None."""
    moneyness = np.atleast_1d(np.asarray(k, float))
    shape = moneyness.shape
    if moneyness.ndim != 1 or not moneyness.size or not np.all(np.isfinite(moneyness)):
        raise ArgumentError(f"k must be finite numbers of shape (n,) with n >= 1, got {k} of shape {shape}.")
    if (bid_vol is None) != (ask_vol is None):
        raise ArgumentError("bid_vol and ask_vol go together: pass both or neither.")
    arrays: list[np.ndarray] = []
    for name, value in (("t", t), ("bid_vol", bid_vol), ("ask_vol", ask_vol), ("vol", vol)):
        array = np.asarray(np.nan if value is None else value, float)
        if array.shape not in ((), shape):
            raise ArgumentError(
                f"{name} must have the shape {shape} of k, or be one number; {name} has shape {array.shape}."
            )
        arrays.append(np.broadcast_to(array, shape))
    maturity, bid, ask, mid = arrays
    if not np.all(np.isfinite(maturity) & (maturity > 0)):
        raise ArgumentError(f"t must be finite and > 0, in years, got {maturity}.")
    if np.any(bid > ask):
        raise ArgumentError(f"bid_vol is above ask_vol at {np.sum(bid > ask)} of {moneyness.size} quotes.")
    return moneyness, maturity, bid, ask, mid
