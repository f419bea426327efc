"""What all figures share: matplotlib when it is asked for, clean axes, market quotes as bars."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from .errors import NeutralError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVE_POINTS = 121


def widened(k: np.ndarray) -> np.ndarray:
    """A grid over the range of k and 4 % beyond, never narrower than a percent."""
    margin = max(0.04 * np.ptp(k), 0.005)
    return np.linspace(np.min(k) - margin, np.max(k) + margin, CURVE_POINTS)


def draw_quotes(axes: Axes, k: np.ndarray, bid: np.ndarray, ask: np.ndarray) -> None:
    """Bars from bid to ask, in percent."""
    middle, half = 50 * (bid + ask), 50 * (ask - bid)
    axes.errorbar(
        k, middle, half, fmt="none", ecolor="0.45", elinewidth=1.1, capsize=1.8, label="market bid-ask"
    )


def clean(axes: Axes) -> None:
    """A light grid, a line at the money, no box."""
    axes.axvline(0.0, color="0.85", lw=0.8, zorder=0)
    axes.grid(alpha=0.25, lw=0.5)
    axes.spines[["top", "right"]].set_visible(False)


def pyplot() -> ModuleType:
    """The module matplotlib.pyplot, loaded when a figure is asked for."""
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise NeutralError("plots need matplotlib: pip install 'neutral[plot]'") from None
    return pyplot
