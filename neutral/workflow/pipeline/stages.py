"""What a run of the pipeline leaves: stages with their gates, and the record of each market."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax

from ...diagnostics import Diagnosis
from ...diagnostics.gates import Gate, Limit, Outcome, evaluate_gates, worst_outcome
from ...errors import NeutralError
from ...quotes.surface import QuoteSurface
from ..inputs.markets import Market

WHY = {
    "kappa_change": "not known, for lack of an earlier fit",
    "rho_change": "not known, for lack of an earlier fit",
    "fold_variation": "not known, for lack of quotes or of fits that converge without a fold",
    "start_spread": "not known, for lack of a second start that has converged",
}
STAGES = ("preprocess", "configure", "optimise", "validate", "store")


@dataclass(frozen=True)
class Stage:
    """One stage of one market: what it measured, how long it took, what its limits say.

    Attributes:
        name: One of `STAGES`.
        seconds: Wall time.
        metrics: Numbers by name, nan where not known.
        gates: Limits, held against the metrics.
        reason: Why the stage could not be finished; empty where it was.
    """

    name: str
    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    reason: str = ""

    @property
    def outcome(self) -> Outcome:
        """The gravest of its gates; "fail" where it was not finished."""
        return outcome_of([self])


def staged(
    name: str,
    work: Callable[[], tuple[dict[str, float], Any]],
    limits: Collection[Limit],
    application: str,
    seconds: float = 0.0,
) -> tuple[Stage, Any]:
    """Do the work of a stage, and hold its metrics against their limits.

    Limits on what the stage does not measure are not its own; a metric that is nan keeps none.

    Args:
        name: Of the stage.
        work: Returns metrics, and what the next stage goes on with.
        limits: Those that may concern it.
        application: As of `evaluate_gates`.
        seconds: Spent on it before.

    Returns:
        The stage, and what `work` returned; None where it raised one of the package's errors, which the
        stage then states.
    """
    began = time.perf_counter()
    metrics, value, reason = dict[str, float](), None, ""
    try:
        metrics, value = work()
    except (NeutralError, jax.errors.JaxRuntimeError) as error:
        reason = str(error)
    own = [limit for limit in limits if limit.measure in metrics]
    judged = {limit.measure: metrics[limit.measure] for limit in own}
    gates = evaluate_gates(judged, application, limits=own, why=WHY) if own else ()
    return Stage(name, seconds + time.perf_counter() - began, metrics, gates, reason), value


def reason_of(stages: Sequence[Stage]) -> str:
    """Why one of them could not be finished; "" where all were."""
    return next((stage.reason for stage in stages if stage.reason), "")


def outcome_of(stages: Sequence[Stage]) -> Outcome:
    """Of all their gates; "fail" where one could not be finished."""
    return "fail" if reason_of(stages) else worst_outcome([gate for stage in stages for gate in stage.gates])


@dataclass(frozen=True, eq=False)
class MarketRun:
    """One market through the pipeline, as far as it came.

    Attributes:
        market: The quotes, and the file they are from.
        stages: Those that ran, in order; the last one says why there are no more.
        log: What was tried when a fit failed, a line each.
        record: What is stored: plain numbers, texts, lists and dictionaries.
        surface: The quotes that were fitted; None where there are none.
        diagnosis: Of the fit; None where there is none.
        rejected: The refused quotes with their `reason`, a DataFrame; None where nothing was read.
    """

    market: Market
    stages: tuple[Stage, ...]
    log: tuple[str, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)
    surface: QuoteSurface | None = None
    diagnosis: Diagnosis | None = None
    rejected: Any = None

    @property
    def outcome(self) -> Outcome:
        """Of all gates of all stages."""
        return outcome_of(self.stages)

    def without_numbers(self) -> "MarketRun":
        """The same with nothing that takes memory: quotes, surface and diagnosis."""
        market = replace(self.market, frame=None, rejected=None)
        return replace(self, market=market, surface=None, diagnosis=None, rejected=None)

    def __str__(self) -> str:
        """One line."""
        reason = reason_of(self.stages)
        error = self.record.get("iv_rmse")
        told = "" if error is None else f", {1e4 * error:.3g} bp of volatility"
        asset, when = self.market.asset, self.record.get("timestamp") or self.market.file
        seconds = sum(stage.seconds for stage in self.stages)
        return f"{asset} {when}: {self.outcome}{told}, {seconds:.2g} s" + (f": {reason}" if reason else "")
