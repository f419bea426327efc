"""What a run came to: counts by currency and model, errors on the test quotes, and whether all is well."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..recipes import in_order
from .rows import LOST, REFUSED


@dataclass(frozen=True)
class Line:
    """One currency and model; errors, in coin, are those of all test quotes of converged fits together."""

    currency: str
    model: str
    snapshots: int
    converged: int
    not_converged: int  # ended with another status
    refused: int  # the snapshot could not be used
    lost: int  # an error took the fit
    mae: float
    median_mae: float  # over snapshots
    rmse: float
    inside: float  # share of quotes with an error of at most half the spread
    steps: float  # median


@dataclass(frozen=True)
class Summary:
    """The outcome of a run; printing it gives a table."""

    lines: tuple[Line, ...]
    snapshots: int  # in the store
    fitted: int  # snapshots and currencies fitted now; the others were there already
    seconds: float
    reasons: dict[str, int]  # why fits did not converge or were lost, and how many

    @property
    def complete(self) -> bool:
        """Whether every fit that was tried converged."""
        return all(line.not_converged + line.lost == 0 for line in self.lines)

    def __str__(self) -> str:
        """A table, then what did not converge, then the time it took."""
        width = max([7, *(len(line.model) for line in self.lines)])
        header = (
            f"{'':4} {'model':{width}} {'snapshots':>9} {'converged':>9} {'refused':>7} {'failed':>6}"
            f"   {'MAE test':>9} {'median':>9} {'RMSE test':>9} {'inside':>7} {'steps':>5}"
        )
        rows = [
            f"{line.currency:4} {line.model:{width}} {line.snapshots:9} {line.converged:9} {line.refused:7}"
            f" {line.not_converged + line.lost:6}   {_numbers(line)}"
            for line in self.lines
        ]
        why = [f"{count} x {reason}" for reason, count in self.reasons.items()]
        rate = f", {self.fitted / self.seconds:.1f} a second" if self.fitted and self.seconds else ""
        now = f"{self.fitted} snapshot-currencies fitted now in {self.seconds:.1f} s{rate}"
        return "\n".join([header, *rows, *why, f"{self.snapshots} snapshots; {now}"])


def summarise(fits: Any, seconds: float = 0.0, fitted: int = 0) -> Summary:
    """The summary of a table of fits.

    Args:
        fits: DataFrame as in `fits.parquet`.
        seconds: Wall time of the run.
        fitted: Snapshots and currencies fitted in this time.
    """
    lines = []
    for currency in fits["currency"].unique():
        for model in in_order(fits["model"].unique()):
            rows = fits[(fits["currency"] == currency) & (fits["model"] == model)]
            if len(rows):
                lines.append(_line(currency, model, rows))
    tried = fits[~fits["converged"].astype(bool) & (fits["status"] != REFUSED)]
    reasons = (tried["model"] + " " + tried["status"] + ": " + tried["message"]).value_counts()
    counts = {str(reason): int(count) for reason, count in reasons.items()}
    return Summary(tuple(lines), int(fits["snapshot_ts"].nunique()), fitted, seconds, counts)


def _line(currency: str, model: str, rows: Any) -> Line:
    converged = rows[rows["converged"].astype(bool)]
    refused, lost = (int((rows["status"] == status).sum()) for status in (REFUSED, LOST))
    count = converged["n_test"].to_numpy(float)
    mae, rmse, inside = (converged[f"{name}_test"].to_numpy(float) for name in ("mae", "rmse", "inside"))
    return Line(
        currency=currency,
        model=model,
        snapshots=len(rows),
        converged=len(converged),
        not_converged=len(rows) - len(converged) - refused - lost,
        refused=refused,
        lost=lost,
        mae=_pooled(mae, count),
        median_mae=float(np.nanmedian(mae)) if np.isfinite(mae).any() else np.nan,
        rmse=float(np.sqrt(_pooled(rmse**2, count))),
        inside=_pooled(inside, count),
        steps=float(converged["steps"].median()) if len(converged) else np.nan,
    )


def _pooled(values: np.ndarray, count: np.ndarray) -> float:
    """Mean with weights; nan where there is none."""
    here = np.isfinite(values) & (count > 0)
    return float(np.sum(values[here] * count[here]) / np.sum(count[here])) if here.any() else np.nan


def _numbers(line: Line) -> str:
    forms = ("9.6f", "9.6f", "9.6f", "7.1%", "5.0f")
    values = (line.mae, line.median_mae, line.rmse, line.inside, line.steps)
    return " ".join(_number(value, form) for value, form in zip(values, forms, strict=True))


def _number(value: float, form: str) -> str:
    """A number, or a dash of its width where there is none."""
    width = int(form.split(".")[0])
    return f"{value:{form}}" if np.isfinite(value) else f"{'-':>{width}}"
