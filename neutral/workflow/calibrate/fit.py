"""The models of a run fitted to a block of tables: from the data, the nested model and the last block."""

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
    LevenbergMarquardt,
    Loss,
    Search,
    Tikhonov,
    calibrate_batch,
    nested_start,
)
from ...calibration.batch import PROGRAMS, prepare_batch
from ...calibration.programs import Programs
from ...errors import NeutralError
from ...market.build import surface_of
from ...models import SVCJ, Black, Heston, Shifted
from ...models.parameters import domains
from ...pricing import Lewis
from ...quotes.stack import stack
from ...quotes.surface import QuoteSurface
from ..config import Config
from .rows import ERRORS, SHIFT, ModelFit, Parameters, lost

CLASSES: dict[str, Any] = {"black": Black, "heston": Heston, "svcj": SVCJ, "svcj++": SVCJ}
RECIPES: dict[str, Any] = {**CLASSES, "svcj++": Shifted(SVCJ)}
SHIFTED = {"svcj++"}


def fit_block(
    frames: Sequence[pd.DataFrame],
    previous: Mapping[str, Parameters],
    config: Config,
    check_stop: Callable[[], None] = lambda: None,
    programs: Programs = PROGRAMS,
) -> list[dict[str, ModelFit]]:
    """Fit the models of a configuration to tables of quotes.

    Args:
        frames: Tables as `neutral.market.prepare` keeps them.
        previous: For each model parameters to start from as well.
        config: Models, loss, prior, solver and engine.
        check_stop: Called before each model; raises to give up the block.
        programs: Where compiled programs are kept; by default those of the whole process.

    Returns:
        For each table the fits by model. A table that makes no surface, and a model whose calibration raises,
        have the status "error" with the reason; their neighbours are fitted all the same.
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
        for i, one in zip(
            surfaces,
            _fit(list(surfaces.values()), sizes, previous, config, check_stop, programs=programs),
            strict=True,
        ):
            fits[i] = one
    return fits


def model_of(name: str, parameters: Parameters) -> Any:
    """The model that a row's parameters describe.

    Args:
        name: "black", "heston", "svcj" or "svcj++".
        parameters: Values by column name of `fits.parquet`; others are passed over.
    """
    cls = CLASSES[name]
    model = cls(**{field: float(parameters[field]) for field in domains(cls)})
    if name not in SHIFTED:
        return model
    times, increments = (np.asarray(parameters[column], float) for column in SHIFT)
    return Shifted(model, times, increments)


def _fit(
    surfaces: list[QuoteSurface],
    sizes: list[int],
    previous: Mapping[str, Parameters],
    config: Config,
    check_stop: Callable[[], None],
    programs: Programs,
) -> list[dict[str, ModelFit]]:
    block = stack(surfaces)
    fits: list[dict[str, ModelFit]] = [{} for _ in surfaces]
    nested: Any = None
    with ThreadPoolExecutor(1) as ahead:
        _compile_ahead(ahead, block, config, programs)
        for name in config.models:
            check_stop()
            try:
                options = _options(name, block, nested, previous.get(name), config)
                result = calibrate_batch(RECIPES[name], block, programs=programs, **options)
            except (NeutralError, jax.errors.JaxRuntimeError) as error:
                # for all surfaces: a wrong setting, no memory
                for one, size in zip(fits, sizes, strict=True):
                    one[name] = lost(f"{type(error).__name__}: {error}", size)
                continue
            for i, size in enumerate(sizes):
                fits[i][name] = _model_fit(name, result, block, i, size)
            nested = result.model
    return fits


def _compile_ahead(pool: ThreadPoolExecutor, block: QuoteSurface, config: Config, programs: Programs) -> None:
    """Compile the programs of the later models on another thread while the first is compiled and run.

    Compiling needs shapes only, so the fits that the later models will start from are stood in for by nan.
    An error in the configuration is reported where the model is fitted.
    """
    like = np.full(len(block), np.nan)
    for before, name in list(zip(config.models, config.models[1:], strict=False))[::-1]:
        nested = _batched(CLASSES[before], dict.fromkeys(domains(CLASSES[before]), 1.0), like)
        pool.submit(_prepare, name, block, nested, config, programs=programs)


def _prepare(name: str, block: QuoteSurface, nested: Any, config: Config, programs: Programs) -> None:
    options = _options(name, block, nested, None, config)
    prepare_batch(RECIPES[name], block, programs=programs, **options)


def _options(
    name: str,
    block: QuoteSurface,
    nested: Any,
    previous: Parameters | None,
    config: Config,
) -> dict[str, Any]:
    """What `calibrate_batch` is called with for one model, besides recipe and surfaces."""
    starts = []
    if nested is not None:
        starts.append(nested_start(RECIPES[name], nested))
    # the same number of starts in the first block as in the others: one program for all
    starts.append(_moved(name, previous, block))
    engine = Lewis() if config.engine.nodes is None else Lewis(nodes=config.engine.nodes)
    return {
        "engine": engine,
        "loss": Loss(**config.loss.model_dump(exclude={"open_interest_power"})),
        "prior": _prior(name, previous, config),
        "solver": LevenbergMarquardt(**config.solver.model_dump()),
        "starts": starts,
        "search": Search(**config.search.model_dump()),
        "chunk": config.run.chunk,
    }


def _moved(name: str, previous: Parameters | None, block: QuoteSurface) -> Any:
    """The last block's fit on the maturities of each surface; nan, which is absent, where there is none."""
    t = np.asarray(block.t)
    like = np.full(len(block), 1.0 if previous else np.nan)
    cls = CLASSES[name]
    model = _batched(cls, {field: previous[field] if previous else 1.0 for field in domains(cls)}, like)
    if name not in SHIFTED:
        return model
    increments = np.full(t.shape, np.nan)
    if previous:
        variance = _added_variance(t, *(np.asarray(previous[column], float) for column in SHIFT))
        increments = np.maximum(np.diff(variance, prepend=0.0, axis=-1), 0.0)
    return Shifted.with_lanes(model=model, times=t, increments=increments)


def _added_variance(t: np.ndarray, times: np.ndarray, increments: np.ndarray) -> np.ndarray:
    """The shift's total variance at t: linear between times, its last slope kept beyond."""
    total = np.concatenate([[0.0], np.cumsum(increments)])
    slope = increments[-1] / (times[-1] - (times[-2] if len(times) > 1 else 0.0))
    inside = np.interp(t, np.concatenate([[0.0], times]), total)
    return inside + slope * np.maximum(t - times[-1], 0.0)


def _batched(cls: Any, fields: Mapping[str, Any], like: np.ndarray) -> Any:
    """A model whose fields have the shape of `like`, and are nan where it is."""
    values = {name: np.where(np.isnan(like), np.nan, fields[name]) for name in domains(cls)}
    return cls.with_lanes(**values)


def _prior(name: str, previous: Parameters | None, config: Config) -> list[Any]:
    prior, cls = config.prior, CLASSES[name]
    own = domains(cls)
    pulls: list[Any] = []
    shift = prior.shift if name in SHIFTED else 0.0
    if prior.strength or shift:
        toward = {field: float(previous[field]) for field in own} if previous else None
        center = cls(**toward) if toward and prior.toward == "previous" else None
        weights = dict.fromkeys(own, prior.strength) | {"increments": shift}
        pulls.append(Tikhonov(1.0, center, weights))
    if prior.feller and "sigma_v" in own:
        pulls.append(FellerPenalty(prior.feller))
    if prior.jump_moment and "mu_v" in own:
        pulls.append(JumpMomentPenalty(prior.jump_moment))
    return pulls


def _model_fit(name: str, result: CalibrationResult, block: QuoteSurface, i: int, size: int) -> ModelFit:
    status = CalibrationStatus(int(result.status[i]))
    index = np.asarray(block.index[i])
    listed = index >= 0
    prices = np.full(size, np.nan)
    prices[index[listed]] = (np.asarray(result.prices[i]) * _unit(block, i))[listed]
    rows = np.any(block.mask[i], axis=(0, 2))
    hit = [
        label.replace("increments", SHIFT[1])
        for label, at in zip(result.names, np.asarray(result.at_bound[i]), strict=True)
        if at
    ]
    return ModelFit(
        status.name,
        bool(result.converged[i]),
        status.message,
        prices,
        _parameters(name, result.model, i, rows) | _errors(result, i),
        steps=int(result.steps[i]),
        loss=float(result.loss[i]),
        prior_loss=float(result.prior_loss[i]),
        gradient_norm=float(result.gradient_norm[i]),
        condition_number=float(result.condition_number[i]),
        at_bound=", ".join(hit),
    )


def _unit(block: QuoteSurface, i: int) -> np.ndarray:
    """What a normalised price of one surface is multiplied by for the unit of its quotes, (T, 1)."""
    unit = np.asarray(block.forward[i]) * np.asarray(block.discount[i])
    return np.where(block.settlement == "coin", 1.0, unit)[:, None]


def _parameters(name: str, model: Any, i: int, rows: np.ndarray) -> Parameters:
    """One surface's parameters by column name; the shift on the maturities that have quotes."""
    base = model.model if name in SHIFTED else model
    parameters: Parameters = {field: float(getattr(base, field)[i]) for field in domains(CLASSES[name])}
    if name in SHIFTED:
        for column, values in zip(SHIFT, (model.times, model.increments), strict=True):
            parameters[column] = np.asarray(values[i])[rows].tolist()
    return parameters


def _errors(result: CalibrationResult, i: int) -> Parameters:
    """One surface's standard errors by column name."""
    named = zip(result.names, np.asarray(result.standard_errors[i]), strict=True)
    return {ERRORS[name]: float(error) for name, error in named if name in ERRORS}
