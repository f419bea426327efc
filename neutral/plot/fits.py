"""Figures of many fits: box plots of their parameters, and models beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from ..calibration import CalibrationResult
from ..diagnostics import ModelComparison
from ..errors import ArgumentError
from ..typing import Values
from .frame import label_all, light_grid, panels, text_figure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@runtime_checkable
class FitTable(Protocol):
    """A table with one row per fit, such as a DataFrame: columns of parameters, and perhaps `converged`."""

    def __contains__(self, name: str, /) -> bool:
        """Whether there is a column of this name."""
        ...

    def __getitem__(self, name: str, /) -> Values:
        """Return a column."""
        ...


Fits = CalibrationResult | FitTable


def parameters(
    fits: Fits | Mapping[str, Fits],
    names: Sequence[str] | None = None,
    *,
    title: str | None = None,
    ax: Axes | Iterable[Axes] | None = None,
) -> Figure:
    """Draw box plots of the parameters of many fits, one panel per parameter.

    A box reaches from the first to the third quartile, whiskers to the farthest fit within 1.5 times that
    range; fits beyond them are dots (Tukey 1977). Only fits that have converged count.

    Args:
        fits: A batch of fits, a table with one row per fit (such as `fits.parquet`), or several of them by
            label, whose boxes are then drawn side by side.
        names: Parameters to draw. For batches where None: all of their parameters but the increments of a
            shift; tables need it.
        title: Title of the figure.
        ax: matplotlib axes to draw on, one for each parameter; a new figure where None.

    Returns:
        A matplotlib figure; where no fit has converged it states this.

    Raises:
        ArgumentError: the fits are neither a batch nor a table, a name is unknown, or a table has no names.
        NeutralError: matplotlib is not installed.
    """
    by_label = dict(fits) if isinstance(fits, Mapping) else {"": fits}
    columns = {label: _columns(one, names) for label, one in by_label.items()}
    drawn = list(dict.fromkeys(name for values in columns.values() for name in values))
    unknown = [name for name in names or () if name not in drawn]
    if unknown:
        raise ArgumentError(f"no fit has the parameter {', '.join(unknown)}; there are {', '.join(drawn)}.")
    if not any(values.size for one in columns.values() for values in one.values()):
        return text_figure("No parameters: no fit has converged.", title, ax)
    figure, axes_list = panels(len(drawn), 5, (1.5 + 0.35 * len(columns), 2.4), ax=ax)
    for axes, name in zip(axes_list, drawn, strict=True):
        boxes = {label: one[name] for label, one in columns.items() if name in one and one[name].size}
        axes.boxplot(
            list(boxes.values()),
            tick_labels=list(boxes),
            widths=0.5,
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": "0.4"},
            medianprops={"color": "C3"},
        )
        axes.set_title(name, fontsize="medium")
        axes.tick_params(labelsize="x-small")
        light_grid(axes)
    label_all(figure, axes_list, title=title, own=ax is None)
    return figure


def comparison(
    models: ModelComparison, *, title: str | None = None, ax: Axes | Iterable[Axes] | None = None
) -> Figure:
    """Draw models beside each other: BIC less the smallest, error of volatility, share inside bid and ask.

    Args:
        models: The result of `neutral.compare`.
        title: Title of the figure.
        ax: Three matplotlib axes to draw on; a new figure where None.

    Returns:
        A matplotlib figure. A measure that is not known of a model has no bar.

    Raises:
        NeutralError: matplotlib is not installed.
    """
    rows = models.rows()
    names = [str(row["model"]) for row in rows]
    measures = {
        "BIC less the smallest": (models.criteria.deltas("bic"), "{:.0f}"),
        "RMSE, bp of volatility": (np.array([row["rmse_bp"] for row in rows]), "{:.3g}"),
        "inside bid-ask, %": (100.0 * np.array([row["inside"] for row in rows]), "{:.0f}"),
    }
    figure, axes_list = panels(3, 3, (2.9, 0.8 + 0.32 * len(names)), ax=ax)
    for axes, (label, (values, form)) in zip(axes_list, measures.items(), strict=True):
        known = np.isfinite(values)
        places = np.arange(len(names))
        bars = axes.barh(places[known], values[known], height=0.55, color="C0", alpha=0.8)
        axes.bar_label(bars, [form.format(x) for x in values[known]], padding=2, fontsize="small")
        axes.set_yticks(places, names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.margins(x=0.18)
        axes.set_title(label, fontsize="medium")
        light_grid(axes)
    label_all(figure, axes_list, title=title, own=ax is None)
    return figure


def _columns(fits: Fits, names: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Return the finite values of the parameters of converged fits, by name.

    Raises:
        ArgumentError: the fits are neither a batch nor a table, or a table comes without names.
    """
    if isinstance(fits, CalibrationResult):
        if not np.ndim(fits.status):
            raise ArgumentError("parameters needs many fits, got a single one; draw it with result.plot().")
        chosen = [n for n in fits.names if not n.startswith("increments")] if names is None else names
        values = fits.params
        converged = np.asarray(fits.converged)
        return {name: _finite(values[name], converged) for name in chosen if name in fits.names}
    if isinstance(fits, str | bytes) or not isinstance(fits, FitTable):
        raise ArgumentError(f"parameters needs a batch of fits or a table, got {type(fits).__name__}.")
    if names is None:
        raise ArgumentError("a table needs names= with the columns of parameters to draw.")
    converged = np.asarray(fits["converged"], bool) if "converged" in fits else True
    return {name: _finite(fits[name], converged) for name in names if name in fits}


def _finite(values: Values, converged: np.ndarray | bool) -> np.ndarray:
    numbers = np.asarray(values, float)
    return numbers[np.isfinite(numbers) & converged]
