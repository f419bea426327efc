"""What is done where a fit fails: new starts, more steps, another solver, a simpler model, people."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from ...calibration import (
    CalibrationResult,
    CalibrationStatus,
    DifferentialEvolution,
    LevenbergMarquardt,
    QuasiRandom,
    Search,
    calibrate,
)
from ...errors import NeutralError
from ...quotes.surface import QuoteSurface
from .config import PipelineConfig

MORE = 10  # times the steps, of the second attempt
EXPLORE = {"none": None, "quasi_random": QuasiRandom(), "differential_evolution": DifferentialEvolution()}
ESCALATE = "escalate: no attempt has converged; look at the quotes, the bounds that are hit and the residuals"


@dataclass(frozen=True, eq=False)
class Setup:
    """A market ready to be fitted.

    Attributes:
        surface: The quotes.
        options: By model, what `calibrate` takes: loss, prior, bounds; `starts` are further starting models.
        before: By model, the parameters of the last fit; None where there is none.
    """

    surface: QuoteSurface
    options: dict[str, dict[str, Any]]
    before: dict[str, Mapping[str, float] | None]


@dataclass(frozen=True)
class Attempt:
    """One way to fit."""

    step: str
    model: str
    options: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Fitted:
    """The fit that is taken, by which model, and what was tried."""

    result: CalibrationResult
    model: str
    options: dict[str, Any]
    log: list[str] = field(default_factory=list)
    global_loss: float = np.nan  # where the global stage ends; nan without one


def fit(config: PipelineConfig, setup: Setup) -> Fitted:
    """Fit one market, by further attempts where the first fails.

    Args:
        config: Model, search, solver, simpler models.
        setup: Of the market.

    Returns:
        The first fit that has converged; else that of the first attempt, with the log's last line to people.

    Raises:
        NeutralError: the attempt that the configuration asks for cannot be made.
    """
    first, log, error = None, [], None
    for attempt in _attempts(config):
        began = time.perf_counter()
        try:
            found = _try(config, setup.surface, attempt, setup.options[attempt.model])
        except (NeutralError, jax.errors.JaxRuntimeError) as failure:
            log.append(f"{attempt.step}: {attempt.model}: {failure}")
            error = error or failure
            continue
        log.append(_line(attempt, found.result, time.perf_counter() - began))
        if bool(found.result.converged):
            return replace(found, log=log)
        first = first or found
        if int(found.result.status) == CalibrationStatus.bad_quotes:
            break  # no start and no solver mends quotes
    if first is None:
        raise NeutralError("; ".join([*log, ESCALATE])) from error
    return replace(first, log=[*log, ESCALATE])


def _attempts(config: PipelineConfig) -> Iterator[Attempt]:
    plan = config.search
    usual = Search(plan.screening, plan.finalists)
    own = {"solver": config.solver.build(), "search": usual}
    yield Attempt("as configured", config.model, own)
    anew = Search(plan.screening, plan.finalists, QuasiRandom(keep=plan.finalists, seed=1))
    yield Attempt("new starts", config.model, own | {"search": anew})
    yield Attempt("more steps", config.model, own | {"solver": config.solver.build(MORE)})
    yield Attempt("other solver", config.model, own | {"solver": config.solver.other(MORE)})
    for name in config.simpler:
        yield Attempt("simpler model", name, own)


def _try(config: PipelineConfig, surface: QuoteSurface, attempt: Attempt, options: dict[str, Any]) -> Fitted:
    """A global stage where one is asked for, then the local one from its end and all other starts."""
    recipe, asked = config.recipe(attempt.model), options | attempt.options
    explore, starts, loss = EXPLORE[config.search.explore], list(asked.pop("starts")), np.nan
    if explore is not None:
        one = LevenbergMarquardt(max_steps=1)
        once = {"solver": one, "search": Search(1, 1, explore), "on_degenerate": "keep"}
        wide = calibrate(recipe, surface, **asked | once)
        loss, starts = float(wide.loss), [*starts, wide.model]
    result = calibrate(recipe, surface, starts=starts, **asked)
    return Fitted(result, attempt.model, asked, global_loss=loss)


def _line(attempt: Attempt, result: CalibrationResult, seconds: float) -> str:
    status = CalibrationStatus(int(result.status))
    told = f"{attempt.step}: {attempt.model}: {status.name} after {int(result.steps)} steps, {seconds:.2g} s"
    return f"{told}, loss {float(result.loss):.4g}" if np.isfinite(float(result.loss)) else told
