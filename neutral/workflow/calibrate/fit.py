"""Fits the models of a run to a block of tables, with starts from data, simpler models and earlier blocks."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import pandas as pd

from ...calibration import (
    CalibrationResult,
    CalibrationStatus,
    FellerPenalty,
    JumpMomentPenalty,
    Tikhonov,
    calibrate_batch,
    nested_start,
)
from ...calibration.batch import PROGRAMS, prepare_batch
from ...calibration.priors import AbstractPenalty
from ...calibration.programs import Programs
from ...errors import NeutralError
from ...market.build import surface_of
from ...models import AbstractFourierModel, Shifted
from ...quotes.stack import stack
from ...quotes.surface import QuoteSurface
from ..outcome import status_text
from ..progress import doing
from ..recipes import RECIPES, SHIFT, Recipe, model_of, nearest_nested
from .config import Config
from .rows import ModelFit, Parameters, lost


def fit_block(
    frames: Sequence[pd.DataFrame],
    previous: Mapping[str, Parameters],
    config: Config,
    check_stop: Callable[[], None] = lambda: None,
    programs: Programs = PROGRAMS,
) -> list[dict[str, ModelFit]]:
    """Fit the models of a configuration to tables of quotes.

    Args:
        frames: Tables of kept quotes, as `neutral.market.prepare` returns them.
        previous: By model, parameters that serve as a further start.
        config: Models, loss, prior, solver, engine and search.
        check_stop: Called before each model; it raises to abandon the block.
        programs: The cache of compiled programs; by default that of the whole process.

    Returns:
        For each table the fits by model. All fits of a table that makes no surface, and all fits of a model
        whose calibration raises, have the status "error" with the reason; the others are not affected.
    """
    fits: list[dict[str, ModelFit]] = [{} for _ in frames]
    surfaces: dict[int, QuoteSurface] = {}
    for i, frame in enumerate(frames):
        try:
            surfaces[i] = surface_of(frame, config.loss.open_interest_power)
        except NeutralError as error:
            fits[i] = {model: lost(str(error), len(frame)) for model in config.models}
    if surfaces:
        sizes = [len(frames[i]) for i in surfaces]
        fitted = _fit(list(surfaces.values()), sizes, previous, config, check_stop, programs=programs)
        fits = [fits[i] or fitted.pop(0) for i in range(len(frames))]
    return fits


def _fit(
    surfaces: list[QuoteSurface],
    sizes: list[int],
    previous: Mapping[str, Parameters],
    config: Config,
    check_stop: Callable[[], None],
    programs: Programs,
) -> list[dict[str, ModelFit]]:
    """Fit a block of surfaces as `fit_block` does; `sizes` are the numbers of rows of their tables."""
    block = stack(surfaces)
    fits: list[dict[str, ModelFit]] = [{} for _ in surfaces]
    fitted: dict[str, AbstractFourierModel] = {}
    with ThreadPoolExecutor(1) as ahead:
        _compile_ahead(ahead, block, config, programs)
        for name in config.models:
            check_stop()
            simpler = nearest_nested(name, fitted)
            recipe = RECIPES[name]
            try:
                model, options = _arguments(
                    recipe,
                    block,
                    nested=fitted.get(simpler or ""),
                    previous=previous.get(name),
                    config=config,
                )
                with doing(f"fitting {name}: {len(block)} snapshots", long=True):
                    result = calibrate_batch(model, block, programs=programs, **options)
            except (NeutralError, jax.errors.JaxRuntimeError) as error:
                # the cause, such as a wrong setting or too little memory, concerns all surfaces
                for by_model, size in zip(fits, sizes, strict=True):
                    by_model[name] = lost(f"{type(error).__name__}: {error}", size)
                continue
            for i, size in enumerate(sizes):
                fits[i][name] = _model_fit(recipe, result, block, i, size)
            fitted[name] = result.model
    return fits


def _compile_ahead(pool: ThreadPoolExecutor, block: QuoteSurface, config: Config, programs: Programs) -> None:
    """Compile the programs of the later models on another thread while the first is compiled and run.

    Compiling needs only shapes, so models of nan replace the fits from which the later models will
    start. An error in the configuration is reported when the model is fitted.
    """
    for name in config.models[:0:-1]:
        pool.submit(_prepare, name, block, config, programs)


def _prepare(name: str, block: QuoteSurface, config: Config, programs: Programs) -> None:
    """Compile the program of one model, without fitting the model."""
    nested = absent_nested(name, config, len(block))
    model, options = _arguments(RECIPES[name], block, nested=nested, previous=None, config=config)
    prepare_batch(model, block, programs=programs, **options)


def _arguments(
    recipe: Recipe,
    block: QuoteSurface,
    *,
    nested: AbstractFourierModel | None,
    previous: Parameters | None,
    config: Config,
) -> tuple[Any, dict[str, Any]]:
    """Return the model and the keyword arguments with which `calibrate_batch` fits it to a block.

    Args:
        recipe: The model.
        block: Surfaces.
        nested: A simpler model fitted to each surface, which gives a further start.
        previous: Parameters of the model's last converged fit, which give a further start.
        config: Loss, prior, solver, engine and search.
    """
    model = recipe.build(config.model_settings)
    starts = [] if nested is None else [nested_start(model, nested)]
    # the first block has as many starts as the others, so that one program serves all
    starts.append(_moved(recipe, previous, block, config))
    return model, {
        "engine": config.engine.build(),
        "loss": config.loss.build(),
        "prior": _prior(recipe, previous, config),
        "solver": config.solver.build(),
        "starts": starts,
        "search": config.search.build(),
        "chunk": config.run.chunk,
    }


def absent_nested(name: str, config: Config, count: int) -> AbstractFourierModel | None:
    """Make a placeholder of nan, of the same shapes, for the simpler fit from which a model starts in a run.

    Args:
        name: Name of the model.
        config: Models of the run and their settings.
        count: Number of surfaces.

    Returns:
        The placeholder; None if the run fits no simpler model.
    """
    simpler = nearest_nested(name, config.models)
    return absent_model(RECIPES[simpler], config, count) if simpler else None


def absent_model(recipe: Recipe, config: Config, count: int) -> AbstractFourierModel:
    """Make the model of a recipe, without its shift, with parameters of nan: a placeholder that is no start.

    Args:
        recipe: The model.
        config: Settings of the model.
        count: Number of surfaces, the leading axis of the fields.
    """
    return _repeated(recipe, dict.fromkeys(recipe.columns, np.nan), config, count)


def _repeated(
    recipe: Recipe, values: Mapping[str, float | Sequence[float]], config: Config, count: int
) -> AbstractFourierModel:
    """Make a model whose fields repeat the values along a leading axis of surfaces."""
    lengths = recipe.lengths(config.model_settings)
    fields = {
        name: np.broadcast_to(np.asarray(values[name], float), (count, *lengths.get(name, ())))
        for name in recipe.columns
    }
    return recipe.model_class.with_lanes(**fields)


def _moved(
    recipe: Recipe, previous: Parameters | None, block: QuoteSurface, config: Config
) -> AbstractFourierModel:
    """Move the fit of the last block to the maturities of each surface; without a fit the model is nan."""
    t = np.asarray(block.t)
    if previous is None:
        model = absent_model(recipe, config, len(block))
    else:
        values = {name: previous[column] for name, column in recipe.columns.items()}
        model = _repeated(recipe, values, config, len(block))
    if not recipe.shifted:
        return model
    increments = np.full(t.shape, np.nan)
    if previous is not None:
        variance = _added_variance(t, *(np.asarray(previous[column], float) for column in SHIFT))
        increments = np.maximum(np.diff(variance, prepend=0.0, axis=-1), 0.0)
    return Shifted.with_lanes(model=model, times=t, increments=increments)


def _added_variance(t: np.ndarray, times: np.ndarray, increments: np.ndarray) -> np.ndarray:
    """Return the shift's total variance at t, linear between times and with the last slope beyond them."""
    total = np.concatenate([[0.0], np.cumsum(increments)])
    slope = increments[-1] / (times[-1] - (times[-2] if len(times) > 1 else 0.0))
    inside = np.interp(t, np.concatenate([[0.0], times]), total)
    return inside + slope * np.maximum(t - times[-1], 0.0)


def _prior(recipe: Recipe, previous: Parameters | None, config: Config) -> list[Tikhonov | AbstractPenalty]:
    """Return the penalties that are added to a model's loss."""
    prior = config.prior
    parameters = recipe.columns
    penalties: list[Tikhonov | AbstractPenalty] = []
    shift = prior.shift if recipe.shifted else 0.0
    if prior.strength or shift:
        center = None
        if previous and prior.toward == "previous":
            center = model_of(recipe.name, {key: x for key, x in previous.items() if key not in SHIFT})
        weights = dict.fromkeys(parameters, prior.strength) | {"increments": shift}
        penalties.append(Tikhonov(1.0, center, weights))
    if prior.feller and "sigma_v" in parameters:
        penalties.append(FellerPenalty(prior.feller))
    if prior.jump_moment and "mu_v" in parameters:
        penalties.append(JumpMomentPenalty(prior.jump_moment))
    return penalties


def _model_fit(recipe: Recipe, result: CalibrationResult, block: QuoteSurface, i: int, size: int) -> ModelFit:
    """Return the fit of one surface of a block, with a price for each row of its table."""
    status = CalibrationStatus(int(result.status[i]))
    prices = block[i].to_rows(np.asarray(result.prices[i]), size)
    rows = np.any(block.mask[i], axis=(0, 2))
    at_bound = [
        label.replace("increments", SHIFT[1])
        for label, is_hit in zip(result.names, np.asarray(result.at_bound[i]), strict=True)
        if is_hit
    ]
    return ModelFit(
        status=status_text(status),
        converged=bool(np.asarray(result.converged)[i]),
        message=status.message,
        prices=prices,
        parameters=_parameters(recipe, result.model, i, rows) | _errors(recipe, result, i),
        steps=int(result.steps[i]),
        loss=float(result.loss[i]),
        prior_loss=float(result.prior_loss[i]),
        gradient_norm=float(result.gradient_norm[i]),
        condition_number=float(result.condition_number[i]),
        at_bound=", ".join(at_bound),
    )


def _parameters(recipe: Recipe, model: AbstractFourierModel, i: int, rows: np.ndarray) -> Parameters:
    """Return one surface's parameters by column; its shift is on the maturities that have quotes."""
    inner = model.base
    parameters: Parameters = {
        column: np.asarray(getattr(inner, name)[i], float).tolist() for name, column in recipe.columns.items()
    }
    if recipe.shifted:
        for column, field in zip(SHIFT, ("times", "increments"), strict=True):
            parameters[column] = np.asarray(getattr(model, field)[i])[rows].tolist()
    return parameters


def _errors(recipe: Recipe, result: CalibrationResult, i: int) -> Parameters:
    """Return one surface's standard errors by column."""
    errors: Parameters = {}
    for label, error in zip(result.names, np.asarray(result.standard_errors[i]), strict=True):
        name, _, entry = label.partition("[")
        column = recipe.errors.get(name)
        if column and entry:
            errors.setdefault(column, []).append(float(error))
        elif column:
            errors[column] = float(error)
    return errors
