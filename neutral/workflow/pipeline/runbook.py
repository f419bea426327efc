"""Fits a market, and if a fit fails tries new starts, more steps, another solver and simpler models."""

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
from ...times import seconds_text
from .config import PipelineConfig

MORE = 10  # factor by which the attempts "more steps" and "other solver" increase the number of steps
EXPLORE = {"none": None, "quasi_random": QuasiRandom(), "differential_evolution": DifferentialEvolution()}
ESCALATE = "escalate: no attempt has converged; look at the quotes, the bounds that are hit and the residuals"


@dataclass(frozen=True, eq=False)
class Setup:
    """A market ready to be fitted.

    Attributes:
        surface: The quotes.
        options: The arguments of `calibrate` by model, among them `starts`, which are further starting
            models.
        before: The parameters of the previous fit by model; None if there is none.
    """

    surface: QuoteSurface
    options: dict[str, dict[str, Any]]
    before: dict[str, Mapping[str, float] | None]


@dataclass(frozen=True)
class Attempt:
    """An attempt to fit a market."""

    step: str  # its name in the log
    model: str
    options: dict[str, Any]  # arguments of `calibrate` that replace those of the setup


@dataclass(frozen=True, eq=False)
class AcceptedFit:
    """The fit that is accepted for a market, and the log of all attempts."""

    result: CalibrationResult
    model: str
    options: dict[str, Any]  # arguments of `calibrate`, without `starts`
    log: list[str] = field(default_factory=list)  # a line for each attempt
    global_loss: float = np.nan  # the loss at the end of the global stage; nan if there is no such stage


def fit(config: PipelineConfig, setup: Setup) -> AcceptedFit:
    """Fit one market, with further attempts if the first one fails.

    Args:
        config: Model, search, solver, engine and simpler models.
        setup: The market and the options of its fits.

    Returns:
        The first fit that converged. If none did, the fit of the first attempt that raised no error; the last
        line of its log then states what a person should check.

    Raises:
        NeutralError: Every attempt raised an error.
    """
    first: AcceptedFit | None = None
    log: list[str] = []
    error: Exception | None = None
    for attempt in _attempts(config):
        began = time.perf_counter()
        try:
            accepted = _try(config, setup.surface, attempt, setup.options[attempt.model])
        except (NeutralError, jax.errors.JaxRuntimeError) as failure:
            log.append(f"{attempt.step}: {attempt.model}: {failure}")
            error = error or failure
            continue
        log.append(_line(attempt, accepted.result, time.perf_counter() - began))
        if bool(accepted.result.converged):
            return replace(accepted, log=log)
        first = first or accepted
        if int(accepted.result.status) == CalibrationStatus.bad_quotes:
            break  # neither another start nor another solver helps with bad quotes
    if first is None:
        raise NeutralError("; ".join([*log, ESCALATE])) from error
    return replace(first, log=[*log, ESCALATE])


def _attempts(config: PipelineConfig) -> Iterator[Attempt]:
    """Yield the attempts in order."""
    rules = config.search
    configured = {"solver": config.solver.build(), "search": rules.build()}
    yield Attempt("as configured", config.model, configured)
    new_starts = rules.build(explore=QuasiRandom(keep=rules.finalists, seed=1))
    yield Attempt("new starts", config.model, configured | {"search": new_starts})
    yield Attempt("more steps", config.model, configured | {"solver": config.solver.build(MORE)})
    yield Attempt("other solver", config.model, configured | {"solver": config.solver.other(MORE)})
    for name in config.simpler:
        yield Attempt("simpler model", name, configured)


def _try(
    config: PipelineConfig, surface: QuoteSurface, attempt: Attempt, options: dict[str, Any]
) -> AcceptedFit:
    """Run the global stage if there is one, then the local stage from its end and from all other starts."""
    recipe = config.recipe(attempt.model)
    arguments = options | attempt.options
    starts = list(arguments.pop("starts"))
    explore = EXPLORE[config.search.explore]
    global_loss = np.nan
    if explore is not None:
        exploration = {
            "solver": LevenbergMarquardt(max_steps=1),
            "search": Search(1, 1, explore),
            "on_degenerate": "keep",
        }
        global_result = calibrate(recipe, surface, **arguments | exploration)
        global_loss = float(global_result.loss)
        starts.append(global_result.model)
    result = calibrate(recipe, surface, starts=starts, **arguments)
    return AcceptedFit(result, attempt.model, arguments, global_loss=global_loss)


def _line(attempt: Attempt, result: CalibrationResult, seconds: float) -> str:
    """Describe one attempt in one line of the log."""
    status = CalibrationStatus(int(result.status)).name
    outcome = f"{status} after {int(result.steps)} steps, {seconds_text(seconds)}"
    loss = float(result.loss)
    text = f"{attempt.step}: {attempt.model}: {outcome}"
    return f"{text}, loss {loss:.4g}" if np.isfinite(loss) else text
