"""Models to price with: objects, a file of `neutral.save`, or the latest fits of a run."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
import pandas as pd

from ...calibration import CalibrationResult
from ...errors import ArgumentError, DataError
from ...market.loaders.option_table import rows_where
from ...market.quotes import column
from ...models import AbstractFourierModel
from ...surfaces import VolSurface
from ...times import time_text
from ..recipes import RECIPES, model_of

Priced: TypeAlias = AbstractFourierModel | VolSurface | CalibrationResult
"""What has prices: a model, a surface, or the result of a calibration."""
Models: TypeAlias = Priced | Sequence[Priced] | Mapping[str, Priced] | str | Path
"""One or several, by name; or a file of `neutral.save`, or a folder of results of `neutral calibrate`."""


class FittedModel(NamedTuple):
    """A model, and the time of the quotes to which it was fitted; None if that is unknown."""

    model: AbstractFourierModel | VolSurface
    time: datetime | None = None


@runtime_checkable
class ModelSource(Protocol):
    """Models for a market."""

    def at(self, underlying: str | None, time: datetime | None) -> dict[str, FittedModel]:
        """Return the models of an underlying at a time, by name.

        Args:
            underlying: The underlying; None takes the only one.
            time: UTC; None takes the latest models.

        Raises:
            DataError: There is none; the message names those that exist.
        """
        ...


@dataclass(frozen=True)
class GivenModels:
    """Models that are the same for all underlyings and times."""

    models: Mapping[str, FittedModel]

    def at(self, underlying: str | None, time: datetime | None) -> dict[str, FittedModel]:
        """As `ModelSource.at`."""
        return dict(self.models)


@dataclass(frozen=True, eq=False)
class StoredFits:
    """The converged fits of a run of `neutral calibrate`."""

    folder: Path
    config: Mapping[str, Any]
    fits: pd.DataFrame  # of the converged fits, with the column `time`, UTC

    def at(self, underlying: str | None, time: datetime | None) -> dict[str, FittedModel]:
        """Return each model's latest converged fit at or before a time, as `ModelSource.at`."""
        names = sorted(self.fits["currency"].unique())
        if underlying is None and len(names) != 1:
            raise ArgumentError(f"{self.folder} has fits of {', '.join(names)}; choose one with underlying=.")
        chosen = rows_where(self.fits, column(self.fits, "currency") == (underlying or names[0]))
        if not len(chosen):
            raise DataError(f"{self.folder} has no converged fit of {underlying}; it has {', '.join(names)}.")
        earlier = chosen if time is None else rows_where(chosen, column(chosen, "time") <= pd.Timestamp(time))
        if time is not None and not len(earlier):
            raise DataError(
                f"{self.folder} has no converged fit of {underlying or names[0]} at or before "
                f"{time_text(time)}; the first is of {time_text(column(chosen, 'time').min())}."
            )
        latest = earlier.sort_values(by="time", kind="stable").groupby("model").tail(1)
        rows = cast(list[dict[str, Any]], latest.to_dict("records"))
        found = {row["model"]: FittedModel(model_of(row["model"], _filled(row)), row["time"]) for row in rows}
        return {name: found[name] for name in RECIPES if name in found}


def model_source(models: Models) -> ModelSource:
    """Return models by name, from objects or from what is stored.

    Raises:
        ArgumentError: An object has no prices, or two have one name.
        DataError: The file or folder cannot be read.
    """
    if isinstance(models, str | Path):
        return _stored(Path(models))
    named = models if isinstance(models, Mapping) else _named(models)
    if not named:
        raise ArgumentError("price_table needs at least one model, got none.")
    return GivenModels({str(name): FittedModel(_single(str(name), x)) for name, x in named.items()})


def name_of(model: object) -> str:
    """Return the name of a model in results, such as "svcj++", or else of its class in small letters."""
    if isinstance(model, CalibrationResult):
        return name_of(model.model)
    inner = getattr(model, "model", model)  # of a model with a variance shift
    for recipe in RECIPES.values():
        if recipe.shifted == (inner is not model) and recipe.model_class is type(inner):
            return recipe.name
    return (model if isinstance(model, type) else type(model)).__name__.lower()


def _stored(path: Path) -> ModelSource:
    if not path.is_dir():
        from ...storage import load

        stored = load(path)
        return GivenModels({name: FittedModel(_single(str(path), x)) for name, x in _named(stored).items()})
    try:
        from ..calibrate.store import open_store
    except ModuleNotFoundError as error:
        raise DataError(
            f"{path}: reading results needs {error.name}; run pip install 'neutral[io]'."
        ) from error
    store = open_store(path)
    fits = store.read("fits").to_pandas()
    fits = fits[fits["converged"].astype(bool)]
    if fits.empty:
        raise DataError(f"{path} has no converged fit.")
    return StoredFits(path, store.config, fits.assign(time=pd.to_datetime(fits["snapshot_ts"], utc=True)))


def _named(models: Priced | Iterable[Priced]) -> dict[str, Priced]:
    """Return models by the names of their classes."""
    listed = list(models) if isinstance(models, list | tuple) else [models]
    names = [name_of(x) for x in listed]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ArgumentError(
            f"several models are a {repeated[0]}; name them, as in price_table({{'{repeated[0]} 1': ..., "
            f"'{repeated[0]} 2': ...}}, table)."
        )
    return dict(zip(names, cast(list[Priced], listed), strict=True))


def _single(name: str, model: object) -> AbstractFourierModel | VolSurface:
    """Return the model of one surface.

    Raises:
        ArgumentError: The object has no prices, or is of several surfaces.
    """
    evidence = model if isinstance(model, CalibrationResult) else getattr(model, "fit", None)
    if np.ndim(getattr(evidence, "status", 0)):
        raise ArgumentError(f"{name} has several fits; select one, as in results[0].")
    inner = model.model if isinstance(model, CalibrationResult) else model
    if not isinstance(inner, AbstractFourierModel | VolSurface):
        raise ArgumentError(
            f"{name} must be a model, a surface or the result of a calibration, got {_what(model)}."
        )
    return cast(AbstractFourierModel | VolSurface, inner)


def _what(model: object) -> str:
    return f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a row that have a value."""
    return {
        name: value for name, value in row.items() if not (pd.api.types.is_scalar(value) and pd.isna(value))
    }
