"""Finds the jumps of parameters between successive fits, and the reason for each as far as the tables show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

STEPS = 8.0  # a jump is larger than this many median changes of the parameter
LEAST = 0.25  # and larger than this share of the parameter's size
LOOSE = 0.5  # standard error, in sizes of the parameter, above which the quotes hardly determine it
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


def jumps(fits: Sequence[Fit]) -> list[Jump]:
    """Return the jumps along a path of one parameter.

    A jump is a change larger than `STEPS` times the median change and `LEAST` times the median size; on a path
    of fewer than four fits the median change is not known, and the second condition decides.
    """
    values = np.array([fit.value for fit in fits])
    changes = np.abs(np.diff(values))
    if not np.isfinite(changes).any():
        return []
    least = LEAST * float(np.nanmedian(np.abs(values)))
    typical = STEPS * float(np.nanmedian(changes)) if len(fits) >= 4 else 0.0
    large = np.flatnonzero(changes > max(least, typical, 1e-12))
    return [
        Jump(
            int(i) + 1,
            fits[i],
            fits[i + 1],
            reason_of(fits[i], fits[i + 1], float(np.nanmedian(abs(values)))),
        )
        for i in large
    ]


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
    error = np.nanmax([before.error, after.error, 0.0])
    if error > LOOSE * max(size, 1e-12):
        reasons.append(f"the quotes hardly determine it: standard error {error:.2g}")
    if min(before.quotes, after.quotes) < FEWER * max(before.quotes, after.quotes):
        reasons.append(f"{before.quotes:.0f} quotes before, {after.quotes:.0f} after")
    known = [error for error in (before.error, after.error) if np.isfinite(error)]
    if not reasons and len(known) == 2:
        ratio = abs(after.value - before.value) / max(float(np.hypot(*known)), 1e-300)
        noise = f"{ratio:.2g} standard errors" if ratio < 1e3 else "far more than its standard errors"
        reasons.append(
            f"the market moved: the change is {noise}" if ratio > 2.0 else f"noise of the quotes: {noise}"
        )
    return "; ".join(reasons) or "not known: the fits have no standard errors"


def fits_of(rows: pd.DataFrame, name: str) -> list[Fit]:
    """Return the path of a parameter from rows of `fits.parquet` of one underlying and model, in order of time."""
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
