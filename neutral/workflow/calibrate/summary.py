"""Summarises a run: counts and errors by underlying and model, and whether every fit converged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..inputs.markets import noted
from ..messages import Once
from ..outcome import LOST, REFUSED
from ..recipes import in_order

Split = Literal["test", "train"]
SHOWN = 10  # number of reasons of refusals that are printed


@dataclass(frozen=True)
class Line:
    """The counts and errors of one underlying and model. Errors pool all test quotes of converged fits."""

    underlying: str
    model: str
    snapshots: int
    converged: int  # fits that converged
    not_converged: int  # fits that ended with another status
    refused: int  # snapshots that could not be used
    lost: int  # fits that an error prevented
    mae: float  # mean absolute error, in the unit of the quotes, and so are the next two
    median_mae: float  # median over snapshots
    rmse: float  # root mean square error
    inside: float  # share of quotes with an error of at most half the spread
    steps: float  # median over converged fits
    unit: str = ""  # of the errors: coin or cash
    inside_train: float = np.nan  # as `inside`, of the fitted quotes: the mean over snapshots

    def inside_of(self, split: Split) -> float:
        """Return the share of the test or the train quotes inside the spread."""
        return self.inside if split == "test" else self.inside_train

    @property
    def failed(self) -> int:
        """The number of attempted fits that did not converge."""
        return self.not_converged + self.lost


@dataclass(frozen=True)
class Summary:
    """The outcome of a run; printing it gives a table."""

    lines: tuple[Line, ...]
    snapshots: int  # number of snapshots in the store
    fitted: int  # pairs of snapshot and underlying fitted in this run; the others were in the store before
    seconds: float  # wall time of the run
    reasons: dict[str, int]  # number of fits by the reason why they failed
    findings: tuple[tuple[str, str], ...] = ()  # title of a market that was read in this run, and what
    refusals: dict[str, int] = field(default_factory=dict)  # snapshots and underlyings, by reason
    unreadable: tuple[str, ...] = ()  # why input files could not be read

    @property
    def complete(self) -> bool:
        """Whether every attempted fit converged."""
        return all(line.failed == 0 for line in self.lines)

    @property
    def usable(self) -> bool:
        """Whether every input file could be read, every attempted fit converged, and there is a fit."""
        return self.complete and not self.unreadable and any(line.converged for line in self.lines)

    @property
    def nothing_read(self) -> bool:
        """Whether every row is of a file that could not be read."""
        refused = all(line.refused == line.snapshots for line in self.lines)
        return refused and bool(self.unreadable) and set(self.refusals) <= set(self.unreadable)

    def __str__(self) -> str:
        """Write a table, the reasons of refusals and failures, findings about what was read, and the time."""
        width = max([7, *(len(line.model) for line in self.lines)])
        header = (
            f"{'':4} {'model':{width}} {'snapshots':>9} {'converged':>9} {'refused':>7} {'failed':>6}   "
            f"{'unit':4} {'MAE test':>9} {'median':>9} {'RMSE test':>9} {'inside':>7} {'steps':>5}"
        )
        rows = [
            f"{line.underlying:4} {line.model:{width}} {line.snapshots:9} {line.converged:9} {line.refused:7}"
            f" {line.failed:6}   {line.unit or '-':4} {_numbers(line)}"
            for line in self.lines
        ]
        reasons = [f"{count} x {reason}" for reason, count in self.reasons.items()]
        once = Once()
        refusals = list(self.refusals.items())[:SHOWN]
        reasons += [f"{count} x refused: {once(text)}" for text, count in refusals]
        if len(self.refusals) > SHOWN:
            reasons.append(f"{len(self.refusals) - SHOWN} more reasons of refusals are in fits.parquet")
        rate = f", {self.fitted / self.seconds:.1f} a second" if self.fitted and self.seconds else ""
        work = f"{self.fitted} pairs of snapshot and currency fitted in {self.seconds:.1f} s{rate}"
        last = f"{self.snapshots} snapshots; {work}"
        return "\n".join([header, *rows, *reasons, *noted(self.findings), last])


def summarise(
    fits: pd.DataFrame,
    seconds: float = 0.0,
    fitted: int = 0,
    findings: Sequence[tuple[str, str]] = (),
    units: Mapping[str, str] | None = None,
    unreadable: Sequence[str] = (),
) -> Summary:
    """Summarise a table of fits.

    Args:
        fits: The table in `fits.parquet`.
        seconds: Wall time of the run.
        fitted: Number of pairs of snapshot and underlying that were fitted in this time.
        findings: Findings about the markets that were read, each after the market's title.
        units: The unit of the errors of each underlying.
        unreadable: Why some files could not be read.
    """
    table: Any = fits  # type checkers cannot follow the types of pandas
    failed = table[~table["converged"].astype(bool) & (table["status"] != REFUSED)]
    reasons = (failed["model"] + " " + failed["status"] + ": " + failed["message"]).value_counts()
    refused = table[table["status"] == REFUSED].drop_duplicates(["snapshot_ts", "currency", "message"])
    named = units or {}
    return Summary(
        lines=tuple(
            _line(underlying, model, rows, named.get(underlying, ""))
            for underlying, model, rows in by_model(fits)
        ),
        snapshots=int(table["snapshot_ts"].nunique()),
        fitted=fitted,
        seconds=seconds,
        reasons={str(reason): int(count) for reason, count in reasons.items()},
        findings=tuple(findings),
        refusals={str(reason): int(count) for reason, count in refused["message"].value_counts().items()},
        unreadable=tuple(unreadable),
    )


def by_model(fits: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Group a table of fits by underlying and model, in the order of the tables of results."""
    table: Any = fits
    return [
        (str(underlying), model, rows)
        for underlying in table["currency"].unique()
        for model in in_order(table["model"].unique())
        if len(rows := table[(table["currency"] == underlying) & (table["model"] == model)])
    ]


def _line(underlying: str, model: str, rows: pd.DataFrame, unit: str) -> Line:
    table: Any = rows
    converged = table[table["converged"].astype(bool)]
    refused = int((table["status"] == REFUSED).sum())
    lost = int((table["status"] == LOST).sum())
    count = converged["n_test"].to_numpy(float)
    mae = converged["mae_test"].to_numpy(float)
    rmse = converged["rmse_test"].to_numpy(float)
    return Line(
        underlying=underlying,
        model=model,
        snapshots=len(rows),
        converged=len(converged),
        not_converged=len(rows) - len(converged) - refused - lost,
        refused=refused,
        lost=lost,
        mae=_pooled(mae, count),
        median_mae=float(np.nanmedian(mae)) if np.isfinite(mae).any() else np.nan,
        rmse=_pooled_root(rmse, count),
        inside=_pooled(converged["inside_test"].to_numpy(float), count),
        steps=float(converged["steps"].median()) if len(converged) else np.nan,
        unit=unit,
        inside_train=_pooled(converged["inside_train"].to_numpy(float), np.ones(len(converged))),
    )


def _pooled(values: np.ndarray, count: np.ndarray) -> float:
    """Return the mean of values weighted by counts; nan if no finite value has a count above 0."""
    usable = np.isfinite(values) & (count > 0)
    if not usable.any():
        return np.nan
    share = count[usable] / np.sum(count[usable])  # taken first, because a sum of huge values overflows
    return float(np.sum(values[usable] * share))


def _pooled_root(values: np.ndarray, count: np.ndarray) -> float:
    """Return the root of the mean of squares weighted by counts; inf where a square overflows."""
    with np.errstate(over="ignore"):
        return float(np.sqrt(_pooled(values**2, count)))


def _numbers(line: Line) -> str:
    forms = ("9.6f", "9.6f", "9.6f", "7.1%", "5.0f")
    values = (line.mae, line.median_mae, line.rmse, line.inside, line.steps)
    return " ".join(_number(value, form) for value, form in zip(values, forms, strict=True))


def _number(value: float, form: str) -> str:
    """Format a number, or a dash of the same width for nan."""
    width = int(form.split(".")[0])
    return f"{value:{form}}" if np.isfinite(value) else f"{'-':>{width}}"
