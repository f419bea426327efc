"""Tables of results: fits, parameters and quotes as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..errors import ArgumentError
from ..presentation.frame import Labels, frame_of_arrays
from ..quotes.cells import in_row_order
from ..quotes.outside import REASONS
from . import statistics as stats
from .status import CalibrationStatus

if TYPE_CHECKING:
    import pandas as pd

    from .result import CalibrationResult

_EVIDENCE = ("loss", "prior_loss", "steps", "gradient_norm", "condition_number", "agreement")
_ERRORS = ("rmse_bp", "rmse", "mae", "inside", "rsquared", "smape", "rmse_over_mean")
_CRITERIA = ("loglikelihood", "aic", "bic")
_STRIKE_DIGITS = 12  # a strike is computed from log(K / F), which rounds its last digits


def fit_table(result: CalibrationResult) -> pd.DataFrame:
    """Make one row per fit; see `CalibrationResult.to_frame`."""
    columns: dict[str, Any] = {
        "status": [CalibrationStatus(int(code)).name for code in np.atleast_1d(result.status)],
        "converged": np.atleast_1d(result.converged),
    }
    columns |= {name: np.atleast_1d(getattr(result, name)) for name in _EVIDENCE}
    if result.surface is not None and result.request is not None:
        errors = result.statistics()
        columns |= {name: np.atleast_1d(getattr(errors, name)) for name in _ERRORS}
        columns |= {name: np.atleast_1d(getattr(result, name)) for name in _CRITERIA}
    axes = np.ndim(result.status)
    for path, leaf in jax.tree_util.tree_leaves_with_path(result.model):
        values = np.asarray(leaf) if axes else np.asarray(leaf)[None]
        columns[jax.tree_util.keystr(path[-1:]).strip(".")] = list(values) if values.ndim > 1 else values
    errors = np.reshape(np.asarray(result.standard_errors), (-1, len(result.names)))
    plain = (i for i, name in enumerate(result.names) if "[" not in name)
    columns |= {f"{result.names[i]}_se": errors[:, i] for i in plain}
    return _frame(columns)


def parameter_table(result: CalibrationResult, alpha: float) -> pd.DataFrame:
    """Make one row per parameter; see `CalibrationResult.parameters`."""
    values = stats.named_values(result)
    ends = stats.intervals(result, alpha)
    units = np.array(stats.parameter_units(result), object)
    columns = {
        "value": values,
        "std_error": np.asarray(result.standard_errors),
        "lower": ends[..., 0],
        "upper": ends[..., 1],
        "unit": np.broadcast_to(units, values.shape),
        "fixed": np.asarray(stats.request_of_fit(result).fixed),
        "at_bound": np.asarray(result.at_bound),
    }
    return frame_of_arrays(columns, _labels(result))


def interval_table(result: CalibrationResult, alpha: float) -> pd.DataFrame:
    """Make one row per parameter with its interval; see `CalibrationResult.conf_int`."""
    ends = stats.intervals(result, alpha)
    return frame_of_arrays({"lower": ends[..., 0], "upper": ends[..., 1]}, _labels(result))


def params_of(result: CalibrationResult) -> Any:
    """Make a Series of the parameters of one fit, or a DataFrame with one row per fit of a batch."""
    import pandas as pd

    values = stats.named_values(result)
    if values.ndim == 1:
        return pd.Series(values, index=list(result.names), name="value")
    return pd.DataFrame(values, columns=list(result.names))


def quote_table(result: CalibrationResult, index: Labels | None) -> pd.DataFrame:
    """Make one row per quote of one fit; see `CalibrationResult.quotes`.

    Raises:
        ArgumentError: the result is a batch, or the index is too short.
    """
    if np.ndim(result.status):
        raise ArgumentError("quotes() needs one fit, got a batch; select one, as in results[3].quotes().")
    surface = stats.surface_of(result)
    refused = np.zeros(surface.mask.shape, int) if surface.refused is None else surface.refused
    pick = in_row_order(surface.mask | (refused > 0), surface.index)
    kind, maturity, slot = pick
    errors = stats.errors_of(result)
    unit = np.asarray(surface.unit)[maturity]
    market = np.where(surface.mask, surface.prices, np.nan)[pick]
    k = surface.k[maturity, slot]
    texts = {0: "", **REASONS}
    columns = {
        "kind": np.array(["call", "put"], object)[kind],
        "maturity": surface.t[maturity],
        "strike": [float(f"{x:.{_STRIKE_DIGITS}g}") for x in surface.forward[maturity] * np.exp(k)],
        "k": k,
        "fitted": stats.fitted_quotes(result)[pick],
        "market_price": market * unit,
        "model_price": (market + errors.price[pick]) * unit,
        "market_vol": errors.market_vol[pick],
        "model_vol": errors.model_vol[pick],
        "residual_bp": stats.BP * errors.vol[pick],
        "refused": np.array([texts[int(code)] for code in refused[pick]], object),
    }
    frame = frame_of_arrays(columns, _row_labels(np.asarray(surface.index)[pick], index))
    frame.insert(len(columns) - 1, "inside", _flags(errors.inside[pick]))
    return frame


def _row_labels(rows: np.ndarray, index: Labels | None) -> Any:
    """Labels of rows of the caller's table, by their numbers.

    Raises:
        ArgumentError: the index is shorter than the table.
    """
    import pandas as pd

    if index is None:
        return pd.Index(rows, name="row")
    labels = pd.Index(index)
    if len(labels) <= int(rows.max(initial=-1)):
        raise ArgumentError(
            f"index must have one label per row of the table that the surface was built from, at least "
            f"{int(rows.max()) + 1}, got {len(labels)}."
        )
    return labels[rows]


def _labels(result: CalibrationResult) -> Any:
    """Labels of rows: names of parameters, below the numbers of the fits of a batch."""
    import pandas as pd

    names = pd.Index(list(result.names), name="parameter")
    if not np.ndim(result.status):
        return names
    return pd.MultiIndex.from_product([range(len(result)), names], names=["fit", "parameter"])


def _flags(values: np.ndarray) -> Any:
    """Numbers 1, 0 and nan as booleans that may be missing."""
    import pandas as pd

    return pd.array([None if np.isnan(x) else bool(x) for x in values], dtype="boolean")


def _frame(columns: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns)
