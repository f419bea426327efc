"""What a run of the pipeline leaves: stages with their gates, and the record of each market."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..diagnostics import Diagnosis
from ..diagnostics.gates import Gate, Outcome, worst_outcome
from ..quote_surface import QuoteSurface
from .markets import Market

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
        return "fail" if self.reason else worst_outcome(self.gates)


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
        gates = [gate for stage in self.stages for gate in stage.gates]
        return "fail" if any(stage.reason for stage in self.stages) else worst_outcome(gates)
