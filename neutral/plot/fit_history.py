"""A figure of fits over time: the path of every parameter with its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from .frame import NINETY, draw_band, label_all, light_grid, panels, text_figure, tidy_dates

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAILED = "C3"


def history(
    records: Sequence[Mapping[str, Any]],
    *,
    title: str | None = None,
    ax: Axes | Iterable[Axes] | None = None,
) -> Figure:
    """Draw the parameters of successive fits with 90 % intervals, in one panel each.

    Crosses mark fits that did not converge.

    Args:
        records: Fits of one market and model in order of time, each with "parameters" and "standard_errors"
            by name, "timestamp" in ISO form, and "converged". If any timestamp is missing, the fits are
            numbered instead. Fits without parameters are left out.
        title: Title of the figure.
        ax: matplotlib axes to draw on, one for each panel; a new figure where None.

    Returns:
        A matplotlib figure; without any parameters it states this instead.

    Raises:
        NeutralError: matplotlib is not installed.
    """
    fits = [record for record in records if record.get("parameters")]
    names = list(dict.fromkeys(name for fit in fits for name in fit["parameters"]))
    if not fits:
        return text_figure("No history: no fit has parameters.", title, ax)
    stamps = [fit.get("timestamp") for fit in fits]
    dated = all(stamps)
    x = np.array([datetime.fromisoformat(str(s)) for s in stamps] if dated else range(1, len(fits) + 1))
    converged = np.array([bool(fit.get("converged")) for fit in fits])
    figure, axes_list = panels(len(names), 3, (3.5, 1.9), ax=ax)
    for axes, name in zip(axes_list, names, strict=True):
        values, errors = (_numbers(fits, kind, name) for kind in ("parameters", "standard_errors"))
        axes.plot(x[converged], values[converged], color="C0", lw=1.0, marker=".", ms=6)
        axes.plot(x[~converged], values[~converged], "x", color=_FAILED, ms=5)
        draw_band(axes, x[converged], values[converged], errors[converged], "C0")
        axes.errorbar(
            x[converged],
            values[converged],
            NINETY * errors[converged],
            fmt="none",
            ecolor="C0",
            elinewidth=0.8,
        )
        axes.set_ylim(*_around(values, NINETY * errors))
        axes.set_title(name, fontsize="medium")
        axes.tick_params(labelsize="x-small")
        if len(fits) == 1:
            axes.set_xticks(x, [str(stamps[0])[:16].replace("T", " ") if dated else "1"])
        elif dated:
            tidy_dates(axes)
        else:
            axes.locator_params(axis="x", integer=True)
        light_grid(axes)
    label_all(figure, axes_list, title=title, own=ax is None)
    return figure


def _numbers(fits: Sequence[Mapping[str, Any]], kind: str, name: str) -> np.ndarray:
    """Collect one number of each fit; nan where it is missing."""
    return np.array([(fit.get(kind) or {}).get(name) for fit in fits], float)


def _around(values: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    """Compute axis limits from the path and its median interval, so that one wide interval cannot hide it."""
    finite = half[np.isfinite(half)]
    margin = float(np.median(finite)) if finite.size else 0.0
    low = float(np.nanmin(values)) - margin
    high = float(np.nanmax(values)) + margin
    room = 0.08 * (high - low) or 0.1 * abs(low) or 0.1
    return low - room, high + room
