"""Finds the jumps of parameters between successive fits, and the reason for each if the tables show it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

STEPS = 8.0  # a jump is larger than this many median changes of the parameter
LEAST = 0.25  # and larger than this share of the parameter's size
LOOSE = 0.5  # standard error, in sizes of the parameter, above which the quotes hardly determine it
NOISE = 2.0  # standard errors up to which a change is noise
FEWER = 0.7  # share of the earlier number of quotes below which there are far fewer


class Fit(NamedTuple):
    """One parameter of one fit, with what may explain its change.

    Attributes:
        time: The time of the snapshot.
        value: The value.
        error: Its standard error; nan if unknown.
        at_bound: Whether it ended on a bound.
        bounds: All parameters of the fit that ended on a bound.
        quotes: Number of quotes.
        converged: Whether the fit converged.
    """

    time: str
    value: float
    error: float
    at_bound: bool
    bounds: tuple[str, ...]
    quotes: float
    converged: bool


@dataclass(frozen=True)
class Jump:
    """A jump of one parameter from one fit to the next, with its reason."""

    position: int  # of the later fit
    before: Fit
    after: Fit
    reason: str

    def __str__(self) -> str:
        return f"from {self.before.value:.4g} to {self.after.value:.4g}: {self.reason}"


def jumps(fits: Sequence[Fit]) -> list[Jump]:
    """Return the jumps along a path of one parameter.

    A jump is a change larger than `STEPS` times the median change and `LEAST` times the median size; on a
    path of fewer than four fits the median change is not known, and the second condition decides.
    """
    values = np.array([fit.value for fit in fits])
    changes = np.abs(np.diff(values))
    if not np.isfinite(changes).any():
        return []
    least = LEAST * float(np.nanmedian(np.abs(values)))
    typical = STEPS * float(np.nanmedian(changes)) if len(fits) >= 4 else 0.0
    size = float(np.nanmedian(np.abs(values)))
    large = [int(i) for i in np.flatnonzero(changes > max(least, typical, 1e-12))]
    return [Jump(i + 1, fits[i], fits[i + 1], reason_of(fits[i], fits[i + 1], size)) for i in large]


def reason_of(before: Fit, after: Fit, size: float) -> str:
    """Return why a parameter jumped between two fits, as far as their rows show it."""
    reasons = []
    if not (before.converged and after.converged):
        reasons.append(f"the {'later' if not after.converged else 'earlier'} fit did not converge")
    if after.at_bound or before.at_bound:
        reasons.append(f"it {'reaches' if after.at_bound else 'leaves'} a bound of the configuration")
    elif set(before.bounds) != set(after.bounds):
        changed = sorted(set(before.bounds) ^ set(after.bounds))
        reasons.append(
            f"{', '.join(changed)} {'reach or leave' if len(changed) > 1 else 'reaches or leaves'} a bound"
        )
    known = [error for error in (before.error, after.error) if np.isfinite(error)]
    error = max(known, default=0.0)
    if error > LOOSE * max(size, 1e-12):
        reasons.append(f"the quotes hardly determine it: standard error {error:.2g}")
    if min(before.quotes, after.quotes) < FEWER * max(before.quotes, after.quotes):
        reasons.append(f"{before.quotes:.0f} quotes before, {after.quotes:.0f} after")
    if not reasons and len(known) == 2:
        reasons.append(_against_noise(abs(after.value - before.value), math.hypot(*known)))
    return "; ".join(reasons) or "not known: the fits have no standard errors"


def _against_noise(change: float, error: float) -> str:
    """Compare a change with the standard error of a difference of two estimates."""
    ratio = change / max(error, 1e-300)
    if ratio <= NOISE:
        return f"noise of the quotes: {ratio:.2g} standard errors"
    size = f"{min(ratio, 999.0):.3g} standard errors"
    return f"beyond the noise of the quotes ({size}): the market or the minimum moved"


def fits_of(rows: pd.DataFrame, name: str) -> list[Fit]:
    """Return the path of a parameter.

    Args:
        rows: Rows of `fits.parquet` of one underlying and model, in order of time.
        name: The column of the parameter.
    """
    errors = rows[f"{name}_se"] if f"{name}_se" in rows else pd.Series(np.nan, rows.index)
    found = []
    for row, error in zip(rows.to_dict("records"), errors, strict=True):
        bounds = tuple(filter(None, str(row["at_bound"] or "").split(", ")))
        found.append(
            Fit(
                time=str(row["snapshot_ts"]),
                value=float(row[name]),
                error=float(error),
                at_bound=name in bounds,
                bounds=bounds,
                quotes=float(row["n_train"]),
                converged=bool(row["converged"]),
            )
        )
    return found
