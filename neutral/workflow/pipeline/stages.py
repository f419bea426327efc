"""Runs a stage of the pipeline with its metrics and gates, and keeps the results of a market."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import jax
import pandas as pd

from ...diagnostics import Diagnosis
from ...diagnostics.gates import Gate, Limit, Outcome, evaluate_gates, worst_outcome
from ...errors import NeutralError
from ...quotes.surface import QuoteSurface
from ...times import seconds_text
from ..inputs.markets import Market

T = TypeVar("T")

Metrics = dict[str, float]
"""Numbers by name, nan where a number could not be determined."""

WHY = {
    "kappa_change": "not known, for lack of an earlier fit",
    "rho_change": "not known, for lack of an earlier fit",
    "fold_variation": "not known, for lack of quotes or of fits that converge without a fold",
    "start_spread": "not known, for lack of a second start that has converged",
}
STAGES = ("preprocess", "configure", "optimise", "validate", "store")


@dataclass(frozen=True)
class Stage:
    """One stage of one market: its metrics, its wall time, and whether it is within its limits.

    Attributes:
        name: One of `STAGES`.
        seconds: Wall time in seconds.
        metrics: Numbers by name, nan where a number could not be determined.
        gates: The results of comparing the metrics with the limits.
        reason: Why the stage could not be finished; "" if it was finished.
    """

    name: str
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its gates; "fail" if the stage was not finished."""
        return outcome_of([self])


def run_stage(
    name: str,
    work: Callable[[], tuple[Metrics, T]],
    limits: Collection[Limit],
    application: str,
    seconds: float = 0.0,
) -> tuple[Stage, T | None]:
    """Do the work of a stage, and compare its metrics with their limits.

    A metric of nan is within no limit.

    Args:
        name: The name of the stage.
        work: Returns metrics, and the value that the next stage needs.
        limits: Limits, of which only those on this stage's metrics apply.
        application: As for `evaluate_gates`.
        seconds: Time spent on the stage before this call.

    Returns:
        The stage, and the value that `work` returned. The value is None if `work` raised an error of the
        package or of JAX; the stage then states its message.
    """
    began = time.perf_counter()
    metrics: Metrics = {}
    value = None
    reason = ""
    try:
        metrics, value = work()
    except (NeutralError, jax.errors.JaxRuntimeError) as error:
        reason = str(error)
    own_limits = [limit for limit in limits if limit.measure in metrics]
    limited = {limit.measure: metrics[limit.measure] for limit in own_limits}
    gates = evaluate_gates(limited, application, limits=own_limits, why=WHY) if own_limits else ()
    total = seconds + time.perf_counter() - began
    return Stage(name=name, seconds=total, metrics=metrics, gates=gates, reason=reason), value


def reason_of(stages: Sequence[Stage]) -> str:
    """Return why one of the stages could not be finished; "" if all were finished."""
    return next((stage.reason for stage in stages if stage.reason), "")


def outcome_of(stages: Sequence[Stage]) -> Outcome:
    """Return the worst outcome of all gates of the stages; "fail" if a stage could not be finished."""
    return "fail" if reason_of(stages) else worst_outcome([gate for stage in stages for gate in stage.gates])


@dataclass(frozen=True, eq=False)
class MarketRun:
    """The results of the pipeline for one market, up to the stage that could not be finished.

    Attributes:
        market: The quotes, and the name of their file.
        stages: The stages that ran, in order.
        log: The attempts to fit the market, a line each.
        record: The record that is stored: plain numbers, texts, lists and dictionaries.
        surface: The quotes that were fitted; None if there are none.
        diagnosis: The diagnosis of the fit; None if there is none.
        rejected: The refused quotes with their column `reason`; None if nothing was read.
    """

    market: Market
    stages: tuple[Stage, ...]
    log: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    surface: QuoteSurface | None = None
    diagnosis: Diagnosis | None = None
    rejected: pd.DataFrame | None = None

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of all gates of all stages; "fail" if a stage could not be finished."""
        return outcome_of(self.stages)

    @property
    def seconds(self) -> float:
        """The wall time of all stages in seconds."""
        return sum(stage.seconds for stage in self.stages)

    def without_numbers(self) -> "MarketRun":
        """Return a copy without quotes, surface and diagnosis, to save memory."""
        market = replace(self.market, frame=None, rejected=None)
        return replace(self, market=market, surface=None, diagnosis=None, rejected=None)

    @property
    def _name(self) -> str:
        """The underlying and the time; the file if that time is unknown, alone if it could not be read."""
        when = self.record.get("timestamp") or self.market.file
        return f"{self.market.underlying} {when}" if self.market.readable else self.market.file

    def __str__(self) -> str:
        """Describe the run in one line, and in one more for each finding about what was read."""
        reason = reason_of(self.stages)
        iv_rmse = self.record.get("iv_rmse")
        error = "" if iv_rmse is None else f", {1e4 * iv_rmse:.3g} bp of volatility"
        text = f"{self._name}: {self.outcome}{error}, {seconds_text(self.seconds)}"
        found = "".join(f"\n  {finding}" for finding in self.market.findings)
        why = reason if self.market.readable else reason.removeprefix(f"{self.market.file}: ")
        return f"{text}: {why}{found}" if why else text + found
