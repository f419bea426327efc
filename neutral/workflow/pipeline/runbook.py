"""The attempts made where a fit fails: new starts, more steps, another solver, a simpler model."""

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
    """The fit that is taken, its model, the options it was made with, and a log of all attempts."""

    result: CalibrationResult
    model: str
    options: dict[str, Any]
    log: list[str] = field(default_factory=list)
    global_loss: float = np.nan  # where the global stage ends; nan without one


def fit(config: PipelineConfig, setup: Setup) -> Fitted:
    """Fit one market; further attempts follow where the first one fails.

    Args:
        config: Model, search, solver, engine and simpler models.
        setup: The market and the options of its fits.

    Returns:
        The first fit that has converged; else that of the first attempt, with a last line of the log that
        asks for a person.

    Raises:
        NeutralError: no attempt could be made.
    """
    first: Fitted | None = None
    log: list[str] = []
    error: Exception | None = None
    for attempt in _attempts(config):
        began = time.perf_counter()
        try:
            fitted = _try(config, setup.surface, attempt, setup.options[attempt.model])
        except (NeutralError, jax.errors.JaxRuntimeError) as failure:
            log.append(f"{attempt.step}: {attempt.model}: {failure}")
            error = error or failure
            continue
        log.append(_line(attempt, fitted.result, time.perf_counter() - began))
        if bool(fitted.result.converged):
            return replace(fitted, log=log)
        first = first or fitted
        if int(fitted.result.status) == CalibrationStatus.bad_quotes:
            break  # no start and no solver mends quotes
    if first is None:
        raise NeutralError("; ".join([*log, ESCALATE])) from error
    return replace(first, log=[*log, ESCALATE])


def _attempts(config: PipelineConfig) -> Iterator[Attempt]:
    """The attempts in their order."""
    plan = config.search
    usual = {"solver": config.solver.build(), "search": Search(plan.screening, plan.finalists)}
    yield Attempt("as configured", config.model, usual)
    wide = Search(plan.screening, plan.finalists, QuasiRandom(keep=plan.finalists, seed=1))
    yield Attempt("new starts", config.model, usual | {"search": wide})
    yield Attempt("more steps", config.model, usual | {"solver": config.solver.build(MORE)})
    yield Attempt("other solver", config.model, usual | {"solver": config.solver.other(MORE)})
    for name in config.simpler:
        yield Attempt("simpler model", name, usual)


def _try(config: PipelineConfig, surface: QuoteSurface, attempt: Attempt, options: dict[str, Any]) -> Fitted:
    """Make one attempt: a global search where one is configured, then a local one from its end as well."""
    recipe = config.recipe(attempt.model)
    arguments = options | attempt.options
    starts = list(arguments.pop("starts"))
    explore = EXPLORE[config.search.explore]
    loss = np.nan
    if explore is not None:
        step = LevenbergMarquardt(max_steps=1)
        once = {"solver": step, "search": Search(1, 1, explore), "on_degenerate": "keep"}
        wide = calibrate(recipe, surface, **arguments | once)
        loss = float(wide.loss)
        starts.append(wide.model)
    result = calibrate(recipe, surface, starts=starts, **arguments)
    return Fitted(result, attempt.model, arguments, global_loss=loss)


def _line(attempt: Attempt, result: CalibrationResult, seconds: float) -> str:
    """The line of the log about an attempt."""
    status = CalibrationStatus(int(result.status))
    line = f"{attempt.step}: {attempt.model}: {status.name} after {int(result.steps)} steps, {seconds:.2g} s"
    return f"{line}, loss {float(result.loss):.4g}" if np.isfinite(float(result.loss)) else line
