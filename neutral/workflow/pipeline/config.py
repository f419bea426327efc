"""The configuration of the pipeline: one model of each market, and the limits that it has to keep."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import equinox as eqx
import jax
import numpy as np
from pydantic import Field, field_validator, model_validator

from ...calibration import Tikhonov
from ...calibration.coordinates import ModelCoordinates
from ...calibration.recipe import entries_of
from ...diagnostics.gates import Limit, load_limits
from ...errors import ArgumentError
from ...models import Bates, DoubleHeston, PiecewiseHeston
from ...models.parameters import domains
from ...shipped import configuration
from ..calibrate import fit
from ..config import (
    Count,
    Document,
    Loss,
    NotNegative,
    Positive,
    Section,
    Solver,
    Sources,
    read_document,
)

CLASSES: Mapping[str, Any] = fit.CLASSES | {
    "bates": Bates,
    "double_heston": DoubleHeston,
    "piecewise_heston": PiecewiseHeston,
}
Model = Literal["black", "heston", "bates", "svcj", "svcj++", "double_heston", "piecewise_heston"]
Playbook = Literal["plausibility", "heston", "sabr", "segments", "slv"]


class PipelineSources(Sources):
    """`[data]`: the files, and what loaders are told."""

    files: list[str] = []
    assets: list[str] | None = None


class Bounds(Section):
    """`[bounds]`: intervals of parameters by name, over those from the data."""

    from_data: bool = True
    intervals: dict[str, tuple[float, float]] = {}


class Anchor(Section):
    """`[prior]`: the pull to the market's last fit before this one; and the one on what quotes do not see."""

    strength: NotNegative = 0.0
    weights: dict[str, NotNegative] | None = None
    days: Positive = 7.0
    on_degenerate: Literal["keep", "damp"] = "keep"


class Starts(Section):
    """`[search]`: where a fit starts, and how many of the starts are run to the end."""

    v0: list[float] = []
    screening: Count = 15
    finalists: Count = 8
    explore: Literal["none", "quasi_random", "differential_evolution"] = "none"


class Validation(Section):
    """`[validation]`: folds of the cross-validation; 0 leaves it out."""

    folds: Annotated[int, Field(ge=0)] = 5

    @field_validator("folds")
    @classmethod
    def _not_one(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError("expected 0, or 2 folds or more")
        return folds


class Gates(Section):
    """`[gates]`: sets of limits beside those of the stages, and a file of limits of one's own."""

    playbooks: list[Playbook] = []
    file: str | None = None


class PipelineConfig(Document):
    """The whole file. Names and meaning of the keys are in the shipped `heston_index.toml`."""

    application: Literal["market_making", "vanilla_hedging", "exotics"] = "vanilla_hedging"
    model: Model = "heston"
    breakpoints: list[float] = []
    simpler: list[Model] = []
    data: PipelineSources = PipelineSources()
    loss: Loss = Loss(weight="vega", robust="none", c=1.0)
    bounds: Bounds = Bounds()
    prior: Anchor = Anchor()
    solver: Solver = Solver()
    search: Starts = Starts()
    validation: Validation = Validation()
    gates: Gates = Gates()

    @field_validator("simpler")
    @classmethod
    def _distinct(cls, names: list[Model]) -> list[Model]:
        if len(set(names)) < len(names):
            raise ValueError("expected models, none twice")
        return names

    @model_validator(mode="after")
    def _agrees(self) -> "PipelineConfig":
        self.filters.build()
        if self.model in self.simpler:
            raise ValueError(f"simpler names {self.model}, which is the model itself")
        if ("piecewise_heston" in (self.model, *self.simpler)) != bool(self.breakpoints):
            raise ValueError("breakpoints, in years, go with the model piecewise_heston, and with it alone")
        known = set().union(*(domains(CLASSES[name]) for name in (self.model, *self.simpler)))
        unknown = sorted({*self.bounds.intervals, *(self.prior.weights or {})} - known)
        if unknown:
            raise ValueError(f"no parameter {', '.join(unknown)}; the models have {', '.join(sorted(known))}")
        return self

    @property
    def content(self) -> dict[str, Any]:
        """What changes the results of a market, by section; with the limits themselves."""
        skip = {"data": {"files", "assets", "limit"}}
        content = self.model_dump(mode="json", exclude=skip)  # pyright: ignore[reportArgumentType]
        return content | {"limits": [dataclasses.asdict(limit) for limit in self.limits]}

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """Of all gates.

        Raises:
            ArgumentError: the file of limits has none of a playbook.
            DataError: as `load_limits`.
        """
        limits = load_limits(self.gates.file)
        missing = sorted(set(self.gates.playbooks) - {limit.set for limit in limits})
        if missing:
            raise ArgumentError(f"{self.gates.file}: has no limits of {', '.join(missing)}.")
        return limits

    def recipe(self, name: Model) -> Any:
        """What `calibrate` takes for a model."""
        if name == "piecewise_heston":
            return PiecewiseHeston(breakpoints=tuple(self.breakpoints))
        return fit.RECIPES.get(name, CLASSES[name])

    def starts(self, name: Model, before: Mapping[str, float] | None) -> list[Any]:
        """Starts beside those from the data: an earlier fit, and typical models of the variances listed.

        Without an earlier fit its place is held by one that is no start, so that no day compiles anew.
        """
        axes, _ = entries_of(self.recipe(name))
        typical = ModelCoordinates(CLASSES[name], axes).typical()
        absent = jax.tree.map(lambda x: np.full(np.shape(x), np.nan), typical)
        listed = self.search.v0 if "v0" in domains(CLASSES[name]) else []
        given = [eqx.tree_at(lambda model: model.v0, typical, np.float64(v0)) for v0 in listed]
        return [absent if before is None else self.model_of(name, before), *given]

    def anchor(self, name: Model, before: Mapping[str, float] | None) -> Tikhonov:
        """The pull to parameters of an earlier fit of the same model; of no strength where there is none."""
        own = domains(CLASSES[name])
        given = self.prior.weights
        weights = None if given is None else {key: x for key, x in given.items() if key in own}
        if before is None:
            return Tikhonov(0.0, None, weights)
        return Tikhonov(self.prior.strength, self.model_of(name, before), weights)

    def model_of(self, name: Model, parameters: Mapping[str, float]) -> Any:
        """The model of parameters by name (`kappa`, or entry by entry `kappa[0]`), without its shift."""
        fields: dict[str, Any] = {}
        for field in domains(CLASSES[name]):
            entries = [x for key, x in parameters.items() if key.split("[")[0] == field]
            fields[field] = entries[0] if field in parameters else np.array(entries)
        return CLASSES[name](**fields)


def load_pipeline_config(path: Any) -> PipelineConfig:
    """Read a configuration of the pipeline.

    Args:
        path: A TOML file, or the name of a shipped one: "heston_index" or "heston_index.toml".

    Raises:
        ArgumentError: no such file, no TOML, an unknown key or a value that is not accepted.
    """
    inside = configuration(Path(path).stem)
    if Path(path).exists() or not inside.is_file():
        return read_document(Path(path), PipelineConfig)
    return read_document(inside, PipelineConfig)
